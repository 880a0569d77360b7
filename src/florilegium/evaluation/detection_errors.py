"""The errors of a detector: the kind of each detection, and the missed objects.

At an IoU of 0.5, and above the score at which the mean F1 of all detections is best, a detection is

- correct, if it matches an object of its class that no likelier detection has matched (as COCO matches);
- a duplicate, if all such objects are matched;
- a class error, if it is neither, and overlaps an object of another class by 0.5;
- a box error, if it overlaps an object of its class by 0.1 at least;
- background, if it is none of these.

An object is missed if no detection is correct for it and it is not the object that a class or box error overlaps
most. The kinds are those of Bolya et al. 2020, "TIDE", except errors of both class and box, which count as
background. Detections on crowds and on ignored objects do not count.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask

from florilegium.evaluation.coco import Coco, Results

KINDS = ("correct", "class", "box", "duplicate", "background", "missed")
FOREGROUND, TOUCHING = 0.5, 0.1
FREE = -1


@dataclass(frozen=True)
class Breakdown:
    """Counts over all images."""

    score: float | None
    """The least score that counts; None without a correct detection, in which case all count."""
    counts: dict[str, int]
    """By `KINDS`."""
    confusion: list[list[int]]
    """Rows are objects by class, columns detections by class; the last of each means no object or no detection."""


@dataclass(frozen=True)
class Judged:
    """One image: its detections that count, the likeliest first, and its objects, in COCO's forms."""

    detections: list[tuple[Any, str]]
    """Each with its kind; without those on crowds."""
    objects: list[tuple[Any, bool]]
    """Each with True if it is missed."""

    @property
    def n_missed(self) -> int:
        return sum(missed for _, missed in self.objects)


@dataclass
class _Image:
    """One image's detections, the likeliest first, and its objects."""

    number: int  # COCO image id
    detections: list[Any]  # D results
    annotations: list[Any]  # G
    scores: np.ndarray  # (D,)
    classes: np.ndarray  # (D,)
    objects: np.ndarray  # (G,), class
    iou: np.ndarray  # (D, G)
    on_crowd: np.ndarray  # (D,), bool
    taken: np.ndarray  # (D,), the object that a detection is correct for, or FREE

    def above(self, score: float | None) -> np.ndarray:
        """A mask of the detections that count, (D,) bool."""
        return np.asarray(self.scores >= (0 if score is None else score))


def breakdown(truth: Coco, results: Results) -> Breakdown:
    """Count the detections and objects of each of `KINDS`."""
    classes = [category["id"] for category in truth["categories"]]
    images = list(_images(truth, results, classes))
    score = _best_score(images)
    counts = dict.fromkeys(KINDS, 0)
    confusion = np.zeros((len(classes) + 1, len(classes) + 1), dtype=int)
    for image in images:
        above = image.above(score)
        kinds, missed = _sort(image, above)
        for kind in kinds.values():
            counts[kind] += 1
        counts["missed"] += int(missed.sum())
        _confuse(image, above, confusion)
    return Breakdown(score, counts, confusion.tolist())


def judge(truth: Coco, results: Results, score: float | None) -> dict[int, Judged]:
    """The images by id, with their detections above `score` (see `Breakdown.score`)."""
    classes = [category["id"] for category in truth["categories"]]
    judged: dict[int, Judged] = {}
    for image in _images(truth, results, classes):
        kinds, missed = _sort(image, image.above(score))
        detections = [(image.detections[number], kind) for number, kind in kinds.items()]
        judged[image.number] = Judged(detections, list(zip(image.annotations, missed.tolist(), strict=True)))
    return judged


