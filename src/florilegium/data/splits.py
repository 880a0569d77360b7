"""Splits that folders and files are named after: recognised in one place, for training, audit and evaluation alike.

A name alone makes no split: `car, bus, train` are classes. Folders are splits where every folder beside them is one,
or where every class folder holds folders of splits.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from florilegium.core.errors import UserError
from florilegium.core.names import class_name

WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}  # names of each split, in the order of their use
SPLIT_OF = {word: split for split, words in WORDS.items() for word in words}
YEAR = re.compile(r"[ _-]?(?:19|20)\d\d$")  # as COCO has it: val2017
# What looks like the name of a split and is taken for none: other words, and words of other languages.
LIKE = SPLIT_OF | {
    word: split
    for split, words in {
        "train": "entrainement entraînement apprentissage entrenamiento treino treinamento addestramento trainieren "
        "trainval 训练 训练集 訓練 学習 훈련 обучение",
        "val": "eval evaluation évaluation validación validação validazione validierung 验证 验证集 検証 검증",
        "test": "holdout heldout pred prueba pruebas teste prova testen 测试 测试集 測試 テスト 테스트 тест",
    }.items()
    for word in words.split()
}
SHARED = 2  # folders of the same names in two folders, from which on these look like splits of the same classes
RENAME = "name the splits train, val and test, and keep nothing else beside them"

Paths = Mapping[str, tuple[str, ...]]
"""For each folder with images the folders that lead to it, outermost first, and at the end a place for the images."""


@dataclass(frozen=True)
class Layout:
    """What the folders above images say."""

    splits: dict[str, str]  # split by image; an image that is not here lies in none
    labels: dict[str, str]  # class by image; an image that is not here lies in no class folder
    said: str = ""  # the splits as their folders are called, such as `train, valid (as val), test`; empty without any


def split_called(name: str) -> str | None:
    """The split that a folder or a file's stem of that name stands for, in any case and with a year, or None.

    >>> split_called("Valid"), split_called("train2017"), split_called("trains")
    ('val', 'train', None)
    """
    return SPLIT_OF.get(YEAR.sub("", name.strip()).lower())


def _split(name: str) -> str:
    """The split that a folder stands for which is known to be one."""
    split = split_called(name)
    assert split is not None, name
    return split


def by_folders(images: Iterable[str], where: str, classes: Sequence[str] = ()) -> Layout:
    """Split and class of `images` (paths) by the folders above them.

    The folders that wrap everything are passed over. Then the top folders are splits with folders of classes inside
    (or without any classes), classes with folders of splits inside, or classes. An image beside the top folders has
    neither.

    Args:
        where: begins an error sentence: the data set's title or the folder.
        classes: names that are known to be classes: top folders that are all among them are no splits, unless the
            folders inside are classes, too.

    Raises:
        UserError: two folders stand for one split, or a folder stands beside splits (or class folders with splits)
            and is none itself.
    """
    above = {image: image.rpartition("/")[0] for image in images}
    folders = filter(None, dict.fromkeys(above.values()))
    found = _recognised({folder: (*map(class_name, folder.split("/")), "") for folder in folders}, where, classes)
    splits = {image: found.splits[folder] for image, folder in above.items() if folder in found.splits}
    labels = {image: found.labels[folder] for image, folder in above.items() if folder in found.labels}
    return Layout(splits, labels, found.said)


def _recognised(paths: Paths, where: str, classes: Sequence[str]) -> Layout:
    """`by_folders` of the folders of images in place of the images."""
    if not paths:
        return Layout({}, {})
    while (inner := _below_wrapping(paths)) is not None:
        paths = inner
    tops, known = _tops(paths), set(classes)
    inside = set().union(*tops.values())
    if len(tops) > 1 and set(tops) <= known and not (inside and inside <= known):
        return _plain(paths)
    if all(map(split_called, tops)):
        return _split_first(paths, where)
    if _has_splits_in_classes(paths, where):
        return _class_first(paths, where)
    _refuse_mixture(paths, where)
    return _plain(paths)


def _below_wrapping(paths: Paths) -> dict[str, tuple[str, ...]] | None:
    """The paths below a folder that wraps all of them; None where there is none, or where it is itself a split."""
    names = {parts[0] for parts in paths.values()}
    if len(names) > 1 or any(len(parts) < 3 for parts in paths.values()):
        return None
    inner = {folder: parts[1:] for folder, parts in paths.items()}
    if split_called(*names) is None:
        return inner
    tops = _tops(inner)  # `test/train/<class>/…`: a wrapping folder may be called as a split
    return inner if all(split_called(top) for top in tops) and any(tops.values()) else None


def _tops(paths: Paths) -> dict[str, set[str]]:
    """The top folders, each with the folders inside it."""
    tops: dict[str, set[str]] = defaultdict(set)
    for parts in paths.values():
        tops[parts[0]].update(parts[1:2] if len(parts) > 2 else ())
    return dict(sorted(tops.items()))


# The three layouts


def _plain(paths: Paths) -> Layout:
    return Layout({}, {folder: parts[0] for folder, parts in paths.items()})


def _split_first(paths: Paths, where: str) -> Layout:
    """`train/rose/1.jpg`, or `train/1.jpg` without classes; `train/train/rose/1.jpg`, as archives are unpacked, too."""
    tops = _tops(paths)
    said = _names(tops, where)
    wraps = {top: len(inside) == 1 and split_called(*inside) == split_called(top) for top, inside in tops.items()}
    splits: dict[str, str] = {}
    labels: dict[str, str] = {}
    for folder, (top, *rest) in paths.items():
        splits[folder] = _split(top)
        if wraps[top] and len(rest) > 2:
            rest = rest[1:]
        if len(rest) > 1:
            labels[folder] = rest[0]
    return Layout(splits, labels, said)


def _has_splits_in_classes(paths: Paths, where: str) -> bool:
    """True where class folders hold folders of splits; raises UserError where some do and others do not."""
    inside = {top: {split_called(name) for name in names} for top, names in _tops(paths).items()}
    parted = next((top for top, splits in inside.items() if len(splits - {None}) > 1 and not split_called(top)), None)
    if parted is None:
        return False
    for folder, parts in sorted(paths.items()):
        if len(parts) < 3 or split_called(parts[1]) is None:
            if len({split_called(top) for top in inside} - {None}) > 1:
                return False  # a copy of all splits beside them
            raise UserError(
                f"{where}: the folder '{parted}' holds folders of splits, and '{folder}' lies in none; give every "
                "class the same folders train, val and test, or none"
            )
    _refuse_sets(paths, where)
    return True


def _refuse_sets(paths: Paths, where: str) -> None:
    """Raise UserError where a top folder is a data set of its own, as `real/train/rose` beside `sketch/train/rose`."""
    inside: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for parts in paths.values():
        inside[parts[:2]].update(parts[2:3] if len(parts) > 3 else ())
    for (top, a), (other, b) in combinations(sorted(inside), 2):
        shared = inside[top, a] & inside[other, b]
        if top == other and len(shared) >= SHARED:
            raise UserError(
                f"{where}: the folder '{top}' holds the splits '{a}' and '{b}' of the classes '{min(shared)}' and "
                "others, so that it is a data set and no class; give it alone"
            )


def _class_first(paths: Paths, where: str) -> Layout:
    """`rose/train/1.jpg`."""
    for top, inside in _tops(paths).items():
        _names(inside, f"{where}: {top}")
    said = _names({parts[1]: None for parts in paths.values()})
    splits = {folder: _split(parts[1]) for folder, parts in paths.items()}
    return Layout(splits, {folder: parts[0] for folder, parts in paths.items()}, f"{said}, in each class")


def _names(folders: Iterable[str], where: str | None = None) -> str:
    """The folders of splits in words; raises UserError, which begins with `where`, for two of one split."""
    of_split: dict[str, list[str]] = defaultdict(list)
    for folder in sorted(folders):
        of_split[_split(folder)].append(folder)
    for split, names in of_split.items():
        if len(names) > 1 and where is not None:
            raise UserError(
                f"{where}: the folders '{names[0]}' and '{names[1]}' are both the split {split}; put their images into "
                "one folder, or move one away"
            )
    listed = [(split, name) for split in WORDS for name in of_split[split]]
    return ", ".join(name if name == split else f"{name} (as {split})" for split, name in listed)


# What is neither


def _refuse_mixture(paths: Paths, where: str) -> None:
    """Raise UserError where a folder stands beside those of two splits, or of one that holds folders of classes."""
    tops = _tops(paths)
    named = {top: inside for top, inside in tops.items() if split_called(top)}
    several = len({split_called(top) for top in named}) > 1
    if not several:
        named = {top: inside for top, inside in named.items() if inside}
    if not named:
        _refuse_likeness(paths, where)
        return
    others = {top: inside for top, inside in tops.items() if top not in named}
    classes = set().union(*named.values())
    alike = any(len(inside & classes) >= SHARED for inside in others.values())
    only_folders = all(len(parts) > 2 for parts in paths.values() if parts[0] in named)
    apart = only_folders and len(classes) >= SHARED and not any(others.values())
    if several or alike or apart:
        splits = " and ".join(f"'{top}'" for top in named)
        raise UserError(
            f"{where}: the folder '{min(others)}' stands beside {splits}, and is no split; {RENAME}. If all of them "
            f"are classes, list them at `classes` of the data set, or rename {splits}"
        )


def _refuse_likeness(paths: Paths, where: str) -> None:
    """Raise UserError for `seg_train` and `seg_test` with folders of the same names inside, or with images alone."""
    unwrapped = {folder: parts[1:] if parts[:1] == parts[1:2] else parts for folder, parts in paths.items()}
    tops = _tops(unwrapped)
    like = {top: next(filter(None, map(LIKE.get, re.split(r"[\W\d_]+", top.lower()))), None) for top in tops}
    flat = all(like.values()) and not any(tops.values())
    for a, b in combinations((top for top in tops if like[top]), 2):
        if like[a] != like[b] and (flat or len(tops[a] & tops[b]) >= SHARED):
            raise UserError(
                f"{where}: the folders '{a}' and '{b}' look like splits; {RENAME}. If all of them are classes, list "
                "them at `classes` of the data set, or rename one"
            )
