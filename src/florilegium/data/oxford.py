"""The Oxford flowers: numbered images, with classes and splits by number.

Oxford 17 (Nilsback and Zisserman 2006): 80 images a class in order of number, and `datasplits.mat`
with the image numbers of three splits (trn1, val1, tst1, ...). Oxford 102 (2008): `imagelabels.mat`
with a class number for each image, and `setid.mat` with the image numbers of one split. A part of
either set is legal: splits may name images that are absent, but every image must be in a split.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError
from florilegium.data.labels import OWN, SPLITS, Labelled, carve, path_of

IMAGE_17 = re.compile(r"image_(\d{4})\.jpg")
IMAGE_102 = re.compile(r"image_(\d{5})\.jpg")
PER_CLASS = 80
OWN_PARTS = {"val": 0.25, "test": 0.25}  # of 1,360 images 340 and 340, as in the official splits


def label_17(dataset: Dataset, root: Path, paths: Sequence[str], images: Sequence[str], split: int | None) -> Labelled:
    """Classes and the official split `split` of Oxford 17; without `datasplits.mat`, a split of the project's own.

    Raises:
        UserError: an image number is beyond the last class or in no split, the file of an official split is
            absent, or a class is too small to split.
    """
    numbers = _numbers(images, IMAGE_17, dataset.title)
    labels = {image: _class(dataset, (number - 1) // PER_CLASS, image) for number, image in numbers.items()}
    k = split or 1
    members = _matlab(root, paths, "datasplits.mat", (f"trn{k}", f"val{k}", f"tst{k}"))
    if members is not None:
        return Labelled(
            labels, _splits(numbers, members, f"{root}: datasplits.mat"), dataset.classes, f"official split {k}"
        )
    if split is not None:
        raise UserError(
            f"{dataset.title}: official split {split} needs datasplits.mat, and {root} has none; fetch it, or "
            "write datasets.<name>.files.datasplits.mat: absent in config.yaml for a split of the project's own"
        )
    return Labelled(labels, carve(labels, OWN_PARTS, where=dataset.title), dataset.classes, OWN)


def label_102(dataset: Dataset, root: Path, paths: Sequence[str], images: Sequence[str], split: int | None) -> Labelled:
    """Classes and the official split of Oxford 102; `split` is None or 1.

    Raises:
        UserError: a label file is absent or unreadable, or does not cover an image.
    """
    numbers = _numbers(images, IMAGE_102, dataset.title)
    label_file = _matlab(root, paths, "imagelabels.mat", ("labels",))
    members = _matlab(root, paths, "setid.mat", ("trnid", "valid", "tstid"))
    if label_file is None or members is None:
        absent = "imagelabels.mat" if label_file is None else "setid.mat"
        raise UserError(f"{dataset.title}: {absent} is not below {root}; fetch it, it is part of the data set")
    (class_numbers,) = label_file
    beyond = next((image for number, image in numbers.items() if not 1 <= number <= len(class_numbers)), None)
    if beyond is not None:
        raise UserError(
            f"{root}: imagelabels.mat labels {len(class_numbers)} images and does not cover {beyond}; remove that "
            "image or get the label file that belongs to it"
        )
    labels = {image: _class(dataset, int(class_numbers[number - 1]) - 1, image) for number, image in numbers.items()}
    return Labelled(labels, _splits(numbers, members, f"{root}: setid.mat"), dataset.classes, "official")


def _numbers(images: Sequence[str], pattern: re.Pattern[str], where: str) -> dict[int, str]:
    """Image by its number."""
    numbers: dict[int, str] = {}
    for image in images:
        match = pattern.fullmatch(PurePosixPath(image).name)
        assert match is not None, image
        if (first := numbers.setdefault(int(match[1]), image)) != image:
            raise UserError(f"{where}: {first} and {image} are the same image twice; remove one")
    return numbers


def _class(dataset: Dataset, index: int, image: str) -> str:
    if not 0 <= index < len(dataset.classes):
        raise UserError(
            f"{dataset.title}: {image} is of class {index + 1}, and {len(dataset.classes)} classes have "
            "names; remove the image or mend `classes`"
        )
    return dataset.classes[index]


def _splits(numbers: Mapping[int, str], members: Iterable[np.ndarray], where: str) -> dict[str, str]:
    """Split by image, from the image numbers of train, val and test; each image must be in exactly one."""
    splits: dict[str, str] = {}
    for split, ids in zip(SPLITS, members, strict=True):
        for image in (numbers[int(n)] for n in ids if int(n) in numbers):
            if splits.setdefault(image, split) != split:
                raise UserError(f"{where}: puts {image} into {splits[image]} and {split}; get the right file")
    uncovered = sorted(set(numbers.values()) - set(splits))
    if uncovered:
        raise UserError(
            f"{where}: does not cover {uncovered[0]} ({len(uncovered)} images are in no split); remove what "
            "does not belong to the data set or get the right file"
        )
    return splits


def _matlab(root: Path, paths: Sequence[str], name: str, keys: Sequence[str]) -> list[np.ndarray] | None:
    """The integer vectors `keys` of the file `name`, wherever it lies below `root`; None without it."""
    path = path_of(name, paths)
    if path is None:
        return None
    import scipy.io  # here, since it takes half a second that no other layout and no packing needs

    try:
        content = scipy.io.loadmat(root / path, variable_names=list(keys))
        return [content[key].ravel().astype(np.int64) for key in keys]
    except KeyError as error:
        raise UserError(f"{root / path}: has no variable {error}; get the file from its makers") from None
    except Exception as error:  # SciPy's parser raises whatever a damaged file makes it meet
        raise UserError(f"{root / path}: not a readable MATLAB file ({error}); fetch it again") from error
