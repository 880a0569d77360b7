"""Calibration: how far the probabilities of a classifier can be believed.

Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", section 2 (reliability, expected
calibration error) and section 4.2 (temperature scaling).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 15  # of equal width, as in the paper
COLDEST, HOTTEST = 0.05, 20.0  # temperatures that are tried: without one error the best one would be zero
HALVINGS = 40
Floats = NDArray[np.floating]


class Reliability(NamedTuple):
    """By bin of the predicted probability, (BINS,): images, sum of their probabilities, right answers."""

    n: NDArray[np.int64]
    probability: NDArray[np.float64]
    right: NDArray[np.int64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over images of |accuracy − mean probability| in the image's bin."""
        return float(np.abs(self.right - self.probability).sum() / self.n.sum())


def reliability(probabilities: Floats, right: NDArray[np.bool_]) -> Reliability | None:
    """Answers by the probability (N,) of the predicted class; bin m holds those in ((m - 1) / BINS, m / BINS]. None
    where some are not finite."""
    if not np.isfinite(probabilities).all():
        return None
    places = np.clip(np.ceil(probabilities * BINS).astype(int) - 1, 0, BINS - 1)
    return Reliability(
        np.bincount(places, minlength=BINS),
        np.bincount(places, probabilities, BINS).astype(np.float64),
        np.bincount(places[right], minlength=BINS),
    )


def best_temperature(logits: Floats, labels: NDArray[np.integer]) -> float | None:
    """The temperature that gives logits (N, C) of validation images the least cross-entropy when they are divided by
    it; None where they are not finite.

    The cross-entropy is convex in the inverse of the temperature: its slope there is the expected less the true logit.
    """
    if not np.isfinite(logits).all():
        return None
    true = logits[np.arange(len(labels)), labels].mean()
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(HALVINGS):
        inverse = (low * high) ** 0.5
        expected = (_softmax(logits * inverse) * logits).sum(axis=1).mean()
        low, high = (low, inverse) if expected > true else (inverse, high)
    return float((low * high) ** -0.5)


def error_at(temperature: float | None, logits: Floats, labels: NDArray[np.integer]) -> float | None:
    """The expected calibration error of logits (N, C) that are divided by a temperature; None without one, and where
    they are not finite."""
    if temperature is None or not np.isfinite(logits).all():
        return None
    probabilities = _softmax(logits / temperature)
    found = reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    return found and found.error


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
