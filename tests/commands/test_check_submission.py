"""`python -m florilegium check-submission`: one sentence for each kind of fault."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from florilegium.commands import submit
from florilegium.core.errors import UserError
from tests.helpers.annotated import photo, write

TEST = {
    "images": [{"id": n, "width": 100, "height": 80, "file_name": f"{n}.jpg"} for n in (4, 7)],
    "categories": [{"id": 1, "name": "cat"}, {"id": 5, "name": "dog"}],
}
GOOD = [
    {"image_id": 4, "category_id": 5, "bbox": [0.0, 0.0, 100.01, 80.0], "score": 0.9},
    {"image_id": 4, "category_id": 1, "bbox": [10, 20, 5.5, 6.25], "score": 0.2},
    {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1},
]


def check(folder: Path, content: object, annotations: object = TEST, *words: object) -> int:
    for name, value in (("results.json", content), ("test.json", annotations)):
        text = value if isinstance(value, str | bytes) else json.dumps(value)
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    parser = argparse.ArgumentParser()
    submit.add_parser(parser.add_subparsers())
    args = parser.parse_args(
        ["check-submission", str(folder / "results.json"), "--annotations", str(folder / "test.json"), *map(str, words)]
    )
    return args.run(args)


def changed(number: int, **values: Any) -> list[dict]:
    return [line | (values if n == number else {}) for n, line in enumerate(GOOD)]


def without(key: str) -> list[dict]:
    return [{k: v for k, v in line.items() if k != key} for line in GOOD]


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
        ([*GOOD, GOOD[0] | {"image_id": "nine"}], "an image_id that the annotations do not have"),
        (changed(0, image_id="4"), "the image_id '4' is 4 there, which pycocotools holds for another"),
        (changed(0, category_id="5.0"), "the category_id '5.0' is 5 there, which pycocotools holds for another"),
        ([line | {"bbox": [0.1, 0.2, 0.5, 0.25]} for line in GOOD], "all boxes lie in the first pixel of their images"),
        ([3, *GOOD], "1 of 4 detections are in another form (first: detection 1 is no mapping); write all of image_id"),
        (without("bbox"), "3 of 3 detections are in another form (first: detection 1 lacks bbox)"),
        (changed(1, bbox=None), "(first: detection 2 has the bbox None, which is not four numbers)"),
        (changed(1, bbox=[1, 2, 3]), "(first: detection 2 has the bbox [1, 2, 3], which is not four numbers)"),
        (changed(1, bbox=["1", 2, 3, 4]), "has the bbox ['1', 2, 3, 4], which is not four numbers"),
        (changed(2, score="0.9"), "(first: detection 3 has the score '0.9', which is no number)"),
        (changed(2, score=None), "has the score None, which is no number"),
        (changed(2, score=True), "has the score True, which is no number"),
        (changed(2, image_id=7.5), "has the image_id 7.5, which is neither a whole number nor a text"),
        (changed(2, image_id=[7]), "has the image_id [7], which is neither a whole number nor a text"),
        (changed(2, category_id=None), "has the category_id None, which is neither a whole number nor a text"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path: Path, capsys, content: list, sentence: str):
    assert check(tmp_path, content) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {tmp_path / 'results.json'}: ")
    assert sentence in lines[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_a_box_that_is_not_finite_is_one_fault(tmp_path: Path, capsys, value: float):
    assert check(tmp_path, json.dumps(changed(0, bbox=[0.5, 0, value, 1.5]))) == 1
    printed = capsys.readouterr().err
    assert printed.count("error: ") == 1 and "1 of 3 detections have a bbox that is not finite" in printed


def test_a_score_that_is_no_number_of_json_is_not_between_0_and_1(tmp_path: Path, capsys):
    check(tmp_path, json.dumps(changed(0, score=float("nan"))))
    assert "a score that is not between 0 and 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[{", r"results\.json: not valid JSON \(it is cut in line 1\)"),
        ("", r"results\.json: is empty"),
        ('[{"a": 1, "a": 2}]', "the key 'a' is twice"),
        ({"annotations": []}, "holds no list"),
    ],
)
def test_a_file_of_another_form_is_told_in_a_sentence(tmp_path: Path, content: object, sentence: str):
    with pytest.raises(UserError, match=sentence):
        check(tmp_path, content)


@pytest.mark.parametrize(
    ("annotations", "sentence"),
    [
        ({"images": TEST["images"]}, "has no list of categories"),
        ({"images": TEST["images"], "categories": []}, "has no list of categories"),
        ({"categories": TEST["categories"]}, "not in COCO form, it has no list of images"),
        (GOOD, "not in COCO form, it holds a list, as a file of results does"),
    ],
)
def test_annotations_of_another_form_are_told_in_a_sentence(tmp_path: Path, annotations: object, sentence: str):
    with pytest.raises(UserError, match=rf"test\.json: {sentence}"):
        check(tmp_path, GOOD, annotations)


@pytest.mark.parametrize(
    "content",
    [
        changed(0, image_id=4.0, category_id=5.0, score=1),
        changed(0, bbox=[0, 0.0, 1e1, 2]),
        json.dumps(GOOD).encode("utf-16"),
        "\ufeff" + json.dumps(GOOD),
    ],
)
def test_numbers_and_encodings_of_other_programs_are_right(tmp_path: Path, content: object):
    assert check(tmp_path, content) == 0


@pytest.mark.parametrize(
    ("content", "note"),
    [(GOOD[:2], "note: 1 of 2 images have no detection (7)"), ([], "note: 2 of 2 images have no detection (4, 7)")],
)
def test_an_image_without_detections_is_no_fault(tmp_path: Path, capsys, content: list, note: str):
    assert check(tmp_path, content) == 0
    printed = capsys.readouterr()
    assert note in printed.out and "nothing wrong" in printed.out and not printed.err


def sized(**size: object) -> dict:
    return TEST | {"images": [image | size for image in TEST["images"]]}


@pytest.mark.parametrize("size", [{"width": None}, {"width": 0, "height": 0}, {"width": "", "height": ""}])
def test_sizes_that_are_not_known_are_a_note(tmp_path: Path, capsys, size: dict):
    assert check(tmp_path, changed(0, bbox=[0, 0, 5000, 5000]), sized(**size)) == 0
    assert "note: 2 of 2 images have no known size (4, 7), so their boxes were not held" in capsys.readouterr().out


def test_sizes_may_be_text(tmp_path: Path, capsys):
    assert check(tmp_path, GOOD, sized(width="100", height="80.0")) == 0
    assert check(tmp_path, changed(0, bbox=[0, 0, 101, 101]), sized(width="100", height="80.0")) == 1
    assert "a bbox that reaches out of its image" in capsys.readouterr().err


def test_a_box_that_fits_the_picture_on_its_side_is_a_note(tmp_path: Path, capsys):
    """It may be a photograph that its EXIF tag turns, whose file nobody has given."""
    assert check(tmp_path, changed(0, bbox=[0, 0, 70, 95])) == 0
    assert "note: 1 boxes fit into their images only where these are turned" in capsys.readouterr().out


def test_pictures_tell_sizes(tmp_path: Path, capsys):
    write(tmp_path / "in", {"4.jpg": photo(4, (100, 80)), "7.jpg": photo(7, (100, 80))})
    images = ("--images", tmp_path / "in")
    assert check(tmp_path, changed(0, bbox=[0, 0, 70, 95]), TEST, *images) == 1
    assert check(tmp_path, GOOD, sized(width=None, height=None), *images) == 0
    assert check(tmp_path, changed(0, bbox=[0, 0, 101, 80]), sized(width=None, height=None), *images) == 1
    assert capsys.readouterr().err.count("a bbox that reaches out of its image") == 2
    with pytest.raises(UserError, match="2 of 2 images have another size than it says"):
        check(tmp_path, GOOD, sized(width=99), *images)


def test_ids_that_are_texts_are_compared_as_they_are(tmp_path: Path):
    texts = {4: "img_4", 7: "img_7"}
    test = TEST | {"images": [image | {"id": texts[image["id"]]} for image in TEST["images"]]}
    lines = [line | {"image_id": texts[line["image_id"]]} for line in GOOD]
    assert check(tmp_path, lines, test) == 0
    assert check(tmp_path, [*lines, lines[-1] | {"image_id": "img_8"}], test) == 1
