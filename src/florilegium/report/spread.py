"""The sources of variation of a mean score: seeds and test images.

`Spread` has the variance that each source gives the mean, and makes the half-width and the p-value from both. It takes
arrays of many simulated comparisons as well as the numbers of one.

`Scatter` is a prior for the variance between seeds. Two seeds say next to nothing about their own variance, and the
arms of a study are much alike. So each arm's variance is moderated towards that of all arms, as Smyth (2004, "Linear
models and empirical Bayes methods for assessing differential expression", SAGMB 3:3, sections 4 and 6.2) does it for
genes: with a prior variance of d0 degrees of freedom, which are few where arms differ much. Unlike his, the prior
variance is the arithmetic mean of the arms' variances, not the geometric, and d0 is at most `MOST_DF`, and at most half
the degrees of freedom of the other arms: a study has a dozen arms, not thousands of genes, too few to see that one is
unlike the others. `benchmarks/calibration.py` simulates whole studies, of arms that are alike and that are not.
"""

import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, nctdtrinc, ndtri, polygamma, stdtrit

MOST_DF = 3.0  # of a prior
SHARE_OF_OTHERS = 0.5  # of the degrees of freedom of the other arms
FEWEST_ARMS = 3
LEVEL = 0.95
POWER = 0.8  # four of five repetitions
MOST_SEEDS = 10_000  # that anybody would train
SMALLEST = sys.float_info.min  # the least p-value: none is zero


# The prior


@dataclass(frozen=True)
class Scatter:
    """A prior for the variance of one arm's score between seeds, with its degrees of freedom, from `n_arms` arms."""

    variance: float
    df: float
    n_arms: int

    def moderate(self, variance: Any, df: float) -> tuple[Any, float]:
        """A variance estimated with `df` degrees of freedom, moderated towards the prior's: (variance, df)."""
        return (self.df * self.variance + df * variance) / (self.df + df), self.df + df

    def of_differences(self) -> "Scatter":
        """The prior for differences of two arms, as if independent: arms that share a seed's choices differ less."""
        return Scatter(2 * self.variance, self.df, self.n_arms)


def seed_variance(values: Any, least: float) -> tuple[float, int]:
    """The variance of an arm's scores (S,) between its seeds, no less than `least`, and the number of seeds."""
    return max(float(np.var(values, ddof=1)), least), len(values)


def pooled_scatter(arms: Sequence[tuple[float, int]]) -> Scatter | None:
    """The prior from the `seed_variance` of each arm with two seeds or more; None from too few arms.

    Variances are above zero: no less than the variance that images alone give one seed's score.
    """
    known = np.array([(variance, n_seeds - 1.0) for variance, n_seeds in arms if n_seeds > 1])
    if len(known) < FEWEST_ARMS:
        return None
    variances, df = known.T.copy()
    most = min(SHARE_OF_OTHERS * float(df.sum() - df.max()), MOST_DF)
    return Scatter(float(np.average(variances, weights=df)), min(_prior_df(variances, df), most), len(known))


def _prior_df(variances: Any, df: Any) -> float:
    """Smyth's d0, from the variance of the log variances that few seeds do not explain; infinite where none is left."""
    logs = np.log(variances) - digamma(df / 2) + np.log(df / 2)
    left = float(np.var(logs, ddof=1) - np.mean(polygamma(1, df / 2)))
    if left <= float(polygamma(1, MOST_DF / 2)):
        return math.inf  # above MOST_DF, so no matter how large
    low, high = 0.0, MOST_DF / 2  # of d0 / 2: the trigamma function falls
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if polygamma(1, middle) > left else (low, middle)
    return 2 * high


# Variances of one mean


@dataclass(frozen=True)
class Spread:
    """Variances of a mean, from seeds and from images, each with its degrees of freedom; numbers, or arrays of one
    shape. Infinite degrees of freedom mean the normal distribution."""

    seeds: Any
    seeds_df: float
    images: Any
    images_df: float

    def half_width(self, level: float = LEVEL) -> Any:
        """Half-width of the interval about the mean: those of the two parts, added in quadrature."""
        tail = (1 - level) / 2
        return np.sqrt(
            quantile(self.seeds_df, tail) ** 2 * self.seeds + quantile(self.images_df, tail) ** 2 * self.images
        )

    def p_value(self, centre: float) -> float:
        """Two-sided p: one minus the level at which the interval about `centre` just reaches zero."""
        low, high = math.log(SMALLEST), 0.0  # of log p, which falls as |centre| grows
        for _ in range(100):
            middle = (low + high) / 2
            reaches = self.half_width_at(math.exp(middle)) >= abs(centre)
            low, high = (middle, high) if reaches else (low, middle)
        return math.exp(high)

    def half_width_at(self, p: float) -> float:
        """`half_width(1 - p)`, exact for the smallest p."""
        return self._added(lambda df: quantile(df, p / 2))

    def detectable(self) -> float:
        """The effect that is found at p < 0.05 with a probability of `POWER`, if these are the true variances.

        The noncentralities of both parts (Student's noncentral t), added in quadrature; exact for a single part.
        """
        return self._added(noncentrality)

    def seeds_needed(self, effect: float, n_seeds: int) -> float:
        """How many seeds would make `effect` `detectable` on as many images, where these are the variances of so many.

        Infinite where the images alone hide it; not a number from one seed, which says nothing of others.
        """
        if n_seeds < 2:
            return math.nan

        def finds(n: int) -> bool:
            more = Spread(self.seeds * n_seeds / n, self.seeds_df + n - n_seeds, self.images, self.images_df)
            return more.detectable() <= abs(effect)

        most = n_seeds
        while not finds(most):
            if most > MOST_SEEDS:
                return math.inf
            most *= 2
        return float(bisect_left(range(most + 1), True, lo=2, key=finds))

    def _added(self, errors: Callable[[float], float]) -> float:
        """A multiple of each part's standard error, `errors` by degrees of freedom, added in quadrature."""
        parts = ((self.seeds, self.seeds_df), (self.images, self.images_df))
        return math.sqrt(sum(errors(df) ** 2 * variance for variance, df in parts if variance > 0))


