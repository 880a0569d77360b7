"""A detection study with made-up runs and packed scenes on disk, for the tests of the report."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from florilegium.core.files import write_json
from florilegium.evaluation.coco import accumulated, matches_of, scores_of, write_matches
from florilegium.evaluation.detection_errors import breakdown
from tests.helpers import report

CLASSES = ["ring", "ball", "crate"]  # not in the order of the alphabet
SIDE, SCALE = 64, 0.5  # of a packed picture, and packed pixels an original one
N_TEST = 12


def entry(experiment: str, arm: str = "corrected", **changes: Any) -> dict[str, Any]:
    given = {"task": "detection", "dataset": "scenes", "source": "scenes", "storage_size": None}
    return report.entry(
        experiment, arm, **{**given, "packing": "64-64-least", "test": ["test"], "lr": 0.001, **changes}
    )


def write_scenes(folder: Path) -> Path:
    """Packed pictures of coloured squares, two to four in each, with `annotations.json` beside them."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(90, 110, (N_TEST, SIDE, SIDE, 3)).astype(np.uint8)
    annotations = []
    for number in range(N_TEST):
        for place in range(2 + number % 3):
            side, label = int(draw.integers(14, 22)), int(draw.integers(0, 3))
            x, y = (place % 2) * 32 + int(draw.integers(0, 8)), (place // 2) * 32 + int(draw.integers(0, 8))
            pixels[number, y : y + side, x : x + side] = 30
            pixels[number, y : y + side, x : x + side, label] = 230
            box = [x / SCALE, y / SCALE, side / SCALE, side / SCALE]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": label + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    images = [{"id": n + 1, "file_name": f"{n:02d}.png", "width": 128, "height": 128} for n in range(N_TEST)]
    content = {
        "categories": [{"id": n, "name": name} for n, name in enumerate(CLASSES, 1)],
        "splits": {"test": {"images": images, "annotations": annotations}},
        "unannotated": [],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.json").write_text(json.dumps(content))
    path = folder / "scenes64-64-least.npy"
    np.save(path, pixels.reshape(-1))
    table = pd.DataFrame(
        {
            "image": [image["file_name"] for image in images], "bucket": 0, "row": range(N_TEST),
            "padded_height": SIDE, "padded_width": SIDE, "height": SIDE, "width": SIDE, "scale": SCALE,
            "original_height": 128, "original_width": 128,
        }
    )  # fmt: skip
    table.to_csv(path.with_suffix(".csv"), index=False)
    return path


def truth_of(scenes: Path) -> dict[str, Any]:
    content = json.loads(scenes.with_name("annotations.json").read_text())
    return {**content["splits"]["test"], "categories": content["categories"]}


def write_run(root: Path, of: dict[str, Any], seed: int, scenes: Path, *, skill: float = 0.8, **changes: Any) -> Path:
    """A run that finds each object with a probability of `skill`, and errs in every way."""
    folder = report.write_run(root, of, seed, accuracy=skill, n_test=N_TEST, **changes)
    truth, draw = truth_of(scenes), np.random.default_rng([seed, *of["experiment"].encode()])
    results = []
    for found in truth["annotations"]:
        kind = draw.choice(["correct", "class", "box", "twice", "missed"], p=[skill, *4 * [(1 - skill) / 4]])
        x, y, width, height = found["bbox"]
        shift = 0.4 * width if kind == "box" else float(draw.uniform(-1, 1))
        label = found["category_id"] % 3 + 1 if kind == "class" else found["category_id"]
        for again in range(0 if kind == "missed" else 2 if kind == "twice" else 1):
            results.append(
                {
                    "image_id": found["image_id"],
                    "category_id": label,
                    "bbox": [x + shift + again, y, width, height],
                    "score": round(float(draw.uniform(0.5, 1)), 4),
                }
            )
    results.append({"image_id": 1, "category_id": 1, "bbox": [0.0, 100.0, 20.0, 20.0], "score": 0.8})
    evaluation = accumulated(truth, results)
    figures = scores_of(truth, evaluation)
    write_matches(folder / "matches.npz", matches_of(truth, evaluation))
    detail = {
        "classes": list(figures.by_class),
        "by_class": figures.by_class,
        "recall": figures.recall,
        "precision": figures.precision,
        "errors": asdict(breakdown(truth, results)),
    }
    detail["last"] = {"overall": figures.overall, **detail}
    metrics = json.loads((folder / "metrics.json").read_text())
    for name in ("top1", "top5", "last_top1", "train_top1"):
        del metrics[name]
    metrics |= {**figures.overall, "last_AP": figures.overall["AP"]}
    history = pd.read_csv(folder / "history.csv").rename(columns={"val_top1": "val_AP"})
    history["val_AP50"] = np.minimum(1, history["val_AP"] + 0.1)
    history.drop(columns="train_top1").to_csv(folder / "history.csv", index=False)
    (folder / "predictions.csv").unlink()
    for name, value in (("metrics", metrics), ("predictions", results), ("detection", detail)):
        write_json(folder / f"{name}.json", value)  # keys sorted, as a run's are
    return folder
