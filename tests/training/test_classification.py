"""Mixup, CutMix and label smoothing: what goes into an image goes into its target."""

import pytest
import torch
from torch.nn import functional as F

from florilegium.training.classification import Targets, hits_of, loss_of, mix
from tests.helpers.training import recipe


@pytest.fixture
def flat() -> tuple[torch.Tensor, torch.Tensor]:
    """Image i is i everywhere, and so is its label."""
    labels = torch.arange(6)
    return labels[:, None, None, None].float().expand(6, 3, 8, 8).clone(), labels


@pytest.mark.parametrize("changes", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}])
def test_an_image_and_its_target_hold_equal_shares(flat, changes):
    images, labels = flat
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, targets = mix(images, labels, recipe(**changes))
        expected = targets.share * targets.labels + (1 - targets.share) * targets.others
        torch.testing.assert_close(mixed.mean((1, 2, 3)), expected)
        assert 0 <= targets.share <= 1


def test_cutmix_pastes_pixels_and_mixup_blends_them(flat):
    images, labels = flat
    torch.manual_seed(1)
    cut, _ = mix(images, labels, recipe(cutmix=1.0))
    assert set(cut.unique().tolist()) <= set(range(6))
    torch.manual_seed(1)
    blended, targets = mix(images, labels, recipe(mixup=1.0))
    assert 0 < targets.share < 1
    assert blended[1].unique().numel() == 1


def test_both_are_used_when_both_are_on(flat):
    images, labels = flat
    pasted = 0
    for seed in range(40):
        torch.manual_seed(seed)
        mixed, _ = mix(images, labels, recipe(mixup=1.0, cutmix=1.0))
        pasted += bool((mixed == mixed.round()).all())
    assert 8 < pasted < 32


def test_off_is_the_identity(flat):
    images, labels = flat
    mixed, targets = mix(images, labels, recipe())
    assert mixed is images
    assert targets.share == 1


def test_the_loss_of_a_pair_is_that_of_the_soft_target():
    torch.manual_seed(0)
    logits, labels, others = torch.randn(5, 4), torch.arange(5) % 4, (torch.arange(5) + 1) % 4
    soft = 0.3 * F.one_hot(labels, 4) + 0.7 * F.one_hot(others, 4)
    smoothed = 0.9 * soft + 0.1 / 4
    expected = -(smoothed * logits.log_softmax(1)).sum(1).mean()
    assert smoothed.sum(1).tolist() == pytest.approx([1] * 5)
    torch.testing.assert_close(loss_of(logits, Targets(labels, others, 0.3), 0.1), expected)


def test_label_smoothing_alone():
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    log_p = logits.log_softmax(1)[0]
    expected = -(0.95 * log_p[0] + 0.05 * log_p[1])
    torch.testing.assert_close(loss_of(logits, Targets(labels, labels), 0.1), expected)


def test_right_predictions_count_by_share():
    logits = F.one_hot(torch.tensor([0, 1, 2, 0]), 3).float()
    labels, others = torch.tensor([0, 0, 0, 0]), torch.tensor([1, 1, 1, 0])
    assert hits_of(logits, Targets(labels, others, 0.25)).item() == pytest.approx(0.25 + 0.75 + 0 + 1)
    assert hits_of(logits, Targets(labels, labels)).item() == 2
