"""COCO's twelve scores on resampled test images, from matches that were made once.

Average precision is no mean over images: the rank of each detection depends on all of them. Its error is therefore
estimated by the bootstrap (Efron 1979, "Bootstrap methods: another look at the jackknife", Annals of Statistics
7:1-26), with the same resamples for all runs, so that seeds and arms are paired by image. An image that is drawn w
times has the weight w. This equals pycocotools on a set that holds the image w times with successive ids, except that
the w copies of a detection stay together in the ranking even where an image has equal scores of one class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from florilegium.config.metrics import COCO_METRICS
from florilegium.core.errors import UserError, unknown
from florilegium.evaluation.coco import AREAS, HALF, IOUS, THREE_QUARTERS, Matches

Floats = NDArray[np.float64]

RECALLS = np.linspace(0, 1, 101)  # those of pycocotools, to the bit
ABOVE = np.append(RECALLS, np.inf)
LIMIT = 100  # detections of a class in an image, as matched
BLOCK = 1 << 21  # weights of detections that are held at a time, 16 MiB


@dataclass(frozen=True)
class Precision:
    """Mean of the precision at 101 recalls, over IoUs and classes."""

    area: int = 0
    ious: tuple[int, ...] = tuple(range(IOUS))


@dataclass(frozen=True)
class Recall:
    """Mean of the recall by the likeliest detections of each class in each image, over IoUs and classes."""

    area: int = 0
    limit: int = LIMIT


_, SMALL, MEDIUM, LARGE = range(len(AREAS))
DEFINED: dict[str, Precision | Recall] = {
    "AP": Precision(), "AP50": Precision(ious=(HALF,)), "AP75": Precision(ious=(THREE_QUARTERS,)),
    "APs": Precision(SMALL), "APm": Precision(MEDIUM), "APl": Precision(LARGE),
    "AR1": Recall(limit=1), "AR10": Recall(limit=10), "AR100": Recall(),
    "ARs": Recall(SMALL), "ARm": Recall(MEDIUM), "ARl": Recall(LARGE),
}  # fmt: skip


def coco_scores(matches: Matches, weights: Floats | None = None) -> dict[str, float | None]:
    """The twelve scores; `weights` (I,) are those of the images, one each by default. None where no object counts.

    Raises:
        ValueError: the weights do not fit the images, or one is negative.
    """
    weights = np.ones(matches.n_images) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (matches.n_images,) or (weights < 0).any():
        raise ValueError(f"weights of shape {weights.shape} are not one for each of {matches.n_images} images")
    values = _Ranking(matches, COCO_METRICS).scores(weights[:, None])[0]
    return {name: None if np.isnan(value) else float(value) for name, value in zip(COCO_METRICS, values, strict=True)}


def resampled(runs: Sequence[Matches], names: Sequence[str], draws: int = 2000, seed: int = 0) -> Floats:
    """The scores `names` of every run on the same resampled images: (draws, R, F), NaN where no object counts.

    The resamples depend on `seed` and on the number of images alone.

    Raises:
        UserError: the runs were tested on different images or objects, or COCO has no such score.
    """
    for name in names:
        if name not in DEFINED:
            raise unknown("score of COCO", name, COCO_METRICS)
    _check_same_images(runs)
    rankings = [_Ranking(run, names) for run in runs]
    longest = max(ranking.longest for ranking in rankings)
    blocks = _resamples(runs[0].n_images, draws, max(1, BLOCK // longest), seed)
    scores = [np.stack([ranking.scores(weights) for ranking in rankings], axis=1) for weights in blocks]
    return np.concatenate(scores)


def _check_same_images(runs: Sequence[Matches]) -> None:
    """Raise `UserError` unless there are runs, all tested on the same objects in the same images."""
    if not runs:
        raise UserError("no run of a detector was given; average precision is resampled over one at least")
    first = runs[0]
    for run in runs[1:]:
        if run.images != first.images:
            counts = f"{first.n_images} and {run.n_images}"
            raise UserError(f"detectors were tested on different images ({counts}); compare runs of one test set")
        if run.classes != first.classes or not np.array_equal(run.objects, first.objects):
            difference = "on the same images with different annotations"
            raise UserError(f"detectors were tested {difference}; test them again on one file")


def error_covariance(draws: Floats) -> tuple[float, float]:
    """The variance of a run's error by the choice of images, and the covariance of the errors of two runs.

    `draws` (B, R) are a score of R runs, or its difference between two arms by seed, on B resamples. Returns the mean
    over runs of the variance and the mean over pairs of runs of the covariance: the error covariances of Obuchowski and
    Rockette (1995, "Hypothesis testing of diagnostic accuracy for multiple readers and multiple tests", Communications
    in Statistics B 24:285-308) by resampling of cases, as in Hillis (2007, Statistics in Medicine 26:596-619), with
    seeds for readers and images for cases. A single run has no pair, and a covariance of zero. Draws without an object
    to count are left out.

    Raises:
        ValueError: fewer than two draws are left.
    """
    known = draws[~np.isnan(draws).any(axis=1)]
    if len(known) < 2:
        raise ValueError(f"{len(known)} of {len(draws)} draws have objects to count; a variance needs two")
    n_runs = known.shape[1]
    errors = np.atleast_2d(np.cov(known, rowvar=False))  # (R, R)
    variance = float(np.trace(errors)) / n_runs
    if n_runs == 1:
        return variance, 0.0
    return variance, float(errors.sum() - np.trace(errors)) / (n_runs * (n_runs - 1))


def _resamples(n_images: int, draws: int, block: int, seed: int) -> Iterator[Floats]:
    """Weights of the images, (I, b): as many images as there are, drawn with replacement."""
    generator = np.random.default_rng(seed)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        counts = generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=size)
        yield np.ascontiguousarray(counts.T, dtype=np.float64)


class _Ranking:
    """A run's matches, laid out for some scores under many weightings of the images."""

    def __init__(self, matches: Matches, names: Sequence[str]) -> None:
        self.wanted = [DEFINED[name] for name in names]
        self.objects = matches.objects.astype(np.float64)  # (K, 4, I)
        self.curves = self._curves(matches)
        rank = matches.rank()
        self.hits = {of: _hits(matches, rank, of) for of in self.wanted if isinstance(of, Recall)}
        self.longest = int(max(1, np.bincount(matches.label, minlength=1).max()))  # detections of one class

    def _curves(self, matches: Matches) -> dict[int, list["_Curves"]]:
        """The curves of each class, by area, at the IoUs of the scores."""
        bounds = np.searchsorted(matches.label, np.arange(len(matches.classes) + 1)).tolist()
        ious: dict[int, set[int]] = {}
        for of in self.wanted:
            if isinstance(of, Precision):
                ious.setdefault(of.area, set()).update(of.ious)
        return {
            area: [_Curves(matches, area, slice(*ends), sorted(own)) for ends in pairwise(bounds)]
            for area, own in ious.items()
        }

    def scores(self, weights: Floats) -> Floats:
        """The scores for each of B weightings (I, B) of the images: (B, F), NaN without objects."""
        areas = {of.area for of in self.wanted}
        objects = {area: self.objects[:, area] @ weights for area in areas}  # (K, B)
        precision = {
            area: np.stack([curve.areas(weights, n) for curve, n in zip(curves, objects[area], strict=True)])
            for area, curves in self.curves.items()
        }  # (K, 10, B)
        scores = np.empty((weights.shape[1], len(self.wanted)))
        for place, of in enumerate(self.wanted):
            n = objects[of.area]
            if isinstance(of, Recall):
                values = _ratio(self.hits[of] @ weights, n * IOUS)
            else:
                values = precision[of.area][:, list(of.ious)].mean(axis=1)
            scores[:, place] = _mean_over_classes(values, n > 0)
        return scores


