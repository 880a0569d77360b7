"""Which pictures and boxes a detection experiment sees."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from florilegium.config.data import DetectionData
from florilegium.core.errors import UserError
from florilegium.core.files import write_json
from florilegium.data.annotations import check
from florilegium.data.boxed import BoxedImages, BoxedSplits, coco_ground_truth, load_boxed
from florilegium.data.decode import fit
from florilegium.data.pack import pack_buckets
from tests.helpers.annotated import coco, own_coco, photo, write

SIZES = [(40, 30), (30, 40), (60, 30)]


@pytest.fixture
def packed(tmp_path: Path) -> dict[str, Path]:
    """Nine pictures to train on with two boxes each but the first, three to validate and test on."""
    content: dict[str, Any] = {}
    for split, count in (("train", 9), ("val", 3), ("test", 3)):
        names = [(n, f"{split}{n}.png") for n in range(count)]
        objects = [(n, [1, 3][n % 2], [n, 2, 10, 12]) for n in range(count) if n or split != "train"]
        objects += [(n, 3, [3, 4, 20, 6.5]) for n in range(1, count)]
        content[f"{split}.json"] = made = coco(names, objects)
        for n, image in enumerate(made["images"]):
            image["width"], image["height"] = SIZES[n % 3]
            content[f"images/{split}/{image['file_name']}"] = photo(n + 10 * len(split), SIZES[n % 3])
    content["test.json"]["annotations"][0] |= {"iscrowd": 1}
    return pack(tmp_path, content)


def pack(folder: Path, content: dict[str, Any]) -> dict[str, Path]:
    files = folder / "files"
    found = check(own_coco(files), files, write(files, content), "stop").content()
    write_json(folder / "annotations.json", found)
    images = [image for part in found["splits"].values() for image in part["images"]]
    fits = {image["file_name"]: fit(image["height"], image["width"], 60, 96) for image in images}
    pack_buckets(files, fits, "least", folder / "scenes.npy", corrupt="skip")
    return {"pixels": folder / "scenes.npy", "annotations": folder / "annotations.json"}


def use(**changes: Any) -> DetectionData:
    return DetectionData.model_validate({"dataset": "own"} | changes)


def test_splits_boxes_and_pixels(packed: dict[str, Path], recwarn: pytest.WarningsRecorder) -> None:
    found = load_boxed(use(), **packed)
    assert found.val is not None
    assert [len(part) for part in (found.train, found.val, found.test)] == [9, 3, 3]
    assert (found.classes, found.category_ids) == (("cat", "dog"), (1, 3))
    train = found.train
    assert train.names[2] == "images/train/train2.png" and train.ids[2] == 2
    assert train.scale.tolist()[:3] == [2.0, 2.0, 1.6]
    assert train.sizes.tolist()[:3] == [[30, 40], [40, 30], [30, 60]]
    assert train.content.tolist()[:3] == [[60, 80], [80, 60], [48, 96]]
    assert train.padded().tolist()[:3] == [[64, 96], [96, 64], [64, 96]]
    assert train.boxes[1].tolist() == [[2, 4, 22, 28], [6, 8, 46, 21]]
    assert train.boxes[2] == pytest.approx(np.array([[2, 2, 12, 14], [3, 4, 23, 10.5]]) * 1.6)
    assert [labels.tolist() for labels in train.labels[:3]] == [[], [1, 1], [0, 1]]
    assert train.boxes[0].shape == (0, 4)
    types = {train.boxes[0].dtype, train.boxes[1].dtype, train.scale.dtype, train.labels[0].dtype}
    assert types == {torch.float32, torch.float64, torch.int64}
    for n in range(len(train)):
        whole = train.pixels[train.bucket[n]][train.row[n]]
        height, width = train.content[n].tolist()
        assert whole.dtype == torch.uint8 and whole[: height - 1, : width - 1].any()
        assert not whole[height:].any() and not whole[:, width:].any()
    assert not recwarn.list


def test_dropped_images_leave_training_and_validation_but_never_the_test(
    packed: dict[str, Path], tmp_path: Path
) -> None:
    table = tmp_path / "dropped.csv"
    names = [f"images/{split}/{split}1.png" for split in ("train", "val", "test")]
    pd.DataFrame({"image": names, "reason": "shows a test image"}).to_csv(table, index=False)
    found = load_boxed(use(), **packed, dropped=[table])
    assert found.val is not None
    assert names[0] not in found.train.names and names[1] not in found.val.names
    assert names[2] in found.test.names
    assert found.train.boxes[1].tolist() == load_boxed(use(), **packed).train.boxes[2].tolist()


def test_the_bug_moves_the_lower_right_corner_of_training_boxes_alone(packed: dict[str, Path]) -> None:
    right, bug = (load_boxed(use(boxes=boxes), **packed) for boxes in ("as_annotated", "last_corner"))
    assert bug.train.boxes[1].tolist() == [[2, 4, 46, 21], [6, 8, 46, 21]]
    assert bug.train.boxes[0].shape == (0, 4)
    assert all(torch.equal(a[-1:], b[-1:]) for a, b in zip(bug.train.boxes, right.train.boxes, strict=True))
    for part in ("val", "test"):
        pairs = zip(getattr(bug, part).boxes, getattr(right, part).boxes, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert coco_ground_truth(bug.train, packed["annotations"]) == coco_ground_truth(right.train, packed["annotations"])


def test_validation_may_be_left_out_and_splits_be_the_test(packed: dict[str, Path]) -> None:
    found = load_boxed(use(val=[], test=["val"]), **packed)
    assert found.val is None
    assert found.test.names[0] == "images/val/val0.png"


def test_joined_splits_that_number_their_images_alike_are_refused(packed: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="splits val and test share ids"):
        load_boxed(use(val=[], test=["val", "test"]), **packed)


def test_images_without_pixels_are_left_out(packed: dict[str, Path], tmp_path: Path) -> None:
    bad = "images/train/train4.png"
    content = {name: path.read_bytes() for name, path in _files(tmp_path / "files")}
    before, again = (
        load_boxed(use(), **pack(tmp_path, content | changes)).train for changes in ({}, {bad: b"no picture"})
    )
    assert bad in before.names and again.names == tuple(name for name in before.names if name != bad)
    places = [before.names.index(name) for name in again.names]
    assert all(torch.equal(_picture(again, n), _picture(before, m)) for n, m in enumerate(places))


def _picture(images: BoxedImages, n: int) -> torch.Tensor:
    return images.pixels[images.bucket[n]][images.row[n]]


def _files(folder: Path) -> list[tuple[str, Path]]:
    return [(p.relative_to(folder).as_posix(), p) for p in folder.rglob("*") if p.is_file()]


def test_a_test_set_without_boxes_cannot_be_counted_on(packed: dict[str, Path], tmp_path: Path) -> None:
    content = {name: path.read_bytes() for name, path in _files(tmp_path / "files")}
    content["test.json"] = coco([(n, f"test{n}.png") for n in range(3)], [])
    for n, image in enumerate(content["test.json"]["images"]):
        image["width"], image["height"] = SIZES[n % 3]
    again = pack(tmp_path, content)
    with pytest.raises(UserError, match=r"the split test was published without boxes, so data\.test"):
        load_boxed(use(), **again)
    assert len(load_boxed(use(val=[], test=["val"]), **again).test) == 3


# --- what pycocotools makes of it ----------------------------------------------------------


def evaluated(found: BoxedSplits, annotations: Path, results: list[dict[str, Any]]) -> np.ndarray:
    """The twelve figures of COCO."""
    truth = COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        truth.dataset = coco_ground_truth(found.test, annotations)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def perfect(found: BoxedSplits) -> list[dict[str, Any]]:
    """The boxes of the test in original pixels, by the packed ones and their scales."""
    results = []
    for n, (packed_boxes, labels) in enumerate(zip(found.test.boxes, found.test.labels, strict=True)):
        for box, label in zip((packed_boxes / found.test.scale[n]).tolist(), labels.tolist(), strict=True):
            sides = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            category = found.category_ids[label]
            results.append({"image_id": found.test.ids[n], "category_id": category, "bbox": sides, "score": 0.9})
    return results


def test_packed_boxes_brought_back_are_perfect_predictions(packed: dict[str, Path]) -> None:
    found = load_boxed(use(), **packed)
    stats = evaluated(found, packed["annotations"], perfect(found))
    assert stats[0] == pytest.approx(1) and stats[8] == pytest.approx(1)


def test_ground_truth_is_as_annotated_with_crowds_and_ids_from_one(packed: dict[str, Path]) -> None:
    found = load_boxed(use(), **packed)
    truth = coco_ground_truth(found.test, packed["annotations"])
    assert [image["id"] for image in truth["images"]] == [0, 1, 2]
    assert [a["id"] for a in truth["annotations"]] == [1, 2, 3, 4, 5]
    assert [a["iscrowd"] for a in truth["annotations"]] == [1, 0, 0, 0, 0]
    assert truth["annotations"][2]["bbox"] == [3, 4, 20, 6.5]
    assert [len(boxes) for boxes in found.test.boxes] == [0, 2, 2]
    found_in_crowd = {"image_id": 0, "category_id": 1, "bbox": [1, 3, 5, 5], "score": 0.99}
    stats = evaluated(found, packed["annotations"], [*perfect(found), found_in_crowd])
    assert stats[0] == pytest.approx(1)  # nor is what is found in a crowd counted as wrong
