"""The twelve scores of COCO, average precision by class, and precision-recall curves, by pycocotools.

Truth and results are in COCO's forms: a mapping of `images`, `annotations` and `categories`, and a list
of `image_id`, `category_id`, `bbox` (x, y, w, h in original pixels) and `score`.
"""

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from florilegium.config.metrics import FIGURES

CURVE_IOU = 0.5

Coco = Mapping[str, Any]
Results = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Figures:
    """The scores of a set of detections; None where COCO has no object to count."""

    overall: dict[str, float | None]
    """By the names of `FIGURES`."""
    by_class: dict[str, dict[str, float | None]]
    """`AP` and `AP50` by class name."""
    recall: list[float]
    """The 101 recalls of the curves."""
    precision: dict[str, list[float]]
    """Precision at each recall at an IoU of 0.5, by the name of a class that has objects."""


def coco_figures(truth: Coco, results: Results) -> Figures:
    """The scores of `results`; without any, each score that has objects is zero."""
    return figures_of(truth, accumulated(truth, results))


def figures_of(truth: Coco, evaluation: Any) -> Figures:
    """The scores from `evaluation`, the return value of `accumulated` for `truth`."""
    precision = evaluation.eval["precision"]  # (IoU, recall, class, area, limit)
    all_sizes, most = 0, len(evaluation.params.maxDets) - 1
    half = int(np.flatnonzero(np.isclose(evaluation.params.iouThrs, CURVE_IOU))[0])
    names = {category["id"]: category["name"] for category in truth["categories"]}
    by_class, curves = {}, {}
    for place, category in enumerate(evaluation.params.catIds):
        own = precision[:, :, place, all_sizes, most]  # (IoU, recall)
        by_class[names[category]] = {"AP": _mean(own), "AP50": _mean(own[half])}
        if own[half].max() >= 0:
            curves[names[category]] = own[half].tolist()
    return Figures(
        {name: _known(value) for name, value in zip(FIGURES, evaluation.stats, strict=True)},
        by_class,
        evaluation.params.recThrs.tolist(),
        curves,
    )


def accumulated(truth: Coco, results: Results) -> Any:
    """pycocotools' evaluation of boxes, without its printed output."""
    detections = [
        {
            "id": number,
            "image_id": result["image_id"],
            "category_id": result["category_id"],
            "bbox": list(result["bbox"]),
            "score": result["score"],
            "area": result["bbox"][2] * result["bbox"][3],
            "iscrowd": 0,
        }
        for number, result in enumerate(results, start=1)
    ]
    with redirect_stdout(StringIO()):
        evaluation = COCOeval(_indexed(truth), _indexed({**truth, "annotations": detections}), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _indexed(content: Coco) -> COCO:
    """pycocotools' object of annotations, from copies of them, since it adds keys."""
    coco = COCO()
    coco.dataset = {
        "images": content["images"],
        "categories": content["categories"],
        "annotations": [dict(annotation) for annotation in content["annotations"]],
    }
    coco.createIndex()
    return coco


def _mean(values: np.ndarray) -> float | None:
    """The mean of the known values; pycocotools marks unknown ones by -1."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _known(value: float) -> float | None:
    return None if value < 0 else float(value)
