"""Techniques of a recipe: accumulation on a schedule, averaged weights, rotation, patience, clipping."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from florilegium.data.augment import EvalTransform, TrainTransform, rotate, turned
from florilegium.training import state
from florilegium.training.classification import CrossEntropy
from florilegium.training.learner import Learner, micro_batches, plateau_factor, rate
from florilegium.training.loop import Outcome
from florilegium.training.task import batches, stops_early
from tests.helpers.training import CONFIG, CPU, images, network, recipe, same_bits, splits, train

PLAIN = {"crop": "centre", "flip": 0.0}
LAST = {"select": "last"}


# --- accumulation on a schedule ------------------------------------------------------------


def test_a_schedule_of_batches_makes_fewer_and_larger_steps():
    how = recipe(epochs=9, batches_per_step=[[0, 8], [4, 4], [8, 1]])
    sizes = {epoch: [len(i) for i in batches(epoch, count=80, recipe=how, seed=0)] for epoch in (0, 3, 4, 8)}
    assert sizes == {0: [64, 16], 3: [64, 16], 4: [32, 32, 16], 8: [8] * 10}


def test_an_epoch_of_so_many_batches_keeps_its_images_when_steps_are_larger():
    how = recipe(epochs=9, epoch_steps=5, batches_per_step=[[0, 4], [1, 1]])
    sizes = [[len(i) for i in batches(epoch, count=80, recipe=how, seed=0)] for epoch in (0, 1)]
    assert sizes == [[32, 8], [8] * 5]


def test_the_images_of_an_epoch_and_their_order_stay_the_same():
    plain, joint = recipe(epochs=9), recipe(epochs=9, batches_per_step=[[0, 3]])
    orders = [torch.cat([*batches(2, count=50, recipe=how, seed=0)]) for how in (plain, joint)]
    assert torch.equal(*orders)


def test_a_step_of_three_batches_is_one_step_on_their_mean_loss_in_passes_of_one_batch():
    how = recipe(**PLAIN, batches_per_step=[[0, 3]], momentum=0.0)
    net, some = network(norm=False), images(24)
    learner = Learner(copy.deepcopy(net), how, CrossEntropy(how, CONFIG), CPU)
    assert [part.stop - part.start for part in micro_batches(24, learner.micro_batch)] == [8, 8, 8]
    learner.step((some.pixels, some.labels), 24, 0.1)
    loss = F.cross_entropy(net(EvalTransform(CONFIG)(some.pixels)), some.labels)
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    for new, old, gradient in zip(learner.network.parameters(), net.parameters(), gradients, strict=True):
        torch.testing.assert_close(new, old - 0.1 * gradient)


def test_rates_follow_epochs_however_many_steps_these_have(tmp_path):
    changes = {"epochs": 4, "schedule": "step", "milestones": [2.0], "gamma": 0.5}
    outcome = train(tmp_path, batches_per_step=[[0, 4], [1, 2], [3, 1]], **changes)
    assert [row["lr"] for row in outcome.history] == [0.1, 0.1, 0.05, 0.05]


# --- averaged weights ----------------------------------------------------------------------


def averaged(tmp_path, **changes: object) -> Outcome:
    return train(tmp_path, epochs=5, swa_start=0.6, swa_lr=0.05, swa_anneal_epochs=1, **LAST | changes)


def test_the_last_weights_are_the_mean_of_the_last_epochs_weights(tmp_path):
    seen: list[dict] = []
    net = network(norm=False)
    outcome = averaged(tmp_path, net=net, on_epoch=lambda history: seen.append(copy.deepcopy(net.state_dict())))
    for name, value in outcome.last_state.items():
        torch.testing.assert_close(value, (seen[3][name] + seen[4][name]) / 2)
    assert outcome.selected_state is outcome.last_state and outcome.selected_is_last


def test_statistics_of_the_average_are_the_plain_mean_over_an_epoch_s_batches(tmp_path):
    net = network()
    averaged(tmp_path, net=net, **PLAIN)
    some, how = splits().train, recipe(epochs=5)
    seen = []
    with torch.no_grad():
        for index in batches(5, count=len(some), recipe=how, seed=0):
            seen.append(net[0](EvalTransform(CONFIG)(some.pixels[index])).mean((0, 2, 3)))
    torch.testing.assert_close(net[1].running_mean, torch.stack(seen).mean(0))
    assert net[1].momentum == 0.1


@pytest.mark.parametrize("kill_at", [1, 13, 17])
def test_an_interrupted_average_ends_in_the_same_bits(tmp_path, monkeypatch, kill_at):
    changes = {"batches_per_step": [[0, 2], [1, 1]], "rotation": 20.0, "val_augmented": True}
    whole = averaged(tmp_path / "whole", **changes)
    monkeypatch.setattr(state, "SAVE_EVERY", 0.0)
    step, left = Learner.step, [kill_at]

    def dying(self, *arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "step", dying)
        with pytest.raises(KeyboardInterrupt):
            averaged(tmp_path / "pieces", **changes)
    pieces = averaged(tmp_path / "pieces", **changes)
    assert pieces.resumed_from == kill_at
    assert same_bits(whole.last_state, pieces.last_state)
    assert whole.history == pieces.history
    again = averaged(tmp_path / "pieces", **changes)  # finished: the average is made from the state alone
    assert same_bits(whole.last_state, again.last_state)


def test_a_run_that_stops_before_the_average_begins_keeps_its_own_weights(tmp_path):
    changes = {"early_stop": 1, "lr": 1e-9, **LAST}
    averaging = train(tmp_path / "a", epochs=20, swa_start=0.9, **changes)
    plain = train(tmp_path / "b", epochs=20, **changes)
    assert len(averaging.history) < 18
    assert same_bits(averaging.last_state, plain.last_state)


def test_the_rate_comes_down_to_that_of_the_average_by_half_a_cosine():
    how = recipe(epochs=10, lr=0.1, swa_start=0.5, swa_lr=0.02, swa_anneal_epochs=2, **LAST)
    rates = [rate(how, step, 4, []) for step in range(40)]
    assert rates[:21] == [0.1] * 21
    assert rates[24] == pytest.approx(0.06)
    assert rates[22] == pytest.approx(0.02 + 0.08 * (1 + math.cos(math.pi / 4)) / 2)
    assert rates[28:] == pytest.approx([0.02] * 12)


def test_a_fall_of_the_plateau_goes_into_the_rate_that_the_average_finds():
    keys = {"schedule": "plateau", "plateau_patience": 0, "gamma": 0.5, **LAST}
    how = recipe(epochs=4, lr=0.1, swa_start=0.5, swa_lr=0.01, swa_anneal_epochs=1, **keys)
    assert rate(how, 4, 4, [1.0]) == 0.1
    assert rate(how, 8, 4, [1.0, 1.0]) == pytest.approx(0.05)
    assert rate(how, 12, 4, [1.0, 1.0, 1.0]) == pytest.approx(0.01)


# --- rotation and augmented validation -----------------------------------------------------


def test_a_quarter_turn_is_a_quarter_turn_and_none_is_none():
    pixels = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    quarter = turned(pixels, torch.tensor([math.pi / 2, 0.0]))
    torch.testing.assert_close(quarter[0], pixels[0].rot90(1, (1, 2)), atol=1e-2, rtol=0)
    torch.testing.assert_close(quarter[1], pixels[1], atol=1e-2, rtol=0)


def test_each_image_turns_by_an_angle_of_its_own_and_not_further_than_asked():
    side = 33
    bar = torch.zeros(64, 3, side, side, dtype=torch.uint8)
    bar[:, :, side // 2, side // 2 + 1 :] = 255  # from the centre to the right
    torch.manual_seed(0)
    rotate(bar, 30.0)
    mass = bar[:, 0].float()
    rows, columns = torch.meshgrid(*[torch.arange(side) - side // 2] * 2, indexing="ij")
    angles = torch.atan2(-(mass * rows).sum((1, 2)), (mass * columns).sum((1, 2))).rad2deg()
    assert angles.abs().max() < 31
    assert angles.min() < -20
    assert angles.max() > 20
    assert len(angles.round().unique()) > 20


def test_what_a_rotation_uncovers_is_black():
    white = torch.full((1, 3, 16, 16), 255, dtype=torch.uint8)
    corner = turned(white, torch.tensor([math.pi / 4]))[0, 0, 0, 0]
    assert corner == 0


def test_validation_may_see_images_as_training_does(tmp_path, monkeypatch):
    drawn: list[int] = []
    transform = TrainTransform.__call__

    def spy(self, pixels):
        drawn.append(len(pixels))
        return transform(self, pixels)

    monkeypatch.setattr(TrainTransform, "__call__", spy)
    train(tmp_path / "plain", epochs=1)
    assert 9 not in drawn
    train(tmp_path / "augmented", epochs=1, val_augmented=True)
    assert drawn.count(9) == 1


# --- patience ------------------------------------------------------------------------------


def test_patience_may_watch_the_loss_instead_of_the_score():
    history = [
        {"epoch": n, "val_top1": top1, "val_loss": loss}
        for n, (top1, loss) in enumerate([(0.5, 1.0), (0.6, 0.8), (0.7, 0.9), (0.8, math.nan)], start=1)
    ]
    assert not stops_early(history, "val_top1", recipe(epochs=9, early_stop=2))
    assert stops_early(history, "val_top1", recipe(epochs=9, early_stop=2, early_stop_on="val_loss"))
    assert not stops_early(history[:3], "val_top1", recipe(epochs=9, early_stop=2, early_stop_on="val_loss"))


def test_the_last_weights_may_be_tested_after_an_early_stop(tmp_path):
    outcome = train(tmp_path, epochs=30, early_stop=2, lr=1e-9, **LAST)
    assert len(outcome.history) < 30
    assert outcome.best_epoch == len(outcome.history)
    assert outcome.selected_state is outcome.last_state and outcome.selected_is_last


# --- clipping ------------------------------------------------------------------------------


def test_clipping_by_value_bounds_each_weight_s_gradient():
    how = recipe(**PLAIN, momentum=0.0, clip_value=0.001)
    net = network(norm=False)
    learner = Learner(copy.deepcopy(net), how, CrossEntropy(how, CONFIG), CPU)
    some = images(8)
    learner.step((some.pixels, some.labels), 8, 0.1)
    moved = [(a - b).abs().max().item() for a, b in zip(learner.network.parameters(), net.parameters(), strict=True)]
    assert max(moved) == pytest.approx(0.1 * 0.001, rel=1e-2)


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"swa_start": 1.0, **LAST}, "swa_start: 1.0 of 3 epochs is after the last one"),
        ({"swa_start": 0.5}, "needs select = last"),
        ({"swa_start": 0.5, "ema": 0.9, **LAST}, "swa_start, ema"),
        ({"swa_start": 0.5, "tail_epochs": 1.0, **LAST}, "swa_start, tail_epochs"),
        ({"batches_per_step": [[1, 4]]}, "must start at 0 and rise"),
        ({"batches_per_step": [[0, 4], [0, 2]]}, "must start at 0 and rise"),
        ({"batches_per_step": [[0, 4], [3, 1]]}, "must lie before epochs = 3"),
        ({"clip_norm": 0.5, "clip_value": 0.5}, "clip_norm, clip_value: give one of them"),
        ({"early_stop": 1, "schedule": "plateau"}, "set stop_before_plateau to accept that"),
        ({"early_stop": 1, "stop_before_plateau": True}, "take it out"),
        (
            {"epochs": 6, "schedule": "plateau", "plateau_patience": 4},
            "plateau_patience: a patience of 4 can never lower the rate in 6 epochs; .* for 7 epochs",
        ),
        ({"rotation": 200.0}, "less than or equal to 180"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        recipe(**changes)


def test_the_published_patience_is_kept_when_that_is_said():
    how = recipe(epochs=50, early_stop=3, schedule="plateau", plateau_patience=4, stop_before_plateau=True)
    assert how.early_stop == 3


def test_the_shortest_run_that_a_patience_can_act_in_is_taken():
    """The first loss is the lowest, so many more than the patience must pass, and one epoch must be left."""
    how = recipe(epochs=7, schedule="plateau", plateau_patience=4)
    factors = [plateau_factor(how, [1.0] * done) for done in range(how.epochs)]
    assert factors == [1.0] * 6 + [how.gamma]


def test_keys_without_effect_are_no_part_of_a_result():
    unused = {"swa_lr", "swa_anneal_epochs", "early_stop_on", "stop_before_plateau"}
    assert not unused & recipe().used().keys()
    assert "swa_lr" in recipe(swa_start=0.5, **LAST).used()


def test_every_norm_counts_once_more_only_where_it_trains(tmp_path):
    net = network()
    for parameter in net[1].parameters():
        parameter.requires_grad_(False)
    before = net[1].running_mean.clone()
    averaged(tmp_path, net=net)
    assert isinstance(net[1], nn.BatchNorm2d)
    assert torch.equal(net[1].running_mean, before)
