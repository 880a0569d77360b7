"""The clean split: the images that an audit removes from the training set, and the reasons."""

import pandas as pd

from florilegium.audit.comparison import Comparison, rank


def dropped(comparison: Comparison) -> pd.DataFrame:
    """Columns image, reason: the images of a that training must not see, by image.

    Across two sets: every image of a, whatever its split, that shows a held-out picture of b. Inside
    one set the later split keeps a double, so that no test image is ever lost: training images that
    show a validation or test picture go, and validation images that show a test picture. Doubles
    within a split stay.
    """
    leaks = across_splits(comparison) if comparison.inside else comparison.leaks()
    leaks = leaks.assign(rank=-leaks["split_b"].map(rank)).sort_values(
        ["image_a", "rank", "pixel_distance", "image_b"]
    )
    reasons = [
        (
            image,
            _reason(group["split_b"].iloc[0], group["image_b"].iloc[0], comparison.b.name, len(group) - 1),
        )
        for image, group in leaks.groupby("image_a", sort=True)
    ]
    return pd.DataFrame(reasons, columns=["image", "reason"])


def across_splits(comparison: Comparison) -> pd.DataFrame:
    """The pairs inside one set that show the same picture in two splits, the later one on side b."""
    same = comparison.same
    swapped = {
        f"{key}_{side}": f"{key}_{other}" for key in ("image", "split") for side, other in ("ab", "ba")
    }
    both = pd.concat([same, same.rename(columns=swapped)])
    return both[both["split_a"].map(rank) < both["split_b"].map(rank)]


def _reason(split: str, image: str, dataset: str, others: int) -> str:
    more = f" and {others} more" if others else ""
    return f"shows {split} image {image} of {dataset}{more}"
