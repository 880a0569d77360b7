"""The attribution stage: from a run's folder and packed pixels to tables, arrays, pictures and receipt."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.explanation.records import AttributionRecord
from florilegium.stages import attribution
from tests.helpers.colours import CLASSES, STORED, make_run, picture

N = 12
NAMES = [f"{CLASSES[i % 3]}/{i:02d}.png" for i in range(N)]
MODULES = ["saliency", "integrated_gradients", "deeplift", "grad_cam"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run whose predictions are wrong for the second half of its images, and their pixels."""
    root = tmp_path_factory.mktemp("project")
    folder = root / "results/mini/colours/net/corrected/seed0"
    folder.mkdir(parents=True)
    make_run(folder)
    rows = [(name, CLASSES[i % 3], CLASSES[(i + i // 6) % 3], 0.5) for i, name in enumerate(NAMES)]
    table = pd.DataFrame(rows, columns=["image", "target", "prediction", "probability"])
    table.to_csv(folder / "predictions.csv", index=False)
    pixels = root / "resources/colours" / f"pixels{STORED}.npy"
    pixels.parent.mkdir(parents=True)
    np.save(pixels, np.stack([picture(i % 3, i) for i in range(N)]))
    pd.DataFrame({"image": NAMES}).to_csv(pixels.with_suffix(".csv"), index=False)
    return root


def explain(root: Path, monkeypatch: pytest.MonkeyPatch, out: str, **asked: object) -> Path:
    """Run the stage in `root`; the folder that it wrote to."""
    asked = {"images": 4, "shown": 2, "methods": MODULES, "steps": 8, **asked}
    options = {
        "checkpoint": root / "results/mini/colours/net/corrected/seed0/checkpoint.safetensors",
        "pixels": root / f"resources/colours/pixels{STORED}.npy",
        "out": root / out,
        "spec": json.dumps({"attribution": asked, "preset": "mini", "rendered": False}),
        "code": "0",
        "device": "cpu",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["attribution", *words])
    attribution.main()
    return root / out


def test_a_run_is_explained(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    out = explain(project, monkeypatch, "once", methods=[*MODULES, "attention_rollout"])
    found = AttributionRecord.load(out)
    assert list(found.methods) == MODULES and list(found.unfit) == ["attention_rollout"]
    assert found.maps.shape == (2, 4, 16, 16) and found.images.shape == (2, 16, 16, 3)
    assert found.curves.shape == (4, 6, 2, 33)
    table = found.table
    assert list(table.columns) == [
        "image", "target", "prediction", "probability", "method", "deletion",
        "insertion", "completeness_gap", "difference",
    ]  # fmt: skip
    assert list(table["method"][:6]) == [*MODULES, "random_pixels", "random_squares"]
    assert list((table["target"] == table["prediction"])[::6]) == [True, False, True, False]
    assert table["deletion"].between(0, 1).all() and table["insertion"].between(0, 1).all()
    complete = table[table["completeness_gap"].notna()]
    assert set(complete["method"]) == {"integrated_gradients", "deeplift"}
    assert (complete["completeness_gap"] <= 0.05 * complete["difference"].abs().clip(lower=0.5)).all()
    scores = pd.read_csv(out / "scores.csv")
    assert len(scores) == 12 and set(scores["n_images"]) == {4}
    assert set(read_json(out / "cost.json")["seconds_per_attribution"]) == set(MODULES)
    for name in ("image1.png", "image2.png", "scores.png"):
        with Image.open(out / name) as drawn:
            assert drawn.width > 1000
    receipt = read_json(out / "receipt.json")
    assert "attention_rollout" in receipt["unfit"]
    assert {Path(path).name for path in receipt["outputs"]} == {
        path.name for path in out.iterdir() if path.name != "receipt.json"
    }
    said = capsys.readouterr().out
    assert "deeplift: completeness gap" in said and "attention_rollout: not available" in said


def test_the_same_run_gives_the_same_bytes_but_for_its_cost(project: Path, monkeypatch: pytest.MonkeyPatch):
    asked = {"methods": ["smoothgrad", "gradient_shap"], "images": 2, "shown": 1}
    folders = [explain(project, monkeypatch, name, **asked) for name in ("first", "second")]
    for name in ("maps.npz", "attribution.csv", "scores.csv", "image1.png", "scores.png"):
        assert len({digest(folder / name) for folder in folders}) == 1, name


def test_an_image_is_explained_alike_in_whatever_company(project: Path, monkeypatch: pytest.MonkeyPatch):
    tables = [
        AttributionRecord.load(explain(project, monkeypatch, f"named{i}", names=names, methods=["smoothgrad"])).table
        for i, names in enumerate(([NAMES[5], 2], [2]))
    ]
    (both, alone) = (table[table["image"] == NAMES[2]].reset_index(drop=True) for table in tables)
    pd.testing.assert_frame_equal(both, alone)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"names": [99]}, r"attribution.names asks for image 99, and there are 12 test images"),
        ({"names": ["red/77.png"]}, r"attribution.names: unknown test image 'red/77.png'"),
        (
            {"methods": ["attention_rollout"]},
            r"attribution.methods: none fits ResNet \(attention_rollout: its blocks do not attend .*; ask for others",
        ),
    ],
)
def test_what_cannot_be_explained_is_told_in_a_sentence(
    project: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object], sentence: str
):
    with pytest.raises(UserError, match=sentence):
        explain(project, monkeypatch, "nothing", **asked)
