"""The recipes of the three tasks: classification, detection, generation."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Count, Fraction, NotNegative, Positive
from florilegium.config.training_recipe import FROM_FINDER, Idle, TrainingRecipe
from florilegium.core.system import twelve_digits

# What every image must be prepared by to look the same in each epoch, and the network to answer the same.
STILL = {
    "crop": "centre",
    "flip": 0.0,
    "rotation": 0.0,
    "randaugment": 0,
    "random_erasing": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "val_augmented": False,
    "drop_path": 0.0,
    "dropout": 0.0,
}
# What the features of an image depend on.
FEATURED = (
    "image_size",
    "mean",
    "std",
    "interpolation",
    "crop_pct",
    "precision",
    "threads",
    "allow_missing",
    "allow_unexpected",
)
# What they are written to, in this order.


class Recipe(TrainingRecipe):
    """How a classifier is trained."""

    IDLE: ClassVar[Idle] = {
        **TrainingRecipe.IDLE,
        "crop": {
            "random_resized": ("crop_padding",),
            "padded": ("crop_scale", "crop_ratio"),
            "centre": ("crop_scale", "crop_ratio", "crop_padding"),
        },
        "randaugment": {0: ("randaugment_magnitude",)},
    }

    AFTER_THE_FINDER: ClassVar[tuple[str, ...]] = (*TrainingRecipe.AFTER_THE_FINDER, *("val_augmented", "features"))

    # augmentation
    crop: Literal["random_resized", "padded", "centre"] = "random_resized"
    crop_scale: tuple[Fraction, Fraction] = Field((0.08, 1.0), strict=False)
    crop_ratio: tuple[Positive, Positive] = Field((3 / 4, 4 / 3), strict=False)
    crop_padding: Count = Field(4, description="padded: pixels added on each side before the crop")
    flip: Fraction = Field(0.5, description="probability of a horizontal flip")
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(
        0.0, description="largest angle in degrees, to either side; 0 is off"
    )
    randaugment: Count = Field(0, description="RandAugment operations per image; 0 is off")
    randaugment_magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    random_erasing: Fraction = 0.0
    mixup: NotNegative = Field(0.0, description="alpha of mixup; 0 is off")
    cutmix: NotNegative = Field(0.0, description="alpha of CutMix; 0 is off")
    val_augmented: bool = Field(
        False, description="validate on images that are augmented as training's are, as some studies did"
    )
    # input
    image_size: AtLeastOne | None = Field(None, description="side in pixels; null takes the model's own")
    mean: tuple[float, float, float] | None = Field(None, strict=False, description="null takes the model's own")
    std: tuple[Positive, Positive, Positive] | None = Field(
        None, strict=False, description="null takes the model's own"
    )
    interpolation: Literal["bilinear", "bicubic"] | None = Field(None, description="null takes the model's own")
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="part of an image's side that tests, and crop = centre, keep; null takes the model's own, 1 is "
        "the whole image",
    )
    # linear probes
    features: Literal["live", "cached"] = Field(
        "live", description="cached: a frozen backbone sees each image once, and the heads learn from what it saw"
    )
    # regularisation
    label_smoothing: Fraction = 0.0
    drop_path: Fraction = 0.0
    dropout: Fraction = 0.0

    def finder_uses(self) -> dict[str, Any]:
        """As every training's; a finder looks at no test image."""
        kept = super().finder_uses()
        return kept if self.crop == "centre" else {key: kept[key] for key in kept if key != "crop_pct"}

    @model_validator(mode="after")
    def _feedable(self) -> "Recipe":
        if self.crop_scale[0] > self.crop_scale[1] or self.crop_scale[0] <= 0:
            raise ValueError(f"crop_scale: {list(self.crop_scale)} must be two rising fractions above 0")
        if self.crop_ratio[0] > self.crop_ratio[1]:
            raise ValueError(f"crop_ratio: {list(self.crop_ratio)} must be two rising numbers")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean, std: give both or neither")
        if self.features == "cached":
            self._check_cacheable()
        return self

    def _check_cacheable(self) -> None:
        """One image has one feature only where nothing before the heads learns or draws."""
        if "backbone" not in self.freeze:
            raise ValueError("features: cached needs a backbone that does not learn; set freeze to [backbone]")
        if self.lr == FROM_FINDER:
            raise ValueError("lr: the finder trains a whole network, not heads on cached features; give a number")
        for key, still in STILL.items():
            if getattr(self, key) != still:
                raise ValueError(f"{key}: {getattr(self, key)} has no effect on cached features; set it to {still}")