class _Curves:
    """Precision against recall of one class and area, at several IoUs.

    Only the places of right detections matter: precision is highest there, and recall grows nowhere else. Between them
    only the sums of the weights are needed.
    """

    def __init__(self, matches: Matches, area: int, own: slice, ious: Sequence[int]) -> None:
        right, ignored = matches.right[area][ious, own], matches.ignored[area][ious, own]  # (T, D)
        counts = ~ignored.all(axis=0)
        # Detections after the last right one lower nothing.
        counts &= np.cumsum(right.any(axis=0)[::-1])[::-1] > 0
        right, ignored = right[:, counts], ignored[:, counts]
        self.ious = ious
        self.image = matches.image[own][counts]
        steps = np.flatnonzero(right.any(axis=0))  # where some IoU has a right one
        self.starts = np.append(0, steps + 1)[:-1]
        self.levels = [_level(r, i, steps) for r, i in zip(right, ignored, strict=True)]

    def areas(self, weights: Floats, objects: Floats) -> Floats:
        """Average precision (10, B), zero at other IoUs than `ious`; `objects` (B,)."""
        areas = np.zeros((IOUS, weights.shape[1]))
        if not len(self.image):
            return areas
        ranked = np.take(weights, self.image, axis=0)  # (D, B)
        counted = np.cumsum(np.add.reduceat(ranked, self.starts, axis=0), axis=0)  # at each step
        for iou, level in zip(self.ious, self.levels, strict=True):
            areas[iou] = level.area(ranked, counted, objects)
        return areas


