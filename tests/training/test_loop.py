"""What a whole run does: learning, selection, early ends, divergence."""

import math

import pytest
import torch
from torch import nn

from florilegium.core.errors import UserError
from florilegium.data.load import Splits
from florilegium.training.learner import Learner
from florilegium.training.task import batches, best_epoch, exploded, steps_per_pass, stops_early
from tests.helpers.training import images, network, recipe, same_bits, splits, train

TOP1 = "val_top1"


def rows(top1: list[float], loss: list[float]) -> list[dict]:
    return [
        {"epoch": n, "val_top1": a, "val_loss": b, "train_loss": b}
        for n, (a, b) in enumerate(zip(top1, loss, strict=True), start=1)
    ]


def test_it_learns_what_can_be_learnt(tmp_path):
    outcome = train(tmp_path, epochs=12)
    first, last = outcome.history[0], outcome.history[-1]
    assert last["train_loss"] < 0.7 * first["train_loss"]
    assert last["val_top1"] == 1
    assert [row["epoch"] for row in outcome.history] == list(range(1, 13))
    assert not outcome.diverged
    assert outcome.resumed_from is None
    assert outcome.images_per_second > 0


def test_the_first_epoch_of_one_batch_reports_the_loss_of_the_first_weights(tmp_path):
    data = splits(train=8)
    outcome = train(tmp_path, data=data, net=nn.Sequential(nn.Flatten(), Zero()), epochs=1)
    assert outcome.history[0]["train_loss"] == pytest.approx(math.log(3), rel=1e-6)
    assert outcome.history[0]["train_top1"] == pytest.approx(3 / 8)  # class 0 is always answered


class Zero(nn.Linear):
    """A layer that starts at nought."""

    def __init__(self) -> None:
        super().__init__(192, 3)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}, {"crop": "padded", "randaugment": 2, "mixup": 0.5}])
def test_one_seed_gives_one_run_and_another_seed_another(tmp_path, changes):
    a, b = (train(tmp_path / name, **changes) for name in "ab")
    other = train(tmp_path / "c", seed=1, **changes)
    assert same_bits(a.last_state, b.last_state)
    assert a.history == b.history
    assert a.history != other.history


def test_every_image_is_visited_once_an_epoch(tmp_path, monkeypatch):
    seen: list[int] = []
    step = Learner.step

    def spy(self, batch, count, lr):
        seen.extend(batch[0][:, 0, 0, 0].tolist())
        return step(self, batch, count, lr)

    monkeypatch.setattr(Learner, "step", spy)
    data = splits(train=26)
    data.train.pixels[:, 0, 0, 0] = torch.arange(26, dtype=torch.uint8)
    train(tmp_path, data=data, epochs=2)
    assert sorted(seen[:26]) == sorted(seen[26:]) == list(range(26))
    assert seen[:26] != seen[26:]


def test_epochs_of_so_many_steps_go_through_the_images_in_passes(tmp_path):
    """Three steps an epoch over 26 images in batches of 8, four a pass: as many passes of all images."""
    how = recipe(epochs=8, epoch_steps=3)
    found = [batches(epoch, count=26, recipe=how, seed=0) for epoch in range(8)]
    assert [len(steps) for steps in found] == [3] * 8
    visited = torch.cat([index for steps in found for index in steps]).tolist()
    passes = [visited[start : start + 26] for start in range(0, 6 * 26, 26)]
    assert all(sorted(one) == list(range(26)) for one in passes)
    assert len({tuple(one) for one in passes}) == 6
    outcome = train(tmp_path, epochs=4, epoch_steps=3)
    assert [row["epoch"] for row in outcome.history] == [1, 2, 3, 4]
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]


def test_a_single_image_left_over_is_left_out_since_it_has_no_variance(tmp_path):
    assert [steps_per_pass(n, 8) for n in (1, 8, 9, 10, 17, 24)] == [1, 1, 1, 2, 2, 3]
    assert steps_per_pass(3, 1) == 3
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3), nn.Linear(3, 3))
    assert len(train(tmp_path, data=splits(train=17), net=pooled).history) == 3


def test_the_best_epoch_is_the_most_accurate_then_of_lowest_loss_then_the_first():
    assert best_epoch(rows([0.5, 0.9, 0.7], [1, 2, 0.5]), TOP1) == 2
    assert best_epoch(rows([0.5, 0.9, 0.9], [1, 2, 0.5]), TOP1) == 3
    assert best_epoch(rows([0.9, 0.9], [1.0, 1.0]), TOP1) == 1
    assert best_epoch(rows([0.9, 0.9], [math.nan, 5.0]), TOP1) == 2


