"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), in their official form or as folders of images.

The official archives hold batches: pickles of pixels and labels. Each image becomes a file in the folder of
its split and class, so that it is audited, packed and shown like any other. An archive of
`{train,test}/<class>/<image>` is used as it is.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError
from florilegium.core.system import bar
from florilegium.data.folders import label_folders
from florilegium.data.plain_pickle import read_plain
from florilegium.data.splits import Labelled
from florilegium.rendering import png

SIDE = 32
PARTS = {"val": 0.1}  # of the training images; the makers publish no validation split
CLASS = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Form:
    """The names of files and keys in one of the two archives."""

    names_file: str
    names_key: bytes
    labels_key: bytes
    batches: tuple[tuple[str, str], ...]  # file, split

    @property
    def files(self) -> tuple[str, ...]:
        return (self.names_file, *(file for file, _ in self.batches))


FORMS = {
    "cifar10": Form(
        "batches.meta",
        b"label_names",
        b"labels",
        (*((f"data_batch_{number}", "train") for number in range(1, 6)), ("test_batch", "test")),
    ),
    "cifar100": Form("meta", b"fine_label_names", b"fine_labels", (("train", "train"), ("test", "test"))),
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
    batches = {path.name: path for path in folder.rglob("*") if path.name in form.files and path.is_file()}
    if not batches:
        return
    absent = [file for file in form.files if file not in batches]
    if absent:
        raise UserError(f"{dataset.title}: the archive has no {absent[0]}; get it from its makers")
    names = _names(dataset, batches[form.names_file], form.names_key)
    numbers: Counter[tuple[str, str]] = Counter()
    for file, split in form.batches:
        images = list(_batch(dataset, batches[file], form.labels_key, names))
        batches[file].unlink()  # first, since a batch may be called as the folder of its split is
        for name, pixels in bar(images, f"unpacking {file}", "image"):
            png.write(folder / split / name / f"{numbers[split, name]:04d}.png", pixels)
            numbers[split, name] += 1
    batches[form.names_file].unlink()


def _names(dataset: Dataset, path: Path, key: bytes) -> list[str]:
    """Class names in label order; they become names of folders."""
    listed = _read(dataset, path, key)[key]
    texts = [name for name in listed if isinstance(name, bytes)] if isinstance(listed, list) else []
    names = [text.decode("ascii", "replace") for text in texts]
    bad = [name for name in names if not CLASS.fullmatch(name)]
    if not names or len(names) != len(listed) or bad:
        raise _damaged(dataset, path, f"'{bad[0]}' is no class name" if bad else "it names no classes")
    return names


def _batch(
    dataset: Dataset, path: Path, labels_key: bytes, names: Sequence[str]
) -> Iterator[tuple[str, np.ndarray]]:
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
    return UserError(
        f"{dataset.title}: {path.name} in its archive is no batch of CIFAR images ({why}); get the archive "
        "from its makers"
    )
