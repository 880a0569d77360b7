"""A run that meets its device's limits, or diverges, goes on and says so."""

import math

import pytest
import torch
from torch import nn

from florilegium.core.errors import UserError
from florilegium.training import state
from florilegium.training.learner import Learner
from florilegium.training.run import warnings
from tests.helpers.training import network, recipe, same_bits, train


def small_memory(net: nn.Module, most: int) -> nn.Module:
    """`net` on a device that holds `most` images at a time while it learns."""

    def refuse(module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if module.training and len(inputs[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    net.register_forward_pre_hook(refuse)
    return net


def test_out_of_memory_ends_in_the_bits_of_a_run_that_accumulated_from_the_start(tmp_path):
    keys = {"flip": 0.5, "mixup": 0.3, "epochs": 2}
    planned = train(tmp_path / "planned", net=network(norm=False), accumulate=4, **keys)
    forced = train(tmp_path / "forced", net=small_memory(network(norm=False), 3), **keys)
    assert forced.micro_batch == 2
    assert forced.history == planned.history
    assert same_bits(forced.last_state, planned.last_state)


def test_a_resumed_run_keeps_its_smaller_micro_batches(tmp_path):
    train(tmp_path, net=small_memory(network(), 4))
    resumed = train(tmp_path)
    assert resumed.resumed_from is not None
    assert resumed.micro_batch == 4


def test_memory_that_does_not_hold_enough_to_normalise(tmp_path):
    with pytest.raises(UserError, match=r"out of memory on cpu with 4 images at a time; lower"):
        train(tmp_path, net=small_memory(network(), 2))


def test_another_fault_is_not_taken_for_memory(tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Learner, "step", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(tmp_path)


def test_the_receipt_says_what_was_made_do_with(tmp_path):
    outcome = train(tmp_path, net=small_memory(network(), 4))
    (said,) = warnings(outcome, recipe(), "abc", torch.arange(3))
    assert "micro-batches of 4 images in place of 8" in said


@pytest.fixture
def poison(monkeypatch):
    """The weights become NaN at the steps with these numbers, counted from 1 over all attempts."""
    step = Learner.step

    def of(*numbers: int) -> None:
        done: list[None] = []

        def poisoned(self, *arguments):
            tally = step(self, *arguments)
            done.append(None)
            if len(done) in numbers:
                with torch.no_grad():
                    self.network[0].weight.fill_(math.nan)
            return tally

        monkeypatch.setattr(Learner, "step", poisoned)

    return of


def test_a_restart_goes_on_from_the_last_good_epoch_at_a_lower_rate(tmp_path, poison):
    before = train(tmp_path / "before", epochs=1, optimizer="adamw").history[0]
    poison(6)  # the second of the four steps of epoch 2
    outcome = train(tmp_path / "run", optimizer="adamw", restarts=1, restart_factor=0.5)
    assert not outcome.diverged and outcome.restarts == [2]
    assert outcome.history[0] == before
    assert [row["lr"] for row in outcome.history] == [0.1, 0.05, 0.05]
    assert all(math.isfinite(row["train_loss"]) for row in outcome.history)
    (said,) = warnings(outcome, recipe(restarts=1, restart_factor=0.5), "abc", torch.arange(3))
    assert said == "training diverged in epoch 2 and went on from the end of epoch 1 at 0.5 times the rate"


def test_a_run_that_keeps_diverging_ends_as_a_divergence(tmp_path, poison):
    poison(6, 10, 14)
    outcome = train(tmp_path, restarts=2)
    assert outcome.diverged and outcome.diverged_epoch == 2 and outcome.restarts == [2, 2]
    assert len(outcome.history) == 1


def test_a_divergence_in_the_first_epoch_goes_back_to_the_first_weights(tmp_path, poison):
    poison(1)
    outcome = train(tmp_path / "run", restarts=1, restart_factor=1.0)
    assert outcome.restarts == [1]
    assert same_bits(outcome.last_state, train(tmp_path / "undisturbed").last_state)


def test_a_restart_survives_an_interruption(tmp_path, poison, monkeypatch):
    poison(6)
    keys = {"epochs": 4, "restarts": 1, "ema": 0.9}
    whole = train(tmp_path / "whole", **keys)
    poison(6)

    def interrupt(history: list) -> None:
        if len(history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(state, "SAVE_SHARE", math.inf)  # save after every epoch
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", on_epoch=interrupt, **keys)
    resumed = train(tmp_path / "cut", **keys)
    assert resumed.restarts == [2] and resumed.resumed_from == 8
    assert resumed.history == whole.history
    assert same_bits(resumed.last_state, whole.last_state)
