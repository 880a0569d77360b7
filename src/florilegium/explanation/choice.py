"""Which test images are looked at."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TypeVar

import pandas as pd

from florilegium.config.products import Attribution
from florilegium.core.errors import UserError, unknown

T = TypeVar("T")


def spread(items: Sequence[T], count: int) -> list[T]:
    """`count` of the items, evenly spread from the first on, since names often go by class; all where
    there are fewer."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def choose(predictions: pd.DataFrame, settings: Attribution) -> pd.DataFrame:
    """The rows of a run's predictions (`image, target, prediction, probability`) that are explained.

    Right and wrong ones take turns, so that the first few hold both.

    Raises:
        UserError: an image that is not among them, or fewer than are to have a figure.
    """
    table = predictions.sort_values("image", ignore_index=True)
    if settings.names:
        return table.iloc[_named(list(table["image"]), settings.names)].reset_index(drop=True)
    is_right = table["target"] == table["prediction"]
    right, wrong = (list(table.index[chosen]) for chosen in (is_right, ~is_right))
    if settings.sampled == "right":
        wrong = []
    elif settings.sampled == "wrong":
        right = []
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


def _named(images: list[str], names: Sequence[str | int]) -> list[int]:
    """The places of images that are asked for by name or number."""
    places = {image: place for place, image in enumerate(images)}
    found = []
    for name in names:
        if isinstance(name, int):
            if name >= len(images):
                raise UserError(
                    f"attribution.names asks for image {name}, and there are {len(images)} test images; they "
                    f"count from 0, so name one up to {len(images) - 1}"
                )
            found.append(name)
        elif name in places:
            found.append(places[name])
        else:
            raise unknown("test image", name, images, "attribution.names")
    return found
