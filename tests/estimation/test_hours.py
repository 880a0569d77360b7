"""GPU hours before anything runs: an arm's hours by hand, the table, and what a person is told."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from florilegium.config.study import Card
from florilegium.estimation.hours import RANGES, row, seconds, summary
from florilegium.estimation.kernels import build, kernels_of
from florilegium.estimation.passes import DETECTION_SECONDS, passes_of
from florilegium.evaluation import cost
from florilegium.stages import estimate as stage
from tests.estimation.test_passes import PROJECT, entry
from tests.helpers.h200 import measured

CARD = Card()


def test_the_hours_of_a_detector_are_its_batches_times_what_one_takes():
    found = entry(
        "detection",
        {"name": "retinanet_resnet18", "arguments": {}},
        {"epochs": 50, "batch_size": 2},
        data={"dataset": "roses"},
        images={"train": 2000, "val": 200, "test": 400},
    )
    net = passes_of(found)[0].network
    step, answer = (
        seconds(kernels_of(net, batch, trains=trains), CARD, "fp32", trains=trains)
        for batch, trains in ((2, True), (8, False))
    )
    made = row(found, CARD)
    assert made["training_hours"] == pytest.approx(3 * 50 * 1000 * step / 3600, abs=1e-4)
    judged = 50 * 25 + 2 * 50
    assert made["tests_hours"] == pytest.approx(3 * judged * (answer + 8 * DETECTION_SECONDS) / 3600, abs=1e-4)
    assert made["gpu_hours"] == pytest.approx(made["training_hours"] + made["tests_hours"], abs=2e-4)
    low, high = RANGES["detector"]
    assert made["gpu_hours_low"] == pytest.approx(made["gpu_hours"] * low, abs=1e-3)
    assert made["gpu_hours_high"] == pytest.approx(made["gpu_hours"] * high, abs=1e-3)
    assert (made["kind"], made["runs"], made["train_images"]) == ("detector", 3, 50 * 2000)
    assert (made["packed"], made["packed_bytes"]) == ("roses/scenes608-1024-least.npy", 2600 * 608 * 832 * 3)


@pytest.mark.parametrize(
    "found",
    [
        entry(recipe={"freeze": ["backbone"]}),
        entry("detection", {"name": "retinanet_resnet18", "arguments": {}}, data={"dataset": "roses"}),
        entry("generation", {"name": "acgan", "arguments": {}}, {"select": "last"}),
    ],
    ids=lambda found: found["task"],
)
def test_sizes_are_those_that_a_run_will_tell(found):
    net = passes_of(found)[0].network
    built = build(net.model, net.classes, net.frozen, net.frozen_blocks)
    made = row(found, CARD)
    told = cost.size(built, net.height, net.width)
    for key in ("params", "params_trainable", "macs"):
        assert made[key] == told[key]


def test_a_faster_card_takes_less_until_its_host_cannot_keep_up():
    found = entry(model={"name": "norm_vit_b16", "arguments": {"norm": "ln"}})
    slow = CARD.model_copy(update={"teraflops_32bit": CARD.teraflops_32bit / 4})
    fast = CARD.model_copy(update={"teraflops_32bit": CARD.teraflops_32bit * 1000})
    assert row(found, slow)["gpu_hours"] > 3 * row(found, CARD)["gpu_hours"]
    launches = kernels_of(passes_of(found)[0].network, 50, trains=True).launches
    least = 3 * 200 * launches * CARD.launch_microseconds * 1e-6 / 3600
    assert row(found, fast)["training_hours"] > least


def test_the_table_says_hours_by_study_what_they_are_spent_on_and_how_far_they_may_be_off(tmp_path, monkeypatch):
    gan = entry("generation", {"name": "acgan", "arguments": {}}, {"select": "last"}) | {"experiment": "wilt/gan/c"}
    entries = [entry() | {"experiment": key} for key in ("bloom/a/corrected", "bloom/a/slow")] + [gan]
    spec = {"preset": "paper", "card": CARD.model_dump(), "experiments": entries, "uncounted": {"weeds": 2}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x", "--spec", "spec.json", "--code", "c0de", "--out", "gpu_hours.csv"])
    stage.main()
    table = pd.read_csv("gpu_hours.csv")
    assert list(table["kind"]) == ["transformer", "transformer", "generator"]
    assert table.gpu_hours[0] == row(entries[0], CARD)["gpu_hours"]
    told = Path("gpu_hours.txt").read_text()
    assert "for one NVIDIA H200" in told
    assert [line.split()[:3] for line in told.splitlines() if line.startswith(("bloom", "wilt", "all"))] == [
        ["bloom", "2", "6"],
        ["wilt", "1", "3"],
        ["all", "3", "9"],
    ]
    assert f"roses/pixels256.npy  {1300 * 256 * 256 * 3 / 1e9:.1f}" in told
    for low, high in RANGES.values():
        assert f"{low:g} to {high:g}" in told
    (spent,) = (line for line in told.splitlines() if line.startswith("training"))
    cells = [cell.strip() for cell in spent.split("  ") if cell]
    assert cells == ["training", "< 0.1", "–", "–", "< 0.1", "< 0.1"]
    assert "weeds (2)" in told


def test_the_summary_says_how_long_the_longest_run_is_and_what_the_checkpoints_take():
    """Three runs of eight hours and three of two, of 100 and 200 million weights of four bytes."""
    arms = [row(entry(), CARD) for _ in range(2)]
    arms[0] |= {"gpu_hours": 24.0, "params": 100_000_000}
    arms[1] |= {"gpu_hours": 6.0, "params": 200_000_000, "packed": "weeds/pixels32.npy", "packed_bytes": 2_500_000_000}
    told = summary(pd.DataFrame(arms), "paper", CARD, {})
    (cells,) = (line.split() for line in told if line.startswith("all"))
    assert (cells[:4], cells[-2:]) == (["all", "2", "6", "30.0"], ["8.0", "3.6"])
    assert "weeds/pixels32.npy   2.5" in told


def test_without_any_arm_to_estimate_it_says_why(tmp_path, monkeypatch):
    spec = {"preset": "demo", "card": CARD.model_dump(), "experiments": [], "uncounted": {"demo17": 10}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x", "--spec", "spec.json", "--code", "c0de", "--out", "gpu_hours.csv"])
    stage.main()
    assert "demo17 (10)" in Path("gpu_hours.txt").read_text()


def test_the_document_has_what_was_measured_beside_what_is_estimated():
    """docs/speed.md, network by network; `python -m tests.helpers.h200` prints its table."""
    document = (PROJECT / "docs" / "speed.md").read_text(encoding="utf-8")
    missing = [one.line for one in measured() if one.line not in document]
    assert not missing
