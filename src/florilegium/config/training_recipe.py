"""The part of a recipe that all tasks share."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Count, Fraction, NotNegative, Positive, Strict
from florilegium.core.system import twelve_digits

FROM_FINDER = "from_finder"
Idle = dict[str, dict[Any, tuple[str, ...]]]


class TrainingRecipe(Strict):
    """Epochs count passes over the training images, unless `epoch_steps` says otherwise; rates are per step."""

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
    """For each key, which other keys each of its values leaves without effect."""

    AFTER_THE_FINDER: ClassVar[tuple[str, ...]] = (
        *("lr", "epochs", "epoch_steps", "batches_per_step", "select", "early_stop", "early_stop_on"),
        *("schedule", "milestones", "gamma", "plateau_patience", "final_lr", "stop_before_plateau"),
        *("warmup_epochs", "warmup_start", "tail_epochs", "restarts", "restart_factor"),
        *("swa_start", "swa_lr", "swa_anneal_epochs", "ema"),
    )
    """What a learning-rate finder does without: it takes the first steps of a training, at rates of its own."""

    # size
    epochs: AtLeastOne
    epoch_steps: AtLeastOne | None = Field(
        None, description="steps of one batch that count as an epoch; null: one pass over the images"
    )
    batch_size: AtLeastOne = Field(64, description="images per optimiser step, accumulation included")
    accumulate: AtLeastOne = Field(1, description="micro-batches that one step is split into")
    batches_per_step: tuple[Annotated[tuple[Count, AtLeastOne], Field(strict=False)], ...] = Field(
        (),
        strict=False,
        description="pairs [epoch, k]: from that epoch on, counted from 0, a step learns from k batches of "
        "batch_size, so that an epoch has fewer steps (Lightning's accumulation); []: from one",
    )
    # optimiser
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Positive | Literal["from_finder"] = Field(
        0.01, union_mode="left_to_right", description="or from_finder: what the range test suggests"
    )
    finder_rates: tuple[Positive, Positive] = Field(
        (1e-5, 1.0), strict=False, description="lowest and highest rate of the learning-rate finder"
    )
    finder_steps: Annotated[int, Field(ge=20)] = Field(100, description="its steps, one a rate")
    momentum: Fraction = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = Field((0.9, 0.999), strict=False)
    weight_decay: NotNegative = 0.0
    clip_norm: Positive | None = Field(None, description="largest gradient norm; null does not clip")
    clip_value: Positive | None = Field(None, description="largest gradient of a single weight")
    # schedule
    schedule: Literal["constant", "step", "cosine", "plateau"] = "constant"
    warmup_epochs: NotNegative = 0.0
    warmup_start: Fraction = Field(0.0, description="first rate of the warm-up as a part of lr")
    tail_epochs: NotNegative = Field(0.0, description="linear fall to zero over the last epochs")
    final_lr: Fraction = Field(0.0, description="last rate of the cosine as a part of lr")
    milestones: tuple[Positive, ...] = Field((), strict=False, description="step: epochs after which the rate falls")
    gamma: Fraction = Field(0.1, description="step and plateau: factor of each fall")
    plateau_patience: Count = Field(5, description="plateau: epochs without a lower validation loss before a fall")
    # averaging
    ema: Fraction | None = Field(None, description="decay of the averaged weights that are evaluated; null is off")
    swa_start: Fraction | None = Field(
        None, description="part of the epochs after which weights are averaged (SWA); null is off"
    )
    swa_lr: Positive = Field(0.01, description="the rate while weights are averaged")
    swa_anneal_epochs: Count = Field(10, description="epochs in which the rate comes down, or up, to swa_lr")
    # precision
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32", description="auto: bf16 on hardware that multiplies in it, else fp32; cost.json says which"
    )
    # freezing
    freeze: tuple[str, ...] = Field(
        (), strict=False, description="modules by name whose parameters do not train; backbone: all but the classifier"
    )
    freeze_blocks: Count = Field(0, description="first blocks or stages that do not train, with all before them")
    # selection
    select: Literal["best", "last"] = Field("best", description="best validation epoch, or the last epoch")
    early_stop: AtLeastOne | None = Field(None, description="epochs without a better validation before the end")
    early_stop_on: Literal["score", "val_loss"] = Field(
        "score", description="what is better: a higher score, of equals a lower loss, or a lower loss alone"
    )
    stop_before_plateau: bool = Field(
        False, description="keep a patience that ends the run before plateau_patience can act, as published"
    )
    # divergence
    restarts: Count = Field(
        0, description="how often a run that diverges goes on from its last good epoch; 0: it ends there"
    )
    restart_factor: Positive = Field(0.1, le=1, description="factor of the rate from each restart on")
    # weights
    allow_missing: tuple[str, ...] = Field((), strict=False, description="state dict keys (globs) that may be absent")
    allow_unexpected: tuple[str, ...] = Field(
        (), strict=False, description="state dict keys (globs) that may be ignored"
    )
    # arithmetic that changes bits, and so belongs to the result
    threads: AtLeastOne = Field(1, description="CPU threads; one and two give different bits")

    @model_validator(mode="after")
    def _trainable(self) -> "TrainingRecipe":
        def refuse(keys: str, why: str) -> None:
            raise ValueError(f"{keys}: {why}")

        if self.warmup_epochs + self.tail_epochs > self.epochs:
            refuse(
                "warmup_epochs, tail_epochs",
                f"{self.warmup_epochs} + {self.tail_epochs} is more than epochs = {self.epochs}",
            )
        if self.batch_size % self.accumulate:
            refuse("accumulate", f"batch_size = {self.batch_size} does not divide into {self.accumulate} micro-batches")
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            refuse("nesterov", "needs optimizer = sgd with momentum above 0")
        if self.schedule == "step" and not self.milestones:
            refuse("milestones", "schedule = step needs at least one epoch")
        if any(m >= self.epochs for m in self.milestones):
            refuse(
                "milestones", f"{list(self.milestones)} must lie before epochs = {self.epochs}, or the rate never falls"
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            refuse("milestones", f"{list(self.milestones)} must rise")
        if self.early_stop and self.early_stop >= self.epochs:
            refuse("early_stop", f"a patience of {self.early_stop} can never end a run of {self.epochs} epochs")
        self._check_plateau(refuse)
        if self.finder_rates[0] >= self.finder_rates[1]:
            refuse("finder_rates", f"{list(self.finder_rates)} must rise")
        if self.clip_norm and self.clip_value:
            refuse("clip_norm, clip_value", "give one of them")
        self._check_accumulation(refuse)
        self._check_averaging(refuse)
        return self

    def _check_plateau(self, refuse: Callable[[str, str], None]) -> None:
        waiting = self.schedule == "plateau"
        hasty = waiting and 0 < (self.early_stop or 0) <= self.plateau_patience
        if hasty and not self.stop_before_plateau:
            refuse(
                "early_stop",
                f"a patience of {self.early_stop} ends the run before plateau_patience = {self.plateau_patience} can "
                "lower the rate; raise it, or set stop_before_plateau to keep that knowingly",
            )
        # One epoch sets the best, one more than the patience fails it, and one learns at the lower rate.
        enough = self.plateau_patience + 3
        if waiting and self.epochs < enough and not self.stop_before_plateau:
            refuse(
                "plateau_patience",
                f"a patience of {self.plateau_patience} can never lower the rate in {self.epochs} epochs; lower it, or "
                f"train for {enough} epochs or more",
            )
        if self.stop_before_plateau and not hasty:
            refuse("stop_before_plateau", "early_stop does not end the run before the plateau can; take it out")

    def _check_accumulation(self, refuse: Callable[[str, str], None]) -> None:
        starts = [start for start, _ in self.batches_per_step]
        if starts and (starts[0] != 0 or starts != sorted(set(starts))):
            refuse("batches_per_step", f"its epochs {starts} must start at 0 and rise")
        if any(start >= self.epochs for start in starts):
            refuse("batches_per_step", f"its epochs {starts} must lie before epochs = {self.epochs}")

    def _check_averaging(self, refuse: Callable[[str, str], None]) -> None:
        start = self.averaged_from()
        if start is None:
            return
        if start >= self.epochs:
            refuse(
                "swa_start",
                f"{self.swa_start} of {self.epochs} epochs is after the last one, so nothing would be averaged; lower it",
            )
        if self.select == "best":
            refuse("swa_start", "the average is ready at the end alone, so it needs select = last")
        if self.ema is not None:
            refuse("swa_start, ema", "both put other weights in place of the trained ones; give one of them")
        if self.tail_epochs:
            refuse("swa_start, tail_epochs", "both rule the last rates; give one of them")

    @property
    def base_lr(self) -> float:
        """`lr`, once it is a number."""
        assert not isinstance(self.lr, str), "a training puts the finder's suggestion in place first"
        return self.lr

    def averaged_from(self) -> int | None:
        """How many epochs pass before weights are averaged; None where they are not."""
        return None if self.swa_start is None else int(twelve_digits(self.swa_start * self.epochs))

    def finder_uses(self) -> dict[str, Any]:
        """The part of `used` that a learning-rate finder depends on, and its own keys."""
        kept = {key: value for key, value in self.used().items() if key not in self.AFTER_THE_FINDER}
        return kept | {"finder_rates": list(self.finder_rates), "finder_steps": self.finder_steps}

    def used(self) -> dict[str, Any]:
        """The recipe as JSON values, without the keys that its other keys make idle.

        A key that is not used is not part of a result: changing it re-runs nothing. What a finder did
        reaches a training through its file alone.
        """
        values: dict[str, Any] = self.model_dump(mode="json", exclude={"finder_rates", "finder_steps"})
        for chooser, idle in self.IDLE.items():
            for chosen, keys in idle.items():
                if values[chooser] == chosen:
                    for key in keys:
                        values.pop(key, None)
        return values
