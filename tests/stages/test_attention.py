"""The attention stage: from a run's folder and packed pixels to arrays, table, pictures and receipt."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json
from florilegium.core.receipts import write_receipt
from florilegium.explanation.records import AttentionRecord, NodeRecord
from florilegium.models import registry
from florilegium.models.weights import save
from florilegium.stages import attention

SIDE, N = 20, 12
VIT = Model(
    name="vit_tiny_patch16_224",
    arguments={"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2},
)
NODES = Model(
    name="cifar_resnet18_attention",
    arguments={"img_size": 32, "widths": [4, 4, 4, 8], "blocks": [1, 1, 1, 1], "heads": 2},
)
RESNET = Model(name="resnet18", arguments={"layers": [1, 1, 1, 1], "channels": [4, 4, 4, 4]})
NAMES = [f"jpg/image_{i:04d}.jpg" for i in range(N)]


def make_run(root: Path, model: Model) -> Path:
    """The folder of a run that trained for no time, below a preset's results."""
    folder = root / "results/mini/norms/vit/corrected/seed0"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    save(registry.build(model, 3).state_dict(), folder / "checkpoint.safetensors")
    pd.DataFrame({"image": NAMES[2:], "target": "red"}).to_csv(folder / "predictions.csv", index=False)
    write_receipt(
        folder / "receipt.json",
        stage="train",
        spec={"data": {"storage_size": SIDE}},
        code="0",
        inputs=[],
        outputs=[folder / "checkpoint.safetensors"],
        started=time.time(),
        classes=["red", "green", "blue"],
        input=asdict(registry.input_config(model, Recipe(epochs=1, image_size=model.arguments.get("img_size", 16)))),
        model=model.model_dump(mode="json"),
    )
    return folder


def make_pixels(root: Path) -> Path:
    path = root / "resources/colours" / f"pixels{SIDE}.npy"
    path.parent.mkdir(parents=True)
    np.save(path, np.random.default_rng(0).integers(0, 255, (N, SIDE, SIDE, 3), dtype=np.uint8))
    pd.DataFrame({"image": NAMES}).to_csv(path.with_suffix(".csv"), index=False)
    return path


def look(root: Path, monkeypatch: pytest.MonkeyPatch, model: Model = VIT, **asked: object) -> Path:
    """Run the stage in `root`; the folder that it wrote to."""
    folder = make_run(root, model)
    pixels = make_pixels(root)
    blocks = {} if asked.get("of") == "nodes" else {"blocks": [0, 1]}
    spec = {"attention": {**blocks, **asked}, "preset": "mini", "rendered": False}
    options = {
        "checkpoint": folder / "checkpoint.safetensors",
        "pixels": pixels,
        "out": folder / "attention",
        "spec": json.dumps(spec),
        "code": "0",
        "device": "cpu",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["attention", *words])
    attention.main()
    return folder / "attention"


def test_a_run_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = look(tmp_path, monkeypatch, images=4, shown=3)
    found = AttentionRecord.load(out)
    assert found.maps.shape == (2, 17, 17) and found.maps.dtype == np.float16
    np.testing.assert_allclose(found.maps.astype(float).sum(-1), 1, atol=5e-3)
    assert found.rollout.shape == (3, 4, 4) and found.images.shape == (3, 16, 16, 3)
    assert list(found.names) == [NAMES[2], NAMES[5], NAMES[8]]  # of ten test images, evenly spread
    packed = np.load(tmp_path / "resources/colours" / f"pixels{SIDE}.npy")
    assert found.images.shape[1] == 16 and abs(found.images[0].mean() - packed[2].mean()) < 5
    table = found.table
    assert list(table.columns) == [
        "block", "head", "entropy", "entropy_share", "diagonal", "n_images", "entropy_uniform", "diagonal_uniform",
    ]  # fmt: skip
    assert len(table) == 4 and set(table["n_images"]) == {4}
    assert table["entropy_share"].between(0, 1).all() and table["diagonal"].between(0, 1).all()
    for name in ("maps.png", "rollout.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 1000
    receipt = read_json(out / "receipt.json")
    assert {Path(path).name for path in receipt["inputs"]} == {
        "checkpoint.safetensors",
        "receipt.json",
        "predictions.csv",
        f"pixels{SIDE}.npy",
        f"pixels{SIDE}.csv",
    }
    assert {Path(path).name for path in receipt["outputs"]} == {"maps.npz", "attention.csv", "maps.png", "rollout.png"}


def test_a_head_of_attention_over_nodes_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = look(tmp_path, monkeypatch, NODES, of="nodes", images=6, shown=2)
    found = NodeRecord.load(out)
    assert found.maps.shape == (2, 2, 4, 4) and found.images.shape == (2, 32, 32, 3)
    assert set(found.table["n_images"]) == {6} and (found.table["same_first"] == 1).all()
    outputs = {Path(path).name for path in read_json(out / "receipt.json")["outputs"]}
    assert outputs == {"maps.npz", "attention.csv", "nodes.png"}


def test_all_test_images_are_taken_where_there_are_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert set(AttentionRecord.load(look(tmp_path, monkeypatch)).table["n_images"]) == {N - 2}


def test_the_same_run_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folders = [look(tmp_path / name, monkeypatch) for name in ("once", "again")]
    for name in ("maps.npz", "attention.csv", "maps.png", "rollout.png"):
        assert len({digest(folder / name) for folder in folders}) == 1, name


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"blocks": [0, 9]}, r"asks for block 9, and the network has 2 blocks; .* up to 1"),
        ({"head": 2}, r"attention.head asks for head 2, and the network has 2 heads"),
    ],
)
def test_what_the_network_has_not_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object], sentence: str
):
    with pytest.raises(UserError, match=sentence):
        look(tmp_path, monkeypatch, **asked)


def test_a_network_without_attention_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="ResNet does not attend"):
        look(tmp_path, monkeypatch, RESNET)
