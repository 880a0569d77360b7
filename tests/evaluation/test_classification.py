"""Scores of a classifier whose answers are known beforehand."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.data.augment import EvalTransform, InputConfig
from florilegium.data.load import Images
from florilegium.evaluation.classification import evaluate

CONFIG = InputConfig(size=4, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), interpolation="bilinear")
CPU = torch.device("cpu")


class Lookup(nn.Module):
    """Logits by the brightness of an image: image i is of brightness i."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, images: Tensor) -> Tensor:
        return self.table[(images.mean(dim=(1, 2, 3)) * 255).round().long()]


def score(table: list[list[float]], targets: list[int], **options):
    pixels = torch.arange(len(targets), dtype=torch.uint8)[:, None, None, None].expand(-1, 4, 4, 3).contiguous()
    images = Images(pixels, torch.tensor(targets), tuple(map(str, range(len(targets)))))
    network = Lookup(torch.tensor(table)).train()
    return evaluate(network, images, EvalTransform(CONFIG), **{"batch_size": 2, "device": CPU} | options)


def test_loss_and_accuracies_equal_those_computed_by_hand():
    likely = [math.log(p) for p in (0.5, 0.25, 0.125, 0.0625, 0.04, 0.0225)]
    scores = score([likely] * 4, [0, 4, 5, 0])
    expected = -(math.log(0.5) + math.log(0.04) + math.log(0.0225) + math.log(0.5)) / 4
    assert scores.loss == pytest.approx(expected, rel=1e-6)
    assert (scores.top1, scores.top5) == (0.5, 0.75)
    assert scores.predictions.tolist() == [0, 0, 0, 0]
    assert scores.probabilities.tolist() == pytest.approx([0.5] * 4)


def test_the_loss_has_the_bits_of_that_of_all_logits():
    table, targets = torch.randn(200, 7, generator=torch.Generator().manual_seed(0)), [i % 7 for i in range(200)]
    assert score(table.tolist(), targets, batch_size=32).loss == F.cross_entropy(table, torch.tensor(targets)).item()


def test_a_last_batch_that_is_smaller_counts_by_its_images():
    one, other = [9.0, 0.0], [0.0, 9.0]
    assert score([one, one, other], [0, 0, 0], batch_size=2).top1 == pytest.approx(2 / 3)


def test_with_fewer_than_five_classes_all_are_among_the_first_five():
    assert score([[1.0, 2.0, 3.0]] * 3, [0, 1, 2]).top5 == 1.0


def test_half_precision_scores_in_single():
    scores = score([[1.0, 2.0]] * 2, [1, 1], precision="bf16")
    assert scores.probabilities.dtype == torch.float32
    assert scores.probabilities.tolist() == pytest.approx([1 / (1 + math.exp(-1))] * 2, rel=1e-2)
