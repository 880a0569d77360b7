"""A detector in training: its batches, its objective, its run's folder, and that it learns."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from florilegium.config.base import parse
from florilegium.config.metrics import COCO_METRICS
from florilegium.config.recipes import DetectionRecipe
from florilegium.core.errors import UserError
from florilegium.core.outputs import RUN
from florilegium.data import boxed
from florilegium.data.boxed import BoxedSplits, gather
from florilegium.evaluation.coco import read_matches, score_results
from florilegium.evaluation.detection import Suppression, detect
from florilegium.models.weights import load_detector_weights, save
from florilegium.report.average_precision import coco_scores
from florilegium.stages import train_detector as stage
from florilegium.training.detection import Detection, batches_of, task_of
from florilegium.training.loop import Outcome, fit
from florilegium.training.state import StateFolder
from tests.helpers.boxed import CATEGORY_IDS, CONFIG, CPU, TINY, detector, scene_splits, scenes, truth

FILES = set(RUN["detection"])


def recipe(**changes: object) -> DetectionRecipe:
    return DetectionRecipe.model_validate({"epochs": 2, "batch_size": 4, "optimizer": "adam", "lr": 0.01} | changes)


def train(folder: Path, data: BoxedSplits, **changes: object) -> Outcome:
    network, how = detector(), recipe(**changes)
    val = None if data.val is None else truth(data.val)
    task = task_of(data, val, how, CONFIG, network.arguments.anchors, 0, CPU)
    with StateFolder(folder / "state", "same") as state:
        return fit(network, task, how, seed=0, device=CPU, state=state)


def test_a_toy_set_is_learnt_by_heart_in_seconds(tmp_path: Path):
    part = scenes(8)
    data = BoxedSplits(part, part, part, ("red", "blue"), CATEGORY_IDS)
    outcome = train(tmp_path, data, epochs=30, schedule="cosine", warmup_epochs=2.0)
    assert max(row["val_AP50"] for row in outcome.history) > 0.9
    assert outcome.history[-1]["train_loss"] < 0.2 * outcome.history[0]["train_loss"]


def test_the_history_has_both_losses_and_what_is_chosen_by(tmp_path: Path):
    outcome = train(tmp_path, scene_splits())
    row = outcome.history[-1]
    losses = ("train_loss", "train_class_loss", "train_box_loss", "val_loss")
    assert list(row) == ["epoch", "lr", *losses, *(f"val_{metric}" for metric in COCO_METRICS)]
    assert row["train_loss"] == pytest.approx(row["train_class_loss"] + row["train_box_loss"], rel=1e-5)


def test_one_seed_gives_one_run(tmp_path: Path):
    a, b = (train(tmp_path / name, scene_splits()) for name in "ab")
    assert a.history == b.history
    assert all(torch.equal(a.last_state[key], b.last_state[key]) for key in a.last_state)


# --- batches


def test_every_image_is_visited_once_an_epoch_in_batches_of_one_shape_but_for_the_rest():
    """15 pictures, 10 and 5 of two shapes: two batches and one of a shape, then the 3 that are left."""
    part = scenes(15)
    batches = batches_of(part, recipe(), seed=0)
    first, second = batches(0), batches(1)
    for epoch in (first, second):
        assert sorted(torch.cat(list(epoch)).tolist()) == list(range(15))
        assert sorted(map(len, epoch)) == [3, 4, 4, 4]
        assert all(len(part.bucket[index].unique()) == 1 for index in epoch if len(index) == 4)
    assert [i.tolist() for i in first] != [i.tolist() for i in second]
    assert [i.tolist() for i in first] == [i.tolist() for i in batches_of(part, recipe(), seed=0)(0)]
    assert [i.tolist() for i in first] != [i.tolist() for i in batches_of(part, recipe(), seed=1)(0)]


def test_drop_last_leaves_out_the_batch_that_is_not_full_and_never_all():
    assert list(map(len, batches_of(scenes(15), recipe(drop_last=True), seed=0)(0))) == [4, 4, 4]
    assert list(map(len, batches_of(scenes(3), recipe(drop_last=True), seed=0)(0))) == [3]


def test_published_groups_are_neighbours_in_shape_and_the_last_one_wraps():
    sizes = torch.tensor([[100, 150], [100, 50], [100, 100], [100, 200], [100, 75]])
    part = replace(scenes(5), sizes=sizes)
    batches = batches_of(part, recipe(batch_size=2, grouping="aspect_ratio"), seed=0)
    groups = sorted(index.tolist() for index in batches(0))
    assert groups == [[1, 4], [2, 0], [3, 1]]
    assert {tuple(i.tolist()) for i in batches(1)} == {(1, 4), (2, 0), (3, 1)}
    dropped = batches_of(part, recipe(batch_size=2, grouping="aspect_ratio", drop_last=True), seed=0)
    assert sorted(index.tolist() for index in dropped(0)) == [[1, 4], [2, 0]]


def test_a_group_larger_than_the_set_is_filled_up_by_turns():
    batches = batches_of(scenes(3), recipe(batch_size=8, grouping="aspect_ratio"), seed=0)
    assert [len(index) for index in batches(0)] == [8]


# --- objective


@pytest.mark.parametrize("normaliser", ["batch", "image"])
def test_a_loss_in_parts_is_the_loss_of_the_whole(normaliser: str):
    """So that accumulation, and a step that is made again in smaller parts, change nothing."""
    part = replace(scenes(5), boxes=(*scenes(5).boxes[:4], torch.zeros(0, 4)))
    part = replace(part, labels=(*part.labels[:4], torch.zeros(0, dtype=torch.int64)))
    network = detector()
    torch.nn.init.normal_(network.class_head.answer.weight)
    torch.nn.init.normal_(network.box_head.answer.weight)
    objective = Detection(recipe(normaliser=normaliser), CONFIG, network.arguments.anchors)
    prepared = objective.prepare(gather(part, torch.tensor([0, 1, 2, 4])))
    whole, sums = objective.loss(network, prepared, slice(0, 4))
    first, other = (objective.loss(network, prepared, p) for p in (slice(0, 1), slice(1, 4)))
    assert whole.item() == pytest.approx((first[0] + 3 * other[0]).item() / 4, rel=1e-5)
    assert sums.tolist() == pytest.approx((first[1] + other[1]).tolist(), rel=1e-5)
    assert sums[0].item() == pytest.approx(4 * whole.item(), rel=1e-5)


def test_flips_follow_the_seed_and_the_recipe():
    network = detector()
    batch = gather(scenes(4), torch.tensor([0, 3]))
    for flip, same in ((0.0, True), (1.0, False)):
        objective = Detection(recipe(flip=flip), CONFIG, network.arguments.anchors)
        plain = Detection(recipe(flip=0.0), CONFIG, network.arguments.anchors)
        copies = [replace(batch, pixels=batch.pixels.clone()) for _ in range(2)]
        images = objective.prepare(copies[0]).images
        assert torch.equal(images, plain.prepare(copies[1]).images) == same


def test_the_validation_loss_is_what_training_would_have_had(tmp_path: Path):
    """Before the first step, without flips, on the training images themselves in one batch."""
    part = scenes(4, objects=1)
    data = BoxedSplits(part, part, part, ("red", "blue"), CATEGORY_IDS)
    how = recipe(epochs=1, lr=1e-12, flip=0.0, normaliser="image")
    network = detector()
    task = task_of(data, truth(part), how, CONFIG, network.arguments.anchors, 0, CPU)
    with StateFolder(tmp_path / "state", "same") as state:
        (row,) = fit(network, task, how, seed=0, device=CPU, state=state).history
    assert row["val_loss"] == pytest.approx(row["train_loss"], rel=1e-4)


# --- recipe


def test_milestones_follow_the_length_of_the_run():
    how = recipe(epochs=18, schedule="step", relative_milestones=[2 / 3, 8 / 9])
    assert how.milestones == (12.0, 16.0)
    again = parse(DetectionRecipe, how.used(), "spec")
    assert again == how
    assert not {"milestones", "relative_milestones"} & recipe(schedule="cosine").used().keys()


# --- first weights


def test_a_classifier_is_a_start_for_the_backbone_and_a_detector_for_all(tmp_path: Path):
    source, target = detector(seed=1), detector(seed=2)
    classifier = source.backbone.state_dict() | {"fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}
    save(classifier, tmp_path / "classifier.safetensors")
    before = target.class_head.layers[0][0].weight.clone()
    load_detector_weights(target, tmp_path / "classifier.safetensors")
    assert torch.equal(target.backbone.conv1.weight, source.backbone.conv1.weight)
    assert torch.equal(target.class_head.layers[0][0].weight, before)
    save(source.state_dict(), tmp_path / "detector.safetensors")
    load_detector_weights(target, tmp_path / "detector.safetensors")
    assert torch.equal(target.class_head.layers[0][0].weight, source.class_head.layers[0][0].weight)


def test_batch_normalised_weights_fit_frozen_statistics_and_not_groups(tmp_path: Path):
    source = detector(norm="bn")
    source.backbone.bn1.running_mean.fill_(3.0)
    save(source.backbone.state_dict(), tmp_path / "c.safetensors")
    frozen = detector(norm="frozen_bn")
    load_detector_weights(frozen, tmp_path / "c.safetensors")
    assert frozen.backbone.bn1.running_mean.unique().tolist() == [3.0]
    with pytest.raises(UserError, match=r"holds unexpected bn1\.running_mean"):
        load_detector_weights(detector(norm="gn"), tmp_path / "c.safetensors")


# --- the stage


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose packed scenes are the tiny ones."""
    monkeypatch.chdir(tmp_path)
    for name in ("scenes64-96-least.npy", "scenes64-96-least.csv", "annotations.json"):
        Path(name).write_text(name)
    data = scene_splits()
    monkeypatch.setattr(stage, "load_boxed", lambda *_, **__: data)
    monkeypatch.setattr(boxed, "coco_ground_truth", lambda part, _: truth(part))
    return tmp_path


