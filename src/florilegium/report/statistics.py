"""Intervals and paired tests.

Two things vary when an accuracy is measured again: the test images and the seed. Both are in every interval here: one
half-width about the seeds alone and one about the images alone, added as squares (the variance of a sum is estimated
from the intervals of its parts: Howe 1974, JASA 69:789-794; Zou and Donner 2008, Statistics in Medicine 27:1693-1702).
A p-value is one minus the level at which the interval just reaches zero, so that the two cannot disagree.

Few seeds say little about their own scatter, and by chance they agree. So the variance between seeds is never taken to
be less than images alone would make it, and has as many degrees of freedom as there are seeds, less one; a
`report.spread.Scatter` adds the evidence of the study's other arms. `benchmarks/calibration.py` simulates the rate of
false positives of all this, and its power.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtr, stdtrit

from florilegium.report.spread import (
    LEVEL,
    SMALLEST,
    Scatter,
    Spread,
    combined,
    image_parts,
    noncentrality,
    one_image,
    paired_spread,
    resampled_spread,
)

Hits = NDArray[np.bool_]  # (S, N): is image n classified rightly in the run with seed s?
Numbers = Sequence[float] | NDArray[np.float64]
Interval = tuple[float, float, float]  # mean, low, high
ALONE = "images alone; it speaks of these two networks alone"
CROSSED = "seeds and images"
ALIKE = "images alone; all seeds differ on all images alike"


@dataclass(frozen=True)
class Difference:
    """A paired difference (first arm minus second), its 95 % interval and two-sided p.

    `detectable` is the smallest difference that as many seeds and images would have shown (p < 0.05) in four of five
    repetitions, `method` names the sources of variation in the interval. `p_at` is the two-sided p of another true
    difference than none, such as three points. With `seeds_needed` seeds on as many images, this difference would be
    told from that one; infinite where it takes more images, not a number from one seed.
    """

    mean: float
    low: float
    high: float
    p_value: float
    detectable: float
    method: str
    p_at: Callable[[float], float] = field(default=lambda _: math.nan, repr=False, compare=False)
    seeds_needed: Callable[[float], float] = field(default=lambda _: math.nan, repr=False, compare=False)


def paired_difference(a: Hits, b: Hits, scatter: Scatter | None = None) -> Difference:
    """Compare two arms on the same test images, with one or several seeds, shapes (S, N).

    Row s of both arrays holds the same seed and column n the same image. Differences are crossed: every image is seen
    by every seed. To pool them counts an image S times, and to average over seeds and vary the images asks only about
    these very runs; both find effects that other seeds would not. The parts of the variance are those of radiology,
    where several readers judge the same cases in two ways: Dorfman, Berbaum and Metz (1992, Investigative Radiology
    27:723-731). Seeds are the readers here and images the cases.

    With one seed: McNemar's exact test and the adjusted interval of Agresti and Min (2005, Statistics in Medicine
    24:729-740), which is extended to zero where the test does not exclude it. It speaks of these two networks alone,
    since how much other seeds differ is not known. `scatter` is the prior from the study's other arms, if any.

    Raises:
        ValueError: shapes that are not two equal (seeds, images).
    """
    if a.shape != b.shape or a.ndim != 2 or 0 in a.shape:
        shapes = f"hits of shapes {a.shape} and {b.shape} are not two equal (seeds, images) arrays"
        raise ValueError(f"{shapes}; compare arms over the seeds and test images that both have")
    d = a.astype(np.int8) - b.astype(np.int8)
    if len(d) > 1 and d.min() < d.max():
        centre, spread = paired_spread(d, scatter)
        return _difference(float(d.mean()), float(centre), spread, _method(scatter), len(d))
    centre, spread = paired_spread(d[:1])
    method = ALONE if len(d) == 1 else ALIKE
    difference = _difference(float(d.mean()), float(centre), spread, method, 1)
    p_value = max(difference.p_value, float(mcnemar(a[0], b[0])))
    if p_value < 1 - LEVEL:
        return replace(difference, p_value=p_value)
    return replace(difference, low=min(difference.low, 0.0), high=max(difference.high, 0.0), p_value=p_value)


def resampled_difference(
    differences: Numbers, variance: float, covariance: float, n_images: int, scatter: Scatter | None = None
) -> Difference:
    """Compare two arms by a score that is no mean over images, such as average precision.

    The error of each seed's difference comes from resampled images: Obuchowski and Rockette (1995, Communications in
    Statistics B 24:285-308), whose test is that of `paired_difference` where the score is a mean (Hillis et al. 2005,
    Statistics in Medicine 24:1579-1607). `differences` (S,) are of the scores, a seed each; `variance` of one seed's
    difference and `covariance` of two seeds' are over resamples of the images; `scatter` is as in `paired_difference`.
    """
    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    spread = resampled_spread(values, variance, covariance, n_images, scatter and scatter.of_differences())
    return _difference(mean, mean, spread, ALONE if len(values) == 1 else _method(scatter), len(values))


def _method(scatter: Scatter | None) -> str:
    return CROSSED if scatter is None else f"{CROSSED}; the seeds' scatter moderated over {scatter.n_arms} arms"


def _difference(mean: float, centre: float, spread: Spread, method: str, n_seeds: int) -> Difference:
    """A difference of fractions, its interval cut at [-1, 1]."""
    half = float(spread.half_width())
    low, high = max(-1.0, centre - half), min(1.0, centre + half)

    def p_at(true: float) -> float:
        return spread.p_value(centre - true)

    def needed(true: float) -> float:
        return spread.seeds_needed(mean - true, n_seeds)

    detectable = min(spread.detectable(), 1.0)
    return Difference(mean, low, high, p_at(0.0), detectable, method, p_at, needed)


def paired_t(a: Numbers, b: Numbers) -> Difference:
    """Compare two arms by one number a seed, two seeds or more: Student's paired t test.

    Seeds that differ by the same number say nothing of their scatter: the interval is then without bounds.

    Raises:
        ValueError: fewer than two pairs, or arms of two lengths.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    mean, low, high = t_interval(differences)
    error = (high - low) / 2 / -float(stdtrit(len(differences) - 1, (1 - LEVEL) / 2))
    if not math.isfinite(error):
        method = "seeds paired; without scatter, nothing can be told"
        return Difference(mean, low, high, 1.0, math.inf, method, p_at=lambda _: 1.0)
    n = len(differences)
    spread = Spread(error**2, n - 1, 0.0, math.inf)

    def p_at(true: float) -> float:
        return max(2 * float(stdtr(n - 1, -abs(mean - true) / error)), SMALLEST)

    def needed(true: float) -> float:
        return spread.seeds_needed(mean - true, n)

    detectable = noncentrality(n - 1) * error
    return Difference(mean, low, high, p_at(0.0), detectable, "seeds alone (Student)", p_at, needed)


