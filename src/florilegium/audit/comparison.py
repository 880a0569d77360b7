"""The audit of two data sets: pairs, the clean split, the summary."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.audit.crops import PROOF, Described, prove, with_proofs
from florilegium.audit.hashing import IDENTITY, NAMES, Hashes
from florilegium.audit.matching import confirm
from florilegium.audit.points import SMALLEST
from florilegium.audit.search import Candidates, search
from florilegium.audit.steps import Steps
from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.config.products import Audit
from florilegium.core.errors import UserError
from florilegium.core.outputs import CROP, DIFFERENT, SAME
from florilegium.data.labels import SPLITS

# Columns of pairs whose local features agree.
SHARED = ("scale", "overlap", "points", "agreement", "correlation", "frame")
HELD_OUT = SPLITS[1:]
# Text or a mark may lie over part of a copy, and what is left agrees to the pixel: least agreement and correlation.
COVERED, EXACT = 0.6, 0.99
TOP_CLASSES = 10  # of the summary


@dataclass(frozen=True)
class Collection:
    """A data set as the audit sees it: hashed images, each in a split and of a class."""

    name: str
    hashes: Hashes
    splits: NDArray[np.str_]  # (N,)
    classes: NDArray[np.str_]  # (N,)
    root: Path | None = None  # folder of the image files, for contact sheets
    pictures: Pictures = DEFAULT  # how they were read

    @classmethod
    def join(
        cls, name: str, hashes: Hashes, table: pd.DataFrame, root: Path | None = None, pictures: Pictures = DEFAULT
    ) -> "Collection":
        """The images that are in `hashes` and in `table` (columns image, class, split), by image.

        Raises UserError when there is none.
        """
        rows = pd.Index(hashes.images).get_indexer(table["image"])
        table, rows = table[rows >= 0], rows[rows >= 0]
        if not len(rows):
            raise UserError(f"{name}: its table and its hashes have no image in common; make both again")
        order = np.argsort(rows)
        splits, classes = (table[key].to_numpy(np.str_)[order] for key in ("split", "class"))
        return cls(name, hashes.take(rows[order]), splits, classes, root, pictures)

    @property
    def small(self) -> NDArray[np.bool_]:
        """(N,) True for pictures that have too few pixels for local features, so that no crop of them is seen."""
        sides = self.hashes.side
        return np.zeros(len(self.hashes), np.bool_) if sides is None else sides.min(axis=1) < SMALLEST


@dataclass(frozen=True)
class Comparison:
    """The result of an audit. `a` is trained on, `b` tested on; inside one set `b` is `a`.

    `pairs` has the columns image_a, split_a, class_a, image_b, split_b, class_b, hash_distance,
    transform, pixel_distance, contrast_share, verdict, by rising pixel distance, and, missing where local features see
    nothing in common, scale, overlap, points, agreement, correlation, frame (see `crops.PROOF`). `nearest`, (N,), is
    the hash distance from each image of b to its nearest in a; of a sample of b alone where it is `sampled`.
    `held_out` are the splits of b whose pictures must not be in a.
    """

    a: Collection
    b: Collection
    pairs: pd.DataFrame
    nearest: NDArray[np.uint8]
    settings: Audit
    held_out: tuple[str, ...] = HELD_OUT
    sampled: bool = False

    @property
    def inside(self) -> bool:
        return self.a is self.b

    @cached_property
    def removed(self) -> pd.DataFrame:
        """The images of a that training must not see, see `dropped`."""
        return dropped(self)

    @property
    def same(self) -> pd.DataFrame:
        """The pairs that show one photograph, whole or in parts."""
        return self.pairs[self.pairs["verdict"].isin((SAME, CROP))]

    def leaks(self) -> pd.DataFrame:
        """The pairs through which training images reach a test.

        Across two sets: b's image is held out. Inside one: the two images lie in different splits, or the
        set has a single split, since any split that is made of it may separate them.
        """
        same = self.same
        if not self.inside:
            return same[same["split_b"].isin(self.held_out)]
        if len(np.unique(self.a.splits)) == 1:
            return same
        return same[same["split_a"] != same["split_b"]]


def compare(
    a: Collection,
    b: Collection,
    settings: Audit,
    *,
    held_out: tuple[str, ...] = HELD_OUT,
    workers: int = 1,
    steps: Steps | None = None,
) -> Comparison:
    """Every pair that is near in hash or shares local features, with its verdict; pass `a` twice to search inside it.

    Local features are compared where `settings.crops` says so and both sets have them.
    """
    steps, inside = steps or Steps(), b is a
    with steps("search of hashes"):
        other = None if inside else b.hashes
        candidates = search(a.hashes, other, radius=settings.radius, dihedral=settings.dihedral, workers=workers)
    proofs = np.empty(0, PROOF)
    sets = [Described.of(of.hashes, of.root, of.pictures) for of in (a, b)]
    if settings.crops and sets[0] and sets[1]:
        proofs = prove(sets[0], None if inside else sets[1], steps, workers=workers)
        proofs = proofs[settings.dihedral | (proofs["transform"] == IDENTITY)]
    with steps("verdicts"):
        pairs = judge(a, b, candidates, proofs, settings)
    return Comparison(a, b, pairs, candidates.nearest, settings, held_out, candidates.sampled)


def judge(
    a: Collection, b: Collection, candidates: Candidates, proofs: NDArray[np.void], settings: Audit
) -> pd.DataFrame:
    """`Comparison.pairs`, from the pairs that are near in hash and from those whose local features agree."""
    confirmed = confirm(a.hashes, b.hashes, with_proofs(a.hashes, b.hashes, candidates, proofs), settings)
    columns: dict[str, Any] = {}
    for side, of, rows in (("a", a, confirmed.a), ("b", b, confirmed.b)):
        columns[f"image_{side}"] = of.hashes.images[rows]
        columns[f"split_{side}"] = of.splits[rows]
        columns[f"class_{side}"] = of.classes[rows]
    proven = pd.MultiIndex.from_arrays([proofs["a"], proofs["b"]])
    row = proven.get_indexer(pd.MultiIndex.from_arrays([confirmed.a, confirmed.b]))  # of its proof, or -1
    known = {key: pd.Series(list(proofs[key])).reindex(row) for key in ("transform", *SHARED)}
    covered = (known["agreement"] >= COVERED) & (known["correlation"] >= EXACT)
    agrees = (known["points"] >= settings.crop_points) & (covered | (known["agreement"] >= settings.crop_agreement))
    verdict = np.where(confirmed.same, SAME, np.where(agrees, CROP, DIFFERENT))
    columns["hash_distance"] = confirmed.hash_distance
    transform = np.where(verdict == CROP, known["transform"].fillna(0), confirmed.transform).astype(np.intp)
    columns["transform"] = np.array(NAMES)[transform]
    columns["pixel_distance"] = confirmed.pixel_distance
    columns["contrast_share"] = confirmed.contrast_share
    columns["verdict"] = verdict
    columns |= {key: known[key].to_numpy() for key in SHARED}
    pairs = pd.DataFrame(columns).astype({"points": "Int64"})
    return pairs.sort_values(["pixel_distance", "image_a", "image_b"], ignore_index=True)


# The images to drop


def dropped(comparison: Comparison) -> pd.DataFrame:
    """Columns image, reason, verdict: the images of a that training must not see, by image.

    Across two sets: every image of a, whatever its split, that shows a held-out picture of b. Inside
    one set the later split keeps a double, so that no test image is ever lost: training images that
    show a validation or test picture go, and validation images that show a test picture. Doubles
    within a split stay. `verdict` is `same_picture` where any of an image's pairs is, since a hash sees that
    one, else that of its first pair.
    """
    leaks = across_splits(comparison) if comparison.inside else comparison.leaks()
    leaks = leaks.assign(rank=-leaks["split_b"].map(rank)).sort_values(["image_a", "rank", "pixel_distance", "image_b"])
    reasons = []
    for image, group in leaks.groupby("image_a", sort=True):
        first, others = group.iloc[0], len(group) - 1
        more = f" and {others} more" if others else ""
        split = f"{first['split_b']} " if first["split_b"] in SPLITS else ""  # a folder may have none
        verdict = SAME if (group["verdict"] == SAME).any() else first["verdict"]
        reasons.append((image, f"shows {split}image {first['image_b']} of {comparison.b.name}{more}", verdict))
    return pd.DataFrame(reasons, columns=["image", "reason", "verdict"])


def across_splits(comparison: Comparison) -> pd.DataFrame:
    """The pairs inside one set that show the same picture in two splits, the later one on side b."""
    same = comparison.same
    swapped = {f"{key}_{side}": f"{key}_{other}" for key in ("image", "split") for side, other in ("ab", "ba")}
    both = pd.concat([same, same.rename(columns=swapped)])
    return both[both["split_a"].map(rank) < both["split_b"].map(rank)]


def rank(split: str) -> int:
    """The index of a split in train, val, test; -1 for any other, such as that of a folder without splits."""
    return SPLITS.index(split) if split in SPLITS else -1


# The summary


def summarise(comparison: Comparison, removed: pd.DataFrame) -> dict[str, Any]:
    """The content of summary.json; pairs by split, transform and class count whole copies and crops.

    `n_exposed` counts, by split of b, its images whose picture is in a too (inside one set: images with a
    double, in any split). `across_splits`, only inside one set, counts for every two splits the pairs, and
    the images of the later split that the earlier one holds too.
    """
    a, b, same, inside = comparison.a, comparison.b, comparison.same, comparison.inside
    splits = zip(same["split_a"], same["split_b"], strict=True)  # inside one set the two of a pair have no order
    pairs = pd.Series(["/".join(sorted(pair, key=rank) if inside else pair) for pair in splits], dtype=object)
    sides = [same[[f"image_{side}", f"split_{side}"]].set_axis(["image", "split"], axis=1) for side in "ba"]
    exposed = pd.concat(sides if inside else sides[:1]).drop_duplicates("image")
    return {
        "a": a.name,
        "b": b.name,
        **comparison.settings.model_dump(),
        "n_a": len(a.hashes),
        "n_b": len(b.hashes),
        "n_flat_a": int((~a.hashes.reliable).sum()),
        "n_flat_b": int((~b.hashes.reliable).sum()),
        "n_candidates": len(comparison.pairs),
        "n_small_a": int(a.small.sum()),
        "n_small_b": int(b.small.sum()),
        "n_same_picture": int((same["verdict"] == SAME).sum()),
        "n_crop": int((same["verdict"] == CROP).sum()),
        "n_pairs": _counts(pairs),
        "n_exposed": _counts(exposed["split"]),
        "n_left": {} if inside else left(comparison, removed),
        "across_splits": _across_splits(comparison) if inside else {},
        "transforms": _counts(same["transform"]),
        "classes": _by_class(same),
        "n_dropped": len(removed),
        "leak": not comparison.leaks().empty,
    }


def left(comparison: Comparison, removed: pd.DataFrame) -> dict[str, dict[str, int]]:
    """The held-out images of b that a still shows when it is cleaned of nothing, of what a hash sees, and of all: by
    split."""
    leaks = comparison.leaks()
    seen = removed[removed["verdict"] == SAME]
    gone: dict[str, Any] = {"nothing": [], "hash": seen["image"], "all": removed["image"]}
    still = {by: leaks[~leaks["image_a"].isin(images)] for by, images in gone.items()}
    splits = [split for split in comparison.held_out if (comparison.b.splits == split).any()]
    return {
        by: {str(s): int(pairs[pairs["split_b"] == s]["image_b"].nunique()) for s in splits}
        for by, pairs in still.items()
    }


def _counts(values: "pd.Series[str]") -> dict[str, int]:
    return {str(value): int(n) for value, n in values.value_counts().items()}


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
    top = counts.head(TOP_CLASSES).itertuples(index=False)
    return [{"class_a": str(a), "class_b": str(b), "n": int(n)} for a, b, n in top]
