"""Intervals and paired tests.

Two things vary when an accuracy is measured again: the test images and the seed. Both are in every interval
here: one half-width about the seeds alone and one about the images alone, added as squares (the variance of
a sum is estimated from the intervals of its parts: Howe 1974, JASA 69:789-794; Zou and Donner 2008,
Statistics in Medicine 27:1693-1702). A p-value is the level at which the interval just reaches zero, so that
the two cannot disagree.

Few seeds say little about their own scatter, and by chance they agree. So the scatter of seeds is never taken
to be less than what images alone would make it, and has as many degrees of freedom as there are seeds, less
one; `report.scatter` adds what the other arms of a study know of it. `benchmarks/calibration.py` simulates
how often all this errs without an effect, and how much it sees of one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtr, stdtrit

from florilegium.report.scatter import Scatter
from florilegium.report.spread import LEVEL, SMALLEST, Spread, noncentrality, paired_spread, resampled_spread

Hits = NDArray[np.bool_]  # (S, N): is image n classified rightly in the run with seed s?
Numbers = Sequence[float] | NDArray[np.float64]
Interval = tuple[float, float, float]  # mean, low, high
ALONE = "images alone; it speaks of these two networks alone"
CROSSED = "seeds and images"
ALIKE = "images alone; all seeds differ on all images alike"


@dataclass(frozen=True)
class Difference:
    """A paired difference (first arm minus second), its 95 % interval and two-sided p.

    Attributes:
        detectable: the smallest difference that as many seeds and images would have shown (p < 0.05) in four of
            five repetitions.
        method: what varies in the interval.
    """

    mean: float
    low: float
    high: float
    p_value: float
    detectable: float
    method: str


def paired_difference(a: Hits, b: Hits, level: float = LEVEL, scatter: Scatter | None = None) -> Difference:
    """Compare two arms on the same test images, with one or several seeds, shapes (S, N).

    Row s of both arrays holds the same seed and column n the same image. Differences are crossed: every
    image is seen by every seed. To pool them counts an image S times, and to average over seeds and vary the
    images asks only about these very runs; both find effects that other seeds would not. The parts of the
    variance are those of radiology, where several readers judge the same cases in two ways: Dorfman, Berbaum
    and Metz (1992, Investigative Radiology 27:723-731). Seeds are the readers here and images the cases.

    With one seed: McNemar's exact test and the adjusted interval of Agresti and Min (2005, Statistics in Medicine
    24:729-740), which is taken to zero where the test does not exclude it. It speaks of these two networks alone,
    since how much other seeds differ is not known.

    Args:
        level: of the interval.
        scatter: what other arms of the study know of how seeds scatter; None: these seeds alone.

    Raises:
        ValueError: shapes that are not two equal (seeds, images).
    """
    if a.shape != b.shape or a.ndim != 2 or 0 in a.shape:
        raise ValueError(
            f"hits of shapes {a.shape} and {b.shape} are not two equal (seeds, images) arrays; compare arms over "
            "the seeds and test images that both have"
        )
    d = a.astype(np.int8) - b.astype(np.int8)
    if len(d) > 1 and d.min() < d.max():
        centre, spread = paired_spread(d, scatter)
        return _difference(float(d.mean()), float(centre), spread, _method(scatter), level)
    centre, spread = paired_spread(d[:1])
    found = _difference(float(d.mean()), float(centre), spread, ALONE if len(d) == 1 else ALIKE, level)
    return _as_exact(found, float(mcnemar(a[0], b[0])), level)


def _as_exact(found: Difference, exact: float, level: float) -> Difference:
    """With the larger p of the two, and an interval that says the same."""
    p_value = max(found.p_value, exact)
    if p_value < 1 - level:
        return replace(found, p_value=p_value)
    return replace(found, low=min(found.low, 0.0), high=max(found.high, 0.0), p_value=p_value)


def resampled_difference(
    differences: Numbers,
    variance: float,
    covariance: float,
    n_images: int,
    level: float = LEVEL,
    scatter: Scatter | None = None,
) -> Difference:
    """Compare two arms by a score that is no mean over images, such as average precision.

    The error of each seed's difference comes from resampled images: Obuchowski and Rockette (1995,
    Communications in Statistics B 24:285-308), whose test is that of `paired_difference` where the score is a
    mean (Hillis et al. 2005, Statistics in Medicine 24:1579-1607).

    Args:
        differences: of the scores, a seed each, shape (S,).
        variance: of one seed's difference when the images are drawn again.
        covariance: of two seeds' differences when the images are drawn again.
        n_images: how many test images there are.
        level, scatter: as in `paired_difference`.
    """
    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    spread = resampled_spread(values, variance, covariance, n_images, scatter and scatter.of_differences())
    return _difference(mean, mean, spread, ALONE if len(values) == 1 else _method(scatter), level)


def paired_t(a: Numbers, b: Numbers, level: float = LEVEL) -> Difference:
    """Compare two arms by one number a seed, two seeds or more: Student's paired t test.

    Seeds that differ by the same number say nothing of their scatter: the interval is then without bounds.

    Raises:
        ValueError: fewer than two pairs, or arms of two lengths.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    mean, low, high = t_interval(differences, level)
    error = (high - low) / 2 / -float(stdtrit(len(differences) - 1, (1 - level) / 2))
    if not math.isfinite(error):
        return Difference(
            mean, low, high, 1.0, math.inf, "seeds paired; without scatter, nothing can be told"
        )
    df = len(differences) - 1
    p = max(2 * float(stdtr(df, -abs(mean) / error)), SMALLEST)
    return Difference(mean, low, high, p, noncentrality(df) * error, "seeds alone (Student)")


