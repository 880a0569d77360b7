"""Both losses against arithmetic in plain Python, number by number."""

import math

import pytest
import torch
from torch import Tensor

from florilegium.models.retinanet import BACKGROUND, IGNORED, Matched
from florilegium.training.detection import box_loss, class_loss, normalisers

LOGITS = torch.tensor([[[2.0, -1.0], [0.5, -3.0], [0.0, 1.0], [-2.0, 4.0]]])  # (1, 4, 2)
LABELS = torch.tensor([[0, BACKGROUND, IGNORED, 1]])


def by_hand(logits: Tensor, labels: list[int], alpha: float, gamma: float, clamp: float) -> float:
    total = 0.0
    for row, label in zip(logits.tolist(), labels, strict=True):
        for c, x in enumerate(row):
            if label == IGNORED:
                continue
            p = min(max(1 / (1 + math.exp(-x)), clamp), 1 - clamp)
            if c == label:
                total += -alpha * (1 - p) ** gamma * math.log(p)
            else:
                total += -(1 - alpha) * p**gamma * math.log(1 - p)
    return total


@pytest.mark.parametrize("alpha", [0.25, 0.75])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("clamp", [None, 1e-4])
def test_the_focal_loss_is_that_of_the_paper(alpha: float, gamma: float, clamp: float | None):
    loss = class_loss(LOGITS, LABELS, alpha=alpha, gamma=gamma, clamp=clamp)
    assert loss.tolist() == pytest.approx([by_hand(LOGITS[0], LABELS[0].tolist(), alpha, gamma, 0)], rel=1e-5)


def test_with_a_clamp_a_certain_anchor_has_a_floor_and_no_gradient():
    """A background anchor of logit -20 costs 0.75 * 1e-8 * 1e-4 in the study, and less in truth."""
    for clamp, floor in ((1e-4, -0.75 * 1e-8 * math.log(1 - 1e-4)), (None, 0.0)):
        logits = torch.tensor([[[-20.0]]], requires_grad=True)
        loss = class_loss(logits, torch.tensor([[BACKGROUND]]), alpha=0.25, gamma=2.0, clamp=clamp)
        loss.backward()
        assert loss.item() == pytest.approx(floor, rel=1e-3, abs=1e-20)
    wrong = torch.tensor([[[20.0]]], requires_grad=True)
    class_loss(wrong, torch.tensor([[BACKGROUND]]), alpha=0.25, gamma=2.0, clamp=1e-4).backward()
    assert wrong.grad.item() == 0
    class_loss(wrong, torch.tensor([[BACKGROUND]]), alpha=0.25, gamma=2.0, clamp=None).backward()
    assert wrong.grad.item() == pytest.approx(0.75, rel=1e-3)


def test_the_box_loss_is_a_parabola_then_a_line():
    """Codes off by 0.05, 0.1, 0.2 and 1: 4.5 d^2 below a ninth, d - 1/18 above."""
    matched = Matched(torch.tensor([[0, BACKGROUND, IGNORED]]), torch.zeros(1, 3, 4))
    deltas = torch.tensor([0.05, -0.1, 0.2, 1.0]).expand(1, 3, 4)
    expected = (4.5 * 0.05**2 + 4.5 * 0.1**2 + (0.2 - 1 / 18) + (1 - 1 / 18)) / 4
    assert box_loss(deltas, matched).tolist() == pytest.approx([expected])


def test_images_are_divided_by_their_own_positives_or_by_the_batchs_mean():
    labels = torch.full((3, 10), BACKGROUND)
    labels[0, :8] = 1
    labels[1, 0] = 0
    matched = Matched(labels, torch.zeros(3, 10, 4))
    assert normalisers(matched, "image").tolist() == [8, 1, 1]
    assert normalisers(matched, "batch").tolist() == [3, 3, 3]
    assert normalisers(matched[2:], "batch").tolist() == [1]


def test_an_image_without_objects_weighs_as_much_as_its_whole_background_when_published():
    """With 8 objects beside it, it outweighs the other image's background by 8 as published."""
    labels = torch.full((2, 100), BACKGROUND)
    labels[0, :8] = 0
    matched = Matched(labels, torch.zeros(2, 100, 4))
    sums = class_loss(torch.full((2, 100, 1), -2.0), labels, alpha=0.25, gamma=2.0, clamp=1e-4)
    background = by_hand(torch.tensor([[-2.0]]), [BACKGROUND], 0.25, 2.0, 1e-4)
    assert (sums / normalisers(matched, "image"))[1].item() == pytest.approx(100 * background, rel=1e-5)
    assert (sums / normalisers(matched, "batch"))[1].item() == pytest.approx(25 * background, rel=1e-5)
