"""Splits and classes by folders: what is a split, what is a class, and what is neither."""

import pytest

from florilegium.core.errors import UserError
from florilegium.data.splits import by_folders, split_called


def below(*folders: str) -> list[str]:
    """Two images in each folder."""
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(2)]


def placed(*folders: str, classes: tuple[str, ...] = ()) -> list[tuple[str | None, str | None]]:
    """Split and class of each folder."""
    layout = by_folders(below(*folders), "set", classes)
    return [(layout.splits.get(f"{f}/0.jpg"), layout.labels.get(f"{f}/0.jpg")) for f in folders]


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train Train TRAIN training Training train2017 train_2014 Train-2012"),
        ("val", "val Val valid Valid VALID validation Validation dev val2017"),
        ("test", "test Test TEST testing Testing test2017"),
        (None, "trains tram value valley tested contest 2017 train17 train20175 tr va te extra steam_train eval"),
    ],
)
def test_a_name_stands_for_a_split(split: str | None, names: str) -> None:
    assert {name: split_called(name) for name in names.split()} == dict.fromkeys(names.split(), split)


@pytest.mark.parametrize("wrapping", ["", "photos/", "archive/photos/", "test/", "train/"])
@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Training", "Validation", "TESTING"), ("train2017", "val2017", "test2017")],
)
def test_splits_with_folders_of_classes(wrapping: str, train: str, val: str, test: str) -> None:
    folders = [f"{wrapping}{split}/{label}" for split in (train, val, test) for label in ("rose", "tulip")]
    expected = [(split, label) for split in ("train", "val", "test") for label in ("rose", "tulip")]
    assert placed(*folders) == expected


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("test/rose", "train/rose", "valid/rose"), "train, valid (as val), test"),
        (("train/rose", "Test/rose"), "train, Test (as test)"),
        (("train", "validation"), "train, validation (as val)"),
        (("test/rose", "test/tulip"), "test"),
        (("rose/train", "rose/valid", "tulip/train", "tulip/valid"), "train, valid (as val), in each class"),
        (("car", "bus", "train"), ""),
    ],
)
def test_it_says_which_folders_it_took(folders: tuple[str, ...], said: str) -> None:
    assert by_folders(below(*folders), "set").said == said


@pytest.mark.parametrize(
    "folders",
    [
        ("car", "bus", "train"),
        ("car/red", "bus/double", "train/steam"),  # each class has folders of its own
        ("car", "bus", "train", "train/old", "train/new"),  # pictures beside folders
        ("test", "control"),
        ("archive/car", "archive/train"),
        ("steam_train", "freight_train"),
        ("test_tube", "train_ticket", "car"),
        ("real/a", "real/b", "sketch/a", "sketch/b"),
        ("value", "tested"),
    ],
)
def test_a_class_may_be_called_as_a_split(folders: tuple[str, ...]) -> None:
    found = placed(*folders)
    assert found == [(None, folder.removeprefix("archive/").split("/")[0]) for folder in folders]


@pytest.mark.parametrize("label", ["train", "test", "Val", "validation"])
def test_classes_inside_splits_may_be_called_as_splits(label: str) -> None:
    folders = [f"{split}/{name}" for split in ("train", "val", "test") for name in (label, "rose")]
    assert placed(*folders) == [(s, name) for s in ("train", "val", "test") for name in (label, "rose")]


def test_a_split_may_lie_in_a_folder_of_its_own_name() -> None:
    """As archives that hold a folder of their own name are unpacked."""
    assert placed("train/train/rose", "train/train/tulip", "test/Test/rose") == [
        ("train", "rose"), ("train", "tulip"), ("test", "rose"),
    ]  # fmt: skip


def test_classes_with_folders_of_splits() -> None:
    assert placed("rose/train", "rose/Test", "tulip/train", "tulip/Test/deep") == [
        ("train", "rose"), ("test", "rose"), ("train", "tulip"), ("test", "tulip"),
    ]  # fmt: skip


def test_what_lies_deeper_than_splits_of_a_class_is_its_own() -> None:
    """As in the data sets of faults of single products."""
    found = placed("bottle/train/good", "bottle/test/good", "bottle/test/broken", "cable/train/good", "cable/test/good")
    assert found == [("train", "bottle"), ("test", "bottle"), ("test", "bottle"), ("train", "cable"), ("test", "cable")]


