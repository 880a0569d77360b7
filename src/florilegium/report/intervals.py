"""Intervals of one arm, over its seeds and the test images."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from florilegium.report.scatter import Scatter
from florilegium.report.spread import LEVEL, combined, image_parts, one_image, resampled_spread
from florilegium.report.statistics import Hits, Interval, wilson


def arm_interval(hits: Hits, level: float = LEVEL, scatter: Scatter | None = None) -> Interval:
    """Accuracy of an arm with its interval over seeds and images, from hits of shape (S, N).

    With one seed it is Wilson's, of the images alone.
    """
    return share_interval(hits.mean(axis=1), hits.shape[1], *_image_parts(hits), level, scatter)


def own_variance(hits: Hits) -> float:
    """The least variance that an arm's accuracy has between seeds: what the choice of images gives each seed alone."""
    return max(one_image(hits.shape[1]), _image_parts(hits)[0])


def _image_parts(hits: Hits) -> tuple[float, float | None]:
    """Variances that images give a seed's accuracy alone, and all seeds in common; nothing and unknown where one seed, or
    one image, cannot tell them apart."""
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
    level: float = LEVEL,
    scatter: Scatter | None = None,
) -> Interval:
    """Mean of shares of N images with its interval over seeds and images, in [0, 1]; of one seed over images alone.

    The part of the images is Wilson's interval at as many images as have the variance `shared` (a design
    effect: Kish 1965, Survey Sampling), which keeps its bounds where nearly all images are right.

    Args:
        shares: (S,), a seed each.
        own, shared: variances of one seed's share that images make, its own and what all seeds have in common;
            `shared` None: unknown, so all of it.
    """
    mean = float(shares.mean())
    if len(shares) == 1:
        return mean, *wilson(round(mean * n_images), n_images, level)
    binomial = mean * (1 - mean)
    if shared is None or binomial <= 0:
        n_effective = float(n_images)
    else:
        n_effective = binomial / shared if shared > binomial * 1e-9 else math.inf
    spread = combined(shares, own, 0.0, math.inf, scatter)
    of_seeds = float(spread.half_width(level))
    low, high = (mean, mean) if math.isinf(n_effective) else wilson(mean * n_effective, n_effective, level)
    return (
        mean,
        max(0.0, mean - math.hypot(of_seeds, mean - low)),
        min(1.0, mean + math.hypot(of_seeds, high - mean)),
    )


def resampled_interval(
    values: Sequence[float] | NDArray[np.float64],
    variance: float,
    covariance: float,
    n_images: int,
    level: float = LEVEL,
    scatter: Scatter | None = None,
) -> Interval:
    """Mean score of an arm over its seeds, in [0, 1], with its interval over seeds and images; the arguments are
    those of `resampled_difference`, of scores in place of differences."""
    scores = np.asarray(values, dtype=np.float64)
    mean = float(scores.mean())
    half = float(resampled_spread(scores, variance, covariance, n_images, scatter).half_width(level))
    return mean, max(0.0, mean - half), min(1.0, mean + half)
