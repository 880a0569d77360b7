"""Everything that an audit writes: tables, a summary, histograms of distances, a contact sheet, the page of pairs."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont

from florilegium.audit.comparison import Collection, Comparison, summarise
from florilegium.audit.outcome import facts, surest_first
from florilegium.audit.page import quoted, render_page
from florilegium.audit.search import FAR
from florilegium.audit.sides import outlines, picture, turn_of
from florilegium.core.files import atomic, write_json, write_text
from florilegium.core.names import boxes_for_letters, drawn, short, shown
from florilegium.core.outputs import AUDIT, AUDIT_PAGE, AUDIT_TABLES, CROP, DIFFERENT, SAME
from florilegium.core.tables import write_frame

COLOURS = {SAME: "#d55e00", CROP: "#cc79a7", DIFFERENT: "#0072b2"}
LABELS = {SAME: "same picture", CROP: "crop", DIFFERENT: "different"}
LONGEST = 20  # characters of a name in a heading
UNWRITTEN = ["contrast_share", "correlation", "frame"]  # columns of pairs that only decide and draw
FILES = (*AUDIT_TABLES, *AUDIT, *AUDIT_PAGE)


def write_audit(
    comparison: Comparison, folder: Path, notes: Mapping[str, str] | None = None, workers: int = 1
) -> list[Path]:
    """Write every file of FILES into `folder`, the summary last, with `notes` in it; returns their paths.

    Those of another audit go first: whatever stops this one, nobody deletes pictures by an old list. `workers` are
    threads that read pictures.
    """
    removed = comparison.removed
    paths = [folder / name for name in FILES]
    for path in paths:
        path.unlink(missing_ok=True)
    pairs, drops, summary, sheet, distances, page, lines = paths
    write_frame(pairs, comparison.pairs.drop(columns=UNWRITTEN), float_format="%.6f")
    write_frame(drops, removed)
    with atomic(lines) as temporary:
        temporary.write_bytes(quoted(removed["image"]))
    with atomic(sheet) as temporary:
        contact_sheet(comparison).quantize(256).save(temporary, format="PNG")  # a quarter of the bytes
    with atomic(distances) as temporary, boxes_for_letters():
        distance_histograms(comparison).savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    write_text(page, render_page(comparison, removed, distances.read_bytes(), workers=workers))
    write_json(summary, summarise(comparison, removed) | dict(notes or {}))
    return paths


# Distances


def distance_histograms(comparison: Comparison) -> Figure:
    """Draw hash and pixel distances of all candidate pairs, and each image's nearest neighbour."""
    figure = Figure(figsize=(13, 3.9), layout="constrained")
    hashes, pixels, nearest = figure.subplots(1, 3)
    _hash_distances(hashes, comparison)
    _pixel_distances(pixels, comparison)
    _nearest(nearest, comparison)
    for axes in (hashes, pixels, nearest):
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.margins(y=0.25)  # room for the legend above the bars
        axes.set_ylim(0, max(axes.get_ylim()[1], 1))
        axes.legend(frameon=False)
    a, b = _names(comparison)
    name = f"inside {a}" if comparison.inside else f"{a} against {b}"
    figure.suptitle(f"Audit {name}: {len(comparison.same):,} pairs show the same picture", fontsize=12)
    return figure


def _hash_distances(axes: Axes, comparison: Comparison) -> None:
    """Stacked bars, one an even distance: two true pHashes never differ in an odd number of bits."""
    positions = np.arange(0, comparison.settings.radius + 1, 2)
    bottom = np.zeros(len(positions))
    for verdict, colour in COLOURS.items():
        distances = comparison.pairs.loc[comparison.pairs["verdict"] == verdict, "hash_distance"]
        counts = np.array([(distances == position).sum() for position in positions])
        axes.bar(positions, counts, 1.5, bottom=bottom, color=colour, label=LABELS[verdict])
        bottom += counts
    axes.set(title="Candidate pairs", xlabel="hash distance (bits of 64)", ylabel="pairs", xticks=positions)


