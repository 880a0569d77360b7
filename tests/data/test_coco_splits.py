"""Which JSON file annotates which split, by the names that tools give them."""

from pathlib import Path

import pytest

from florilegium.core.errors import UserError
from florilegium.data.coco_splits import annotation_files, split_of_file
from tests.helpers.annotated import own_coco

COCO = [
    f"annotations/{kind}_{split}2017.json"
    for kind in ("instances", "captions", "person_keypoints", "stuff", "panoptic")
    for split in ("train", "val")
]
ROBOFLOW = [f"{split}/_annotations.coco.json" for split in ("train", "valid", "test")]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["train.json", "val.json", "test.json"], {"train": "train.json", "val": "val.json", "test": "test.json"}),
        (["Train.JSON", "Validation.json"], {"train": "Train.JSON", "val": "Validation.json"}),
        (["a/training.json", "a/testing.json"], {"train": "a/training.json", "test": "a/testing.json"}),
        (
            [*COCO, "annotations/image_info_test2017.json", "annotations/image_info_test-dev2017.json"],
            {
                "train": "annotations/instances_train2017.json",
                "val": "annotations/instances_val2017.json",
                "test": "annotations/image_info_test2017.json",
            },
        ),
        (ROBOFLOW, {"train": ROBOFLOW[0], "val": ROBOFLOW[1], "test": ROBOFLOW[2]}),
        (["train/annotation_coco.json", "val/annotation_coco.json"], None),
        (["balloon_train.json", "balloon_val.json", "notes.json"], None),
        (["balloon_train.json", "metrics_val.json"], {"train": "balloon_train.json"}),
        (["train.json", "old_train.json", "test_results.json"], {"train": "train.json"}),
        (["labels.json", "data/1.jpg"], {"train": "labels.json"}),
        (["flowers.json"], {"train": "flowers.json"}),
        (["annotations/instances_default.json"], {"train": "annotations/instances_default.json"}),
        (["annotations/instances_val2017.json"], {"val": "annotations/instances_val2017.json"}),
        (["a.json", "b.json"], {}),
        (["train/1.jpg"], {}),
    ],
)
def test_files_are_recognised_by_their_names(paths: list[str], expected: dict[str, str] | None) -> None:
    found = annotation_files(own_coco(Path("mine")), Path("mine"), paths)
    assert found == (expected if expected is not None else {"train": paths[0], "val": paths[1]})


@pytest.mark.parametrize(
    "paths",
    [
        ["a/train.json", "b/train.json"],
        ["train.json", "annotations/instances_train2017.json"],
        ["instances_train2014.json", "instances_train2017.json"],
        ["cats_train.json", "dogs_train.json"],
    ],
)
def test_several_files_that_could_be_one_are_named(paths: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        annotation_files(own_coco(Path("mine")), Path("mine"), paths)
    said = str(caught.value)
    assert "could both be the annotations of train" in said and all(path in said for path in paths)
    assert "at `annotations`" in said


def test_only_what_is_wanted_must_be_clear() -> None:
    paths = ["a/train.json", "b/train.json", "val.json"]
    assert annotation_files(own_coco(Path("mine")), Path("mine"), paths, ("val",)) == {"val": "val.json"}


@pytest.mark.parametrize(
    ("path", "split"),
    [
        *[("instances_val2017.json", "val"), ("valid/labels.json", "val"), ("test-dev.json", None)],
        *[("labels.json", None), ("train/val.json", "val"), ("constrained.json", None)],
    ],
)
def test_the_split_of_a_file(path: str, split: str | None) -> None:
    assert split_of_file(path) == split
