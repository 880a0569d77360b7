"""What `submit` writes, `check-submission` accepts, and pycocotools scores as `evaluate` does: of turned pictures."""

import argparse
import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from florilegium.commands import evaluate, predict, submit
from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError
from florilegium.data.frames import Frame
from florilegium.stages import annotations, fetch, scenes
from tests.helpers.annotated import tagged, write
from tests.helpers.squares import use_detector
from tests.helpers.stages import run_stage

ORIENTATIONS = (1, 2, 3, 4, 5, 6, 7, 8)
STORED = (128, 96)


def box_of(number: int, size: tuple[int, int]) -> list[int]:
    """A square's place, another in each picture, never in the middle."""
    return [size[0] // 8 + 2 * number, size[1] // 8 + number, 28, 20]


def photographs(
    folder: Path, sizes: str, drawn_on: str = "upright", stored: tuple[int, int] = STORED, ids: str = "numbers"
) -> Path:
    """One photograph of each EXIF orientation, and one with nothing in it; the path of their COCO file.

    Args:
        sizes: what the file states: those of the `upright` picture, of the `stored` pixels, or `null`.
        drawn_on: what its boxes belong to.
        ids: `numbers`, or `texts` for images and categories alike.
    """
    form = {"numbers": lambda n: n, "texts": lambda n: f"id_{n}"}[ids]
    images, annotations, files = [], [], {}
    for number, orientation in enumerate(ORIENTATIONS, start=1):
        box = box_of(number, stored)
        name = f"photos/{number}.jpg"
        files[name] = tagged(stored, box, orientation, "JPEG")
        frame = Frame(stored, orientation)
        width, height = {"upright": frame.upright, "stored": stored, "null": (None, None)}[sizes]
        images.append({"id": form(number), "file_name": name, "width": width, "height": height})
        seen = box if drawn_on == "stored" else frame.to_upright(box)
        annotations.append(
            {
                "id": number,
                "image_id": form(number),
                "category_id": form(1),
                "bbox": seen,
                "area": seen[2] * seen[3],
                "iscrowd": 0,
            }
        )
    files["photos/empty.jpg"] = tagged(stored, [0, 0, 0, 0], 6, "JPEG")
    images.append({"id": form(40), "file_name": "photos/empty.jpg", "width": None, "height": None})
    content = {"images": images, "annotations": annotations, "categories": [{"id": form(1), "name": "square"}]}
    write(folder, {"test.json": content, **files})
    return folder / "test.json"


def run(module: ModuleType, *words: object) -> int:
    parser = argparse.ArgumentParser()
    module.add_parser(parser.add_subparsers())
    device = () if words[0] == "check-submission" else ("--device", "cpu")
    args = parser.parse_args([*map(str, words), *device])
    return args.run(args)


def table(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    return {name.strip(): value for name, value in lines}


def scores(truth: Path, results: Path) -> dict[str, float]:
    """What a scorer makes of the two files as they are."""
    with redirect_stdout(StringIO()):
        coco = COCO(str(truth))
        evaluation = COCOeval(coco, coco.loadRes(str(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"AP": evaluation.stats[0], "AP50": evaluation.stats[1], "AR100": evaluation.stats[8]}


CASES: list[dict[str, Any]] = [
    {"sizes": "upright"},
    {"sizes": "stored"},
    {"sizes": "null"},
    {"sizes": "stored", "drawn_on": "stored"},
    {"sizes": "null", "drawn_on": "stored"},
    {"sizes": "stored", "stored": (96, 96)},
    {"sizes": "stored", "stored": (96, 96), "drawn_on": "stored"},
    {"sizes": "upright", "ids": "texts"},
]


@pytest.mark.parametrize("case", CASES)
def test_the_three_commands_agree_with_pycocotools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: dict[str, Any]
) -> None:
    checkpoint = use_detector(monkeypatch)
    truth, out = photographs(tmp_path, **case), tmp_path / "results.json"
    drawn_on = ("--drawn-on", case.get("drawn_on", "upright"))
    assert run(submit, "submit", checkpoint, tmp_path, "--annotations", truth, "--out", out, *drawn_on) == 0
    assert len(json.loads(out.read_text())) == len(ORIENTATIONS)
    for images in ((), ("--images", tmp_path)):
        assert run(submit, "check-submission", out, "--annotations", truth, *drawn_on, *images) == 0
    printed = capsys.readouterr()
    assert "nothing wrong" in printed.out and not printed.err
    assert "1 of 9 images have no detection (" in printed.out
    assert run(evaluate, "evaluate", checkpoint, truth, *drawn_on) == 0
    told, expected = table(capsys), scores(truth, out)
    assert 0.5 < expected["AP"] < 1
    assert {name: float(told[name]) for name in expected} == pytest.approx(expected, abs=5e-5)


def test_a_wrong_frame_is_told_by_the_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = use_detector(monkeypatch)
    truth = photographs(tmp_path, "stored", "stored", (96, 96))
    assert run(evaluate, "evaluate", checkpoint, truth) == 0
    assert float(table(capsys)["AP"]) < 0.3


def test_predict_sees_photographs_upright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = use_detector(monkeypatch)
    photographs(tmp_path, "null")
    assert run(predict, "predict", checkpoint, tmp_path / "photos" / "6.jpg") == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    upright = Frame(STORED, 6).to_upright(box_of(6, STORED))
    assert [float(value) for value in line[3:]] == pytest.approx(upright, abs=6)


def test_submit_writes_ids_as_the_annotation_file_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = use_detector(monkeypatch)
    truth, out = photographs(tmp_path, "null", ids="texts"), tmp_path / "results.json"
    run(submit, "submit", checkpoint, tmp_path, "--annotations", truth, "--out", out)
    lines = json.loads(out.read_text())
    assert [line["image_id"] for line in lines] == [f"id_{n}" for n in range(1, 9)]
    assert {line["category_id"] for line in lines} == {"id_1"}


def test_bad_boxes_stop_evaluation_as_they_stop_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = use_detector(monkeypatch)
    truth = photographs(tmp_path, "upright")
    content = json.loads(truth.read_text())
    for annotation in content["annotations"][::2]:
        annotation["bbox"][2] = 0
    truth.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"is empty, and 4 boxes are bad in all .*--bad-boxes drop"):
        run(evaluate, "evaluate", checkpoint, truth)
    capsys.readouterr()
    assert run(evaluate, "evaluate", checkpoint, truth, "--bad-boxes", "drop") == 0
    printed = capsys.readouterr()
    assert "bad boxes, left out  4" in printed.out
    assert printed.err.count("is empty") == 4 and "annotation 1 of photos/1.jpg" in printed.err


@pytest.mark.parametrize(
    ("layout", "images", "target", "split"),
    [
        ("annotations/instances_val2017.json", "val2017", "", "val"),
        ("annotations/instances_val2017.json", "val2017", "annotations/instances_val2017.json", "test"),
        ("valid/_annotations.coco.json", "valid", "", "val"),
        ("valid/_annotations.coco.json", "valid", "valid/_annotations.coco.json", "test"),
        ("sets/all.json", "sets", "sets/all.json", "test"),
    ],
)
def test_a_data_set_is_evaluated_and_submitted_in_the_layout_that_it_has(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    layout: str,
    images: str,
    target: str,
    split: str,
) -> None:
    checkpoint = use_detector(monkeypatch)
    content = json.loads(photographs(tmp_path / "first", "upright").read_text())
    (tmp_path / "set" / images).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "first" / "photos").rename(tmp_path / "set" / images)
    for image in content["images"]:
        image["file_name"] = Path(image["file_name"]).name
    write(tmp_path / "set", {layout: content})
    assert run(evaluate, "evaluate", checkpoint, tmp_path / "set" / target, "--split", split) == 0
    told, out = table(capsys), tmp_path / "results.json"
    assert told["images"] == "9"
    command = ("submit", checkpoint, tmp_path / "set", "--annotations", tmp_path / "set" / layout, "--out", out)
    assert run(submit, *command) == 0
    assert scores(tmp_path / "set" / layout, out)["AP"] == pytest.approx(float(told["AP"]), abs=5e-5)


def test_one_image_is_evaluated_without_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = use_detector(monkeypatch)
    truth = photographs(tmp_path, "upright")
    content = json.loads(truth.read_text())
    truth.write_text(json.dumps(content | {"images": content["images"][:1], "annotations": content["annotations"][:1]}))
    assert run(evaluate, "evaluate", checkpoint, truth) == 0
    assert table(capsys)["images"] == "1"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.pop("annotations"), "test.json: there are no annotations in it to measure against"),
        (lambda c: c.pop("images"), "not in COCO form"),
        (lambda c: c["images"][0].update(width=50), "1 of 9 images have another size than it says"),
        (lambda c: c["images"][0].update(file_name="lost.jpg"), "1 of 9 images are not .*, first 'lost.jpg'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, sentence: str
) -> None:
    checkpoint = use_detector(monkeypatch)
    truth = photographs(tmp_path, "upright")
    content = json.loads(truth.read_text())
    change(content)
    truth.write_text(json.dumps(content))
    with pytest.raises(UserError, match=sentence):
        run(evaluate, "evaluate", checkpoint, truth)
    if "no annotations in it" not in sentence:
        with pytest.raises(UserError, match=sentence):
            run(submit, "submit", checkpoint, tmp_path, "--annotations", truth, "--out", tmp_path / "o.json")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no such file"),
        (b"", "is empty"),
        (b'{"images": [', "it is cut in line 1"),
        (b"[]", "it holds a list"),
        ("é".encode("latin-1"), "is not written in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, sentence: str
) -> None:
    checkpoint = use_detector(monkeypatch)
    truth = photographs(tmp_path, "upright")
    truth.unlink()
    if content is not None:
        truth.write_bytes(content)
    (tmp_path / "results.json").write_text("[]")
    for module, *words in (
        (evaluate, "evaluate", checkpoint, truth),
        (submit, "submit", checkpoint, tmp_path, "--annotations", truth, "--out", tmp_path / "o.json"),
        (submit, "check-submission", tmp_path / "results.json", "--annotations", truth),
    ):
        with pytest.raises(UserError, match=sentence):
            run(module, *words)


