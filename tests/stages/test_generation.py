"""The stages of generated images, from packed pixels to samples and their judgement."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from florilegium import stages
from florilegium.audit.keeping import publish
from florilegium.audit.reading import hash_images
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from tests.helpers.audit import write
from tests.helpers.colours import CLASSES, STORED, make_run, picture
from tests.training.test_generation import ACGAN

FOLDER = Path("results/demo/colours/gan/corrected")
SAMPLES = FOLDER / "seed0" / "samples" / "plain"
IMAGES = ["--pixels", f"pixels{STORED}.npy", "--images", "images.csv"]
NAMES = [f"{split}/{name}/{i}.png" for split in ("train", "test") for name in CLASSES for i in range(4)]
DATA = {"dataset": "colours", "storage_size": STORED, "val": []}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with packed images, their hashes, and a classifier that knows them."""
    root = tmp_path_factory.mktemp("project")
    pixels = [picture(CLASSES.index(name.split("/")[1]), i) for i, name in enumerate(NAMES)]
    np.save(root / f"pixels{STORED}.npy", np.stack(pixels))
    pd.DataFrame({"image": NAMES}).to_csv(root / f"pixels{STORED}.csv", index=False)
    rows = [(name, name.split("/")[1], name.split("/")[0]) for name in NAMES]
    pd.DataFrame(rows, columns=["image", "class", "split"]).to_csv(root / "images.csv", index=False)
    (root / "images.json").write_text(json.dumps({"classes": list(CLASSES)}))
    write(root / "files", {name: Image.fromarray(image) for name, image in zip(NAMES, pixels, strict=True)})
    kept, rows, _ = hash_images(root / "files", NAMES, root / "kept")
    publish(kept, rows, root / "hashes")
    (root / "classifier").mkdir()
    make_run(root / "classifier")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        spec = {"data": DATA, "model": ACGAN.model_dump(), "recipe": {"epochs": 1, "select": "last"}}
        run("train_generator", spec, FOLDER, "--seeds", "0", "--state", "state", *IMAGES)
        spec = {"sampling": {"sampler": "direct", "per_class": 3}, "shown": 2}
        checkpoint = FOLDER / "seed0" / "checkpoint.safetensors"
        run("sample", spec, SAMPLES, "--checkpoint", str(checkpoint))
    return root


def run(name: str, spec: dict, out: Path, *options: str) -> None:
    argv = [name, "--spec", json.dumps(spec), "--code", "c0de", "--out", str(out), "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*argv, *options])
        import_module(f"{stages.__name__}.{name}").main()


def judge(out: Path = SAMPLES) -> None:
    options = ["--samples", str(SAMPLES / "samples.npy"), "--hashes", "hashes", *IMAGES]
    options += ["--generator", str(FOLDER / "seed0" / "receipt.json")]
    options += ["--classifier", "classifier/checkpoint.safetensors"]
    run("judge", {"audit": {}, "pictures": {}}, out, *options)


def test_samples_are_written_with_their_classes_and_pictures(project, monkeypatch):
    monkeypatch.chdir(project)
    assert np.load(SAMPLES / "samples.npy").shape == (9, 8, 8, 3)
    table = pd.read_csv(SAMPLES / "samples.csv", dtype=str)
    assert table["class"].tolist() == [name for name in CLASSES for _ in range(3)]
    receipt = read_json(SAMPLES / "receipt.json")
    names = {"samples.npy", "samples.csv", "grid.png", "noise.png", "animation.gif", "cost.json"}
    assert set(receipt["outputs"]) == {(SAMPLES / name).as_posix() for name in names}
    assert (receipt["seed"], receipt["device"], receipt["gpus"]) == (0, "cpu", [])
    assert receipt["classes"] == list(CLASSES)
    assert read_json(SAMPLES / "cost.json")["steps"] == 1


def test_a_judgement_counts_what_its_table_says(project, monkeypatch):
    monkeypatch.chdir(project)
    judge()
    table = pd.read_csv(SAMPLES / "neighbours.csv", keep_default_na=False)
    summary = read_json(SAMPLES / "judge.json")
    assert summary["n"] == len(table) == 9
    right = (table["class"] == table["prediction"]).mean()
    assert summary["accuracy"] == pytest.approx(right)
    assert summary["accuracy_low"] <= right <= summary["accuracy_high"]
    assert summary["copies"] == (table["copy_of"] != "").sum()
    assert summary["median_distance"] == pytest.approx(table["pixel_distance"].median(), abs=1e-6)
    assert set(table["nearest"]) <= {name for name in NAMES if name.startswith("train/")}
    outputs = read_json(SAMPLES / "judge.receipt.json")["outputs"]
    names = ("judge.json", "neighbours.csv", "neighbours.png")
    assert set(outputs) == {(SAMPLES / name).as_posix() for name in names}


def test_a_judge_of_other_classes_is_refused(project, monkeypatch):
    monkeypatch.chdir(project)
    receipt = Path("classifier/receipt.json")
    content = receipt.read_text()
    receipt.write_text(json.dumps(json.loads(content) | {"classes": ["x", "y", "z"]}))
    try:
        with pytest.raises(UserError, match=r"knows other classes than the generator makes"):
            judge(Path("elsewhere"))
    finally:
        receipt.write_text(content)
    assert not Path("elsewhere").exists()
