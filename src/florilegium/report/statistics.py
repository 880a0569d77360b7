"""Intervals and paired tests.

Two things vary when an accuracy is measured again: the test images and the seed. A Wilson interval
is about the images alone, a t interval over seeds about the seeds alone. The paired comparison of
two arms respects both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtr, stdtrit

Hits = NDArray[np.bool_]  # (S, N): is image n classified rightly in the run with seed s?


@dataclass(frozen=True)
class Difference:
    """A paired difference of accuracies (first arm minus second), its interval and two-sided p."""

    mean: float
    low: float
    high: float
    p_value: float
    method: str


def wilson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a binomial proportion (Wilson 1927, JASA 22:209-212)."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n} is no proportion")
    z = float(ndtri((1 + level) / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean of two or more independent values with its Student t interval: (mean, low, high)."""
    n = len(values)
    if n < 2:
        raise ValueError("a t interval needs two values or more")
    mean = float(np.mean(values))
    half = float(stdtrit(n - 1, (1 + level) / 2)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


def one_more(values: Sequence[float], value: float, level: float = 0.95) -> tuple[float, float, float]:
    """Whether one more value could be of the same normal population as two or more: (low, high, p).

    `low` and `high` bound where the next value falls with that probability, which is wider than the
    interval of the mean; p is two-sided. Student's t with n - 1 degrees of freedom and the error
    s * sqrt(1 + 1/n) (Hahn 1969, "Factors for calculating two-sided prediction intervals for samples from
    a normal distribution", JASA 64:878-888).
    """
    n = len(values)
    if n < 2:
        raise ValueError("a prediction interval needs two values or more")
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / n)
    if error < 1e-15:  # no spread to hold the value against
        return mean, mean, 1.0 if value == mean else 0.0
    half = float(stdtrit(n - 1, (1 + level) / 2)) * error
    return mean - half, mean + half, 2 * float(stdtr(n - 1, -abs(value - mean) / error))


def one_more_seed(value: float, others: Sequence[float], level: float = 0.95) -> Difference:
    """How far a run of one seed lies from the mean of two or more others, as one draw more; see `one_more`."""
    low, high, p_value = one_more(others, value, level)
    return Difference(
        value - float(np.mean(others)), value - high, value - low, p_value, "one more seed (Student)"
    )


def mcnemar(a: Hits, b: Hits) -> float:
    """Two-sided exact p of McNemar's test on one run each, shapes (N,).

    Binomial on the images that exactly one arm gets right (McNemar 1947, Psychometrika 12:153-157;
    for classifiers: Dietterich 1998, Neural Computation 10:1895-1923).
    """
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def paired_difference(a: Hits, b: Hits, level: float = 0.95) -> Difference:
    """Compare two arms on the same test images, with one or several seeds, shapes (S, N).

    Row s of both arrays holds the same seed and column n the same image. With one seed: McNemar's
    exact test and the adjusted Wald interval of Agresti and Min (2005, Statistics in Medicine
    24:729-740).

    With several seeds the S x N differences are crossed: every image is seen by every seed. To pool
    them as S x N discordant pairs counts an image S times, and to average over seeds and resample
    images asks only about these very runs; both find effects that other seeds would not. The same
    design is known from radiology, where several readers judge the same cases in two ways, and so is
    its test with readers and cases both random: Dorfman, Berbaum and Metz (1992, Investigative
    Radiology 27:723-731) with the degrees of freedom of Hillis (2007, Statistics in Medicine
    26:596-619). Seeds are the readers here and images the cases; an accuracy is a plain mean, so its
    pseudovalues are the differences themselves.

    In simulations without a true effect (150 images) it rejects at the 5 % level in 4 to 7 % of cases
    with three or five seeds, and in 8 to 12 % with two; a test over images alone rejects in up to 50 %
    when seeds differ.
    """
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] < 2:
        raise ValueError(f"shapes {a.shape} and {b.shape} are not two equal (seeds, images) arrays")
    return _one_seed(a[0], b[0], level) if len(a) == 1 else _crossed(a, b, level)


def _one_seed(a: Hits, b: Hits, level: float) -> Difference:
    n = len(a) + 2  # half an image is added to each of the four cells
    only_a, only_b = int(np.sum(a & ~b)) + 0.5, int(np.sum(b & ~a)) + 0.5
    centre = (only_a - only_b) / n
    half = float(ndtri((1 + level) / 2)) * math.sqrt(only_a + only_b - n * centre**2) / n
    mean = float(a.mean() - b.mean())
    return Difference(
        mean, max(-1.0, centre - half), min(1.0, centre + half), mcnemar(a, b), "McNemar, exact"
    )


def _crossed(a: Hits, b: Hits, level: float) -> Difference:
    method = "seeds and images crossed (Dorfman-Berbaum-Metz-Hillis)"
    difference = a.astype(float) - b.astype(float)  # (S, N)
    n_seeds, n_images = difference.shape
    mean = float(difference.mean())
    of_seed = difference.mean(axis=1, keepdims=True) - mean  # (S, 1)
    of_image = difference.mean(axis=0, keepdims=True) - mean  # (1, N)
    rest = difference - mean - of_seed - of_image
    ms_seed = n_images * float(np.sum(of_seed**2)) / (n_seeds - 1)
    ms_image = n_seeds * float(np.sum(of_image**2)) / (n_images - 1)
    ms_rest = float(np.sum(rest**2)) / ((n_seeds - 1) * (n_images - 1))
    image_part = max(ms_image - ms_rest, 0.0)
    spread = ms_seed + image_part
    if spread < 1e-15:  # every run differs on every image alike: the images' sign test is all there is
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 2.0 ** (1 - n_images), method)
    # Images cannot give more degrees of freedom than there are of them.
    degrees = n_images - 1.0
    if ms_seed > 1e-15:
        degrees = min(degrees, (n_seeds - 1) * (spread / ms_seed) ** 2)
    error = math.sqrt(spread / (n_seeds * n_images))
    half = float(stdtrit(degrees, (1 + level) / 2)) * error
    p_value = 2 * float(stdtr(degrees, -abs(mean) / error))
    return Difference(mean, max(-1.0, mean - half), min(1.0, mean + half), p_value, method)


def paired_t(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Difference:
    """Compare two arms by one number a seed, two seeds or more: Student's paired t test."""
    differences = [x - y for x, y in zip(a, b, strict=True)]
    mean, low, high = t_interval(differences, level)
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    method = "seeds paired (Student)"
    if error < 1e-15:  # no spread to hold the difference against
        return Difference(mean, low, high, 1.0 if mean == 0 else 0.0, method)
    return Difference(mean, low, high, 2 * float(stdtr(len(differences) - 1, -abs(mean) / error)), method)
