"""The stand-in for apex beside study 3's code: half-precision weights that follow single-precision ones."""

import sys
from pathlib import Path

import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from apex_stand_in import Amp

IMAGES = torch.linspace(-1, 1, 24).view(4, 6)


def half_and_single():
    """A network in both precisions, its optimisers, and the stand-in."""
    torch.manual_seed(0)
    half, single = (nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)) for _ in range(2))
    single.load_state_dict(half.state_dict())
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.05) for network in (half, single)]
    amp = Amp()
    half, optimizers[0] = amp.initialize(models=half, optimizers=optimizers[0], opt_level="O2")
    return half, single, optimizers, amp


def test_it_learns_as_single_precision_does():
    half, single, optimizers, amp = half_and_single()
    assert half[0].weight.dtype == torch.float16 and half[1].weight.dtype == torch.float32
    for _ in range(5):
        with amp.scale_loss(half(IMAGES).square().mean(), optimizers[0]) as loss:
            loss.backward()
        single(IMAGES).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    for ours, theirs in zip(amp.master_params(optimizers[0]), single.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=5e-3, rtol=0)
    assert half(IMAGES).dtype == torch.float32
    assert torch.equal(half[0].weight.float(), amp.masters[0].half().float())


def test_a_step_that_overflows_is_left_out_and_halves_the_scale():
    half, _, (optimizer, _), amp = half_and_single()
    amp._amp_state.loss_scalers[0]._loss_scale = 2.0**40
    before = [p.clone() for p in half.parameters()]
    with amp.scale_loss(half(IMAGES).square().mean(), optimizer) as loss:
        loss.backward()
    optimizer.step()
    assert all(map(torch.equal, before, half.parameters()))
    assert amp.scaler._loss_scale == 2.0**39
