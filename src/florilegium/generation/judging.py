"""Generated images beside real ones: nearest neighbours and copies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from florilegium.audit.hashing import Hashes, hashes_of, thumbnails
from florilegium.audit.matching import confirm
from florilegium.audit.search import search
from florilegium.config.products import Audit
from florilegium.core.errors import UserError
from florilegium.core.tables import read_table
from florilegium.data.augment import EvalTransform
from florilegium.data.crops import at_side
from florilegium.data.load import Images, Splits
from florilegium.data.stored import Stored
from florilegium.evaluation.classification import Scores, evaluate
from florilegium.generation.sheets import grid
from florilegium.models.trained import load_trained

CHUNK = 256
NUMBERS = 1 << 27  # of pixels in single precision that are compared with at a time: half a GiB
PAIRS = 12  # in the picture of the samples nearest to a training image


@dataclass(frozen=True)
class Nearest:
    """For each of N images the nearest of another set: its index (N,), and the mean squared difference of their pixels
    in [0, 1] (N,)."""

    place: NDArray[np.int64]
    distance: NDArray[np.float64]


def nearest(images: Tensor | Stored, others: Tensor | Stored, side: int, device: torch.device) -> Nearest:
    """The nearest of uint8 `others` (M, S, S, 3) to each of `images` (N, S, S, 3), which are seen at `side`."""
    least = torch.full((len(images),), torch.inf, device=device)  # squared distance, without that of the image itself
    place = torch.zeros(len(images), dtype=torch.int64, device=device)
    distance = torch.zeros(len(images), device=device)
    width = 3 * side**2
    count = max(1, NUMBERS // width)
    for first in range(0, len(others), count):
        theirs = at_side(others[first : first + count], side).reshape(-1, width).to(device).float() / 255  # (m, D)
        squares = theirs.square().sum(1)
        for start in range(0, len(images), CHUNK):
            ours = at_side(images[start : start + CHUNK], side).reshape(-1, width).to(device).float() / 255
            # Without |ours|², which does not change the minimum.
            values, index = torch.addmm(squares[None], ours, theirs.T, alpha=-2).min(1)
            part = slice(start, start + CHUNK)
            closer = values < least[part]
            least[part] = torch.where(closer, values, least[part])
            place[part] = torch.where(closer, index + first, place[part])
            distance[part] = torch.where(closer, (ours - theirs[index]).square().mean(1), distance[part])
    return Nearest(place.cpu().numpy(), distance.cpu().double().numpy())


def copies(samples: NDArray[np.uint8], trained: Hashes, settings: Audit) -> dict[int, str]:
    """Indices of the generated images, of (N, S, S, 3), that the audit finds to be copies of training images, with
    the names of these."""
    names = [str(k) for k in range(len(samples))]
    hashes = hashes_of(names, [thumbnails(Image.fromarray(image)) for image in samples])
    candidates = search(trained, hashes, radius=settings.radius, dihedral=settings.dihedral)
    pairs = confirm(trained, hashes, candidates, settings)
    return {int(b): str(trained.images[a]) for a, b in zip(pairs.a[pairs.same], pairs.b[pairs.same], strict=True)}


def labels_of(table: Path, classes: Sequence[str]) -> Tensor:
    """The place in `classes` of the class that each generated image should show, (N,), from `samples.csv`."""
    names = read_table(table)["class"]
    return torch.tensor([classes.index(name) for name in names])


def classify(checkpoint: Path, samples: Stored, labels: Tensor, classes: Sequence[str], device: torch.device) -> Scores:
    """The answers of a trained classifier to generated images, uint8 (N, S, S, 3); raises `UserError` for one of other
    classes."""
    trained = load_trained(checkpoint)
    if trained.classes != tuple(classes):
        raise UserError(
            f"{checkpoint}: knows other classes than the generator makes; let samples.judge name a classifier of the "
            "same data set"
        )
    names = tuple(str(number) for number in range(len(samples)))
    images = Images(samples, labels, names)
    transform = EvalTransform(trained.config)
    return evaluate(trained.network.to(device), images, transform, device=device)


def neighbours(
    splits: Splits, labels: Tensor, scores: Scores, near: Nearest, copied: Mapping[int, str]
) -> pd.DataFrame:
    """A row a generated image: its class, the classifier's answer, and the nearest real image."""
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


def summary(scores: Scores, near: Nearest, usual: Nearest, n_copies: int) -> dict[str, Any]:
    """Numbers of the whole set; `usual` are the distances of real test images, which copy nothing."""
    return {
        "n": len(near.distance),
        "accuracy": scores.top1,
        "copies": n_copies,
        "median_distance": float(np.median(near.distance)),
        "median_distance_of_test_images": float(np.median(usual.distance)),
        "nearer_than_test_images": float(np.mean(near.distance < np.quantile(usual.distance, 0.01))),
    }


def closest_pairs(samples: Stored, real: Tensor | Stored, near: Nearest) -> Image.Image:
    """The generated images, uint8 (N, S, S, 3), that are nearest to a real one, above these, at their side."""
    first = np.argsort(near.distance)[:PAIRS]
    there = at_side(real[torch.from_numpy(near.place[first])], samples.shape[1])
    pairs = torch.cat([samples[torch.from_numpy(first)], there])
    return grid(pairs.numpy(), ["generated", "nearest real"])
