"""Attributions of chosen images, and how the network's answer changes as pixels are deleted and inserted by them."""

import time
import warnings
import zlib
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from florilegium.config.products import Attribution
from florilegium.core.errors import UserError, unknown
from florilegium.core.names import name_bytes
from florilegium.data.augment import EvalTransform
from florilegium.explanation.attention import Pictures, as_fed, half, stacked
from florilegium.explanation.attribution import METHODS, Explanation, Subject, Unfit
from florilegium.explanation.records import AttributionRecord
from florilegium.models.trained import Trained

POINTS = 32  # equal shares of the pixels, one after the other
BATCH = 33
BLUR = 1 / 16  # of the side: a paper's 5 of 224 pixels would leave small images as they are
SQUARES = 8  # a side

T = TypeVar("T")
Found = dict[str, list[Explanation]]  # by method, an entry an image


def choose(predictions: pd.DataFrame, settings: Attribution) -> pd.DataFrame:
    """The rows of a run's predictions (`image, target, prediction, probability`) that are explained.

    Right and wrong ones take turns, so that the first few hold both. Raises `UserError` for an image that is not among
    them, or fewer than are to have a figure.
    """
    table = predictions.sort_values("image", ignore_index=True)
    if settings.names:
        return table.iloc[_named(list(table["image"]), settings.names)].reset_index(drop=True)
    is_right = table["target"] == table["prediction"]
    right = [] if settings.sampled == "wrong" else list(table.index[is_right])
    wrong = [] if settings.sampled == "right" else list(table.index[~is_right])
    n_wrong = min(len(wrong), max(settings.images // 2, settings.images - len(right)))
    pair = spread(right, settings.images - n_wrong), spread(wrong, n_wrong)
    rows = [row for row in chain.from_iterable(zip_longest(*pair)) if row is not None]
    if len(rows) < settings.shown:
        kind = "test" if settings.sampled == "right_and_wrong" else settings.sampled
        raise UserError(
            f"attribution.shown asks for figures of {settings.shown} images, and of this run there are only "
            f"{len(rows)} {kind} images; ask for fewer, or for others by attribution.sampled"
        )
    return table.iloc[rows].reset_index(drop=True)


def spread(items: Sequence[T], count: int) -> list[T]:
    """`count` of the items, or all, evenly spread from the first on, since names often go by class."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def _named(images: list[str], names: Sequence[str | int]) -> list[int]:
    """The places of images that are given by name or number."""
    places: dict[str | int, int] = {image: place for place, image in enumerate(images)}
    places |= {place: place for place in range(len(images))}
    for name in names:
        if name in places:
            continue
        if isinstance(name, int):
            raise UserError(
                f"attribution.names asks for image {name}, and there are {len(images)} test images; they "
                f"count from 0, so name one up to {len(images) - 1}"
            )
        raise unknown("test image", name, images, "attribution.names")
    return [places[name] for name in names]


# Their attributions


def interpret(
    trained: Trained,
    settings: Attribution,
    chosen: pd.DataFrame,
    *,
    pictures: Pictures,
    background: Pictures,
    device: torch.device,
) -> tuple[AttributionRecord, dict[str, float]]:
    """Explain the answers of a classifier, and leave it in evaluation mode on `device`.

    The predicted class of the `chosen` rows of its predictions is explained; `pictures` hold their images, and
    `background` those that GradientSHAP compares with. Returns the record, and the seconds that an attribution took, by
    method. Raises `UserError` if no method of the settings fits the network.
    """
    network, transform = trained.network.eval().to(device), EvalTransform(trained.config)
    stored = stacked({name: pictures[name] for name in chosen["image"]})
    images = transform(stored.to(device))  # (n, 3, s, s)
    subject = Subject(network, transform(stacked(background).to(device)), settings.steps)
    targets = [trained.classes.index(name) for name in chosen["prediction"]]
    found, unfit, seconds = _attribute(subject, images, targets, list(chosen["image"]), settings)
    maps = torch.stack([torch.stack([one.values.float().cpu() for one in of]) for of in found.values()], dim=1)
    every, table = _judge(network, images, targets, maps, chosen, found)
    shown = maps[: settings.figures]
    record = AttributionRecord(
        methods=np.array(list(found)),
        # The largest magnitude is one, since half precision has no small numbers.
        maps=half(shown / shown.abs().amax((2, 3), keepdim=True).clamp(min=1e-12)),
        images=as_fed(stored[: settings.figures], trained.config),
        orders=np.array([*found, *RANDOM]),
        curves=half(every),
        unfit=np.array(list(unfit), dtype=np.str_),
        reasons=np.array(list(unfit.values()), dtype=np.str_),
        table=table,
    )
    return record, seconds


def _attribute(
    subject: Subject, images: Tensor, targets: Sequence[int], names: Sequence[str], settings: Attribution
) -> tuple[Found, dict[str, str], dict[str, float]]:
    """The answers of each method for images (n, 3, s, s), the reasons of those that do not fit, and the seconds of one
    attribution by method. All chance depends on the image's name alone."""
    found: Found = {}
    unfit: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for method in settings.methods:
        started = time.perf_counter()
        try:
            found[method] = [
                _seeded(name, method, subject, image[None], target)
                for name, image, target in zip(names, images, targets, strict=True)
            ]
        except Unfit as error:
            unfit[method] = str(error)
            continue
        seconds[method] = (time.perf_counter() - started) / len(images)
    if not found:
        reasons = "; ".join(f"{method}: {reason}" for method, reason in unfit.items())
        raise UserError(f"attribution.methods: none fits {type(subject.network).__name__} ({reasons}); ask for others")
    return found, unfit, seconds


def _seeded(name: str, method: str, subject: Subject, image: Tensor, target: int) -> Explanation:
    """Captum draws from the generators of numpy and torch, and warns of changes to its own copies."""
    np.random.seed(_seed_of(name))
    torch.manual_seed(_seed_of(name))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="captum", category=UserWarning)
        return METHODS[method](subject, image, target)


def _seed_of(name: str) -> int:
    return zlib.crc32(name_bytes(name))


# Deletion and insertion (Petsiuk et al. 2018)


def _judge(
    network: nn.Module, images: Tensor, targets: Sequence[int], maps: Tensor, chosen: pd.DataFrame, found: Found
) -> tuple[Tensor, pd.DataFrame]:
    """The curves and the table of `AttributionRecord`: deletion and insertion of each image (n, 3, s, s) by its maps
    (n, m, s, s), and in random orders."""
    rows, every = [], []
    for place, row in enumerate(chosen.itertuples(index=False)):
        generator = torch.Generator().manual_seed(_seed_of(row.image))
        orders = dict(zip(found, maps[place], strict=True))
        orders |= {name: draw(images.shape[-1], generator) for name, draw in RANDOM.items()}
        for order, scores in orders.items():
            deletion, insertion = curves(network, images[place : place + 1], targets[place], ranks(scores, generator))
            every.append(torch.stack([deletion, insertion]))
            claim = found[order][place] if order in found else Explanation(scores)
            rows.append(
                row._asdict()
                | {"method": order, "deletion": area(deletion), "insertion": area(insertion)}
                | {"completeness_gap": claim.gap, "difference": claim.difference}
            )
    return torch.stack(every).unflatten(0, (len(images), -1)), pd.DataFrame(rows)


def ranks(scores: Tensor, generator: torch.Generator) -> Tensor:
    """The place of each pixel in falling order of `scores` (s, s), int64 (s, s); equal ones in random order."""
    flat = scores.flatten().cpu()
    shuffled = torch.randperm(len(flat), generator=generator)
    order = shuffled[flat[shuffled].argsort(descending=True, stable=True)]
    places = torch.empty_like(order)
    places[order] = torch.arange(len(flat))
    return places.view(scores.shape)


def random_pixels(side: int, generator: torch.Generator) -> Tensor:
    """Scores (side, side) that say nothing."""
    return torch.rand(side, side, generator=generator)


def random_squares(side: int, generator: torch.Generator) -> Tensor:
    """Scores (side, side) that say nothing of 8 x 8 squares: as coarse as a map of a late layer, and so the
    fairer opponent of one, since pixels that are scattered over an image spoil it in another way."""
    squares = torch.rand(1, 1, SQUARES, SQUARES, generator=generator)
    return F.interpolate(squares, size=(side, side), mode="nearest")[0, 0]


RANDOM = {"random_pixels": random_pixels, "random_squares": random_squares}


def curves(network: nn.Module, image: Tensor, target: int, places: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of class `target` when a share of the pixels is deleted, and when it is inserted: two curves
    (POINTS + 1,) over shares from 0 to 1.

    `image` (1, 3, s, s) is normalised, so that zero is the mean colour; `places` of the pixels are those of `ranks`.
    """
    shares = torch.arange(POINTS + 1) / POINTS
    first = places[None] < (shares * places.numel()).round().long()[:, None, None]  # (P + 1, s, s)
    taken = first[:, None].to(image.device)
    deletion = torch.where(taken, torch.zeros_like(image), image)
    insertion = torch.where(taken, image, blurred(image))
    both = torch.cat([deletion, insertion])  # (2 (P + 1), 3, s, s)
    with torch.inference_mode():
        answers = [network(part).softmax(1)[:, target] for part in both.split(BATCH)]
    deleted, inserted = torch.cat(answers).double().cpu().chunk(2)
    return deleted, inserted


def blurred(images: Tensor) -> Tensor:
    """Images (B, 3, s, s) of which only large patches of colour are left."""
    sigma = BLUR * images.shape[-1]
    reach = min(int(2 * sigma + 0.5), images.shape[-1] - 1)
    patches: Tensor = gaussian_blur(images, 2 * reach + 1, sigma)
    return patches


def area(curve: Tensor) -> float:
    """Under a curve over equal steps from 0 to 1, by the trapezoid rule."""
    return float(torch.trapezoid(curve) / (len(curve) - 1))