def one_more(values: Numbers, value: float, level: float = LEVEL, floor: float = 0.0) -> Interval:
    """Whether one more value could be of the same normal population as two or more: (low, high, p).

    `low` and `high` bound where the next value falls with that probability, which is wider than the
    interval of the mean; p is two-sided. Student's t with n - 1 degrees of freedom and the error
    s * sqrt(1 + 1/n) (Hahn 1969, JASA 64:878-888). Values without scatter can hold nothing against one more:
    no bounds, p = 1.

    Args:
        floor: the least variance of a single value, such as images alone give it.

    Raises:
        ValueError: fewer than two values.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"a prediction interval needs two values or more, and there are {n}")
    mean = float(np.mean(values))
    error = math.sqrt(max(_variance(values), floor) * (1 + 1 / n))
    if error == 0:
        return -math.inf, math.inf, 1.0
    half = -float(stdtrit(n - 1, (1 - level) / 2)) * error
    return mean - half, mean + half, max(2 * float(stdtr(n - 1, -abs(value - mean) / error)), SMALLEST)


def one_more_seed(value: float, others: Numbers, floor: float = 0.0) -> Difference:
    """How far a run of one seed lies from the mean of two or more others, as one draw more; see `one_more`."""
    low, high, p_value = one_more(others, value, floor=floor)
    mean = value - float(np.mean(others))
    error = math.sqrt(max(_variance(others), floor) * (1 + 1 / len(others)))
    detectable = noncentrality(len(others) - 1) * error if error else math.inf
    return Difference(mean, value - high, value - low, p_value, detectable, "one more seed (Student)")


def t_interval(values: Numbers, level: float = LEVEL) -> Interval:
    """Mean of two or more independent values with its Student t interval: (mean, low, high).

    Values that are all equal say nothing of their scatter: the interval is then without bounds.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"a t interval needs two values or more, and there are {n}")
    mean, variance = float(np.mean(values)), _variance(values)
    half = -float(stdtrit(n - 1, (1 - level) / 2)) * math.sqrt(variance / n) if variance else math.inf
    return mean, mean - half, mean + half


def student(values: Numbers, least: float = -math.inf, most: float = math.inf) -> Interval:
    """Mean of values with Student's 95 % interval, cut at what can be; it has no bounds where there is a single value,
    or where all agree and so say nothing of their scatter."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, math.nan, math.nan
    _, low, high = t_interval(values)
    return (mean, max(least, low), min(most, high)) if math.isfinite(low) else (mean, math.nan, math.nan)


def _variance(values: Numbers) -> float:
    """Of two or more values; nothing where they differ by the rounding of floats alone."""
    scatter = float(np.std(values, ddof=1))
    return scatter**2 if scatter > 1e-12 * float(np.max(np.abs(values))) else 0.0


def wilson(successes: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of a binomial proportion (Wilson 1927, JASA 22:209-212)."""
    if not 0 <= successes <= n or n <= 0:
        raise ValueError(f"{successes} successes of {n} is no proportion")
    z = float(ndtri((1 + level) / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def mcnemar(a: Hits, b: Hits) -> NDArray[np.float64]:
    """Two-sided exact p of McNemar's test on one run each, shapes (..., N): binomial on the images that exactly one
    arm gets right (McNemar 1947, Psychometrika 12:153-157)."""
    only_a, only_b = np.sum(a & ~b, axis=-1), np.sum(b & ~a, axis=-1)
    tail = bdtr(np.minimum(only_a, only_b), only_a + only_b, 0.5)
    return np.asarray(np.minimum(1.0, 2 * tail))


def holm(p_values: Numbers) -> list[float]:
    """p-values adjusted for being that many (Holm 1979, Scandinavian Journal of Statistics 6:65-70)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    factors = np.arange(len(p_values), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    return [float(p) for p in adjusted]


def _method(scatter: Scatter | None) -> str:
    return (
        CROSSED if scatter is None else f"{CROSSED}; the seeds' scatter moderated over {scatter.n_arms} arms"
    )


def _difference(mean: float, centre: float, spread: Spread, method: str, level: float) -> Difference:
    """In fractions, so within [-1, 1]."""
    half = float(spread.half_width(level))
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return Difference(mean, low, high, spread.p_value(centre), min(spread.detectable(), 1.0), method)
