"""A folder per class, with or without the folders train, val and test above them.

What wraps everything (the one folder that an archive often holds) is looked through. Splits that
have no folder are drawn from train.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError, unknown
from florilegium.data.splits import OWN, SPLITS, Labelled, carve

PARTS = {"val": 0.15, "test": 0.15}


def label_folders(
    dataset: Dataset, images: Sequence[str], *, parts: Mapping[str, float] = PARTS, given: str = "folders"
) -> Labelled:
    """Class, and split where folders say it, of each image by the folders above it.

    Args:
        parts: what part of the training images a split gets that has no folder.
        given: what the origin of the splits is called that have one.

    Raises UserError for an image outside any class folder, for folders of a class that `classes`
    does not name, for other folders beside train, val and test, and for a class too small to split.
    """
    below = _unwrapped(images)
    tops = {path[0] for path in below.values()}
    has_splits = tops <= set(SPLITS) and any(len(path) > 2 for path in below.values())
    train_is_split = "train" in tops and all(len(p) > 2 for p in below.values() if p[0] == "train")
    if train_is_split and not has_splits:
        other = sorted(tops - set(SPLITS))[0]
        raise UserError(
            f"{dataset.title}: the folder '{other}' stands beside 'train', which holds folders; name the "
            "splits train, val and test, and keep nothing else beside them"
        )
    depth = 1 if has_splits else 0
    labels = {image: _class(dataset, path, depth, image) for image, path in below.items()}
    classes = dataset.classes or tuple(sorted(set(labels.values())))
    splits = {image: path[0] if has_splits else "train" for image, path in below.items()}
    missing = {split: part for split, part in parts.items() if split not in splits.values()}
    train = {image: labels[image] for image, split in splits.items() if split == "train"}
    drawn = carve(train, missing, where=dataset.title) if missing else {}
    origin = f"{given}; {next(iter(missing))} is {OWN}" if missing else given
    return Labelled(labels, splits | drawn, classes, origin if has_splits else OWN)


def _unwrapped(images: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The parts of each path below the folders that wrap everything."""
    below = {image: PurePosixPath(image).parts for image in images}
    while len({parts[0] for parts in below.values()}) == 1 and all(
        len(parts) > 2 for parts in below.values()
    ):
        below = {image: parts[1:] for image, parts in below.items()}
    return below


def _class(dataset: Dataset, parts: tuple[str, ...], depth: int, image: str) -> str:
    if len(parts) < depth + 2:
        raise UserError(f"{dataset.title}: {image} lies in no class folder; move it into one, or remove it")
    if dataset.classes and parts[depth] not in dataset.classes:
        raise unknown("class", parts[depth], dataset.classes, f"{dataset.title}: {image}")
    return parts[depth]