def test_selected_weights_are_those_of_the_best_epoch(tmp_path):
    changes = {"lr": 0.3, "flip": 0.0, "crop": "centre"}
    outcome = train(tmp_path / "all", epochs=6, **changes)
    assert outcome.best_epoch == best_epoch(outcome.history, TOP1)
    until = train(tmp_path / "until", epochs=outcome.best_epoch, **changes)
    assert same_bits(outcome.selected_state, until.last_state) and until.selected_is_last
    assert outcome.selected_is_last == same_bits(outcome.selected_state, outcome.last_state)
    last = train(tmp_path / "last", epochs=6, select="last", **changes)
    assert last.best_epoch == 6 and last.selected_is_last
    assert same_bits(last.selected_state, outcome.last_state)


def test_early_stop_counts_epochs_since_the_best():
    history = rows([0.5, 0.9, 0.8, 0.8], [1, 1, 1, 1])
    assert not stops_early(history[:3], TOP1, recipe(epochs=9, early_stop=2))
    assert stops_early(history, TOP1, recipe(epochs=9, early_stop=2))
    assert not stops_early(history, TOP1, recipe(epochs=9))


def test_early_stop_ends_the_run(tmp_path):
    outcome = train(tmp_path, epochs=30, early_stop=2, lr=1e-9)
    assert len(outcome.history) == outcome.best_epoch + 2 < 30


def test_with_an_average_the_average_is_what_is_selected(tmp_path):
    net = network()
    outcome = train(tmp_path, net=net, ema=0.9, select="last")
    assert not same_bits(outcome.last_state, net.state_dict())


def test_without_validation_images_the_columns_are_empty(tmp_path):
    outcome = train(tmp_path, data=splits(val=0), select="last")
    assert [row["val_top1"] for row in outcome.history] == [None] * 3


@pytest.mark.parametrize("changes", [{}, {"schedule": "plateau", "plateau_patience": 0, "select": "last"}])
def test_a_recipe_that_needs_validation_images_says_so(tmp_path, changes):
    with pytest.raises(UserError, match=r"data\.val has none"):
        train(tmp_path, data=splits(val=0), **changes)


def test_a_non_finite_loss_ends_the_run_with_its_last_finite_weights(tmp_path, monkeypatch):
    clean = train(tmp_path / "clean", epochs=1)
    step = Learner.step

    def poisoned(self, pixels, labels, lr):
        tally = step(self, pixels, labels, lr)
        poisoned.count += 1
        if poisoned.count == 6:  # the second epoch's second step
            with torch.no_grad():
                self.network[0].weight.fill_(math.nan)
        return tally

    poisoned.count = 0
    monkeypatch.setattr(Learner, "step", poisoned)
    outcome = train(tmp_path / "poisoned", epochs=3)
    assert outcome.diverged
    assert outcome.diverged_epoch == 2
    assert outcome.last_finite_loss == clean.history[0]["train_loss"]
    assert len(outcome.history) == 1
    assert same_bits(outcome.last_state, clean.last_state)


def test_an_epoch_that_diverges_at_once_keeps_the_first_weights(tmp_path):
    net = network(norm=False)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    outcome = train(tmp_path, net=net, lr=1e30)
    assert outcome.diverged_epoch == 1
    assert outcome.history == []
    assert outcome.best_epoch == 0
    assert outcome.last_finite_loss is None
    assert same_bits(outcome.selected_state, before)


def test_an_explosion_is_a_divergence_that_the_history_shows(tmp_path, monkeypatch):
    step = Learner.step
    monkeypatch.setattr(Learner, "step", lambda self, *a: step(self, *a) * explode(self))

    def explode(learner: Learner) -> float:
        explode.steps += 1
        return 1.0 if explode.steps <= 8 else 100.0  # from the third epoch on

    explode.steps = 0
    outcome = train(tmp_path, epochs=9)
    assert outcome.diverged_epoch == 3
    assert len(outcome.history) == 3
    assert outcome.last_finite_loss == outcome.history[2]["train_loss"] > 10 * outcome.history[0]["train_loss"]


def test_a_loss_just_below_ten_times_the_first_is_none():
    assert exploded(rows([0, 0], [1.0, 10.1]))
    assert not exploded(rows([0, 0], [1.0, 9.9]))


def test_a_frozen_part_does_not_move(tmp_path):
    net = network()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    outcome = train(tmp_path, net=net)
    assert torch.equal(outcome.last_state["0.weight"], before)
    assert not torch.equal(outcome.last_state["5.weight"], network()[5].weight)


def test_labels_may_leave_out_a_class(tmp_path):
    some = images(20, classes=2)
    data = Splits(some, images(6, seed=1), images(6, seed=2), ("a", "b", "c"))
    assert len(train(tmp_path, data=data).history) == 3
