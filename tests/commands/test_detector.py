"""`predict`, `evaluate` and `submit` with a detector: from picture files to boxes and figures."""

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from PIL import Image
from PIL.Image import Transpose

from florilegium.commands import evaluate, predict, submit
from florilegium.config.recipes import DetectionRecipe
from florilegium.core.errors import UserError
from florilegium.data import boxed
from florilegium.data.boxed import BoxedImages, BoxedSplits
from florilegium.stages import train_detector as stage
from tests.helpers.boxed import CATEGORY_IDS, TINY, scenes, truth


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that knows its eight pictures by heart; they are stored at the size that it sees."""
    folder = tmp_path_factory.mktemp("run")
    part = only_square(scenes(24))
    recipe = DetectionRecipe.model_validate(
        {"epochs": 40, "batch_size": 4, "optimizer": "adam", "lr": 0.01, "schedule": "cosine", "flip": 0.0}
    )
    spec = {
        "data": {"dataset": "tiny", "short_side": 64, "long_side": 64},
        "model": {"name": "retinanet_resnet18", "arguments": TINY},
        "recipe": recipe.used(),
    }
    files = [folder / name for name in ("scenes.npy", "scenes.csv", "annotations.json")]
    for path in files:
        path.write_text(path.name)
    arguments = ["--spec", json.dumps(spec), "--code", "c0de", "--seeds", "0", "--device", "cpu"]
    arguments += ["--pixels", str(files[0]), "--annotations", str(files[2])]
    arguments += ["--out", str(folder / "arm"), "--state", str(folder / "state")]
    with pytest.MonkeyPatch.context() as patch:
        data = BoxedSplits(part, part, part, ("red", "blue"), CATEGORY_IDS)
        patch.setattr(stage, "load_boxed", lambda *_, **__: data)
        patch.setattr(boxed, "coco_ground_truth", lambda *_: truth(part))
        patch.setattr(sys, "argv", ["train_detector", *arguments])
        stage.main()
    return folder / "arm" / "seed0" / "checkpoint.safetensors"


def only_square(part: BoxedImages) -> BoxedImages:
    """Those of 64 by 64 pixels, which are not resized."""
    chosen = [n for n in range(len(part)) if part.content[n].tolist() == [64, 64]]
    return BoxedImages(
        pixels=part.pixels,
        bucket=part.bucket[chosen],
        row=part.row[chosen],
        boxes=tuple(part.boxes[n] for n in chosen),
        labels=tuple(part.labels[n] for n in chosen),
        ids=tuple(part.ids[n] for n in chosen),
        names=tuple(part.names[n] for n in chosen),
        scale=part.scale[chosen],
        sizes=part.sizes[chosen],
        content=part.content[chosen],
    )


PART = only_square(scenes(24))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The detector's pictures as files in `images`, and `all.json` with their objects."""
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    content = truth(PART)
    for number, image in enumerate(content["images"]):
        image["file_name"] = f"images/{PART.names[number]}"
        pixels = PART.pixels[int(PART.bucket[number])][int(PART.row[number])]
        Image.fromarray(pixels.numpy()).save(folder / image["file_name"])
    (folder / "all.json").write_text(json.dumps(content))
    return folder


def run(module: ModuleType, command: str, *arguments: object, device: bool = True) -> int:
    parser = argparse.ArgumentParser()
    module.add_parser(parser.add_subparsers())
    words = [command, *map(str, arguments), *(("--device", "cpu") if device else ())]
    args = parser.parse_args(words)
    return args.run(args)


def test_predict_tells_what_is_where(checkpoint: Path, pictures: Path, tmp_path: Path, capsys):
    """The likeliest object of each picture overlaps an object of that class by half at least."""
    assert run(predict, "predict", checkpoint, pictures / "images", "--csv", tmp_path / "out.csv") == 0
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table) == ["image", "prediction", "probability", "x", "y", "width", "height"]
    assert capsys.readouterr().out.splitlines()[0].split() == list(table)
    first = table.groupby("image", sort=True).first()
    assert len(first) >= len(PART) - 1
    for path, row in first.iterrows():
        number = PART.names.index(Path(str(path)).name)
        shown = {
            tuple(b): ["red", "blue"][c]
            for b, c in zip(PART.boxes[number].tolist(), PART.labels[number].tolist(), strict=True)
        }
        assert any(name == row["prediction"] and overlap(box, row) > 0.5 for box, name in shown.items()), path
    assert table["probability"].min() >= 0.5


