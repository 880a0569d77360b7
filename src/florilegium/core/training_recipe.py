"""How any network is trained: batches, optimiser, schedule, precision, freezing and selection.

A kind of training (`core.recipe` for classifiers) adds what it augments and how it counts its loss.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from florilegium.core.strict import AtLeastOne, Count, Fraction, NotNegative, Positive, Strict

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
    }
    """For each key, which other keys each of its values leaves without effect."""

    # size
    epochs: AtLeastOne
    epoch_steps: AtLeastOne | None = Field(
        None, description="optimiser steps that count as an epoch; null: one pass over the images"
    )
    batch_size: AtLeastOne = Field(64, description="images per optimiser step, accumulation included")
    accumulate: AtLeastOne = Field(1, description="micro-batches that one step is split into")
    # optimiser
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Positive = 0.01
    momentum: Fraction = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = Field((0.9, 0.999), strict=False)
    weight_decay: NotNegative = 0.0
    clip_norm: Positive | None = Field(None, description="largest gradient norm; null does not clip")
    # schedule
    schedule: Literal["constant", "step", "cosine", "plateau"] = "constant"
    warmup_epochs: NotNegative = 0.0
    warmup_start: Fraction = Field(0.0, description="first rate of the warm-up as a part of lr")
    tail_epochs: NotNegative = Field(0.0, description="linear fall to zero over the last epochs")
    final_lr: Fraction = Field(0.0, description="last rate of the cosine as a part of lr")
    milestones: tuple[Positive, ...] = Field(
        (), strict=False, description="step: epochs after which the rate falls"
    )
    gamma: Fraction = Field(0.1, description="step and plateau: factor of each fall")
    plateau_patience: Count = Field(
        5, description="plateau: epochs without a lower validation loss before a fall"
    )
    # averaging
    ema: Fraction | None = Field(
        None, description="decay of the averaged weights that are evaluated; null is off"
    )
    # precision
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32", description="auto: bf16 on hardware that multiplies in it, else fp32; cost.json says which"
    )
    # freezing
    freeze: tuple[str, ...] = Field(
        (),
        strict=False,
        description="modules by name whose parameters do not train; backbone: all but the classifier",
    )
    freeze_blocks: Count = Field(
        0, description="first blocks or stages that do not train, with all before them"
    )
    # selection
    select: Literal["best", "last"] = Field("best", description="best validation epoch, or the last epoch")
    early_stop: AtLeastOne | None = Field(
        None, description="epochs without a better validation before the end"
    )
    # divergence
    restarts: Count = Field(
        0, description="how often a run that diverges goes on from its last good epoch; 0: it ends there"
    )
    restart_factor: Positive = Field(0.1, le=1, description="factor of the rate from each restart on")
    # weights
    allow_missing: tuple[str, ...] = Field(
        (), strict=False, description="state dict keys (globs) that may be absent"
    )
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
            refuse(
                "accumulate",
                f"batch_size = {self.batch_size} does not divide into {self.accumulate} micro-batches",
            )
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            refuse("nesterov", "needs optimizer = sgd with momentum above 0")
        if self.schedule == "step" and not self.milestones:
            refuse("milestones", "schedule = step needs at least one epoch")
        if any(m >= self.epochs for m in self.milestones):
            refuse(
                "milestones",
                f"{list(self.milestones)} must lie before epochs = {self.epochs}, or the rate never falls",
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            refuse("milestones", f"{list(self.milestones)} must rise")
        if self.early_stop and self.select == "last":
            refuse("early_stop", "watches validation, so it needs select = best")
        if self.early_stop and self.early_stop >= self.epochs:
            refuse(
                "early_stop", f"a patience of {self.early_stop} can never end a run of {self.epochs} epochs"
            )
        if self.schedule == "plateau" and self.early_stop and self.early_stop <= self.plateau_patience:
            refuse(
                "early_stop",
                f"a patience of {self.early_stop} ends the run before plateau_patience = {self.plateau_patience} can lower the rate",
            )
        return self

    def used(self) -> dict[str, Any]:
        """The recipe as JSON values, without the keys that its other keys make idle.

        A key that is not used is not part of a result: changing it re-runs nothing.
        """
        values: dict[str, Any] = self.model_dump(mode="json")
        for chooser, idle in self.IDLE.items():
            for chosen, keys in idle.items():
                if values[chooser] == chosen:
                    for key in keys:
                        values.pop(key, None)
        return values
