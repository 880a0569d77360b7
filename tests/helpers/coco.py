"""Random objects and detections in COCO's forms, with all that makes figures of COCO hard to get right."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from florilegium.evaluation.coco import accumulated

CATEGORIES = [
    {"id": 7, "name": "ring"},
    {"id": 2, "name": "ball"},
    {"id": 9, "name": "crate"},
    {"id": 4, "name": "cup"},
]
UNSEEN, UNFOUND = 9, 4  # a category without objects, and one without detections
SIDES = (10.0, 25.0, 60.0, 150.0)  # small, small, medium, large
Lines = list[dict[str, Any]]


def truth_of(seed: int, n_images: int = 12, crowds: float = 0.15) -> dict[str, Any]:
    """Zero to five objects an image, of all sizes, some of them crowds; the last image has none."""
    draw = np.random.default_rng([seed, 0])
    names = [f"{number:03d}.png" for number in range(n_images)]
    ids = draw.permutation(n_images) + 1  # in no order
    annotations: Lines = []
    for place, number in enumerate(ids.tolist()):
        for _ in range(0 if place == n_images - 1 else int(draw.integers(0, 6))):
            side = float(draw.choice(SIDES)) * draw.uniform(0.9, 1.1)
            x, y = draw.uniform(0, 300, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(draw.choice([c["id"] for c in CATEGORIES if c["id"] != UNSEEN])),
                    "bbox": [x, y, side, 0.8 * side],
                    "area": 0.8 * side**2,
                    "iscrowd": int(draw.random() < crowds),
                }
            )
    images = [
        {"id": n, "file_name": name, "width": 500, "height": 500} for n, name in zip(ids.tolist(), names, strict=True)
    ]
    return {"images": images, "annotations": annotations, "categories": CATEGORIES}


def results_of(truth: dict[str, Any], seed: int, *, n_wrong: int = 6, many: int = 0) -> Lines:
    """Detections near objects, likelier ones, and elsewhere. Scores are few, so that many are equal between
    images; those of a class in an image all differ. Every fifth image has none; the first one has `many` more."""
    draw = np.random.default_rng([seed, 1])
    groups: dict[tuple[int, int], list[tuple[float, list[float]]]] = {}

    def add(image: int, category: int, box: Sequence[float], bonus: float) -> None:
        if category != UNFOUND and image % 5:
            own = groups.setdefault((image, category), [])
            own.append((float(draw.random()) + bonus, [round(float(value), 2) for value in box]))

    for of in truth["annotations"]:
        for _ in range(int(draw.integers(0, 4))):
            x, y, width, height = of["bbox"]
            shift = draw.normal(0, draw.choice([0.01, 0.12]), 4)
            box = [x + shift[0] * width, y + shift[1] * height, width * np.exp(shift[2]), height * np.exp(shift[3])]
            other = draw.random() < 0.15
            add(of["image_id"], int(draw.choice([7, 2, 9])) if other else of["category_id"], box, 0.5)
    for image in truth["images"]:
        for _ in range(n_wrong + (many if image["id"] == 1 else 0)):
            side = float(draw.choice(SIDES))
            add(image["id"], int(draw.choice([7, 2, 9])), [*draw.uniform(0, 300, 2), side, side], 0)
    found: Lines = []
    for (image, category), own in groups.items():
        levels = max(20, len(own))
        scores = np.sort(draw.choice(levels, len(own), replace=False)) + 1
        for (_, box), level in zip(sorted(own), scores.tolist(), strict=True):
            found.append({"image_id": image, "category_id": category, "bbox": box, "score": level / levels})
    return found


def repeated(truth: dict[str, Any], results: Lines, times: Sequence[int]) -> tuple[dict[str, Any], Lines]:
    """The set in which each image stands so often, in the order of the ids, under ids that follow one another."""
    ordered = sorted(truth["images"], key=lambda image: image["id"])
    copies = {image["id"]: [] for image in ordered}
    images: Lines = []
    for image, count in zip(ordered, times, strict=True):
        for _ in range(count):
            images.append(image | {"id": len(images) + 1})
            copies[image["id"]].append(len(images))
    lines = [line | {"image_id": copy} for line in results for copy in copies[line["image_id"]]]
    objects = [of | {"image_id": copy} for of in truth["annotations"] for copy in copies[of["image_id"]]]
    annotations = [of | {"id": number} for number, of in enumerate(objects, start=1)]
    return {**truth, "images": images, "annotations": annotations}, lines


def coco_stats(truth: dict[str, Any], results: Lines) -> list[float]:
    """pycocotools' own twelve numbers, -1 without objects."""
    return [float(value) for value in accumulated(truth, results).stats]