OpenFraction = Annotated[float, Field(gt=0, lt=1)]


class DetectionRecipe(TrainingRecipe):
    """How a detector is trained, and which of its answers count."""

    IDLE: ClassVar[Idle] = {
        **TrainingRecipe.IDLE,
        "schedule": {
            name: keys if name == "step" else (*keys, "relative_milestones")
            for name, keys in TrainingRecipe.IDLE["schedule"].items()
        },
    }

    # schedule
    relative_milestones: tuple[OpenFraction, ...] = Field(
        (), strict=False, description="step: milestones as parts of epochs, in place of milestones"
    )
    # batches
    grouping: Literal["shape", "aspect_ratio"] = Field(
        "shape",
        description="images of a batch: of one shape, shuffled; aspect_ratio: neighbours in width over height, the same in every epoch, the last batch filled up from the first",
    )
    drop_last: bool = Field(False, description="leave out the batch that is not full")
    flip: Fraction = Field(0.5, description="probability of a horizontal flip")
    # losses
    low_quality_matches: bool = Field(
        True, description="the anchors that overlap an object most learn it, however little they overlap"
    )
    focal_alpha: Fraction = Field(0.25, description="weight of the right class against all others")
    focal_gamma: NotNegative = Field(2.0, description="how much less an easy anchor counts")
    focal_clamp: OpenFraction | None = Field(
        None, description="keeps probabilities so far from 0 and 1, without a gradient beyond; null: exact"
    )
    normaliser: Literal["batch", "image"] = Field(
        "batch",
        description="positive anchors that losses are divided by: image: each image's own, so that one without objects outweighs all others",
    )
    # what counts as found
    score_threshold: Fraction = 0.05
    suppression_iou: Fraction = Field(0.5, description="of boxes of a class that overlap more, one stays")
    top_k: AtLeastOne | None = Field(1000, description="likeliest answers of an image that suppression sees; null: all")
    max_detections: AtLeastOne | None = Field(100, description="most boxes of an image; null: all")

    @model_validator(mode="before")
    @classmethod
    def _milestones(cls, values: Any) -> Any:
        """Milestones follow the length of the run, whichever file set it."""
        if isinstance(values, dict) and values.get("relative_milestones") and "epochs" in values:
            parts = values["relative_milestones"]
            return values | {"milestones": [twelve_digits(part * values["epochs"]) for part in parts]}
        return values

    @model_validator(mode="after")
    def _as_a_detector_can(self) -> "DetectionRecipe":
        if self.lr == FROM_FINDER:
            raise ValueError("lr: the finder is for classifiers; give a number")
        if self.batches_per_step:
            raise ValueError(
                "batches_per_step: a detector's batches have shapes of their own and cannot be joined; "
                "use batch_size and accumulate"
            )
        return self


class GenerationRecipe(TrainingRecipe):
    """How a class-conditional generator of images is trained. Its last weights are kept: no score of one
    epoch says how good its pictures are."""

    IDLE: ClassVar[Idle] = {**TrainingRecipe.IDLE, "label_dropout": {0.0: ("label_dropout_by",)}}

    select: Literal["best", "last"] = "last"
    flip: Fraction = Field(0.0, description="probability of a horizontal flip")
    dropout: Fraction = 0.0
    # diffusion
    timesteps: AtLeastOne = Field(500, description="steps of the noising process")
    beta_start: Positive = Field(1e-4, lt=1, description="variance that the first step adds")
    beta_end: Positive = Field(0.028, lt=1, description="and the last; linear in between")
    label_dropout: Fraction = Field(0.1, description="how often the class is hidden, for guidance")
    label_dropout_by: Literal["sample", "batch"] = "sample"
    loss: Literal["mean", "sum_by_squared_batch"] = Field(
        "mean", description="of the squared errors; their sum over the squared batch size is what study 4 took"
    )
    # ACGAN
    class_weight: NotNegative = Field(1.0, description="of the classification losses beside the adversarial")

    @model_validator(mode="after")
    def _unselected(self) -> "GenerationRecipe":
        if self.select == "best" or self.early_stop:
            raise ValueError("select, early_stop: a generator has no score to choose an epoch by; leave them out")
        if self.lr == FROM_FINDER:
            raise ValueError("lr: the finder is for classifiers; give a number")
        if self.beta_start > self.beta_end:
            raise ValueError(f"beta_start: {self.beta_start} is above beta_end = {self.beta_end}")
        return self