def quantile(df: float, tail: float) -> float:
    """The quantile of Student's t (of the normal distribution at infinite `df`) at the probability `tail`."""
    return float(ndtri(tail) if np.isinf(df) else stdtrit(df, tail))


def noncentrality(df: float) -> float:
    """The effect in standard errors that gives p < 0.05 with a probability of `POWER`."""
    critical = -quantile(df, (1 - LEVEL) / 2)
    return critical + float(ndtri(POWER)) if np.isinf(df) else float(nctdtrinc(df, 1 - POWER, critical))


def paired_spread(d: NDArray[np.int8], scatter: Scatter | None = None) -> tuple[Any, Spread]:
    """Centre and variances of paired differences in {-1, 0, 1}, shape (..., S, N); results have shape (...)."""
    n_seeds, n_images = d.shape[-2:]
    of_seed = d.sum(axis=-1, dtype=np.int64) / n_images  # (..., S)
    of_image = d.sum(axis=-2, dtype=np.int64) / n_seeds  # (..., N)
    mean = of_seed.mean(axis=-1)
    if n_seeds == 1 or n_images == 1:
        centre, whole = _with_two_images(of_image, mean)
        if n_seeds == 1:
            return centre, Spread(0.0 * whole, 1.0, whole, np.inf)
        return centre, combined(of_seed, one_image(1), whole, np.inf, scatter and scatter.of_differences())
    squares = np.square(d, dtype=np.int8).sum(axis=(-2, -1), dtype=np.int64)
    own, shared = image_parts(squares, of_seed, of_image, mean)
    return mean, combined(of_seed, own, shared, n_images - 1.0, scatter and scatter.of_differences())


def _with_two_images(of_image: Any, mean: Any) -> tuple[Any, Any]:
    """Mean difference and its variance by images alone, (...,), with half an image more in each cell of right and
    wrong: half of one that the first arm alone has right, half of one that the second has, one without a difference
    (Agresti and Min 2005, Statistics in Medicine 24:729-740)."""
    n_images = of_image.shape[-1]
    n = n_images + 2
    centre = mean * n_images / n
    return centre, ((of_image**2).sum(axis=-1) + 1 - n * centre**2) / n**2


def image_parts(squares: Any, of_seed: Any, of_image: Any, mean: Any) -> tuple[Any, Any]:
    """Variances of a mean score by the choice of images: each seed's own part, and the part that all seeds share.

    Mean squares of the two-way table of seeds and images, from its sum of squares (...,) and its means by seed
    (..., S), by image (..., N) and over all (...,): the second is (MS_image - MS_rest) / (S N), where it is positive.
    """
    n_seeds, n_images = of_seed.shape[-1], of_image.shape[-1]
    by_image = (of_image**2).sum(axis=-1) - n_images * mean**2
    by_seed = (of_seed**2).sum(axis=-1) - n_seeds * mean**2
    rest = squares - n_seeds * n_images * mean**2 - n_seeds * by_image - n_images * by_seed
    own = np.maximum(rest, 0.0) / ((n_seeds - 1) * (n_images - 1) * n_images)
    return _exact(own), _exact(np.maximum(by_image / ((n_images - 1) * n_images) - own / n_seeds, 0.0))


def _exact(variance: Any) -> Any:
    """A variance, zero where only the rounding of floats is left of it."""
    return np.where(variance < 1e-18, 0.0, variance)


def one_image(n_images: int) -> float:
    """The variance of a score whose standard error is one image of all."""
    return 1.0 / (n_images + 2) ** 2


def combined(values: Any, own: Any, shared: Any, images_df: float, scatter: Scatter | None) -> Spread:
    """Variances of the mean of `values` (..., S): between seeds, no less than `own`, and from images, `shared`."""
    n_seeds = values.shape[-1]
    between, df = _exact(np.var(values, axis=-1, ddof=1)), n_seeds - 1.0
    if scatter is not None:
        between, df = scatter.moderate(between, df)
    return Spread(np.maximum(between, own) / n_seeds, df, shared, images_df)


def resampled_spread(
    values: NDArray[np.float64], variance: float, covariance: float, n_images: int, scatter: Scatter | None
) -> Spread:
    """Variances of the mean of `values` (S,), from the variance and covariance of their errors on resampled images."""
    variance = max(variance, one_image(n_images))
    if len(values) == 1:
        return Spread(0.0, 1.0, variance, np.inf)
    shared = min(max(covariance, 0.0), variance)
    return combined(values, variance - shared, shared, np.inf, scatter)
