"""Recipes: how a network is trained. One for all tasks, and one each for classification, detection and generation."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Count, Fraction, NotNegative, Positive, Strict, Texts
from florilegium.core.system import twelve_digits

FROM_FINDER = "from_finder"
Idle = dict[str, dict[Any, tuple[str, ...]]]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
MOST_THREADS = 1024


class TrainingRecipe(Strict):
    """The keys of all tasks. Epochs count passes over the training images, unless `epoch_steps` is set; the learning
    rate changes every step."""

    IDLE: ClassVar[Idle] = {
        "optimizer": {"sgd": ("betas",), "adam": ("momentum", "nesterov"), "adamw": ("momentum", "nesterov")},
        "schedule": {
            "constant": ("milestones", "gamma", "plateau_patience", "final_lr"),
            "step": ("plateau_patience", "final_lr"),
            "cosine": ("milestones", "gamma", "plateau_patience"),
            "plateau": ("milestones", "final_lr"),
        },
        "restarts": {0: ("restart_factor",)},
        "warmup_epochs": {0.0: ("warmup_start",)},
        "swa_start": {None: ("swa_lr", "swa_anneal_epochs")},
        "early_stop": {None: ("early_stop_on", "stop_before_plateau")},
    }
    """For each key and value, the other keys that then have no effect."""

    AFTER_THE_FINDER: ClassVar[tuple[str, ...]] = (
        *("lr", "epochs", "epoch_steps", "batches_per_step", "select", "early_stop", "early_stop_on"),
        *("schedule", "milestones", "gamma", "plateau_patience", "final_lr", "stop_before_plateau"),
        *("warmup_epochs", "warmup_start", "tail_epochs", "restarts", "restart_factor"),
        *("swa_start", "swa_lr", "swa_anneal_epochs", "ema"),
    )
    """Keys without effect on a learning-rate finder, which takes the first steps of a training at its own rates."""

    # size
    epochs: AtLeastOne
    epoch_steps: AtLeastOne | None = Field(
        None, description="batches that count as an epoch; null: a pass over the images"
    )
    batch_size: AtLeastOne = Field(64, description="images per optimiser step, accumulation included")
    accumulate: AtLeastOne = Field(1, description="number of micro-batches that one step is split into")
    batches_per_step: tuple[Annotated[tuple[Count, AtLeastOne], Field(strict=False)], ...] = Field(
        (),
        strict=False,
        description="pairs [epoch, k]: from that epoch on, counted from 0, each step accumulates k batches of "
        "batch_size, so that an epoch has fewer steps (as in Lightning); []: one batch per step",
    )
    # optimiser
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Positive | Literal["from_finder"] = Field(
        0.01, union_mode="left_to_right", description="learning rate; from_finder: the rate that a range test suggests"
    )
    finder_rates: tuple[Positive, Positive] = Field(
        (1e-5, 1.0), strict=False, description="lowest and highest rate of the learning-rate finder"
    )
    finder_steps: Annotated[int, Field(ge=20)] = Field(100, description="steps of the finder, one per rate")
    momentum: BelowOne = 0.9
    nesterov: bool = False
    betas: tuple[BelowOne, BelowOne] = Field((0.9, 0.999), strict=False)
    weight_decay: NotNegative = 0.0
    clip_norm: Positive | None = Field(None, description="maximum gradient norm; null: no clipping")
    clip_value: Positive | None = Field(None, description="maximum absolute gradient of a weight; null: no clipping")
    # schedule
    schedule: Literal["constant", "step", "cosine", "plateau"] = "constant"
    warmup_epochs: NotNegative = 0.0
    warmup_start: Fraction = Field(0.0, description="first rate of the warm-up as a fraction of lr")
    tail_epochs: NotNegative = Field(0.0, description="length of a linear decay to zero at the end, in epochs")
    final_lr: Fraction = Field(0.0, description="cosine: last rate as a fraction of lr")
    milestones: tuple[Positive, ...] = Field(
        (), strict=False, description="step: epochs after which gamma multiplies the rate"
    )
    gamma: Factor = Field(0.1, description="step and plateau: factor of each decay of the rate")
    plateau_patience: Count = Field(5, description="plateau: epochs without a lower validation loss before a decay")
    # averaging
    ema: BelowOne | None = Field(None, description="decay of the averaged weights that are evaluated; null: off")
    swa_start: Fraction | None = Field(
        None, description="fraction of the epochs after which stochastic weight averaging (SWA) starts; null: off"
    )
    swa_lr: Positive = Field(0.01, description="learning rate while weights are averaged")
    swa_anneal_epochs: Count = Field(10, description="epochs in which the learning rate moves to swa_lr")
    # precision
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32", description="auto: bf16 where the hardware supports it, else fp32; cost.json records which"
    )
    # freezing
    freeze: Texts = Field((), description="names of modules that are frozen; backbone: all but the classifier")
    freeze_blocks: Count = Field(0, description="number of first blocks or stages that are frozen")
    # selection
    select: Literal["best", "last"] = Field("best", description="the best validation epoch, or the last epoch")
    early_stop: AtLeastOne | None = Field(
        None, description="epochs without a better validation before a stop; null: none"
    )
    early_stop_on: Literal["score", "val_loss"] = Field(
        "score", description="score: higher is better, and the lower loss breaks ties; val_loss: lower is better"
    )
    stop_before_plateau: bool = Field(
        False, description="accept an early_stop that ends the run before plateau_patience can act, as published"
    )
    # divergence
    restarts: Count = Field(0, description="how often a diverged run restarts from its last good epoch; 0: it ends")
    restart_factor: Factor = Field(0.1, description="factor of the learning rate at each restart")
    # weights
    allow_missing: Texts = Field((), description="state dict keys (globs) that may be missing")
    allow_unexpected: Texts = Field((), description="state dict keys (globs) that are ignored")
    # arithmetic that changes bits, and so belongs to the result
    threads: AtLeastOne = Field(1, le=MOST_THREADS, description="CPU threads; one and two give different bits")

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        milestones = list(self.milestones)
        if self.warmup_epochs + self.tail_epochs > self.epochs:
            total = f"{self.warmup_epochs} + {self.tail_epochs}"
            raise ValueError(f"warmup_epochs, tail_epochs: {total} is more than epochs = {self.epochs}")
        if self.batch_size % self.accumulate:
            parts = f"{self.accumulate} micro-batches"
            raise ValueError(f"accumulate: batch_size = {self.batch_size} does not divide into {parts}")
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ValueError("nesterov: needs optimizer = sgd with momentum above 0")
        if self.schedule == "step" and not milestones:
            raise ValueError("milestones: schedule = step needs at least one epoch")
        if any(milestone >= self.epochs for milestone in milestones):
            raise ValueError(f"milestones: {milestones} must be before epochs = {self.epochs}, or the rate never falls")
        if milestones != sorted(set(milestones)):
            raise ValueError(f"milestones: {milestones} must rise")
        if self.early_stop and self.early_stop >= self.epochs:
            patience = f"a patience of {self.early_stop}"
            raise ValueError(f"early_stop: {patience} can never end a run of {self.epochs} epochs")
        if self.finder_rates[0] >= self.finder_rates[1]:
            raise ValueError(f"finder_rates: {list(self.finder_rates)} must rise")
        if self.clip_norm and self.clip_value:
            raise ValueError("clip_norm, clip_value: give one of them")
        starts = [start for start, _ in self.batches_per_step]
        if starts and (starts[0] != 0 or starts != sorted(set(starts))):
            raise ValueError(f"batches_per_step: its epochs {starts} must start at 0 and rise")
        if any(start >= self.epochs for start in starts):
            raise ValueError(f"batches_per_step: its epochs {starts} must lie before epochs = {self.epochs}")
        return self

    @model_validator(mode="after")
    def _plateau_can_act(self) -> Self:
        waits = self.schedule == "plateau"
        stops_first = waits and 0 < (self.early_stop or 0) <= self.plateau_patience
        if self.stop_before_plateau:
            if not stops_first:
                raise ValueError(
                    "stop_before_plateau: early_stop does not end the run before the plateau can; take it out"
                )
            return self
        if stops_first:
            raise ValueError(
                f"early_stop: a patience of {self.early_stop} ends the run before plateau_patience = "
                f"{self.plateau_patience} can lower the rate; raise it, or set stop_before_plateau to accept that"
            )
        # One epoch sets the best, one more than the patience fails to beat it, and one trains at the lower rate.
        enough = self.plateau_patience + 3
        if waits and self.epochs < enough:
            raise ValueError(
                f"plateau_patience: a patience of {self.plateau_patience} can never lower the rate in {self.epochs} "
                f"epochs; lower it, or train for {enough} epochs or more"
            )
        return self

    @model_validator(mode="after")
    def _averageable(self) -> Self:
        start = self.averaged_from()
        if start is None:
            return self
        if start >= self.epochs:
            raise ValueError(
                f"swa_start: {self.swa_start} of {self.epochs} epochs is after the last one, so nothing would be "
                "averaged; lower it"
            )
        if self.select == "best":
            raise ValueError("swa_start: the average is complete only at the end, so it needs select = last")
        if self.ema is not None:
            raise ValueError("swa_start, ema: both replace the trained weights by others; give one of them")
        if self.tail_epochs:
            raise ValueError("swa_start, tail_epochs: both set the last rates; give one of them")
        return self

    @property
    def base_lr(self) -> float:
        """`lr`, once it is a number."""
        assert not isinstance(self.lr, str), "a training puts the finder's suggestion in place first"
        return self.lr

    def averaged_from(self) -> int | None:
        """Number of epochs before weights are averaged; None where they are not."""
        return None if self.swa_start is None else int(twelve_digits(self.swa_start * self.epochs))

    def finder_uses(self) -> dict[str, Any]:
        """The part of `used` that a learning-rate finder depends on, and its own keys."""
        used = {key: value for key, value in self.used().items() if key not in self.AFTER_THE_FINDER}
        return used | {"finder_rates": list(self.finder_rates), "finder_steps": self.finder_steps}

    def used(self) -> dict[str, Any]:
        """The recipe as JSON values, without the keys that have no effect beside its other keys.

        A change of such a key re-runs nothing. A finder affects a training through its file alone.
        """
        values: dict[str, Any] = self.model_dump(mode="json", exclude={"finder_rates", "finder_steps"})
        for chooser, idle in self.IDLE.items():
            for chosen, keys in idle.items():
                if values[chooser] == chosen:
                    for key in keys:
                        values.pop(key, None)
        return values


# Classification

# With these values an image looks the same in each epoch, and the network's output for it stays the same.
STILL: dict[str, Any] = {
    "crop": "centre",
    "randaugment": 0,
    "val_augmented": False,
    **dict.fromkeys(("flip", "rotation", "random_erasing", "mixup", "cutmix", "drop_path", "dropout"), 0.0),
}
# The keys that the features of an image depend on.
FEATURED = (
    *("image_size", "mean", "std", "interpolation", "crop_pct", "precision", "threads"),
    *("allow_missing", "allow_unexpected"),
)


class Recipe(TrainingRecipe):
    """The recipe of a classifier."""

    IDLE: ClassVar[Idle] = {
        **TrainingRecipe.IDLE,
        "crop": {
            "random_resized": ("crop_padding",),
            "padded": ("crop_scale", "crop_ratio"),
            "centre": ("crop_scale", "crop_ratio", "crop_padding"),
        },
        "randaugment": {0: ("randaugment_magnitude",)},
    }

    AFTER_THE_FINDER: ClassVar[tuple[str, ...]] = (*TrainingRecipe.AFTER_THE_FINDER, "val_augmented", "features")

    # augmentation
    crop: Literal["random_resized", "padded", "centre"] = "random_resized"
    crop_scale: tuple[Fraction, Fraction] = Field((0.08, 1.0), strict=False)
    crop_ratio: tuple[Positive, Positive] = Field((3 / 4, 4 / 3), strict=False)
    crop_padding: Count = Field(4, description="padded: pixels added on each side before the crop")
    flip: Fraction = Field(0.5, description="probability of a horizontal flip")
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="maximum angle in degrees; 0: off")
    randaugment: Count = Field(0, description="RandAugment operations per image; 0: off")
    randaugment_magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    random_erasing: Fraction = 0.0
    mixup: NotNegative = Field(0.0, description="alpha of mixup; 0: off")
    cutmix: NotNegative = Field(0.0, description="alpha of CutMix; 0: off")
    val_augmented: bool = Field(False, description="augment validation images like those of training")
    # input
    image_size: AtLeastOne | None = Field(None, description="side in pixels; null: the model's own")
    mean: tuple[float, float, float] | None = Field(None, strict=False, description="null: the model's own")
    std: tuple[Positive, Positive, Positive] | None = Field(None, strict=False, description="null: the model's own")
    interpolation: Literal["bilinear", "bicubic"] | None = Field(None, description="null: the model's own")
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="fraction of an image's side that remains in tests and with crop = centre; 1: the whole image; "
        "null: the model's own",
    )
    # linear probes
    features: Literal["live", "cached"] = Field(
        "live", description="cached: a frozen backbone processes each image once, and the heads train on its features"
    )
    # regularisation
    label_smoothing: BelowOne = 0.0
    drop_path: BelowOne = 0.0
    dropout: BelowOne = 0.0

    def finder_uses(self) -> dict[str, Any]:
        """The same of a classifier; a finder reads no test image, so `crop_pct` counts only where training uses it."""
        used = super().finder_uses()
        return used if self.crop == "centre" else {key: used[key] for key in used if key != "crop_pct"}

    @model_validator(mode="after")
    def _feedable(self) -> Self:
        if self.crop_scale[0] > self.crop_scale[1] or self.crop_scale[0] <= 0:
            raise ValueError(f"crop_scale: {list(self.crop_scale)} must be two rising fractions above 0")
        if self.crop_ratio[0] > self.crop_ratio[1]:
            raise ValueError(f"crop_ratio: {list(self.crop_ratio)} must be two rising numbers")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean, std: give both or neither")
        if self.mean and not all(0 <= value <= 1 for value in self.mean):
            raise ValueError(f"mean: {list(self.mean)} must be fractions of 1, as pixels are here; divide by 255")
        return self

    @model_validator(mode="after")
    def _cacheable(self) -> Self:
        """An image has a single feature only if nothing before the heads is trained or random."""
        if self.features == "live":
            return self
        if "backbone" not in self.freeze:
            raise ValueError("features: cached needs a frozen backbone; set freeze to [backbone]")
        if self.lr == FROM_FINDER:
            raise ValueError("lr: the finder trains a whole network, not heads on cached features; give a number")
        for key, still in STILL.items():
            if getattr(self, key) != still:
                raise ValueError(f"{key}: {getattr(self, key)} has no effect on cached features; set it to {still}")
        return self


# Detection


class DetectionRecipe(TrainingRecipe):
    """The recipe of a detector, and the selection of its predictions for evaluation."""

    IDLE: ClassVar[Idle] = {
        **TrainingRecipe.IDLE,
        "schedule": {
            name: keys if name == "step" else (*keys, "relative_milestones")
            for name, keys in TrainingRecipe.IDLE["schedule"].items()
        },
    }

    # schedule
    relative_milestones: tuple[OpenFraction, ...] = Field(
        (), strict=False, description="step: milestones as fractions of epochs, in place of milestones"
    )
    # batches
    grouping: Literal["shape", "aspect_ratio"] = Field(
        "shape",
        description="shape: images of a batch have one shape, and are shuffled; aspect_ratio: they are neighbours in "
        "width / height, in the same batches every epoch, and the last batch is filled up from the first",
    )
    drop_last: bool = Field(False, description="leave out an incomplete batch")
    flip: Fraction = Field(0.5, description="probability of a horizontal flip")
    # losses
    low_quality_matches: bool = Field(True, description="match objects with their best anchors at any overlap")
    focal_alpha: Fraction = Field(0.25, description="weight of the true class; all others have 1 - focal_alpha")
    focal_gamma: NotNegative = Field(2.0, description="strength of the down-weighting of easy anchors")
    focal_clamp: OpenFraction | None = Field(
        None,
        description="clamp probabilities to [focal_clamp, 1 - focal_clamp], with zero gradient outside; null: no clamp",
    )
    normaliser: Literal["batch", "image"] = Field(
        "batch",
        description="number of positive anchors that divides the losses. batch: of the whole batch; image: of each "
        "image by itself, so that an image without objects has a far larger weight",
    )
    # predictions
    score_threshold: Fraction = 0.05
    suppression_iou: Fraction = Field(0.5, description="maximum overlap of two boxes of a class that both stay")
    top_k: AtLeastOne | None = Field(1000, description="best predictions of an image that enter suppression; null: all")
    max_detections: AtLeastOne | None = Field(100, description="maximum number of boxes of an image; null: all")

    @model_validator(mode="before")
    @classmethod
    def _milestones(cls, values: Any) -> Any:
        """Milestones follow the length of the run, whichever file sets it. What is no number is told by its own key."""
        parts, epochs = values.get("relative_milestones"), values.get("epochs")
        numbers = [*parts, epochs] if isinstance(parts, list | tuple) and parts else [None]
        if not all(isinstance(number, int | float) for number in numbers):
            return values
        milestones = [twelve_digits(part * epochs) for part in parts]
        if values.get("milestones") and list(values["milestones"]) != milestones:
            raise ValueError("milestones, relative_milestones: both set the same epochs; set one of them to []")
        return values | {"milestones": milestones}

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.lr == FROM_FINDER:
            raise ValueError("lr: the finder is for classifiers; give a number")
        if self.batches_per_step:
            raise ValueError(
                "batches_per_step: a detector's batches have shapes of their own and cannot be joined; "
                "use batch_size and accumulate"
            )
        return self


# Generation


class GenerationRecipe(TrainingRecipe):
    """The recipe of a class-conditional generator of images. Its last weights are used, since no score of an epoch
    measures the quality of its images."""

    IDLE: ClassVar[Idle] = {**TrainingRecipe.IDLE, "label_dropout": {0.0: ("label_dropout_by",)}}

    select: Literal["best", "last"] = "last"
    flip: Fraction = Field(0.0, description="probability of a horizontal flip")
    dropout: BelowOne = 0.0
    # diffusion
    timesteps: AtLeastOne = Field(500, description="steps of the noising process")
    beta_start: Positive = Field(1e-4, lt=1, description="variance of the noise that the first step adds")
    beta_end: Positive = Field(0.028, lt=1, description="variance at the last step; linear in between")
    label_dropout: Fraction = Field(0.1, description="probability that training omits the class, for guidance")
    label_dropout_by: Literal["sample", "batch"] = "sample"
    loss: Literal["mean", "sum_by_squared_batch"] = Field(
        "mean",
        description="of the squared errors: their mean, or their sum divided by the squared batch size, as study 4 "
        "computes it",
    )
    # ACGAN
    class_weight: NotNegative = Field(1.0, description="weight of the classification losses; the adversarial have 1")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.select == "best" or self.early_stop:
            raise ValueError("select, early_stop: a generator has no score to choose an epoch by; leave them out")
        if self.lr == FROM_FINDER:
            raise ValueError("lr: the finder is for classifiers; give a number")
        if self.beta_start > self.beta_end:
            raise ValueError(f"beta_start: {self.beta_start} is above beta_end = {self.beta_end}")
        return self
