"""Data sets: published archives, folders and renderings, their splits, and what a person has in place of a file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, ClassNames, Count, Name, Split, Strict, Texts
from florilegium.core.errors import Mistakes, UserError, unknown
from florilegium.core.files import local_path

SCHEMES = ("http", "https", "file")


def check_checksums(file: Any) -> None:
    """Raise `ValueError` for a checksum, `md5` or `sha256` of a file, that no file can have."""
    for kind, digits in (("md5", 32), ("sha256", 64)):
        value = getattr(file, kind, None)
        if value is not None and not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", value):
            letters = "other letters" if len(value) == digits else f"{len(value)} characters"
            raise ValueError(
                f"{kind}: '{value}' has {letters}, and is {digits} digits of 0-9 and a-f; copy it again, or take it out"
            )


def _check_addresses(key: str, addresses: Sequence[str]) -> None:
    """Raise `ValueError` for an address that nothing can be had from; what has no scheme is a path."""
    for address in addresses:
        if not address.strip():
            raise ValueError(f"{key}: holds an empty address; take it out")
        scheme, slashes, rest = address.partition("://")
        if slashes and (scheme.lower() not in SCHEMES or not rest.strip("/")):
            raise ValueError(
                f"{key}: '{address}' cannot be used; give a folder, or an address that begins with http://, https:// "
                f"or file://"
            )
        if not slashes and re.match(r"(https?|ftp|file|s3|gs):", address):
            raise ValueError(f"{key}: '{address}' is no address; write {address.partition(':')[0]}:// before the host")
        if scheme.lower() in ("http", "https") and slashes and not _has_host(address):
            raise ValueError(f"{key}: '{address}' names no host; mend the address")


def _has_host(address: str) -> bool:
    try:
        return bool(urlsplit(address).hostname)
    except ValueError:
        return False


class RemoteFile(Strict):
    """A published file of a data set or of pretrained weights: its addresses and checksums."""

    file: Name
    urls: Texts = ()
    md5: str | None = None
    sha256: str | None = None
    optional: bool = Field(False, description="the data set is usable without this file")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        check_checksums(self)
        _check_addresses("urls", self.urls)
        return self


class Rendering(Strict):
    """A data set that the project draws itself; see `florilegium.rendering`."""

    scene: Literal["flowers17", "flowers102", "objects", "emblems10", "emblems20", "emblems12"]
    seed: Count = 0
    size: AtLeastOne = 32
    per_class: AtLeastOne = 20


class Dataset(Strict):
    """A source of labelled images, or of images with boxes: published archives, a local folder, or a rendering."""

    title: str = ""
    layout: Literal["oxford17", "oxford102", "cifar10", "cifar100", "tiny_imagenet", "folders", "coco", "voc"]
    files: tuple[RemoteFile, ...] = Field((), strict=False)
    folder: str | None = Field(None, description="a local folder in that layout")
    rendered: Rendering | None = None
    classes: ClassNames = Field((), description="class names in label order")
    images: dict[Split, AtLeastOne] | None = Field(
        None, description="number of published images by split; for estimates"
    )
    sides: tuple[AtLeastOne, AtLeastOne] | None = Field(
        None,
        strict=False,
        description="height and width of a typical image, where images keep their shape; for estimates",
    )
    official_splits: Count = Field(0, description="number of published splits to choose from")
    annotations: dict[Split, str] | None = Field(
        None, description="coco: the annotation file of each split; null: train.json, val.json and test.json"
    )
    difficult: Literal["ignore", "keep"] | None = Field(
        None, description="objects marked difficult in training and evaluation; null: ignore"
    )
    drawn_on: Literal["upright", "stored"] | None = Field(
        None,
        description="what the boxes of photographs with an EXIF turn belong to: the upright picture, or the pixels as "
        "stored; null: upright",
    )
    citation: str = ""
    terms: str = ""
    homepage: str = ""

    @property
    def has_boxes(self) -> bool:
        """True for images with boxes of objects, false for images with one class each."""
        return self.layout in ("coco", "voc")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum([bool(self.files), self.folder is not None, self.rendered is not None]) != 1:
            raise ValueError("give exactly one of files, folder and rendered")
        return self

    @model_validator(mode="after")
    def _fits_layout(self) -> Self:
        if self.annotations is not None and self.layout != "coco":
            raise ValueError(f"annotations: belongs to layout: coco, and this is {self.layout}; take it out")
        for key in ("difficult", "drawn_on", "sides"):
            if getattr(self, key) is not None and not self.has_boxes:
                raise ValueError(f"{key}: belongs to data sets with boxes, and this is {self.layout}; take it out")
        if self.annotations is not None:
            self._check_annotations(self.annotations)
        if self.folder is not None and not self.folder.strip():
            raise ValueError("folder: is empty; give the path of a folder")
        names = [remote.file for remote in self.files]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"files: two are called {twice}; give one of them another name")
        return self

    def _check_annotations(self, annotations: dict[Split, str]) -> None:
        if not annotations:
            raise ValueError("annotations: names no file; give train: <file>, or take it out")
        for split, path in annotations.items():
            if not path.strip() or path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"annotations.{split}: '{path}' must be a path inside the data set; mend it")
            if same := next((s for s, p in annotations.items() if s != split and p == path), None):
                raise ValueError(
                    f"annotations: {split} and {same} are one file ({path}), so images would leak; name one of them, "
                    "and the others are split from it"
                )


# Official splits


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
    numbers = {name: range(1, dataset.official_splits + 1) for name, dataset in datasets.items()}
    on_splits = {split_name(name, k): (name, k) for name, splits in numbers.items() for k in splits}
    return on_splits | {name: (name, None) for name in datasets}


# Local files and mirrors


class LocalFile(Strict):
    """A file in place of a published one; without a checksum it is not verified."""

    path: str
    md5: str | None = None
    sha256: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        check_checksums(self)
        return self


class DatasetOverride(Strict):
    """Other sources for the files of a data set or of pretrained weights, as `config.yaml` gives them."""

    mirrors: Texts = Field((), description="folders or addresses that are tried first; the file's name is appended")
    files: dict[Name, LocalFile | Literal["absent"]] = Field(
        default_factory=dict, description="local files in place of published ones"
    )

    @property
    def paths(self) -> dict[str, Path]:
        """Where each local file lies, by the name of the published one."""
        return {name: local_path(file.path) for name, file in self.files.items() if isinstance(file, LocalFile)}

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_addresses("mirrors", self.mirrors)
        return self


def check_overrides(
    overrides: Mapping[str, DatasetOverride], published: Mapping[str, Sequence[RemoteFile]], key: str, where: str
) -> None:
    """Raise `UserError` or `UserErrors`, which start with the file `where`, for what it names under `key` that is not
    among the `published` files, and for a file that is `absent` and needed."""
    kind = {"datasets": "data set", "weights": "weights"}[key]
    mistakes = Mistakes()
    for name, override in overrides.items():
        with mistakes.caught():
            if name not in published:
                raise unknown(kind, name, published, f"{where}: {key}")
        place = f"{where}: {key}.{name}"
        files = {remote.file: remote for remote in published.get(name, ())}
        for file, own in override.files.items() if name in published else ():
            with mistakes.caught():
                if not files:
                    raise UserError(f"{place}.files: {name} has no published files to replace; take it out")
                if file not in files:
                    raise unknown("file", file, files, f"{place}.files")
                if own == "absent" and not files[file].optional:
                    raise UserError(f"{place}.files.{file}: cannot be absent, it is needed; give a path")
        with mistakes.caught():
            if override.mirrors and name in published and not files:
                raise UserError(f"{place}.mirrors: {name} has no published files; take it out")
    mistakes.refuse()
