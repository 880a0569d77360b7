"""What came out of an audit: pairs by kind, in numbers and in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from florilegium.audit.comparison import Comparison
from florilegium.core.errors import counted
from florilegium.core.outputs import CROP, DIFFERENT

WHOLE, CUT, DOUBLE, ALLOWED, NEAR = "whole", "cut", "double", "allowed", "near"
KINDS = {
    WHOLE: "whole copies",
    CUT: "crops",
    DOUBLE: "doubles inside a split",
    ALLOWED: "shared with a split that is not tested on",
    NEAR: "near in hash, but different",
}
OF_ONE = {WHOLE: "whole copy", CUT: "crop", DOUBLE: "double inside a split"}  # where it differs from KINDS


def kinds(comparison: Comparison) -> "pd.Series[str]":
    """The kind of each pair, one of KINDS. Whole copies and crops are leaks; the others are none."""
    pairs = comparison.pairs
    kind = pairs["verdict"].map({DIFFERENT: NEAR, CROP: CUT}).fillna(WHOLE)
    harmless = (kind != NEAR) & ~pairs.index.isin(comparison.leaks().index)
    return kind.mask(harmless, DOUBLE if comparison.inside else ALLOWED)


def counts(comparison: Comparison) -> dict[str, int]:
    """The number of pairs of each kind."""
    found = kinds(comparison).value_counts()
    return {kind: int(found.get(kind, 0)) for kind in KINDS}


def surest_first(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs by rising pixel distance; after them crops, by falling number of points."""
    crop = pairs["verdict"] == CROP
    if not crop.any():
        return pairs
    return pd.concat([pairs[~crop], pairs[crop].sort_values("points", ascending=False, kind="stable")])


def facts(pair: Mapping[str, Any]) -> tuple[str, str]:
    """What speaks for the verdict of a pair, in two lines."""
    hashes = f"hash {pair['hash_distance']} · {pair['transform']}"
    if pair["verdict"] == CROP:
        agrees = f"{pair['agreement']:.0%} of the overlap agrees"
        return f"cut to {pair['overlap']:.0%}, {pair['points']} points, {agrees}", hashes
    return f"pixels {pair['pixel_distance']:.4f} ({pair['contrast_share']:.0%} of contrast)", hashes


def verdict(comparison: Comparison) -> str:
    """The result of an audit, for a person, in two or three lines."""
    a, b = comparison.a, comparison.b
    same, leaks = comparison.same, comparison.leaks()
    size_a, size_b = (counted(len(side.hashes), "image") for side in (a, b))
    if comparison.inside:
        doubles = f"{counted(len(same), 'pair')} of images show{'s' * (len(same) == 1)} the same picture"
        parted = f", {len(leaks):,} of them in two splits" if len(np.unique(a.splits)) > 1 else ""
        lines = [f"{a.name} ({size_a})", f"{'No leak' if leaks.empty else 'LEAK'}: {doubles}{parted}."]
        if parted and not leaks.empty:
            lines.append("dropped.csv lists the images to leave out: a test image stays, and one of val before train.")
        return "\n".join(lines)
    title = f"{a.name} ({size_a}) against {b.name} ({size_b})\n"
    if leaks.empty:
        return f"{title}No leak: no image of {b.name} shows a picture that {a.name} holds."
    shown, dropped = leaks["image_b"].nunique(), leaks["image_a"].nunique()
    return (
        f"{title}LEAK: {counted(shown, 'image')} of {b.name} show{'s' * (shown == 1)} a picture that {a.name} holds, "
        f"too ({counted(len(leaks), 'pair')}).\n"
        f"dropped.csv lists the {counted(dropped, 'image')} of {a.name} to leave out of training."
    )
