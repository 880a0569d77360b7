"""The learning-rate finder: the range test and the rate that it suggests."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from florilegium.config.data import DataUse, Model
from florilegium.core.errors import UserError
from florilegium.training.classification import task_of
from florilegium.training.lr_finder import exponential, range_test, smoothed, suggest
from florilegium.training.run import Job
from tests.helpers.training import CONFIG, CPU, network, recipe, splits


def test_rates_rise_by_equal_ratios_from_end_to_end():
    rates = exponential(1e-4, 1.0, 5)
    assert rates == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])


def test_the_smoothed_loss_is_a_moving_average_that_starts_unbiased():
    found = smoothed([2.0, 4.0, 1.0], 40)  # remembers 4 steps: decay 3/4
    weights = [[1.0], [0.75, 1.0], [0.75**2, 0.75, 1.0]]
    expected = [np.average([2.0, 4.0, 1.0][: len(w)], weights=w) for w in weights]
    assert found == pytest.approx(expected)


def curve(losses: list[float]) -> pd.DataFrame:
    steps = len(losses)
    return pd.DataFrame({"lr": exponential(1e-4, 1.0, steps), "loss": losses, "smoothed": losses})


def test_the_steepest_part_is_suggested_and_neither_the_lowest_nor_a_later_fall():
    x = np.linspace(-4, 0, 101)
    valley = 2 - 1.5 / (1 + np.exp(-8 * (x + 2.0)))  # falls fastest at 1e-2 and is lowest from about 1e-1 on
    valley[90:] = np.linspace(9, 3, 11)  # blows up and falls again, faster than before
    assert suggest(curve(list(valley)), recipe(finder_steps=101)) == pytest.approx(1e-2, rel=0.05)


@pytest.mark.parametrize("losses", [[2.3] * 30, list(np.linspace(2, 5, 30)), [2.3, *[2.295] * 29], [float("nan")] * 2])
def test_a_loss_that_never_falls_is_one_clear_sentence(losses):
    with pytest.raises(UserError, match=r"lr = from_finder: the loss never fell between the rates .* widen"):
        suggest(curve(losses), recipe(finder_steps=30))


def taken(**changes: object) -> pd.DataFrame:
    how = recipe(finder_rates=[1e-4, 100.0], finder_steps=40, momentum=0.0, **changes)
    data = splits(train=26)
    return range_test(network(), task_of(data, how, CONFIG, 0, CPU), how, seed=0, device=CPU)


def test_a_range_test_learns_then_breaks_and_repeats_itself_to_the_bit():
    table = taken()
    how = recipe(finder_rates=[1e-4, 100.0], finder_steps=40)
    found = suggest(table, how)
    assert 0.01 < found < 10
    at = table.loc[(table["lr"] - found).abs().idxmin()]
    assert at["smoothed"] < table["smoothed"].iloc[0]
    pd.testing.assert_frame_equal(table, taken())


def test_a_test_ends_when_the_loss_blows_up():
    class Breaking(nn.Module):
        """Answers ever more wrongly."""

        def __init__(self) -> None:
            super().__init__()
            self.bias, self.calls = nn.Parameter(torch.zeros(3)), 0

        def forward(self, images):
            self.calls += 1
            factor = 0.0 if self.calls < 10 else 100.0
            return self.bias + factor * torch.eye(3)[torch.zeros(len(images), dtype=torch.long)]

    how = recipe(finder_rates=[1e-8, 1e-6], finder_steps=40)
    table = range_test(Breaking(), task_of(splits(), how, CONFIG, 0, CPU), how, seed=0, device=CPU)
    assert 10 <= len(table) < 20


def test_what_comes_after_the_first_steps_is_no_part_of_a_finder():
    plain = recipe()
    later = recipe(epochs=9, schedule="step", milestones=[3.0], swa_start=0.5, select="last", lr=0.3)
    assert plain.finder_uses() == later.finder_uses()
    assert plain.finder_uses() != recipe(batch_size=16).finder_uses()
    assert plain.finder_uses() != recipe(finder_steps=50).finder_uses()
    taking = recipe(lr="from_finder").used()
    assert taking["lr"] == "from_finder"
    assert taking == recipe(lr="from_finder", finder_steps=50).used()


def test_a_training_takes_the_rate_from_its_finder_s_file(tmp_path):
    (tmp_path / "seed3").mkdir()
    (tmp_path / "seed3" / "finder.json").write_text('{"suggestion": 0.07}')

    def job(finder: str | None, lr: float | str = "from_finder") -> Job:
        parts = {"data": DataUse(dataset="tiny"), "model": Model(name="tiny"), "recipe": recipe(lr=lr)}
        return Job({"recipe": {"epochs": 1, "lr": lr}}, **parts, code="code", inputs=(), init=None, out=tmp_path,
                   state=tmp_path, tensorboard=None, device=CPU, finder=finder)  # fmt: skip

    path = str(tmp_path / "seed{seed}" / "finder.json")
    assert job(path).recipe_at(3).lr == 0.07
    assert job(path, lr=0.2).recipe_at(3).lr == 0.2
    before = job(path).fingerprint(3)
    assert job(path).at(3).inputs == (tmp_path / "seed3" / "finder.json",)
    assert before != job(None).fingerprint(3)
    with pytest.raises(UserError, match="--finder"):
        job(None).recipe_at(3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lr": "from_findr"}, "from_findr"),
        ({"finder_rates": [1.0, 0.1]}, "must rise"),
        ({"finder_steps": 5}, "greater than or equal to 20"),
    ],
)
def test_what_a_finder_cannot_do_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        recipe(**changes)