def overlap(box: tuple[float, ...], row: pd.Series) -> float:
    x1, y1, x2, y2 = box
    width = min(x2, row["x"] + row["width"]) - max(x1, row["x"])
    height = min(y2, row["y"] + row["height"]) - max(y1, row["y"])
    common = max(width, 0) * max(height, 0)
    return common / ((x2 - x1) * (y2 - y1) + row["width"] * row["height"] - common)


def test_predict_shows_what_is_likely_enough_and_names_what_is_no_image(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys
):
    (pictures / "images" / "bad.png").write_bytes(b"no picture")
    bad = pictures / "images" / "bad.png"
    assert run(predict, "predict", checkpoint, pictures / "images", "--score", 0.999) == 2
    assert f"error: {bad}: not an image" in capsys.readouterr().err
    assert run(predict, "predict", checkpoint, bad) == 2
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["image  prediction  probability  x  y  width  height"]


def figures(capsys) -> dict[str, str]:
    return {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in capsys.readouterr().out.splitlines()}


def test_evaluate_gives_the_figures_of_the_run(checkpoint: Path, pictures: Path, tmp_path: Path, capsys):
    """On the very images that the run was tested on, from files, the AP is that of its metrics."""
    metrics = json.loads(checkpoint.with_name("metrics.json").read_text())
    assert metrics["AP50"] > 0.9
    assert run(evaluate, "evaluate", checkpoint, pictures / "all.json", "--csv", tmp_path / "o.csv") == 0
    found = figures(capsys)
    assert found["images"] == str(len(PART))
    assert float(found["AP"]) == pytest.approx(metrics["AP"], abs=5e-5)
    assert float(found["AR100"]) == pytest.approx(metrics["AR100"], abs=5e-5)
    assert {"AP of red", "AP of blue"} <= found.keys()
    predictions = json.loads(checkpoint.with_name("predictions.json").read_text())
    assert len(pd.read_csv(tmp_path / "o.csv")) == len(predictions)


def test_evaluate_takes_a_split_of_a_folder_and_another_numbering(checkpoint: Path, pictures: Path, capsys):
    """The same pictures, whose file numbers the classes the other way round and holds them by name."""
    content = json.loads((pictures / "all.json").read_text())
    content["categories"] = [{"id": 7, "name": "blue"}, {"id": 9, "name": "red"}]
    for annotation in content["annotations"]:
        annotation["category_id"] = {2: 9, 5: 7}[annotation["category_id"]]
    (pictures / "all.json").unlink()
    images = content["images"]
    for name, part in {"train": images[:4], "val": images[4:6], "test": images[6:]}.items():
        ids = {image["id"] for image in part}
        own = [a for a in content["annotations"] if a["image_id"] in ids]
        (pictures / f"{name}.json").write_text(json.dumps(content | {"images": part, "annotations": own}))
    assert run(evaluate, "evaluate", checkpoint, pictures, "--split", "train") == 0
    found = figures(capsys)
    assert found["split       train       of train.json (annotation"] == "files)"
    assert found["images"] == "4"
    assert float(found["AP50"]) > 0.9