# Values without images: a number a seed


def one_more(values: Numbers, value: float, floor: float = 0.0) -> Interval:
    """Prediction interval of the next value of a normal population, and the two-sided p of `value`: (low, high, p).

    It is wider than the interval of the mean: Student's t with n - 1 degrees of freedom and the error s * sqrt(1 + 1/n)
    (Hahn 1969, JASA 64:878-888). Values that are all alike tell nothing about the next one: no bounds, p = 1. `floor`
    is the least variance of a single value, such as images alone give it.

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
    half = -float(stdtrit(n - 1, (1 - LEVEL) / 2)) * error
    return mean - half, mean + half, max(2 * float(stdtr(n - 1, -abs(value - mean) / error)), SMALLEST)


def one_more_seed(value: float, others: Numbers, floor: float = 0.0) -> Difference:
    """The distance of one run from the mean of two or more others, as a further draw of theirs; see `one_more`."""
    low, high, p_value = one_more(others, value, floor=floor)

    def p_at(true: float) -> float:
        return one_more(others, value - true, floor=floor)[2]

    mean = value - float(np.mean(others))
    error = math.sqrt(max(_variance(others), floor) * (1 + 1 / len(others)))
    detectable = noncentrality(len(others) - 1) * error if error else math.inf
    return Difference(mean, value - high, value - low, p_value, detectable, "one more seed (Student)", p_at=p_at)


def t_interval(values: Numbers) -> Interval:
    """Mean of two or more independent values with its Student t interval: (mean, low, high).

    Values that are all equal say nothing of their scatter: the interval is then without bounds.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"a t interval needs two values or more, and there are {n}")
    mean, variance = float(np.mean(values)), _variance(values)
    half = -float(stdtrit(n - 1, (1 - LEVEL) / 2)) * math.sqrt(variance / n) if variance else math.inf
    return mean, mean - half, mean + half


