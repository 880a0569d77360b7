"""Data sets and pretrained weights, and what an experiment takes of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Count, Fraction, Name, NotNegative, Split, Strict
from florilegium.core.errors import unknown


class Sampling(Strict):
    """One set of generated images.

    Guidance w mixes the noise predicted with and without the class as (1 + w) e_class - w e_none (Ho and
    Salimans 2022, "Classifier-Free Diffusion Guidance", equation 6).
    """

    sampler: Literal["ddpm", "ddim", "direct"] = Field(
        "ddpm", description="direct: one pass of a network that needs no steps (ACGAN)"
    )
    steps: AtLeastOne | None = Field(None, description="ddim: of the reverse process; null takes all")
    guidance: NotNegative = 0.0
    per_class: AtLeastOne = 100

    @model_validator(mode="after")
    def _possible(self) -> "Sampling":
        if self.steps is not None and self.sampler != "ddim":
            raise ValueError(f"steps: sampler = {self.sampler} takes no fewer steps than it has; use ddim")
        if self.guidance and self.sampler == "direct":
            raise ValueError("guidance: sampler = direct has no noise to guide; leave it out")
        return self


class Judge(Strict):
    """The classifier, trained on real images, that looks at generated ones; of the same seed."""

    experiment: Name
    arm: Name = "corrected"


class Samples(Strict):
    """What is made with a trained generator."""

    sets: dict[Name, Sampling] = Field(description="by the name of their folder")
    judge: Judge | None = None
    shown: AtLeastOne = Field(8, description="images of each class in the pictures")


class Generated(Strict):
    """Generated images that a classifier learns from beside the real ones; of the same seed."""

    experiment: Name
    arm: Name = "corrected"
    samples: Name = Field(description="one of the generator's sets")
    share: Fraction = Field(description="of the number of real training images, so many are added")


class DataUse(Strict):
    """Which images of a data set an experiment trains, validates and tests on.

    `holdout` takes a seeded stratified part of the training images for validation and test: the
    data set's own splits are then merged, and selection must be `last`.
    """

    dataset: Name
    storage_size: AtLeastOne = Field(256, description="side in pixels of the packed images")
    train: tuple[Split, ...] = Field(("train",), strict=False)
    val: tuple[Split, ...] = Field(("val",), strict=False)
    test: tuple[Split, ...] = Field(("test",), strict=False)
    holdout: Fraction | None = None
    choose_on_test: bool = Field(
        False, description="validate on the test images, as some studies did; for `as_published` arms alone"
    )
    clean: tuple[Name, ...] = Field(
        (),
        strict=False,
        description="data sets whose validation and test pictures are dropped from training; its own name: doubles across its splits",
    )

    generated: Generated | None = Field(None, description="made images to train on beside the real ones")

    @model_validator(mode="after")
    def _disjoint(self) -> "DataUse":
        if self.holdout is None:
            for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
                both = set(getattr(self, a)) & set(getattr(self, b))
                if both:
                    raise ValueError(f"{a}, {b}: both hold the split {sorted(both)[0]}, so images would leak")
        elif not 0 < self.holdout < 1:
            raise ValueError("holdout: must lie between 0 and 1")
        if self.choose_on_test and (self.val or self.holdout is not None):
            raise ValueError(
                "choose_on_test: takes the test images for validation, so set val to [] and holdout to null"
            )
        return self


class Init(Strict):
    """Where the first weights come from: a run of another experiment, a file, or a named entry of
    `workflow/weights.yaml`. The run of the same seed is taken."""

    experiment: Name | None = None
    arm: Name = "corrected"
    file: str | None = None
    weights: Name | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "Init":
        if sum(x is not None for x in (self.experiment, self.file, self.weights)) != 1:
            raise ValueError("give exactly one of experiment, file and weights")
        return self


class Model(Strict):
    """A network by its registered name and what its constructor takes."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


STRIDE = 32  # of the coarsest map of the backbone: sides are padded to its multiples


class DetectionData(Strict):
    """The `data` of a detection experiment; the counterpart of `DataUse`.

    Images are packed with the short side `short_side`, or less where the long side would be more
    than `long_side`, and padded with zeros below and to the right.
    """

    dataset: Name
    short_side: AtLeastOne = Field(608, description="pixels of the packed image's shorter side")
    long_side: AtLeastOne = Field(1024, description="most pixels of its longer side")
    padding: Literal["least", "doubled"] = Field(
        "least", description="to the next multiple of 32; doubled: 32 pixels more where a side is one already"
    )
    boxes: Literal["as_annotated", "last_corner"] = Field(
        "as_annotated",
        description="last_corner: in training, all boxes of an image end where its last one ends (a bug)",
    )
    train: tuple[Split, ...] = Field(("train",), strict=False)
    val: tuple[Split, ...] = Field(("val",), strict=False)
    test: tuple[Split, ...] = Field(("test",), strict=False)
    clean: tuple[Name, ...] = Field(
        (),
        strict=False,
        description="data sets whose validation and test pictures are dropped from training; its own name: doubles across its splits",
    )

    @property
    def packing(self) -> str:
        """The part of a packed file's name that tells how its images were packed."""
        return f"{self.short_side}-{self.long_side}-{self.padding}"

    @model_validator(mode="after")
    def _possible(self) -> "DetectionData":
        for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
            both = set(getattr(self, a)) & set(getattr(self, b))
            if both:
                raise ValueError(f"{a}, {b}: both hold the split {sorted(both)[0]}, so images would leak")
        if self.long_side < self.short_side:
            raise ValueError(
                f"long_side: {self.long_side} is less than short_side = {self.short_side}; give at least as much"
            )
        return self


