"""The training stage, from packed pixels to the files of a run's folder."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from florilegium.config.data import DataUse, Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.core.files import digest
from florilegium.data.augment import EvalTransform
from florilegium.data.load import load_splits
from florilegium.evaluation.classification import evaluate
from florilegium.models import registry
from florilegium.stages import train as stage
from florilegium.training import machine, run
from florilegium.training.loop import fit
from florilegium.training.state import StateFolder
from tests.helpers import training
from tests.helpers.stages import pack_here
from tests.helpers.training import CONFIG, CPU

SPEC = {
    "data": {"dataset": "tiny", "storage_size": 8},
    "model": {"name": "tiny", "arguments": {}},
    "recipe": {"epochs": 3, "batch_size": 8, "lr": 0.1},
}
FILES = {"metrics.json", "history.csv", "predictions.csv", "cost.json", "checkpoint.safetensors", "receipt.json"}


@pytest.fixture
def workdir(tmp_path, monkeypatch) -> Path:
    """A working directory with packed pixels, in which every model is the tiny network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "input_config", lambda *_: CONFIG)
    monkeypatch.setattr(registry, "build", lambda *_, **__: training.network(seed=torch.initial_seed() % 1000))
    monkeypatch.setattr(registry, "adapter", lambda _: None)
    some = training.images(60)
    pack_here(some.pixels.numpy(), some.labels.tolist(), some.names)
    return tmp_path