def student(values: Numbers, least: float = -math.inf, most: float = math.inf) -> Interval:
    """Mean of values with Student's 95 % interval, cut at `least` and `most`; without bounds for a single value, and
    where all values agree and so tell nothing about their scatter."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, math.nan, math.nan
    _, low, high = t_interval(values)
    return (mean, max(least, low), min(most, high)) if math.isfinite(low) else (mean, math.nan, math.nan)


def _variance(values: Numbers) -> float:
    """Variance of two or more values; zero where they differ by the rounding of floats alone."""
    scatter = float(np.std(values, ddof=1))
    return scatter**2 if scatter > 1e-12 * float(np.max(np.abs(values))) else 0.0


# Proportions, and several tests


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
    """p-values adjusted for their number (Holm 1979, Scandinavian Journal of Statistics 6:65-70)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    factors = np.arange(len(p_values), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    return [float(p) for p in adjusted]


# Intervals of one arm


def arm_interval(hits: Hits, scatter: Scatter | None = None) -> Interval:
    """Accuracy of an arm with its interval over seeds and images, from hits (S, N); Wilson's for one seed."""
    return share_interval(hits.mean(axis=1), hits.shape[1], *_image_parts(hits), scatter)


def own_variance(hits: Hits) -> float:
    """The least variance of an arm's accuracy between seeds: that by the choice of images in each seed on its own."""
    return max(one_image(hits.shape[1]), _image_parts(hits)[0])


def _image_parts(hits: Hits) -> tuple[float, float | None]:
    """A seed's own part and the shared part of `image_parts`; zero and None with one seed or one image, which cannot
    tell them apart."""
    if min(hits.shape) == 1:
        return 0.0, None
    of_seed, of_image = hits.mean(axis=1), hits.mean(axis=0)
    own, shared = image_parts(hits.sum(), of_seed, of_image, of_seed.mean())
    return float(own), float(shared)


def share_interval(
    shares: NDArray[np.float64],
    n_images: int,
    own: float = 0.0,
    shared: float | None = None,
    scatter: Scatter | None = None,
) -> Interval:
    """Mean of shares (S,) of N images, in [0, 1], with its interval over seeds and images (of one seed, images alone).

    The part of the images is Wilson's interval at as many images as have the variance `shared` (a design effect: Kish
    1965, Survey Sampling), which keeps its bounds where nearly all images are right.

    Args:
        own, shared: variances of one seed's share by images: its own part, and the part that all seeds have in common;
            `shared` None: unknown, so all of it.
    """
    mean = float(shares.mean())
    if len(shares) == 1:
        return mean, *wilson(round(mean * n_images), n_images)
    binomial = mean * (1 - mean)
    if shared is None or binomial <= 0:
        n_effective = float(n_images)
    else:
        n_effective = binomial / shared if shared > binomial * 1e-9 else math.inf
    spread = combined(shares, own, 0.0, math.inf, scatter)
    of_seeds = float(spread.half_width())
    low, high = (mean, mean) if math.isinf(n_effective) else wilson(mean * n_effective, n_effective)
    return (mean, max(0.0, mean - math.hypot(of_seeds, mean - low)), min(1.0, mean + math.hypot(of_seeds, high - mean)))


def resampled_interval(
    values: Numbers, variance: float, covariance: float, n_images: int, scatter: Scatter | None = None
) -> Interval:
    """Mean score of an arm over its seeds, in [0, 1], with its interval over seeds and images; the arguments are those
    of `resampled_difference`, of scores in place of differences."""
    scores = np.asarray(values, dtype=np.float64)
    mean = float(scores.mean())
    half = float(resampled_spread(scores, variance, covariance, n_images, scatter).half_width())
    return mean, max(0.0, mean - half), min(1.0, mean + half)