def test_splits_without_classes() -> None:
    assert placed("train", "test") == [("train", None), ("test", None)]
    assert placed("images/train", "images/val") == [("train", None), ("val", None)]
    assert placed("train/rose", "test") == [("train", "rose"), ("test", None)]


def test_an_image_beside_the_folders_is_in_none() -> None:
    layout = by_folders([*below("train/rose", "test/rose"), "cover.jpg"], "set")
    assert "cover.jpg" not in layout.splits and "cover.jpg" not in layout.labels
    assert layout.splits["train/rose/0.jpg"] == "train"
    assert by_folders(["0.jpg", "1.jpg"], "set").splits == {}


def test_names_that_are_known_as_classes_are_no_splits() -> None:
    folders = ("train/old", "train/new", "test/old", "test/new")
    assert {split for split, _ in placed(*folders)} == {"train", "test"}
    assert placed(*folders, classes=("train", "test", "car")) == [
        (None, "train"), (None, "train"), (None, "test"), (None, "test"),
    ]  # fmt: skip
    twice = ("train/train", "train/test", "test/train", "test/test")  # splits, with the classes inside
    assert placed(*twice, classes=("train", "test")) == [
        ("train", "train"), ("train", "test"), ("test", "train"), ("test", "test"),
    ]  # fmt: skip
    assert placed("train/train", "car/car", classes=("train", "car")) == [(None, "train"), (None, "car")]
    assert placed("train/car", "test/train", classes=("car", "train")) == [("train", "car"), ("test", "train")]


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (("train/a", "val/a", "valid/a"), ("'val' and 'valid'", "both the split val")),
        (("train/a", "Train/b", "test/a"), ("'Train' and 'train'", "both the split train")),
        (("train", "training", "test"), ("'train' and 'training'", "both the split train")),
        (("train2014/a", "train2017/a"), ("'train2014' and 'train2017'",)),
        (("rose/val", "rose/dev", "rose/train", "tulip/train"), ("set: rose:", "'dev' and 'val'")),
        (("train/a", "train/b", "valid/a", "extra/x"), ("'extra' stands beside 'train' and 'valid'",)),
        (("train", "val", "test", "unlabeled"), ("'unlabeled' stands beside 'test' and 'train' and 'val'",)),
        (("train/a", "train/b", "extra"), ("'extra' stands beside 'train'",)),
        (("train/a", "train/b", "more/a", "more/b"), ("'more' stands beside 'train'",)),
        (("seg_train/a", "seg_train/b", "seg_test/a", "seg_test/b"), ("'seg_test' and 'seg_train' look like splits",)),
        (("train_set/a", "train_set/b", "test-set/a", "test-set/b"), ("look like splits",)),
        (("train1/a", "train1/b", "test1/a", "test1/b"), ("look like splits",)),
        (tuple(f"{s}/{s}/{c}" for s in ("training_set", "test_set") for c in "ab"), ("look like splits",)),
        (("entrenamiento/a", "entrenamiento/b", "prueba/a", "prueba/b"), ("look like splits", "at `classes`")),
        (("训练集/a", "训练集/b", "测试集/a", "测试集/b"), ("look like splits",)),
        (("learn/eval/a", "learn/eval/b", "learn/holdout/a", "learn/holdout/b"), ("'eval' and 'holdout' look",)),
        (("train", "test1"), ("'test1' and 'train' look like splits",)),  # Kaggle's cats and dogs, all classes in one
        (("train_images", "test_images"), ("look like splits",)),
        (
            ("real/train/a", "real/train/b", "real/test/a", "real/test/b", "sketch/train/a", "sketch/test/a"),
            ("'real' holds the splits 'test' and 'train' of the classes 'a' and others", "give it alone"),
        ),
        (
            ("x/train/a", "x/train/b", "x/test/a", "x/test/b", "train/a", "train/b", "test/a", "test/b"),
            ("'x' stands beside 'test' and 'train'",),  # a copy of all of it, as in a much used archive of X-rays
        ),
        (("rose/train", "rose/test", "tulip"), ("'rose' holds folders of splits", "'tulip' lies in none")),
        (("rose/train", "rose/test", "rose/more", "tulip/train"), ("'rose/more' lies in none",)),
    ],
)
def test_what_is_neither_is_one_sentence(folders: tuple[str, ...], named: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        by_folders(below(*folders), "set")
    sentence = str(caught.value)
    assert sentence.startswith("set: ") and all(part in sentence for part in named), sentence