def test_evaluate_refuses_classes_that_the_detector_does_not_know(checkpoint: Path, pictures: Path):
    content = json.loads((pictures / "all.json").read_text())
    content["categories"][0]["name"] = "green"
    (pictures / "all.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="class 'green' is none of the 2 that the checkpoint was trained on"):
        run(evaluate, "evaluate", checkpoint, pictures / "all.json")


def test_a_name_that_is_not_packed_is_told_in_a_sentence(checkpoint: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="voc6: is no folder or COCO file, and no data set that is packed"):
        run(evaluate, "evaluate", checkpoint, "voc6")


@pytest.mark.parametrize(("orientation", "stored"), [(6, Transpose.ROTATE_90), (3, Transpose.ROTATE_180)])
def test_a_turned_photograph_is_seen_as_it_is_shown(
    checkpoint: Path, pictures: Path, tmp_path: Path, orientation: int, stored: Transpose
):
    """Stored otherwise, with the tag that says so, the same boxes and scores come of every command."""
    before, after = tmp_path / "before", tmp_path / "after"
    test = secret(pictures)
    for out in (before, after):
        table, results = out.with_suffix(".csv"), out.with_suffix(".json")
        assert run(predict, "predict", checkpoint, pictures / "images", "--csv", table) == 0
        assert run(submit, "submit", checkpoint, pictures, "--annotations", test, "--out", results) == 0
        exif = Image.Exif()
        exif[0x0112] = orientation
        for path in (pictures / "images").iterdir():
            Image.open(path).transpose(stored).save(path, exif=exif)
    for suffix in (".csv", ".json"):
        assert before.with_suffix(suffix).read_text() == after.with_suffix(suffix).read_text()


def secret(pictures: Path, **changes: object) -> Path:
    """A test set without annotations and sizes, with ids of its own."""
    content = json.loads((pictures / "all.json").read_text())
    images = [{"id": 50 - n, "file_name": i["file_name"]} for n, i in enumerate(content["images"])]
    categories = [{"id": 1, "name": "blue"}, {"id": 4, "name": "red"}]
    path = pictures / "test.json"
    path.write_text(json.dumps({"images": images, "categories": categories} | changes))
    return path


def test_a_submission_has_the_ids_of_the_test_set_and_passes_its_check(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys
):
    """Against the run's own predictions, whose ids are others."""
    test, out = secret(pictures), tmp_path / "results.json"
    assert run(submit, "submit", checkpoint, pictures, "--annotations", test, "--out", out) == 0
    lines = json.loads(out.read_text())
    own = json.loads(checkpoint.with_name("predictions.json").read_text())
    image = {50 - n: number for n, number in enumerate(PART.ids)}
    told = [
        line | {"image_id": image[line["image_id"]], "category_id": {1: 5, 4: 2}[line["category_id"]]} for line in lines
    ]
    key = lambda line: (line["image_id"], -line["score"])  # noqa: E731
    assert sorted(told, key=key) == own
    sizes = [{"id": 50 - n, "width": 64, "height": 64} for n in range(len(PART))]
    content = json.loads(test.read_text())
    with_sizes = tmp_path / "sized.json"
    with_sizes.write_text(json.dumps(content | {"images": sizes}))
    assert run(submit, "check-submission", out, "--annotations", with_sizes, device=False) == 0


def test_of_two_categories_of_one_name_that_of_the_objects_is_meant(checkpoint: Path, pictures: Path, tmp_path: Path):
    """As of a project that is called like a class, which annotation services list as a category."""
    content = json.loads((pictures / "all.json").read_text())
    content["categories"].insert(0, {"id": 0, "name": "red", "supercategory": "none"})
    test, out = pictures / "test.json", tmp_path / "results.json"
    test.write_text(json.dumps(content))
    assert run(submit, "submit", checkpoint, pictures, "--annotations", test, "--out", out) == 0
    assert {line["category_id"] for line in json.loads(out.read_text())} == {2, 5}
    assert run(submit, "check-submission", out, "--annotations", test, device=False) == 0
    test.write_text(json.dumps(content | {"annotations": []}))
    with pytest.raises(UserError, match="two categories are called 'red', one is 0; rename one"):
        run(submit, "submit", checkpoint, pictures, "--annotations", test, "--out", out)


def test_detections_of_classes_that_a_test_set_lacks_are_left_out(
    checkpoint: Path, pictures: Path, tmp_path: Path, capsys
):
    """Detections of the others are as they would be beside them."""
    found = []
    for name, changes in (("all", {}), ("some", {"categories": [{"id": 1, "name": "blue"}]})):
        test, out = secret(pictures, **changes), tmp_path / f"{name}.json"
        assert run(submit, "submit", checkpoint, pictures, "--annotations", test, "--out", out) == 0
        found.append(json.loads(out.read_text()))
    said = capsys.readouterr().out
    assert f"{test}: no category is called red; detections of these classes are left out" in said
    assert found[1] and found[1] == [line for line in found[0] if line["category_id"] == 1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"categories": [{"id": n, "name": c} for n, c in enumerate(("blue", "Red"))]}, "unknown class 'red', did you"),
        ({"images": [{"id": 1, "file_name": "lost.png"}]}, "1 of 1 images are not below .*, first 'lost.png'"),
        ({"images": [{"id": 1}]}, "image 1 has no file_name; name its file"),
    ],
)
def test_a_test_set_that_does_not_fit_is_told_in_a_sentence(
    checkpoint: Path, pictures: Path, tmp_path: Path, changes: dict, sentence: str
):
    test = secret(pictures, **changes)
    with pytest.raises(UserError, match=sentence):
        run(submit, "submit", checkpoint, pictures, "--annotations", test, "--out", tmp_path / "o.json")


def test_a_classifier_is_no_detector(checkpoint: Path, pictures: Path, tmp_path: Path):
    receipt = checkpoint.with_name("receipt.json")
    (tmp_path / "run").mkdir()
    for path in (checkpoint, receipt):
        (tmp_path / "run" / path.name).write_bytes(path.read_bytes())
    content = json.loads(receipt.read_text())
    del content["category_ids"]
    (tmp_path / "run" / "receipt.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="is no receipt of a trained detector"):
        run(
            submit,
            "submit",
            tmp_path / "run" / checkpoint.name,
            pictures,
            "--annotations",
            secret(pictures),
            "--out",
            tmp_path / "o.json",
        )
