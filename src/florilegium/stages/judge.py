"""Judge generated images: what a classifier of real ones sees in them, and how near a training image they are."""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from florilegium.audit.hashing import Hashes
from florilegium.core.audit_settings import Audit
from florilegium.core.errors import UserError, run_main
from florilegium.core.files import write_json
from florilegium.core.receipts import read_receipt, write_receipt
from florilegium.core.spec import DataUse
from florilegium.core.validate import parse
from florilegium.data.augment import EvalTransform
from florilegium.data.crops import at_side
from florilegium.data.load import Images, Splits
from florilegium.evaluation.classification import Scores, evaluate
from florilegium.generation.judging import Nearest, copies, nearest
from florilegium.generation.sheets import grid, save_picture
from florilegium.models.trained import load_trained
from florilegium.report.statistics import wilson
from florilegium.stages import image_arguments
from florilegium.training.classification import EVALUATION_BATCH
from florilegium.training.machine import configure, pick_device
from florilegium.training.results import write_table

SHOWN = 12  # of the samples nearest to a training image


def main() -> None:
    started = time.time()
    arguments = parse_arguments()
    spec = json.loads(arguments.spec)
    device = pick_device(arguments.device)
    configure(device, 1)
    run = read_receipt(arguments.generator)
    splits = image_arguments.splits_of(arguments, parse(DataUse, run["spec"]["data"], "receipt.json: data"))
    made = np.load(arguments.samples)
    labels = labels_of(arguments.samples, splits.classes)
    scores = judged(arguments.classifier, made, labels, splits.classes, device)
    side = made.shape[1]
    real = at_side(splits.train.pixels, side)
    near = nearest(torch.from_numpy(made), real, device)
    usual = nearest(at_side(splits.test.pixels, side), real, device)
    trained = Hashes.load(arguments.hashes)
    rows = np.flatnonzero(np.isin(trained.images, splits.train.names))
    copied = copies(made, trained.take(rows), parse(Audit, spec["audit"], "--spec audit"))
    out: Path = arguments.out
    write_table(out / "neighbours.csv", neighbours(splits, labels, scores, near, copied))
    write_json(out / "judge.json", verdict(scores, near, usual, len(copied)))
    first = np.argsort(near.distance)[:SHOWN]
    pairs = np.concatenate([made[first], real.numpy()[near.place[first]]])
    save_picture(grid(pairs, ["generated", "nearest real"]), out / "neighbours.png")
    write_receipt(
        out / "judge.receipt.json",
        stage="judge",
        spec=spec,
        code=arguments.code,
        inputs=[
            arguments.samples,
            arguments.samples.with_suffix(".csv"),
            arguments.generator,
            arguments.classifier,
            arguments.hashes,
            *image_arguments.files_of(arguments),
        ],
        outputs=[out / name for name in ("judge.json", "neighbours.csv", "neighbours.png")],
        started=started,
    )


def labels_of(samples: Path, classes: Sequence[str]) -> torch.Tensor:
    """The class that was asked for of each generated image, (N,)."""
    table = pd.read_csv(samples.with_suffix(".csv"), dtype=str)
    return torch.tensor([classes.index(name) for name in table["class"]])


def judged(
    checkpoint: Path, made: np.ndarray, labels: torch.Tensor, classes: Sequence[str], device: torch.device
) -> Scores:
    """What the classifier sees in the images.

    Raises:
        UserError: it was trained on other classes.
    """
    trained = load_trained(checkpoint)
    if trained.classes != tuple(classes):
        raise UserError(
            f"{checkpoint}: knows other classes than the generator makes; let samples.judge name a classifier of the "
            "same data set"
        )
    names = tuple(str(number) for number in range(len(made)))
    images = Images(torch.from_numpy(made), labels, names)
    transform = EvalTransform(trained.config)
    return evaluate(trained.network.to(device), images, transform, batch_size=EVALUATION_BATCH, device=device)


def neighbours(
    splits: Splits, labels: torch.Tensor, scores: Scores, near: Nearest, copied: Mapping[int, str]
) -> pd.DataFrame:
    """A row a generated image: what it should be, what is seen in it, and what real image is nearest."""
    classes, train = splits.classes, splits.train
    return pd.DataFrame(
        {
            "sample": np.arange(len(labels)),
            "class": [classes[k] for k in labels.tolist()],
            "prediction": [classes[k] for k in scores.predictions.tolist()],
            "probability": scores.probabilities.double().numpy().round(6),
            "nearest": [train.names[k] for k in near.place],
            "nearest_class": [classes[k] for k in train.labels[near.place].tolist()],
            "pixel_distance": near.distance.round(6),
            "copy_of": [copied.get(k, "") for k in range(len(labels))],
        }
    )


def verdict(scores: Scores, near: Nearest, usual: Nearest, n_copies: int) -> dict[str, Any]:
    """The numbers of the whole set; `usual` are the distances of real test images, which copy nothing."""
    n = len(near.distance)
    low, high = wilson(round(scores.top1 * n), n)
    return {
        "n": n,
        "accuracy": scores.top1,
        "accuracy_low": low,
        "accuracy_high": high,
        "copies": n_copies,
        "median_distance": float(np.median(near.distance)),
        "median_distance_of_test_images": float(np.median(usual.distance)),
        "nearer_than_test_images": float(np.mean(near.distance < np.quantile(usual.distance, 0.01))),
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", required=True, type=Path, help="samples.npy, samples.csv beside it")
    parser.add_argument("--generator", required=True, type=Path, help="receipt of the generator's run")
    parser.add_argument("--classifier", required=True, type=Path, help="checkpoint of the judge")
    parser.add_argument("--hashes", required=True, type=Path, help="hashes.npz of the data set")
    image_arguments.add_to(parser)
    parser.add_argument("--spec", required=True, help="JSON with audit")
    parser.add_argument("--code", required=True)
    parser.add_argument("--out", required=True, type=Path, help="folder of the set of images")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
