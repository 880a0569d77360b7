"""Reliability, calibration error and temperature, against sums by hand and a known answer."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from florilegium.evaluation.calibration import BINS, best_temperature, error_at, reliability


def drawn(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, classes), and labels that are drawn with just the probabilities that these give."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(1)


def test_the_error_is_the_mean_gap_of_the_bins_by_hand():
    probabilities = np.array([0.95, 0.99, 0.97, 0.55, 0.55, 1.0])
    right = np.array([True, True, False, True, False, True])
    found = reliability(probabilities, right)
    assert found.n.sum() == 6 and found.n[-1] == 4 and found.right[-1] == 3
    gaps = abs(3 - (0.95 + 0.99 + 0.97 + 1.0)) + abs(1 - 1.1)
    assert found.error == pytest.approx(gaps / 6)


def test_an_edge_belongs_to_the_bin_below():
    found = reliability(np.array([1 / BINS, 2 / BINS, 0.0]), np.array([True, True, False]))
    assert found.n[:3].tolist() == [2, 1, 0]


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_factor(factor: float):
    logits, labels = drawn(20_000, 5)
    assert best_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)


def test_no_other_temperature_has_a_smaller_loss():
    logits, labels = drawn(300, 4, seed=1)
    found = best_temperature(2.5 * logits, labels)

    def loss(temperature: float) -> float:
        return F.cross_entropy(torch.tensor(2.5 * logits / temperature), torch.tensor(labels)).item()

    assert loss(found) < min(loss(1.01 * found), loss(0.99 * found))


def test_the_right_temperature_leaves_little_error_and_the_answers_as_they_are():
    logits, labels = drawn(20_000, 5)
    assert error_at(1.0, 3 * logits, labels) > 0.15 > 0.02 > error_at(3.0, 3 * logits, labels)


def test_a_network_without_an_error_or_without_finite_logits_ends():
    perfect = 50 * np.eye(3)
    assert best_temperature(perfect, np.arange(3)) == pytest.approx(0.05, rel=1e-3)
    assert best_temperature(perfect * np.nan, np.arange(3)) is None
    assert reliability(np.array([0.5, np.nan]), np.array([True, False])) is None
    assert error_at(None, perfect, np.arange(3)) is error_at(1.0, perfect + np.inf, np.arange(3)) is None
