"""`python -m florilegium check-submission`: one sentence for each kind of fault."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from florilegium.commands import submit
from florilegium.core.errors import UserError

TEST = {
    "images": [{"id": n, "width": 100, "height": 80, "file_name": f"{n}.jpg"} for n in (4, 7)],
    "categories": [{"id": 1, "name": "cat"}, {"id": 5, "name": "dog"}],
}
GOOD = [
    {"image_id": 4, "category_id": 5, "bbox": [0.0, 0.0, 100.01, 80.0], "score": 0.9},
    {"image_id": 4, "category_id": 1, "bbox": [10, 20, 5.5, 6.25], "score": 0.2},
    {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1},
]


def check(folder: Path, content: object, annotations: object = TEST) -> int:
    for name, value in (("results.json", content), ("test.json", annotations)):
        (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    parser = argparse.ArgumentParser()
    submit.add_parser(parser.add_subparsers())
    args = parser.parse_args(
        ["check-submission", str(folder / "results.json"), "--annotations", str(folder / "test.json")]
    )
    return args.run(args)


def changed(number: int, **values: Any) -> list[dict]:
    return [line | (values if n == number else {}) for n, line in enumerate(GOOD)]


def test_a_good_file_is_said_to_be_good(tmp_path: Path, capsys):
    assert check(tmp_path, GOOD) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith("results.json: 3 detections in 2 images, nothing wrong\n")
    assert printed.err == ""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([*GOOD, GOOD[0] | {"image_id": 9}], "1 of 4 detections have an image_id that the annotations do not"),
        (changed(1, category_id=2), "1 of 3 detections have a category_id that the annotations do not have"),
        (changed(0, score=1.5), "1 of 3 detections have a score that is not between 0 and 1"),
        (changed(2, score=-0.1), "have a score that is not between 0 and 1 (first: detection 3, "),
        (changed(0, bbox=[0, 0, 101, 80]), "1 of 3 detections have a bbox that reaches out of its image"),
        (changed(0, bbox=[-3, 0, 10, 10]), "1 of 3 detections have a bbox that reaches out of its image"),
        (changed(0, bbox=[50, 40, -10, 10]), "1 of 3 detections have a bbox of negative width or height"),
        ([GOOD[1], GOOD[0], GOOD[2]], "detection 2 is out of order; sort by image_id"),
        ([GOOD[2], GOOD[0], GOOD[1]], "detection 2 is out of order; sort by image_id"),
        (GOOD[:2], "1 of 2 images have no detection (7); predict on all of them"),
        ([], "2 of 2 images have no detection (4, 7); predict on all of them"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path: Path, capsys, content: list, sentence: str):
    assert check(tmp_path, content) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {tmp_path / 'results.json'}: ")
    assert sentence in lines[0]


def test_a_score_that_is_no_number_of_json_is_not_between_0_and_1(tmp_path: Path, capsys):
    check(tmp_path, json.dumps(changed(0, score=float("nan"))))
    assert "a score that is not between 0 and 1" in capsys.readouterr().err


def without(key: str) -> Callable[[], list[dict]]:
    return lambda: [{k: v for k, v in line.items() if k != key} for line in GOOD]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[{", "is no JSON"),
        ({"annotations": []}, "holds no list"),
        ([3], "detection 1 is no mapping"),
        (without("bbox")(), "detection 1 lacks bbox; write all of image_id, category_id, bbox, score"),
        (changed(1, bbox=[1, 2, 3]), "detection 2 has a bbox that is not four numbers"),
        (changed(1, bbox=["1", 2, 3, 4]), "detection 2 has a bbox that is not four numbers"),
        (changed(2, score="high"), "detection 3 has a score that is no number"),
        (changed(2, image_id="7"), "detection 3 has an id that is no whole number"),
    ],
)
def test_a_file_of_another_form_is_told_in_a_sentence(tmp_path: Path, content: object, sentence: str):
    with pytest.raises(UserError, match=sentence):
        check(tmp_path, content)


def test_annotations_of_another_form_are_told_in_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match=r"test\.json: is no COCO file \('categories' is missing"):
        check(tmp_path, GOOD, {"images": TEST["images"]})
