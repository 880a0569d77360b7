"""The variance of a mean score: from seeds, from images, and the half-width and p-value that both give.

`Spread` takes arrays of many simulated comparisons as well as the numbers of one.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtrinc, ndtri, stdtrit

from florilegium.report.scatter import Scatter

LEVEL = 0.95
POWER = 0.8  # four of five repetitions
SMALLEST = sys.float_info.min  # no p-value is nothing


@dataclass(frozen=True)
class Spread:
    """Variances of a mean, from seeds and from images, each with its degrees of freedom; arrays of one shape, too.
    Infinite degrees are the normal distribution's."""

    seeds: Any
    seeds_df: float
    images: Any
    images_df: float

    def half_width(self, level: float = LEVEL) -> Any:
        """Of the interval about the mean; the two parts' own half-widths, added as squares."""
        tail = (1 - level) / 2
        return np.sqrt(
            quantile(self.seeds_df, tail) ** 2 * self.seeds
            + quantile(self.images_df, tail) ** 2 * self.images
        )

    def p_value(self, centre: float) -> float:
        """Two-sided: one less the level at which the interval about `centre` reaches zero."""
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
        """The effect that p < 0.05 shows with a probability of `POWER`, were the variances these.

        Each part's noncentrality (Student's noncentral t), added as squares; exact where one part is all.
        """
        return self._added(noncentrality)

    def _added(self, errors: Callable[[float], float]) -> float:
        """So many standard errors of each part, added as squares; a part without a variance has none."""
        parts = ((self.seeds, self.seeds_df), (self.images, self.images_df))
        return math.sqrt(sum(errors(df) ** 2 * variance for variance, df in parts if variance > 0))


def quantile(df: float, tail: float) -> float:
    """Student's t (the normal distribution's at infinite `df`) that `tail` lies below."""
    return float(ndtri(tail) if np.isinf(df) else stdtrit(df, tail))


def noncentrality(df: float) -> float:
    """How many standard errors an effect must be for p < 0.05 with a probability of `POWER`."""
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
    """Variances that the choice of images gives a mean score: of one seed alone, and of all seeds in common.

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
    """Without what the rounding of floats leaves of nothing."""
    return np.where(variance < 1e-18, 0.0, variance)


def one_image(n_images: int) -> float:
    """The variance of a score that is known to one image in all."""
    return 1.0 / (n_images + 2) ** 2


def combined(values: Any, own: Any, shared: Any, images_df: float, scatter: Scatter | None) -> Spread:
    """Variances of the mean of `values` (..., S): between seeds, no less than `own`; and of images."""
    n_seeds = values.shape[-1]
    between, df = _exact(np.var(values, axis=-1, ddof=1)), n_seeds - 1.0
    if scatter is not None:
        between, df = scatter.moderate(between, df)
    return Spread(np.maximum(between, own) / n_seeds, df, shared, images_df)


def resampled_spread(
    values: NDArray[np.float64], variance: float, covariance: float, n_images: int, scatter: Scatter | None
) -> Spread:
    """Variances of the mean of `values` (S,), from the errors that resampled images give them."""
    variance = max(variance, one_image(n_images))
    if len(values) == 1:
        return Spread(0.0, 1.0, variance, np.inf)
    shared = min(max(covariance, 0.0), variance)
    return combined(values, variance - shared, shared, np.inf, scatter)