def test_an_image_that_is_damaged_is_named_and_the_others_are_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = use_detector(monkeypatch)
    truth, out = photographs(tmp_path, "null"), tmp_path / "results.json"
    (tmp_path / "photos" / "3.jpg").write_bytes(b"no picture")
    assert run(submit, "submit", checkpoint, tmp_path, "--annotations", truth, "--out", out) == 2
    assert f"error: {tmp_path / 'photos' / '3.jpg'}: not an image" in capsys.readouterr().err
    assert len(json.loads(out.read_text())) == len(ORIENTATIONS) - 1


def test_the_squares_lie_where_a_viewer_shows_them(tmp_path: Path) -> None:
    """The pictures of these tests themselves: a box holds what is red."""
    truth = json.loads(photographs(tmp_path, "upright").read_text())
    for image, annotation in zip(truth["images"], truth["annotations"], strict=False):
        frame = Frame(STORED, ORIENTATIONS[image["id"] - 1])
        assert (image["width"], image["height"]) == frame.upright
        with Image.open(tmp_path / image["file_name"]) as opened:
            stored = np.asarray(opened)
        x, y, width, height = map(int, frame.to_stored(annotation["bbox"]))
        assert stored[y + 3 : y + height - 3, x + 3 : x + width - 3, 0].min() > 200


