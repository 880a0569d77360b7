"""A probe on cached features: the same result as through the whole network, and what it refuses."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.data.load import load_features
from florilegium.models import registry
from florilegium.models.freeze import Heads, freeze, heads_of
from florilegium.models.trained import load_trained
from florilegium.stages import features as features_stage
from florilegium.stages import train as train_stage
from tests.helpers import training
from tests.helpers.stages import pack_here

SMALL = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}
VIT = Model(name="vit_tiny_patch16_224", arguments=SMALL)
DEIT = Model(name="deit_tiny_distilled_patch16_224", arguments=SMALL)
CLASS = Model(name="deit_tiny_distilled_patch16_224", arguments={**SMALL, "trained_heads": "class"})
RESNET = Model(name="resnet18", arguments={"channels": [8, 8, 8, 8], "layers": [1, 1, 1, 1]})
RECIPE = {
    "epochs": 3,
    "batch_size": 8,
    "lr": 0.05,
    "image_size": 8,
    "crop": "centre",
    "flip": 0.0,
    "freeze": ["backbone"],
    "allow_missing": ["head*", "fc.*"],
    "allow_unexpected": ["head*", "fc.*"],
}


@pytest.fixture
def workdir(tmp_path, monkeypatch) -> Path:
    """A working directory with packed pixels."""
    monkeypatch.chdir(tmp_path)
    some = training.images(60)
    pack_here(some.pixels.numpy(), some.labels.tolist(), some.names)
    return tmp_path


def first_weights(model: Model) -> None:
    """Published weights, so to say: of a head of five classes."""
    torch.manual_seed(7)
    save_file(registry.build(model, 5).state_dict(), "init.safetensors")


def call(stage, *more: str, model: Model, out: str, data: dict | None = None, **recipe: object) -> None:
    spec = {
        "data": {"dataset": "tiny", "storage_size": 8} | (data or {}),
        "model": model.model_dump(),
        "recipe": {key: value for key, value in (RECIPE | recipe).items() if value is not None},
    }
    arguments = ["--spec", json.dumps(spec), "--code", "c0de", "--seeds", "0", "--device", "cpu"]
    arguments += ["--init", "init.safetensors", "--out", out, *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stage", *arguments])
        stage.main()


IMAGES = ("--pixels", "pixels8.npy", "--images", "images.csv")
CACHED = ("--state", "state/cached", "--features", "results/cached/seed0/features")


def probe_both_ways(model: Model, data: dict | None = None) -> None:
    first_weights(model)
    call(train_stage, *IMAGES, "--state", "state/live", model=model, out="results/live", data=data)
    call(features_stage, *IMAGES, model=model, out="results/cached", data=data, epochs=None)
    call(train_stage, *CACHED, model=model, out="results/cached", data=data, features="cached")


@pytest.mark.parametrize("model", [VIT, DEIT, CLASS, RESNET], ids=["vit", "deit", "one head", "resnet"])
def test_a_cached_probe_ends_where_the_uncached_one_ends(workdir, model):
    probe_both_ways(model)
    live, cached = (Path(f"results/{way}/seed0") for way in ("live", "cached"))
    assert {p.name for p in live.iterdir()} == {p.name for p in cached.iterdir()} - {"features"}
    told, again = (pd.read_csv(run / "predictions.csv") for run in (live, cached))
    pd.testing.assert_frame_equal(told, again, atol=1e-5)
    told, again = (pd.read_csv(run / "history.csv") for run in (live, cached))
    pd.testing.assert_frame_equal(told, again, rtol=1e-4)
    weights, others = (load_file(run / "checkpoint.safetensors") for run in (live, cached))
    first = load_file("init.safetensors")
    assert weights.keys() == others.keys() == first.keys()
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=1e-4, atol=1e-5)
        if not name.startswith(("head", "fc")):
            assert torch.equal(value, first[name])
    sizes = [json.loads((run / "metrics.json").read_text()) for run in (live, cached)]
    for key in ("params", "params_trainable", "macs", "n_test", "top1", "best_epoch"):
        assert sizes[0][key] == sizes[1][key]


def test_what_a_cached_probe_leaves_is_a_whole_network(workdir):
    probe_both_ways(VIT)
    trained = load_trained(Path("results/cached/seed0/checkpoint.safetensors"))
    assert trained.classes == ("a", "b", "c") and trained.storage_size == 8
    assert trained.network(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    receipt = json.loads(Path("results/cached/seed0/receipt.json").read_text())
    features = {f"results/cached/seed0/features/features.{kind}" for kind in ("npy", "csv", "json")}
    assert set(receipt["inputs"]) == {*features, "init.safetensors"}


def test_features_keep_the_splits_as_they_were(workdir):
    data = {"train": ["train", "val"], "val": [], "choose_on_test": True}
    probe_both_ways(DEIT, data)
    splits = load_features(Path("results/cached/seed0/features"))
    assert (len(splits.train), len(splits.test)) == (48, 12)
    assert splits.val is splits.test and splits.validated_on_test
    assert splits.train.pixels.shape == (48, 2, 16) and splits.train.pixels.dtype == torch.float32


def test_features_of_another_backbone_are_refused(workdir):
    first_weights(VIT)
    call(features_stage, *IMAGES, model=VIT, out="results/cached", epochs=None)
    weights = load_file("init.safetensors")
    save_file({**weights, "norm.weight": weights["norm.weight"] + 1e-6}, "init.safetensors")
    with pytest.raises(UserError, match=r"results/cached/seed0/features: the features were made by other weights"):
        call(train_stage, *CACHED, model=VIT, out="results/cached", features="cached")


def test_heads_by_themselves_answer_like_the_network():
    network = registry.build(DEIT, 3)
    freeze(network, Recipe(epochs=1, freeze=["backbone"]))
    heads = Heads(heads_of(network, "here"))
    features = torch.randn(4, 2, 16)
    first, second = heads.train()(features)
    assert torch.equal(first, network.head(features[:, 0]))
    assert torch.equal(second, network.head_dist(features[:, 1]))
    torch.testing.assert_close(heads.eval()(features), (first + second) / 2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"freeze": []}, "features: cached needs a frozen backbone; set freeze to"),
        ({"flip": 0.5}, "flip: 0.5 has no effect on cached features; set it to 0.0"),
        ({"crop": "random_resized"}, "crop: random_resized has no effect on cached features; set it to centre"),
        ({"cutmix": 1.0}, "cutmix: 1.0 has no effect"),
        ({"drop_path": 0.1}, "drop_path: 0.1 has no effect"),
    ],
)
def test_what_would_change_from_epoch_to_epoch_cannot_be_cached(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Recipe.model_validate(RECIPE | {"features": "cached"} | changes)
