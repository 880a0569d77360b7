"""The summary of an audit: counts by split, transform and class, and a verdict on leaks."""

from itertools import combinations
from typing import Any

import pandas as pd

from florilegium.audit.clean import across_splits
from florilegium.audit.comparison import SPLITS, Comparison, rank

TOP_CLASSES = 10


def summarise(comparison: Comparison, n_dropped: int) -> dict[str, Any]:
    """The content of summary.json; pairs by split, transform and class count the same pictures.

    `n_exposed` counts, by split of b, its images whose picture is in a too (inside one set: images with a
    double, in any split). `across_splits`, only inside one set, counts for every two splits the pairs, and
    the images of the later split that the earlier one holds too.
    """
    same = comparison.same
    return {
        "a": comparison.a.name,
        "b": comparison.b.name,
        "radius": comparison.settings.radius,
        "pixel_threshold": comparison.settings.pixel_threshold,
        "contrast_share": comparison.settings.contrast_share,
        "dihedral": comparison.settings.dihedral,
        "n_a": len(comparison.a.hashes),
        "n_b": len(comparison.b.hashes),
        "n_flat_a": int((~comparison.a.hashes.reliable).sum()),
        "n_flat_b": int((~comparison.b.hashes.reliable).sum()),
        "n_candidates": len(comparison.pairs),
        "n_same_picture": len(same),
        "n_pairs": _by_split(same, comparison.inside),
        "n_exposed": _exposed(same, comparison.inside),
        "across_splits": _across_splits(comparison) if comparison.inside else {},
        "transforms": {str(name): int(n) for name, n in same["transform"].value_counts().items()},
        "classes": _by_class(same),
        "n_dropped": n_dropped,
        "leak": not comparison.leaks().empty,
    }


def _by_split(same: pd.DataFrame, inside: bool) -> dict[str, int]:
    """Pairs by `split_a/split_b`; inside one set the two splits of a pair have no order."""
    splits = zip(same["split_a"], same["split_b"], strict=True)
    keys = pd.Series(["/".join(sorted(pair, key=rank) if inside else pair) for pair in splits], dtype=object)
    return {str(key): int(n) for key, n in keys.value_counts().items()}


def _exposed(same: pd.DataFrame, inside: bool) -> dict[str, int]:
    sides = [same[["image_b", "split_b"]].set_axis(["image", "split"], axis=1)]
    if inside:
        sides.append(same[["image_a", "split_a"]].set_axis(["image", "split"], axis=1))
    images = pd.concat(sides).drop_duplicates("image")
    return {str(split): int(n) for split, n in images["split"].value_counts().items()}


def _across_splits(comparison: Comparison) -> dict[str, dict[str, int]]:
    """Pairs and images by `earlier/later`, those without any included."""
    pairs = across_splits(comparison)
    counts = {}
    for earlier, later in combinations(SPLITS, 2):
        between = pairs[(pairs["split_a"] == earlier) & (pairs["split_b"] == later)]
        counts[f"{earlier}/{later}"] = {"pairs": len(between), "images": between["image_b"].nunique()}
    return counts


def _by_class(same: pd.DataFrame) -> list[dict[str, Any]]:
    """The classes that share most pictures."""
    counts = same.groupby(["class_a", "class_b"]).size().reset_index(name="n")
    counts = counts.sort_values(["n", "class_a", "class_b"], ascending=[False, True, True])
    return [
        {"class_a": str(a), "class_b": str(b), "n": int(n)}
        for a, b, n in counts.head(TOP_CLASSES).itertuples(index=False)
    ]