def call(out: str = "results/arm", *more: str, seeds: tuple[int, ...] = (0,), **changes: object) -> Path:
    spec = {
        "data": {"dataset": "tiny", "short_side": 64, "long_side": 96},
        "model": {"name": "retinanet_resnet18", "arguments": TINY},
        "recipe": recipe(**changes).used(),
    }
    arguments = ["--spec", json.dumps(spec), "--code", "c0de", "--seeds", *map(str, seeds)]
    arguments += ["--pixels", "scenes64-96-least.npy", "--annotations", "annotations.json", "--device", "cpu"]
    arguments += ["--out", out, "--state", f"state/{Path(out).name}", *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train_detector", *arguments])
        stage.main()
    return Path(out) / "seed0"


def test_a_folder_holds_what_the_contract_says(workdir: Path):
    folder = call(epochs=3)
    assert {p.name for p in folder.iterdir()} == FILES | {"receipt.json"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(COCO_METRICS) <= metrics.keys()
    detail = json.loads((folder / "detection.json").read_text())
    assert detail["last"]["overall"]["AP"] == metrics["last_AP"]
    assert detail["last"].keys() == {*detail, "overall"} - {"last"}
    assert metrics["n_test"] == 5
    assert metrics["params"] == sum(p.numel() for p in detector().parameters())
    assert metrics["macs"] > 0
    assert (metrics["epochs"], metrics["diverged"]) == (3, False)
    assert metrics["APl"] is None
    history = pd.read_csv(folder / "history.csv")
    assert list(history)[:3] == ["epoch", "lr", "train_loss"]
    receipt = json.loads((folder / "receipt.json").read_text())
    assert receipt["classes"] == ["red", "blue"]
    assert receipt["category_ids"] == list(CATEGORY_IDS)
    assert set(receipt["outputs"]) == {f"results/arm/seed0/{name}" for name in FILES}
    assert set(receipt["inputs"]) == {"scenes64-96-least.npy", "scenes64-96-least.csv", "annotations.json"}


def test_a_run_repeated_gives_the_same_bytes_but_for_time(workdir: Path):
    first, again = call("results/a"), call("results/b")
    for name in FILES - {"cost.json"}:
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_figures_are_those_of_the_checkpoint_and_of_the_predictions(workdir: Path):
    folder = call(epochs=6)
    predictions = json.loads((folder / "predictions.json").read_text())
    metrics = json.loads((folder / "metrics.json").read_text())
    part = scene_splits().test
    assert score_results(truth(part), predictions).overall == {name: metrics[name] for name in COCO_METRICS}
    network = detector(seed=5)
    load_detector_weights(network, folder / "checkpoint.safetensors")
    answers = detect(network, part, CONFIG_OF_THE_MODEL, Suppression(), category_ids=CATEGORY_IDS, device=CPU)
    assert answers.results == predictions


def test_matches_give_the_figures_again(workdir: Path):
    folder = call(epochs=6)
    metrics = json.loads((folder / "metrics.json").read_text())
    found = read_matches(folder / "matches.npz")
    assert (found.classes, found.n_images) == (("red", "blue"), 5)
    assert found.images == read_matches(call("results/other", epochs=1) / "matches.npz").images
    assert metrics["AP"] > 0
    assert coco_scores(found) == pytest.approx({name: metrics[name] for name in COCO_METRICS}, abs=1e-9)


CONFIG_OF_THE_MODEL = replace(CONFIG, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_findings_hold_curves_classes_and_errors(workdir: Path):
    found = json.loads((call() / "detection.json").read_text())
    assert found["classes"] == ["red", "blue"] and set(found["by_class"]) == {"red", "blue"}
    assert len(found["recall"]) == 101
    counts, part = found["errors"]["counts"], scene_splits().test
    assert counts["correct"] + counts["missed"] <= sum(map(len, part.boxes))
    assert [len(row) for row in found["errors"]["confusion"]] == [3, 3, 3]


def test_a_run_that_diverges_is_a_result_with_zeros(workdir: Path):
    metrics = json.loads((call(lr=1e30, select="last") / "metrics.json").read_text())
    assert metrics["diverged"] is True
    assert metrics["AP"] == 0
    assert json.loads(Path("results/arm/seed0/predictions.json").read_text()) == []


def test_a_recipe_key_changes_the_run(workdir: Path):
    """Each of the study's knobs reaches the training."""
    plain = (call("results/plain", epochs=1) / "history.csv").read_text()
    knobs: list[dict] = [
        {"focal_alpha": 0.75},
        {"focal_gamma": 0.0},
        {"normaliser": "image"},
        {"grouping": "aspect_ratio"},
        {"batch_size": 2},
        {"low_quality_matches": False},
        {"flip": 0.0},
    ]
    for number, knob in enumerate(knobs):
        assert (call(f"results/{number}", epochs=1, **knob) / "history.csv").read_text() != plain, knob
