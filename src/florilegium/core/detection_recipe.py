"""A detector's recipe: what every training has, and its batches, its losses and what counts as found."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from florilegium.core.strict import AtLeastOne, Fraction, NotNegative
from florilegium.core.system import twelve_digits
from florilegium.core.training_recipe import FROM_FINDER, Idle, TrainingRecipe

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
    top_k: AtLeastOne | None = Field(
        1000, description="likeliest answers of an image that suppression sees; null: all"
    )
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
