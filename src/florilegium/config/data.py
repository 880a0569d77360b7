"""What an experiment uses: of a data set, of a generator, and of weights to start from."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from florilegium.config.base import AtLeastOne, Fraction, Name, Names, NotNegative, SomeSplits, Splits, Strict
from florilegium.core.files import local_path

CLEAN = (
    "data sets whose validation and test images are removed from the training images; the data set's own name removes "
    "duplicates across its splits"
)
CleanBy = Literal["all", "hash"]
CLEAN_BY = "what `clean` removes: all copies that the audit finds, or those alone that a perceptual hash sees"

# Sections of an experiment


class Sampling(Strict):
    """One set of generated images.

    Guidance w mixes the noise predicted with and without the class as (1 + w) e_class - w e_none (Ho and
    Salimans 2022, "Classifier-Free Diffusion Guidance", equation 6).
    """

    sampler: Literal["ddpm", "ddim", "direct"] = Field("ddpm", description="direct: one pass without steps (ACGAN)")
    steps: AtLeastOne | None = Field(None, description="ddim: number of denoising steps; null: all timesteps")
    guidance: NotNegative = 0.0
    per_class: AtLeastOne = 100

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.steps is not None and self.sampler != "ddim":
            raise ValueError(f"steps: sampler = {self.sampler} takes no fewer steps than it has; use ddim")
        if self.guidance and self.sampler == "direct":
            raise ValueError("guidance: sampler = direct has no noise to guide; leave it out")
        return self


class Judge(Strict):
    """The classifier, trained on real images with the same seed, that classifies the generated ones."""

    experiment: Name
    arm: Name = "corrected"


class Samples(Strict):
    """Images to generate with a trained generator."""

    sets: dict[Name, Sampling] = Field(min_length=1, description="sets of images, by the name of their folder")
    judge: Judge | None = None
    shown: AtLeastOne = Field(8, description="images of each class in the pictures")

    @model_validator(mode="after")
    def _one_folder_each(self) -> Self:
        seen: dict[str, str] = {}
        for name in self.sets:
            if (other := seen.setdefault(name.casefold(), name)) != name:
                raise ValueError(f"sets: {other} and {name} are one folder on macOS and Windows; rename one")
        return self


class Generated(Strict):
    """Images from a generator of the same seed, added to the training images of a classifier."""

    experiment: Name
    arm: Name = "corrected"
    samples: Name = Field(description="one of the generator's sets")
    share: Fraction = Field(description="number of added images as a fraction of the real training images")


class DataUse(Strict):
    """The images that an experiment trains, validates and tests on.

    `holdout` takes a seeded stratified part of the training images for validation and test: the data set's own splits
    are then merged, and `select` must be `last`.
    """

    dataset: Name
    storage_size: AtLeastOne = Field(256, description="side of the packed images in pixels")
    train: SomeSplits = ("train",)
    val: Splits = ("val",)
    test: SomeSplits = ("test",)
    holdout: Fraction | None = None
    choose_on_test: bool = Field(False, description="validate on the test images; for `as_published` arms only")
    clean: Names = Field((), description=CLEAN)
    clean_by: CleanBy = Field("all", description=CLEAN_BY)
    generated: Generated | None = Field(None, description="generated images to train on beside the real ones")

    @model_validator(mode="after")
    def _fair(self) -> Self:
        if self.holdout is None:
            _check_disjoint(self)
        elif not 0 < self.holdout < 1:
            raise ValueError("holdout: must lie between 0 and 1")
        if self.choose_on_test and (self.val or self.holdout is not None):
            raise ValueError("choose_on_test: validates on the test images, so set val to [] and holdout to null")
        return self


class DetectionData(Strict):
    """The `data` of a detection experiment; the counterpart of `DataUse`.

    Images are packed with the short side `short_side`, or less where the long side would exceed `long_side`, and
    padded with zeros below and to the right.
    """

    dataset: Name
    short_side: AtLeastOne = Field(608, description="shorter side of the packed image in pixels")
    long_side: AtLeastOne = Field(1024, description="upper limit of its longer side in pixels")
    padding: Literal["least", "doubled"] = Field(
        "least",
        description="least: pad each side to a multiple of 32; doubled: add 32 pixels where a side is one already",
    )
    boxes: Literal["as_annotated", "last_corner"] = Field(
        "as_annotated",
        description="last_corner: in training, every box of an image ends where its last box ends (a published bug)",
    )
    train: SomeSplits = ("train",)
    val: Splits = ("val",)
    test: SomeSplits = ("test",)
    clean: Names = Field((), description=CLEAN)
    clean_by: CleanBy = Field("all", description=CLEAN_BY)

    @property
    def packing(self) -> str:
        """The part of a packed file's name that says how its images are packed."""
        return f"{self.short_side}-{self.long_side}-{self.padding}"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_disjoint(self)
        if self.long_side < self.short_side:
            raise ValueError(
                f"long_side: {self.long_side} is less than short_side = {self.short_side}; give at least as much"
            )
        return self


def _check_disjoint(data: DataUse | DetectionData) -> None:
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        if both := set(getattr(data, a)) & set(getattr(data, b)):
            raise ValueError(f"{a}, {b}: both hold the split {sorted(both)[0]}, so images would leak")


WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".npz", ".bin", ".ckpt", ".tar")


def check_weight_file(file: str) -> None:
    """Raise `ValueError` for a name that no file of weights has."""
    if not file.lower().endswith(WEIGHT_FILES):
        endings = ", ".join(WEIGHT_FILES)
        raise ValueError(f"file: {file} is no file of weights by its name; give one that ends in {endings}")


class Init(Strict):
    """Source of the initial weights: another experiment's run with the same seed, a file, or an entry of
    `workflow/weights.yaml`."""

    experiment: Name | None = None
    arm: Name = "corrected"
    file: str | None = None
    weights: Name | None = None

    @field_validator("file")
    @classmethod
    def _as_path(cls, file: str | None) -> str | None:
        return local_path(file).as_posix() if file and file.lower().startswith(("~", "file://")) else file

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(x is not None for x in (self.experiment, self.file, self.weights)) != 1:
            raise ValueError("give exactly one of experiment, file and weights")
        if self.file is not None:
            check_weight_file(self.file)
        if self.experiment is None and "arm" in self.model_fields_set:
            raise ValueError("arm: belongs to experiment; take it out")
        return self


class Model(Strict):
    """A network by its registered name, and the arguments of its constructor."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


STRIDE = 32  # of the backbone's coarsest feature map: sides are padded to its multiples
