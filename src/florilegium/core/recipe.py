"""A classifier's recipe: what every training has, and its input, augmentation and regularisation."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from florilegium.core.strict import AtLeastOne, Count, Fraction, NotNegative, Positive
from florilegium.core.training_recipe import FROM_FINDER, Idle, TrainingRecipe

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

    AFTER_THE_FINDER: ClassVar[tuple[str, ...]] = (
        *TrainingRecipe.AFTER_THE_FINDER,
        *("val_augmented", "features"),
    )

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
    mean: tuple[float, float, float] | None = Field(
        None, strict=False, description="null takes the model's own"
    )
    std: tuple[Positive, Positive, Positive] | None = Field(
        None, strict=False, description="null takes the model's own"
    )
    interpolation: Literal["bilinear", "bicubic"] | None = Field(
        None, description="null takes the model's own"
    )
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="part of an image's side that tests, and crop = centre, keep; null takes the model's own, 1 is "
        "the whole image",
    )
    # linear probes
    features: Literal["live", "cached"] = Field(
        "live",
        description="cached: a frozen backbone sees each image once, and the heads learn from what it saw",
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
            raise ValueError(
                "features: cached needs a backbone that does not learn; set freeze to [backbone]"
            )
        if self.lr == FROM_FINDER:
            raise ValueError(
                "lr: the finder trains a whole network, not heads on cached features; give a number"
            )
        for key, still in STILL.items():
            if getattr(self, key) != still:
                raise ValueError(
                    f"{key}: {getattr(self, key)} has no effect on cached features; set it to {still}"
                )
