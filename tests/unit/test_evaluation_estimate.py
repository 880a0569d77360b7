"""GPU hours before anything runs: operations against counts by hand, and the table."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse, Model
from florilegium.evaluation.estimate import work_of
from florilegium.stages import estimate as stage

VIT = Model(name="vit_tiny_patch16_224", arguments={"img_size": 32, "depth": 2})
IMAGES = {"train": 1000, "val": 100, "test": 200}
DATA = DataUse(dataset="roses")


def work(recipe: dict | None = None, data: DataUse = DATA, cached: bool = False):
    made = Recipe.model_validate({"epochs": 10, "batch_size": 50} | (recipe or {}))
    return work_of(VIT, made, data, IMAGES, 5, cached=cached)


def test_training_costs_three_passes_and_judging_one():
    found = work()
    assert (found.train_images, found.judged_images) == (10 * 1000, 10 * 100 + 2 * 200 + 1000)
    assert found.operations == pytest.approx(2 * found.macs * (3 * 10_000 + 2_400))


def test_what_is_frozen_costs_no_backward_pass():
    probe = work({"freeze": ["backbone"]})
    assert probe.params_trainable == 192 * 5 + 5
    assert probe.operations == pytest.approx(2 * probe.macs * (10_000 + 2_400), rel=0.01)
    half = work({"freeze_blocks": 1})
    assert probe.operations < half.operations < work().operations


def test_cached_features_cost_one_pass_over_all_images():
    assert work(cached=True).operations == pytest.approx(2 * work().macs * 1300)


def test_an_epoch_of_steps_and_tests_that_choose_are_counted():
    data = DataUse(dataset="roses", train=["train", "val"], val=[], choose_on_test=True)
    found = work({"epoch_steps": 100}, data)
    assert (found.train_images, found.judged_images) == (10 * 100 * 50, 10 * 200 + 2 * 200 + 1100)


def test_the_table_says_hours_by_study_and_what_it_assumes(tmp_path, monkeypatch):
    entry = {"images": IMAGES, "classes": 5, "model": VIT.model_dump(), "data": {"dataset": "roses"}}
    entry |= {"recipe": {"epochs": 10, "batch_size": 50}, "cached": False, "runs": 3}
    keys = ("bloom/a/corrected", "bloom/a/slow", "wilt/b/corrected")
    card = {"name": "a card", "teraflops": 100.0, "share": 0.5}
    spec = {"preset": "paper", "card": card, "experiments": [{"experiment": key, **entry} for key in keys]}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x", "--spec", "spec.json", "--code", "c0de", "--out", "gpu_hours.csv"])
    stage.main()
    table = pd.read_csv("gpu_hours.csv")
    assert table.gpu_hours[0] == pytest.approx(3 * work().operations / 50e12 / 3600, abs=1e-4)
    told = Path("gpu_hours.txt").read_text()
    assert "for one a card at 50% of 100 TFLOP/s" in told
    assert [line.split()[:3] for line in told.splitlines() if line.startswith(("bloom", "wilt", "all"))] == [
        ["bloom", "2", "6"],
        ["wilt", "1", "3"],
        ["all", "3", "9"],
    ]
