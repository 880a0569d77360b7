"""One optimiser step: its formula, accumulation, clipping, precision and averaging."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from florilegium.data.augment import EvalTransform
from florilegium.training.classification import CrossEntropy
from florilegium.training.learner import Ema, Learner, build_optimizer, micro_batches
from tests.helpers.training import CONFIG, CPU, images, network, recipe

PLAIN = {"crop": "centre", "flip": 0.0}


def after_steps(gradients: list[float], **keys: object) -> float:
    """A single weight of 1 after steps with these gradients."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    optimizer = build_optimizer(layer, recipe(**keys))
    optimizer.param_groups[0]["lr"] = 0.1
    for gradient in gradients:
        layer.weight.grad = torch.tensor([[gradient]])
        optimizer.step()
    return layer.weight.item()


def test_sgd_with_momentum_and_decay():
    # v1 = g + wd w = 0.5 + 0.1; w1 = 1 - 0.1 * 0.6; v2 = 0.9 v1 + (0.5 + 0.1 w1)
    w1 = 1 - 0.1 * 0.6
    w2 = w1 - 0.1 * (0.9 * 0.6 + 0.5 + 0.1 * w1)
    assert after_steps([0.5, 0.5], weight_decay=0.1) == pytest.approx(w2)


def test_nesterov_looks_ahead_by_the_momentum():
    assert after_steps([0.5], nesterov=True) == pytest.approx(1 - 0.1 * (0.5 + 0.9 * 0.5))


def test_adam_couples_its_decay_to_the_gradient():
    assert after_steps([0.5], optimizer="adam", weight_decay=0.1) == pytest.approx(1 - 0.1)


def test_adam_second_step():
    first, second = (1 - 0.9) * 0.5, (1 - 0.999) * 0.25
    m = (0.9 * first + 0.1 * -1.0) / (1 - 0.9**2)
    v = (0.999 * second + 0.001 * 1.0) / (1 - 0.999**2)
    expected = 1 - 0.1 * 1 - 0.1 * m / math.sqrt(v)
    assert after_steps([0.5, -1.0], optimizer="adam") == pytest.approx(expected, rel=1e-5)


def test_adamw_decays_the_weight_itself():
    expected = 1 * (1 - 0.1 * 0.2) - 0.1
    assert after_steps([0.5], optimizer="adamw", weight_decay=0.2) == pytest.approx(expected)


def test_only_parameters_that_train_are_given_to_the_optimizer():
    net = network()
    net[0].requires_grad_(False)
    optimizer = build_optimizer(net, recipe())
    assert len(optimizer.param_groups[0]["params"]) == 4


def test_a_step_learns_at_the_rate_that_it_is_given():
    how = recipe(**PLAIN, lr=0.5, momentum=0.0)
    learner = Learner(network(norm=False), how, CrossEntropy(how, CONFIG), CPU)
    before = [p.detach().clone() for p in learner.network.parameters()]
    some = images(8)
    learner.step((some.pixels, some.labels), 8, 0.0)
    assert all(torch.equal(p, q) for p, q in zip(before, learner.network.parameters(), strict=True))
    learner.step((some.pixels, some.labels), 8, 0.25)
    assert learner.optimizer.param_groups[0]["lr"] == 0.25
    assert not torch.equal(before[0], learner.network[0].weight)


def step_once(**changes: object) -> tuple[nn.Module, torch.Tensor]:
    how = recipe(**PLAIN, **changes)
    learner = Learner(network(norm=False), how, CrossEntropy(how, CONFIG), CPU)
    some = images(8)
    torch.manual_seed(0)
    return learner.network, learner.step((some.pixels, some.labels), 8, 0.1)


def test_a_step_is_plain_gradient_descent_on_the_mean_cross_entropy():
    some, net = images(8), network(norm=False)
    loss = F.cross_entropy(net(EvalTransform(CONFIG)(some.pixels)), some.labels)
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    stepped, tally = step_once(momentum=0.0)
    for new, old, gradient in zip(stepped.parameters(), net.parameters(), gradients, strict=True):
        torch.testing.assert_close(new, old - 0.1 * gradient)
    assert tally[0].item() == pytest.approx(8 * loss.item(), rel=1e-6)


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulation_equals_the_big_batch(accumulate):
    whole, counted = step_once()
    parts, counted_in_parts = step_once(accumulate=accumulate)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(counted, counted_in_parts)


def test_micro_batches_cover_all_images_and_leave_no_single_one():
    for count in range(2, 40):
        parts = list(micro_batches(count, 8))
        sizes = [part.stop - part.start for part in parts]
        assert sum(sizes) == count
        assert max(sizes) <= 8
        assert min(sizes) > 1


def test_clipping_bounds_the_length_of_a_step():
    net = network(norm=False)
    stepped, _ = step_once(momentum=0.0, clip_norm=0.01)
    moved = [(a - b).flatten() for a, b in zip(stepped.parameters(), net.parameters(), strict=True)]
    assert torch.cat(moved).norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_fp16_clips_the_gradient_and_not_its_scaled_image():
    net = network(norm=False)
    stepped, _ = step_once(momentum=0.0, clip_norm=0.01, precision="fp16")
    moved = [(a - b).flatten() for a, b in zip(stepped.parameters(), net.parameters(), strict=True)]
    assert torch.cat(moved).norm().item() == pytest.approx(0.1 * 0.01, rel=1e-2)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_step_that_overflows_in_fp16_leaves_no_trace(optimizer: str):
    how = recipe(optimizer=optimizer, precision="fp16")

    def weight(gradients: list[float]) -> float:
        layer = nn.Linear(1, 1, bias=False)
        nn.init.ones_(layer.weight)
        made, scaler = build_optimizer(layer, how), torch.amp.GradScaler("cpu", init_scale=2.0)
        for gradient in gradients:
            scaler.scale(layer.weight.sum() * gradient).backward()
            scaler.step(made)
            scaler.update()
            made.zero_grad()
        return layer.weight.item()

    assert weight([math.inf, 0.5, 0.25, math.inf, 0.5]) == weight([0.5, 0.25, 0.5])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_steps_are_near_those_of_float32(precision):
    exact, _ = step_once()
    rough, _ = step_once(precision=precision)
    for a, b in zip(exact.parameters(), rough.parameters(), strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, atol=2e-3, rtol=0)
    assert not all(torch.equal(a, b) for a, b in zip(exact.parameters(), rough.parameters(), strict=True))


def test_ema_warms_up_its_decay_and_copies_buffers():
    net = nn.BatchNorm1d(1)
    ema = Ema(net, 0.15)
    nn.init.constant_(net.weight, 3.0)
    net.running_mean.fill_(7.0)
    ema.update_parameters(net)  # decay min(0.15, 1 / 10)
    assert ema.module.weight.item() == pytest.approx(0.1 * 1 + 0.9 * 3)
    assert ema.module.running_mean.item() == 7
    ema.update_parameters(net)  # decay min(0.15, 2 / 11)
    assert ema.module.weight.item() == pytest.approx(0.15 * 2.8 + 0.85 * 3)


def test_ema_goes_on_from_its_state():
    net = network()
    ema, other = Ema(net, 0.9), Ema(network(seed=1), 0.9)
    ema.update_parameters(network(seed=2))
    other.load_state_dict(ema.state_dict())
    for shadow in (ema, other):
        shadow.update_parameters(network(seed=3))
    for a, b in zip(ema.module.parameters(), other.module.parameters(), strict=True):
        assert torch.equal(a, b)