class _Level(NamedTuple):
    """One IoU of a class's curves: P right detections, and those that are ignored here, but not at all IoUs."""

    right: NDArray[np.intp]  # (P,), places among the detections
    step: NDArray[np.intp]  # (P,), places among the steps
    ignored: NDArray[np.intp]  # (E,), places among the detections
    before: NDArray[np.intp]  # (P,), how many ignored ones come before each right one

    def area(self, ranked: Floats, counted: Floats, objects: Floats) -> Floats:
        """Mean precision at RECALLS, (B,), as pycocotools interpolates; see `_Curves.areas`."""
        if not len(self.right):
            return np.zeros(ranked.shape[1])
        right = np.cumsum(ranked[self.right], axis=0)  # (P, B)
        total = counted[self.step]
        if len(self.ignored):
            apart = np.cumsum(ranked[self.ignored], axis=0)
            total -= np.concatenate([np.zeros_like(apart[:1]), apart])[self.before]
        precision = _ratio(right, total)
        best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]  # from each place on
        reached = _recalls_reached(_ratio(right, objects))
        reached[1:] -= reached[:-1].copy()  # recalls that are reached here first
        return np.asarray(np.einsum("pb,pb->b", best, reached)) / len(RECALLS)


def _level(right: NDArray[np.bool_], ignored: NDArray[np.bool_], steps: NDArray[np.intp]) -> _Level:
    own, apart = np.flatnonzero(right), np.flatnonzero(ignored)
    return _Level(own, np.searchsorted(steps, own), apart, np.searchsorted(apart, own))


def _recalls_reached(recall: Floats) -> Floats:
    """The number of RECALLS that are not above each value."""
    below = (recall * (len(RECALLS) - 1)).astype(np.intp)  # right but for rounding
    below += ABOVE[below + 1] <= recall
    below -= ABOVE[below] > recall
    return (below + 1).astype(np.float64)


def _hits(matches: Matches, rank: NDArray[np.intp], of: Recall) -> Floats:
    """Right detections of each class and image that `of` counts, summed over IoUs: (K, I)."""
    right = matches.right[of.area].sum(axis=0) * (rank < of.limit)
    hits = np.zeros((len(matches.classes), matches.n_images))
    np.add.at(hits, (matches.label, matches.image), right)
    return hits


def _ratio(part: Floats, whole: Floats) -> Floats:
    """A quotient, zero where the divisor is."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _mean_over_classes(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """The mean of (K, B) over the classes that have objects, `known`: (B,), NaN without any."""
    n = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