def call(*more: str, spec: dict = SPEC, seeds: tuple[int, ...] = (0,), out: str = "results/arm") -> None:
    arguments = ["--spec", json.dumps(spec), "--code", "c0de", "--seeds", *map(str, seeds)]
    arguments += ["--pixels", "pixels8.npy", "--images", "images.csv", "--device", "cpu"]
    arguments += ["--out", out, "--state", f"state/{Path(out).name}", *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train", *arguments])
        stage.main()


def with_recipe(**changes: object) -> dict:
    return {**SPEC, "recipe": SPEC["recipe"] | changes}


def read(path: str) -> dict:
    return json.loads(Path(path).read_text())


def test_a_folder_holds_what_the_contract_says(workdir):
    call("--tensorboard", "logs/arm")
    folder = Path("results/arm/seed0")
    assert {p.name for p in folder.iterdir()} == FILES
    history = pd.read_csv(folder / "history.csv")
    assert list(history) == ["epoch", "lr", "train_loss", "train_top1", "val_loss", "val_top1"]
    assert history["epoch"].tolist() == [1, 2, 3]
    predictions = pd.read_csv(folder / "predictions.csv")
    assert list(predictions) == ["image", "target", "prediction", "probability"]
    assert (predictions["target"] == predictions["image"].str[0]).all()
    metrics = read("results/arm/seed0/metrics.json")
    assert metrics["n_test"] == len(predictions) == 12
    assert metrics["top1"] == pytest.approx((predictions["target"] == predictions["prediction"]).mean())
    assert metrics["epochs"] == 3
    assert metrics["diverged"] is False
    assert metrics["checkpoint_bytes"] == (folder / "checkpoint.safetensors").stat().st_size
    assert metrics["params"] == sum(p.numel() for p in training.network().parameters())
    assert set(metrics) >= {"loss", "top5", "last_top1", "train_top1", "best_epoch", "params_trainable", "macs"}
    cost = read("results/arm/seed0/cost.json")
    assert set(cost) == {
        "device",
        "precision",
        "threads",
        "seconds_total",
        "seconds_per_epoch",
        "seconds_validation",
        "seconds_evaluation",
        "train_images_per_second",
        "peak_memory_bytes",
    }


def test_the_checkpoint_gives_the_figures_that_stand_beside_it(workdir):
    call()
    network = training.network()
    network.load_state_dict(load_file("results/arm/seed0/checkpoint.safetensors"))
    splits = load_splits(DataUse(dataset="tiny", storage_size=8), pixels=Path("pixels8.npy"), images=Path("images.csv"))
    scores = evaluate(network, splits.test, EvalTransform(CONFIG), batch_size=5, device=CPU)
    metrics = read("results/arm/seed0/metrics.json")
    assert metrics["top1"] == scores.top1
    assert metrics["loss"] == pytest.approx(scores.loss, rel=1e-5)
    best = pd.read_csv("results/arm/seed0/history.csv").iloc[metrics["best_epoch"] - 1]
    scores = evaluate(network, splits.val, EvalTransform(CONFIG), batch_size=5, device=CPU)
    assert best["val_top1"] == scores.top1


def test_the_receipt_says_all_that_prediction_needs(workdir):
    call()
    receipt = read("results/arm/seed0/receipt.json")
    assert receipt["classes"] == ["a", "b", "c"]
    assert receipt["input"] == {
        "size": 8,
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
    }
    assert receipt["model"] == {"name": "tiny", "arguments": {}}
    assert receipt["seed"] == 0
    assert receipt["resumed_from"] is None
    assert receipt["determinism"]["guaranteed"].startswith("the same bits on the same kind of CPU")
    assert set(receipt["inputs"]) == {"pixels8.npy", "pixels8.csv", "images.csv", "images.json"}
    assert set(receipt["outputs"]) == {f"results/arm/seed0/{name}" for name in FILES - {"receipt.json"}}
    assert receipt["warnings"] == []


def test_a_repeated_run_gives_the_same_bytes_but_for_clock_and_receipt(workdir):
    call(seeds=(0, 1))
    call(out="results/again")
    for name in FILES - {"cost.json", "receipt.json"}:
        assert digest(f"results/arm/seed0/{name}") == digest(f"results/again/seed0/{name}")
    assert digest("results/arm/seed0/history.csv") != digest("results/arm/seed1/history.csv")


def test_a_stage_that_dies_takes_over_the_seeds_that_were_finished(workdir, monkeypatch):
    """Though a workflow deletes all that a failed job has made."""
    call(seeds=(0, 1), out="results/whole")
    trained = []

    def dying(network, *arguments, seed, **more):
        if seed == 1 and not trained:
            trained.append(seed)
            raise KeyboardInterrupt
        return fit(network, *arguments, seed=seed, **more)

    monkeypatch.setattr(run, "fit", dying)
    with pytest.raises(KeyboardInterrupt):
        call(seeds=(0, 1))
    made = digest("results/arm/seed0/receipt.json")
    shutil.rmtree("results/arm")
    call(seeds=(0, 1))
    assert not list(Path("state").rglob("state.pt"))
    assert digest("results/arm/seed0/receipt.json") == made
    for seed in (0, 1):
        for name in ("metrics.json", "history.csv", "checkpoint.safetensors"):
            assert digest(f"results/arm/seed{seed}/{name}") == digest(f"results/whole/seed{seed}/{name}")


def test_a_diverged_run_writes_every_file(workdir):
    call(spec=with_recipe(lr=1e30))
    metrics = read("results/arm/seed0/metrics.json")
    assert metrics["diverged"] is True
    assert metrics["diverged_epoch"] == 1
    assert {p.name for p in Path("results/arm/seed0").iterdir()} == FILES
    assert read("results/arm/seed0/receipt.json")["warnings"] == ["training diverged in epoch 1"]
    assert all(t.isfinite().all() for t in load_file("results/arm/seed0/checkpoint.safetensors").values())


def test_first_weights_of_the_same_seed_are_taken(workdir):
    call(seeds=(0, 1), out="results/first")
    frozen = with_recipe(epochs=1, lr=1e-30, select="last")
    call("--init", "results/first/seed{seed}/checkpoint.safetensors", spec=frozen, seeds=(1,))
    first, second = (load_file(f"results/{arm}/seed1/checkpoint.safetensors")["5.weight"] for arm in ("first", "arm"))
    assert torch.equal(first, second)
    assert "results/first/seed1/checkpoint.safetensors" in read("results/arm/seed1/receipt.json")["inputs"]


@pytest.mark.parametrize("changed", ["spec", "code", "input", "init"])
def test_the_fingerprint_of_a_state_changes_with(workdir, changed):
    Path("w.pt").write_bytes(b"1")

    def fingerprint(seed: int = 0) -> str:
        run._digest.cache_clear()
        parts = {"data": DataUse(**spec["data"]), "model": Model(**spec["model"])}
        recipe = Recipe(**spec["recipe"])
        some = run.Job(spec, **parts, recipe=recipe, code=code, inputs=(Path("images.csv"),), init="w.pt",
                       out=Path("o"), state=Path("s"), tensorboard=None, device=CPU)  # fmt: skip
        return some.fingerprint(seed)

    spec, code = SPEC, "c0de"
    before = fingerprint()
    assert fingerprint(seed=1) != before
    if changed == "spec":
        spec = with_recipe(lr=0.2)
    elif changed == "code":
        code = "0ther"
    else:
        Path("images.csv" if changed == "input" else "w.pt").write_text("other")
    assert fingerprint() != before


@pytest.mark.parametrize("fingerprint", ["same", "other"])
def test_a_run_that_was_killed_after_it_was_kept_leaves_no_state(workdir, monkeypatch, fingerprint):
    """Its copy is taken over. The state of another configuration is set aside, as ever."""
    with monkeypatch.context() as patch:
        patch.setattr(StateFolder, "clear", lambda _: None)  # it was killed before
        call()
    if fingerprint == "other":
        file = Path("state/arm/seed0/state.pt")
        torch.save(torch.load(file, weights_only=True) | {"fingerprint": "other"}, file)
    metrics = read("results/arm/seed0/metrics.json")
    shutil.rmtree("results")
    call()
    assert read("results/arm/seed0/metrics.json") == metrics
    assert not Path("state/arm/seed0").exists()
    assert Path("state/arm/seed0.stale-1").exists() == (fingerprint == "other")


def test_event_files_hold_the_history_once(workdir):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for out in ("results/arm", "results/again"):
        call("--tensorboard", "logs/arm", out=out)
    (file,) = Path("logs/arm/seed0").iterdir()
    found = {}
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            found[(event.step, value.tag)] = value.tensor.float_val[0]
    history = pd.read_csv("results/arm/seed0/history.csv")
    assert len(found) == 3 * 5
    assert found[(2, "loss/train")] == pytest.approx(history["train_loss"][1], rel=1e-6)
    assert found[(3, "top1/val")] == pytest.approx(history["val_top1"][2], rel=1e-6)


def test_trackers_name_a_run_by_preset_study_experiment_arm_and_seed(workdir, monkeypatch):
    names = []
    monkeypatch.setattr(run, "trackers_of", lambda name, *_: names.append(name))
    call(out="results/demo/study/net/corrected", seeds=(3,))
    assert names == ["demo/study/net/corrected/seed3"]


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device: torch finds no 'cuda' on this machine; set device to auto or cpu"):
        machine.pick_device("cuda")
    assert machine.pick_device("cpu") == CPU


def test_the_process_takes_the_threads_of_the_recipe():
    before = torch.get_num_threads()
    machine.configure(CPU, 2)
    assert torch.get_num_threads() == 2
    machine.configure(CPU, before)


@pytest.mark.parametrize(("native", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_automatic_precision_is_what_the_processor_multiplies_in(workdir, monkeypatch, native, chosen):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    call(spec=with_recipe(precision="auto"))
    assert read("results/arm/seed0/cost.json")["precision"] == chosen
    assert read("results/arm/seed0/receipt.json")["spec"]["recipe"]["precision"] == "auto"
