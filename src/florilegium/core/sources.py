"""Where files come from: data sets and pretrained weights, as people write them down."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, model_validator

from florilegium.core.errors import unknown
from florilegium.core.strict import AtLeastOne, Count, Name, Split, Strict


class RemoteFile(Strict):
    """A published file, of a data set or of pretrained weights: its addresses and checksums."""

    file: Name
    urls: tuple[str, ...] = Field((), strict=False)
    md5: str | None = None
    sha256: str | None = None
    optional: bool = Field(False, description="the data set is usable without it")


class Rendering(Strict):
    """A data set that the project draws itself; see `florilegium.rendering.render`."""

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
        None,
        description="how many the makers publish, by the split that they are in here; for estimates alone",
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