def _pixel_distances(axes: Axes, comparison: Comparison) -> None:
    threshold = comparison.settings.pixel_threshold
    edges = np.geomspace(1e-5, 1, 41).tolist()
    for verdict, colour in COLOURS.items():
        distances = comparison.pairs.loc[comparison.pairs["verdict"] == verdict, "pixel_distance"]
        axes.hist(distances.clip(edges[0], edges[-1]), edges, color=colour, alpha=0.8)
    axes.axvline(threshold, color="black", linewidth=1, linestyle="--", label=f"threshold {threshold:g}")
    axes.set(title="Candidate pairs", xlabel="pixel distance (first bin: nearer than 0.00001)", ylabel="pairs")
    axes.set(xscale="log", xlim=(edges[0], edges[-1]))


def _nearest(axes: Axes, comparison: Comparison) -> None:
    distances = comparison.nearest[comparison.nearest != FAR]
    edges = list(range(-1, 35, 2))
    axes.hist(distances.clip(0, 33), edges, color="#7f7f7f", rwidth=0.85)
    radius = comparison.settings.radius
    axes.axvline(radius + 1, color="black", linewidth=1, linestyle="--", label=f"radius {radius}")
    a, b = _names(comparison)
    other = "other image" if comparison.inside else f"in {a}"
    who = f"A sample of {len(distances):,} images" if comparison.sampled else "Each image"
    axes.set(title=f"{who} of {b}", xlabel=textwrap.fill(f"hash distance to its nearest {other}", 48))
    axes.set(ylabel="images", xticks=range(0, 34, 4))


def _names(comparison: Comparison) -> tuple[str, str]:
    """The names of a and b as matplotlib draws them."""
    a, b = (drawn(_in_heading(side)) for side in (comparison.a, comparison.b))
    return a, b


def _in_heading(collection: Collection) -> str:
    """A name, which may be a whole path, as it has room in a heading."""
    return short(shown(collection.name), LONGEST)


# The contact sheet

SHOWN_SAME, SHOWN_DIFFERENT = 32, 16
COLUMNS = 4
PICTURE = 150  # side of a picture's square; all lengths are in pixels
CELL = (2 * PICTURE + 6, PICTURE + 74)  # two squares and four lines of text
STEP = (CELL[0] + 26, CELL[1] + 18)
MARGIN, HEADER, TITLE = 30, 74, 38
WIDTH = 2 * MARGIN + (COLUMNS - 1) * STEP[0] + CELL[0]
INK, PALE, MAT, LEAK, OUTLINE = "#222222", "#6f6f6f", "#efefef", "#b3400e", "#d6006c"