def test_a_packed_data_set_is_evaluated_as_its_own_keys_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packed by the stages with `drawn_on: stored`, and scored as the files with `--drawn-on stored` are."""
    monkeypatch.chdir(tmp_path)
    checkpoint = use_detector(monkeypatch)
    photographs(Path("photographs"), "null", "stored").rename("photographs/train.json")
    own = Dataset(layout="coco", folder="photographs", drawn_on="stored")
    dataset, here = own.model_dump(mode="json", exclude_none=True), Path("resources/mine")
    listing, boxes, packed = here / "files.json", here / "annotations.json", here / "scenes96-128-least.npy"
    size = {"short_side": 96, "long_side": 128, "padding": "least", "corrupt": "stop", "pictures": {}}
    run_stage(monkeypatch, fetch, {"dataset": dataset, "override": None}, "--name", "mine", "--out", listing)
    run_stage(monkeypatch, annotations, {"dataset": dataset, "bad_boxes": "stop"}, "--files", listing, "--out", boxes)
    run_stage(monkeypatch, scenes, size, "--files", listing, "--annotations", boxes, "--out", packed)
    content = json.loads(boxes.read_text())
    first = next(a for a in content["splits"]["train"]["annotations"] if a["image_id"] != 40)
    orientation = ORIENTATIONS[first["image_id"] - 1]
    assert first["bbox"] == Frame(STORED, orientation).to_upright(box_of(first["image_id"], STORED))
    capsys.readouterr()
    assert run(evaluate, "evaluate", checkpoint, "mine", "--split", "train") == 0
    told = table(capsys)
    assert run(evaluate, "evaluate", checkpoint, "photographs", "--split", "train", "--drawn-on", "stored") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "belong to the stored pixels, and are turned upright" in lines[0]
    assert lines[1].endswith("of train.json (annotation files; val and test the project's own, seeded)")
    assert {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in lines[2:]} == told
    assert float(told["AP"]) > 0.5
    for option in (("--drawn-on", "stored"), ("--bad-boxes", "drop")):
        with pytest.raises(UserError, match="mine: is a data set that the workflow has packed, with bad_boxes and"):
            run(evaluate, "evaluate", checkpoint, "mine", "--split", "train", *option)