class RemoteFile(Strict):
    """A published file, of a data set or of pretrained weights: its addresses and checksums."""

    file: Name
    urls: tuple[str, ...] = Field((), strict=False)
    md5: str | None = None
    sha256: str | None = None
    optional: bool = Field(False, description="the data set is usable without it")


class Rendering(Strict):
    """A data set that the project draws itself; see `florilegium.rendering`."""

    scene: Literal["flowers17", "flowers102", "objects", "emblems10", "emblems20", "emblems12"]
    seed: Count = 0
    size: AtLeastOne = 32
    per_class: AtLeastOne = 20


class Dataset(Strict):
    """A source of labelled images, or of images with boxes: published archives, a folder of the user's, or a rendering."""

    title: str = ""
    layout: Literal["oxford17", "oxford102", "cifar10", "cifar100", "tiny_imagenet", "folders", "coco", "voc"]
    files: tuple[RemoteFile, ...] = Field((), strict=False)
    folder: str | None = Field(None, description="a folder of one's own, in that layout")
    rendered: Rendering | None = None
    classes: tuple[str, ...] = Field((), strict=False, description="class names in label order")
    images: dict[Split, AtLeastOne] | None = Field(
        None, description="how many the makers publish, by the split that they are in here; for estimates alone"
    )
    sides: tuple[AtLeastOne, AtLeastOne] | None = Field(
        None,
        strict=False,
        description="height and width of a typical image, where a network sees it in its own shape; for estimates alone",
    )
    official_splits: Count = Field(0, description="how many published splits there are to choose from")
    annotations: dict[Split, str] | None = Field(
        None, description="coco: the annotation file of each split; null: train.json, val.json and test.json"
    )
    difficult: Literal["ignore", "keep"] | None = Field(
        None, description="objects marked difficult in training and evaluation; null: ignore"
    )
    citation: str = ""
    terms: str = ""
    homepage: str = ""

    @property
    def has_boxes(self) -> bool:
        """Whether its images hold boxes of objects, in place of a class each."""
        return self.layout in ("coco", "voc")

    @model_validator(mode="after")
    def _one_origin(self) -> "Dataset":
        if sum([bool(self.files), self.folder is not None, self.rendered is not None]) != 1:
            raise ValueError("give exactly one of files, folder and rendered")
        return self


def split_name(name: str, split: int | None) -> str:
    """The name of a data set or an experiment on one of several official splits; without one, `name`."""
    return name if split is None else f"{name}_split{split}"


def split_of(name: str) -> tuple[str, int | None]:
    """The inverse of `split_name`, for names that a person types and files that hold no more than the name."""
    stem, _, number = name.rpartition("_split")
    return (stem, int(number)) if stem and number.isdigit() else (name, None)


def split_names(datasets: Mapping[str, Dataset]) -> dict[str, tuple[str, int | None]]:
    """Every name by which an experiment may use a data set: its own, and one for each of its official splits.

    Returns:
        name: (data set, number of the official split or None)
    """
    on_splits = {
        split_name(name, k): (name, k)
        for name, dataset in datasets.items()
        for k in range(1, dataset.official_splits + 1)
    }
    return on_splits | {name: (name, None) for name in datasets}


class LocalFile(Strict):
    """A file that stands in for a published one; without a checksum it is taken as it is."""

    path: str
    md5: str | None = None
    sha256: str | None = None


class DatasetOverride(Strict):
    """Other places for the files of a data set or of pretrained weights, as `config.yaml` gives them."""

    mirrors: tuple[str, ...] = Field(
        (), strict=False, description="folders or addresses that are tried first; the file's name is appended"
    )
    files: dict[Name, LocalFile | Literal["absent"]] = Field(
        default_factory=dict, description="a local file in place of a published one"
    )


class Weights(Strict):
    """One entry of `workflow/weights.yaml`: published weights, and whose they are."""

    model: str = Field(description="the name that `model.name` takes to fit them")
    source: RemoteFile
    n_classes: AtLeastOne = Field(description="classes of the head that they hold")
    homepage: str = ""
    citation: str = ""
    terms: str = ""


def check_overrides(
    overrides: Mapping[str, DatasetOverride], published: Mapping[str, Sequence[RemoteFile]], key: str
) -> None:
    """Raise UserError if `config.yaml` names something under `key` that is not among the `published` files."""
    kind = {"datasets": "data set", "weights": "weights"}[key]
    for name, override in overrides.items():
        if name not in published:
            raise unknown(kind, name, published, f"config.yaml: {key}")
        files = [remote.file for remote in published[name]]
        for file in override.files:
            if file not in files:
                raise unknown("file", file, files, f"config.yaml: {key}.{name}.files")