@dataclass(frozen=True)
class Section:
    """Pairs under one heading of the sheet."""

    title: str
    pairs: pd.DataFrame

    @property
    def height(self) -> int:
        return TITLE + -(-len(self.pairs) // COLUMNS) * STEP[1]


def contact_sheet(comparison: Comparison) -> Image.Image:
    """Draw the pairs that show the same picture and the nearest of those that do not.

    Pictures are read from the files below each collection's root, or enlarged from the 32-pixel
    thumbnails where a file is absent. The picture of a is turned and flipped by the pair's transform.
    """
    sections = choose(comparison)
    sheet = Image.new("RGB", (WIDTH, HEADER + sum(s.height for s in sections) + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    _draw_header(draw, comparison)
    leaks = frozenset(comparison.leaks().index)
    top = HEADER
    for section in sections:
        draw.text((MARGIN, top + 8), section.title, fill=INK, font=_font(16))
        for k, (row, pair) in enumerate(section.pairs.to_dict("index").items()):
            corner = MARGIN + k % COLUMNS * STEP[0], top + TITLE + k // COLUMNS * STEP[1]
            _draw_pair(sheet, corner, comparison, pair, LEAK if row in leaks else INK)
        top += section.height
    return sheet


def choose(comparison: Comparison) -> list[Section]:
    """The pairs to show, the surest first: all that show one photograph or, of many, both ends."""
    pairs = comparison.pairs
    sections = [*_both_ends("Same picture", pairs[pairs["verdict"] == SAME])]
    if (crops := pairs["verdict"] == CROP).any():
        sections += _both_ends("Cut, bordered or zoomed", surest_first(pairs[crops]))
    different = pairs[pairs["verdict"] == DIFFERENT]
    nearest = min(len(different), SHOWN_DIFFERENT)
    of = f", the nearest {nearest} of them" if nearest < len(different) else ""
    title = f"Near in hash, but different in picture: {_count(len(different))}{of}"
    return [*sections, Section(title, different.head(nearest))]


def _both_ends(title: str, pairs: pd.DataFrame) -> list[Section]:
    n, half = len(pairs), SHOWN_SAME // 2
    if n <= SHOWN_SAME:
        return [Section(f"{title}: {_count(n)}", pairs)]
    between = f"({n - 2 * half:,} more lie between)"
    return [
        Section(f"{title}: the {half} surest of {n:,} pairs", pairs.head(half)),
        Section(f"{title}: the {half} least sure of {n:,} pairs {between}", pairs.tail(half)),
    ]


def _count(n: int) -> str:
    return f"{n:,} pair{'' if n == 1 else 's'}"


def _draw_header(draw: ImageDraw.ImageDraw, comparison: Comparison) -> None:
    a, b = map(_in_heading, (comparison.a, comparison.b))
    title = f"Doubles inside {a}" if comparison.inside else f"Pictures of {b} that {a} shows too"
    draw.text((MARGIN, 22), _fit(title, 24, WIDTH - 2 * MARGIN), fill=INK, font=_font(24))
    sides = "" if comparison.inside else f"{a} on the left, {b} on the right; "
    threshold, share = comparison.settings.pixel_threshold, comparison.settings.contrast_share
    rule = f"same picture: pixel distance up to {threshold:g} and {share:.0%} of the contrast"
    left = "the left picture is turned as named; a leak is marked in red"
    line = _fit(f"{sides}{left}; {rule}; by rising distance", 13, WIDTH - 2 * MARGIN)
    draw.text((MARGIN, 53), line, fill=PALE, font=_font(13))


def _draw_pair(
    sheet: Image.Image, corner: tuple[int, int], comparison: Comparison, pair: dict[str, Any], colour: str
) -> None:
    draw, (x, y) = ImageDraw.Draw(sheet), corner
    drawn_on = outlines(pair)
    for side, collection in (("a", comparison.a), ("b", comparison.b)):
        shown_as = picture(collection, str(pair[f"image_{side}"]), turn_of(pair, side), PICTURE)
        sheet.paste(MAT, (x, y, x + PICTURE, y + PICTURE))
        left, top = x + (PICTURE - shown_as.width) // 2, y + (PICTURE - shown_as.height) // 2
        sheet.paste(shown_as, (left, top))
        if outline := drawn_on.get(side):
            room = shown_as.width - 1, shown_as.height - 1
            line = [(left + px * room[0], top + py * room[1]) for px, py in [*outline, outline[0]]]
            draw.line(line, fill="white", width=5, joint="curve")
            draw.line(line, fill=OUTLINE, width=3, joint="curve")
        label = f"{pair[f'split_{side}']} · {pair[f'class_{side}']}"
        draw.text((x, y + PICTURE + 4), _fit(label), fill=colour, font=_font(12))
        draw.text((x, y + PICTURE + 20), _fit(str(pair[f"image_{side}"])), fill=PALE, font=_font(12))
        x = corner[0] + CELL[0] - PICTURE
    for number, text in enumerate(facts(pair)):
        draw.text((corner[0], y + PICTURE + 38 + 16 * number), _fit(text, 12, CELL[0]), fill=INK, font=_font(12))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fit(text: str, size: int = 12, room: int = PICTURE) -> str:
    """`text`, without its middle where it is wider than `room` pixels."""
    text, font = shown(text), _font(size)
    cut, keep = text, len(text)
    while font.getlength(cut) > room:
        keep -= 1
        cut = text[: keep // 2] + "…" + text[len(text) - (keep - keep // 2) :]
    return cut
