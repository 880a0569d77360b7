"""CIFAR-10 and CIFAR-100 as published: pickled batches, read without running what a pickle may ask for."""

import pickle
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError
from florilegium.core.system import bar
from florilegium.core.walk import walk
from florilegium.data.labels import Labelled, label_folders
from florilegium.data.png import write_png

SIDE = 32
PARTS = {"val": 0.1}  # of the training images; the makers publish no validation split
CLASS = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Form:
    """The names of files and keys in one of the two archives."""

    names_file: str
    names_key: bytes
    labels_key: bytes
    batches: dict[str, str]  # split by file


TRAINING = {f"data_batch_{number}": "train" for number in range(1, 6)}
FORMS = {
    "cifar10": Form("batches.meta", b"label_names", b"labels", TRAINING | {"test_batch": "test"}),
    "cifar100": Form("meta", b"fine_label_names", b"fine_labels", {"train": "train", "test": "test"}),
}


def label_cifar(dataset: Dataset, images: Sequence[str]) -> Labelled:
    """Class and split of each image by its folders; a seeded stratified tenth of train becomes val."""
    return label_folders(dataset, images, parts=PARTS, given="official")


def unpack_batches(dataset: Dataset, folder: Path) -> None:
    """Put `<split>/<class>/<number>.png` below `folder` in place of the batches there, if there are any.

    Images of a class are numbered from 0 in the makers' order, through all batches of a split.

    Raises:
        UserError: a batch is absent, damaged, or holds something else than images and labels.
    """
    form = FORMS[dataset.layout]
    files = (form.names_file, *form.batches)
    below = (folder / path for path in walk(folder).files)
    batches = {path.name: path for path in below if path.name in files}
    if not batches:
        return
    if absent := [file for file in files if file not in batches]:
        raise UserError(f"{dataset.title}: the archive has no {absent[0]}; get it from its makers")
    names = _names(dataset, batches[form.names_file], form.names_key)
    numbers: Counter[tuple[str, str]] = Counter()
    for file, split in form.batches.items():
        images = list(_batch(dataset, batches[file], form.labels_key, names))
        batches[file].unlink()  # first, since a batch may be called as the folder of its split is
        for name, pixels in bar(images, f"unpacking {file}", "image"):
            write_png(folder / split / name / f"{numbers[split, name]:04d}.png", pixels)
            numbers[split, name] += 1
    batches[form.names_file].unlink()


def _names(dataset: Dataset, path: Path, key: bytes) -> list[str]:
    """Class names in label order; they become names of folders."""
    listed = _read(dataset, path, key)[key]
    texts = listed if isinstance(listed, list) and all(isinstance(name, bytes) for name in listed) else []
    names = [text.decode("ascii", "replace") for text in texts]
    bad = [name for name in names if not CLASS.fullmatch(name)]
    if not names or bad:
        raise _damaged(dataset, path, f"'{bad[0]}' is no class name" if bad else "it names no classes")
    return names


def _batch(dataset: Dataset, path: Path, labels_key: bytes, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Class and pixels, uint8 (32, 32, 3), of each image of a batch."""
    batch = _read(dataset, path, b"data", labels_key)
    data, labels = batch[b"data"], batch[labels_key]
    if not isinstance(data, np.ndarray) or data.shape[1:] != (3 * SIDE * SIDE,):
        raise _damaged(dataset, path, f"its data are no rows of {3 * SIDE * SIDE} bytes")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise _damaged(dataset, path, f"it has not one label for each of its {len(data)} images")
    wrong = [label for label in labels if not isinstance(label, int) or not 0 <= label < len(names)]
    if wrong:
        raise _damaged(dataset, path, f"{wrong[0]!r} is no label of {len(names)} classes")
    pictures = data.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)  # planes to pixels
    yield from zip((names[label] for label in labels), pictures, strict=True)


def _read(dataset: Dataset, path: Path, *keys: bytes) -> dict[bytes, object]:
    try:
        content = read_plain(path)
    except ValueError as error:
        raise _damaged(dataset, path, str(error)) from None
    absent = [key.decode() for key in keys if key not in content]
    if absent:
        raise _damaged(dataset, path, f"it has no '{absent[0]}'")
    return content


def _damaged(dataset: Dataset, path: Path, why: str) -> UserError:
    fault = f"{path.name} in its archive is no batch of CIFAR images ({why})"
    return UserError(f"{dataset.title}: {fault}; get the archive from its makers")


# Pickles of plain data


def read_plain(path: Path) -> dict[Any, Any]:
    """The dict in a pickle; text of Python 2 comes as bytes, an array as uint8 of its shape.

    Raises ValueError, whose text is the reason without the path, for a pickle that asks for any
    other class or function, is damaged, or holds no dict.
    """
    try:
        with open(path, "rb") as file:
            content = _Reader(file, encoding="bytes").load()
    except _Refused:
        raise
    except Exception as error:  # whatever a damaged file makes the pickle machine meet
        raise ValueError(f"it cannot be read ({error or type(error).__name__})") from None
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__} in place of a dict")
    return {key: value.pixels if isinstance(value, _Array) else value for key, value in content.items()}


class _Refused(ValueError):
    """The pickle names something that plain values do not need."""


class _DataType:
    """A stand-in for `numpy.dtype` that takes bytes alone."""

    def __init__(self, code: bytes, *_: object) -> None:
        if code != b"u1":
            raise ValueError(f"an array's numbers are of the type {code!r} in place of bytes")

    def __setstate__(self, state: object) -> None:
        """Byte order and fields: a byte has neither."""


class _Array:
    """A stand-in for an array: made empty, then filled by its state (version, shape, data type, order, bytes)."""

    def __init__(self, *_: object) -> None:
        self.pixels = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _DataType, bool, bytes]) -> None:
        _, shape, kind, columns_first, content = state
        if not isinstance(kind, _DataType):
            raise ValueError("an array has no data type")
        flat = np.frombuffer(content, np.uint8)
        self.pixels = flat.reshape(shape, order="F" if columns_first else "C")


ADMITTED = {
    ("numpy", "dtype"): _DataType,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise _Refused(f"it asks for {module}.{name}, which plain data never need")
        return ADMITTED[module, name]