def _images(truth: Coco, results: Results, classes: Sequence[int]) -> Iterator[_Image]:
    label = {category: number for number, category in enumerate(classes)}
    by_image: dict[int, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for which, lines in enumerate((results, truth["annotations"])):
        for line in lines:
            by_image[line["image_id"]][which].append(line)
    for number in (image["id"] for image in truth["images"]):
        unsorted, annotations = by_image[number]
        detections = sorted(unsorted, key=lambda line: -line["score"])
        ignored = np.array([bool(line.get("iscrowd") or line.get("ignore")) for line in annotations], dtype=bool)
        iou = _overlaps(detections, annotations, ignored)
        predicted, objects = (
            np.array([label[line["category_id"]] for line in lines], dtype=int) for lines in (detections, annotations)
        )
        same = predicted[:, None] == objects
        counts = ~ignored
        yield _Image(
            number=number,
            detections=detections,
            annotations=[line for line, counted in zip(annotations, counts, strict=True) if counted],
            scores=np.array([line["score"] for line in detections]),
            classes=predicted,
            objects=objects[counts],
            iou=iou[:, counts],
            on_crowd=(same & (iou >= FOREGROUND))[:, ignored].any(axis=1),
            taken=_greedy(np.where(same, iou, 0)[:, counts]),
        )


def _overlaps(detections: Sequence[Any], annotations: Sequence[Any], ignored: np.ndarray) -> np.ndarray:
    """IoU (D, G); with a crowd, the part of the detection that lies in it."""
    if not detections or not annotations:
        return np.zeros((len(detections), len(annotations)))
    boxes = (np.array([line["bbox"] for line in lines], dtype=float) for lines in (detections, annotations))
    return np.asarray(mask.iou(*boxes, ignored.astype(int).tolist()))


def _greedy(iou: np.ndarray) -> np.ndarray:
    """For each detection, in order, the free object that it overlaps most, by 0.5 at least; or FREE."""
    iou = iou.copy()
    taken = np.full(len(iou), FREE)
    for number in range(len(iou)):
        if iou.shape[1] and iou[number].max() >= FOREGROUND:
            taken[number] = iou[number].argmax()
            iou[:, taken[number]] = 0
    return taken


def _best_score(images: Sequence[_Image]) -> float | None:
    """The score threshold at which F1, over all images and classes, is highest."""
    counting = [(image, ~image.on_crowd | (image.taken != FREE)) for image in images]
    scores = np.concatenate([np.empty(0), *(image.scores[counts] for image, counts in counting)])
    right = np.concatenate([np.empty(0, bool), *(image.taken[counts] != FREE for image, counts in counting)])
    if not right.any():
        return None
    order = np.argsort(-scores, kind="stable")
    correct = right[order].cumsum()
    f1 = 2 * correct / (np.arange(1, len(order) + 1) + sum(len(image.objects) for image in images))
    return float(scores[order][f1.argmax()])


def _sort(image: _Image, above: np.ndarray) -> tuple[dict[int, str], np.ndarray]:
    """The kind of each detection that counts, by its index, and a mask of the missed objects, (G,) bool."""
    same = image.classes[:, None] == image.objects
    hit = np.zeros(len(image.objects), dtype=bool)
    hit[image.taken[above & (image.taken != FREE)]] = True
    kinds: dict[int, str] = {}
    for number in np.flatnonzero(above).tolist():
        own, other = (np.where(chosen, image.iou[number], 0) for chosen in (same[number], ~same[number]))
        kinds[number] = "background"
        if image.taken[number] != FREE:
            kinds[number] = "correct"
        elif image.on_crowd[number]:
            del kinds[number]
        elif own.max(initial=0) >= FOREGROUND:
            kinds[number] = "duplicate"
        elif other.max(initial=0) >= FOREGROUND:
            kinds[number] = "class"
            hit[other.argmax()] = True
        elif own.max(initial=0) >= TOUCHING:
            kinds[number] = "box"
            hit[own.argmax()] = True
    return kinds, ~hit


def _confuse(image: _Image, above: np.ndarray, confusion: np.ndarray) -> None:
    """Add an image to `confusion`: correct pairs first, the others paired by overlap whatever their classes."""
    taken = np.where(above, image.taken, FREE)
    rest = above & (taken == FREE) & ~image.on_crowd
    free = np.ones(len(image.objects), dtype=bool)
    free[taken[taken != FREE]] = False
    pairs = _greedy(image.iou * rest[:, None] * free)
    taken = np.where(rest, pairs, taken)
    nothing = len(confusion) - 1
    for number in np.flatnonzero(above & (rest | (taken != FREE))):
        row = nothing if taken[number] == FREE else image.objects[taken[number]]
        confusion[row, image.classes[number]] += 1
    seen = set(taken[above].tolist())
    for place, label in enumerate(image.objects.tolist()):
        confusion[label, nothing] += place not in seen
