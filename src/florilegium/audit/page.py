"""The page of an audit: one HTML file that holds its pictures and opens from disk, and what to drop, for a shell."""

import base64
import io
import shlex
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from PIL import Image

from florilegium.audit.comparison import Comparison
from florilegium.audit.outcome import KINDS, NEAR, OF_ONE, counts, facts, kinds, surest_first, verdict
from florilegium.audit.sides import Outline, outlines, picture, turn_of
from florilegium.core.errors import counted
from florilegium.core.names import name_bytes, shown, unturned
from florilegium.core.system import bar

TEMPLATE = "page.html"
FOLDERS = [Path(__file__).parent, Path(__file__).parents[1] / "report"]  # of the template, and of the style it shares
PICTURED = 200  # pairs of a kind that are shown in pictures, the surest and the least sure: about 2 MB
PICTURED_NEAR = 50
LISTED_PAIRS = 2000  # of a kind, with those; the others are in the table alone
LONGEST = 176  # pixels of a picture's longer side
WEBP = {"quality": 50, "method": 2}  # half of a JPEG's bytes
LISTED = 10_000  # lines of what to drop that the page shows


@dataclass(frozen=True)
class Side:
    """A picture of a pair, without an address where it is only named; `outline` are a polygon's points, if any."""

    label: str
    image: str
    address: str = ""
    width: int = 0
    height: int = 0
    outline: str = ""


def render_page(comparison: Comparison, removed: pd.DataFrame, histograms: bytes, *, workers: int = 1) -> str:
    """The page as HTML.

    Args:
        removed: the images to drop, as `comparison.dropped` lists them.
        histograms: a PNG.
        workers: threads that read pictures.
    """
    kind, many = kinds(comparison), counts(comparison)
    chosen = {name: choose(comparison.pairs[kind == name], name) for name in KINDS}
    rows = pd.concat([pairs.assign(kind=name) for name, pairs in chosen.items() if len(pairs)] or [comparison.pairs])
    pairs = rows.to_dict("records")
    pictures = embedded(comparison, (pair for pair in pairs if pair["pictured"]), workers)
    classes = sorted({str(pair[f"class_{side}"]) for pair in pairs for side in "ab"})
    splits = sorted({splits_of(pair, comparison.inside) for pair in pairs})
    environment = Environment(
        loader=FileSystemLoader(FOLDERS),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    title, *lines = verdict(comparison).splitlines()
    page = environment.get_template(TEMPLATE).render(
        title=title,
        lines=lines,
        leak=not comparison.leaks().empty,
        inside=comparison.inside,
        kinds={
            name: (text, many[name], len(chosen[name]), int(chosen[name]["pictured"].sum()))
            for name, text in KINDS.items()
            if many[name]
        },
        singular=KINDS | OF_ONE,
        classes=list(map(shown, classes)),
        splits=[" · ".join(map(shown, pair)) for pair in splits],
        pairs=[
            {
                "kind": pair["kind"],
                "classes": sorted({classes.index(str(pair[f"class_{side}"])) for side in "ab"}),
                "split": splits.index(splits_of(pair, comparison.inside)),
                "facts": " · ".join(facts(pair)),
                "sides": sides(pair, pictures),
            }
            for pair in pairs
        ],
        histograms=data_address("png", histograms),
        settings=comparison.settings,
        removed=removed["image"].tolist()[:LISTED],
        quoted=quoted(removed["image"].tolist()[:LISTED]).decode("utf-8", "backslashreplace"),
        n_removed=len(removed),
        a=comparison.a.name,
        b=comparison.b.name,
        counted=counted,
    )
    return unturned(page)


def choose(pairs: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The pairs of a kind that the page has, the surest first, and which of them are `pictured`.

    Of many both ends, or of different ones the nearest.
    """
    pairs = surest_first(pairs)
    if kind == NEAR:
        return pairs.head(PICTURED_NEAR).assign(pictured=True)
    listed = both_ends(pairs, LISTED_PAIRS)
    return listed.assign(pictured=listed.index.isin(both_ends(listed, PICTURED).index))


def both_ends(pairs: pd.DataFrame, most: int) -> pd.DataFrame:
    """The first and the last of more than `most` pairs."""
    half = most // 2
    return pairs if len(pairs) <= most else pd.concat([pairs.head(half), pairs.tail(half)])


def splits_of(pair: Mapping[str, Any], inside: bool) -> tuple[str, str]:
    """The splits of a pair; inside one set they have no order."""
    splits = str(pair["split_a"]), str(pair["split_b"])
    return (min(splits), max(splits)) if inside else splits


# Pictures

Key = tuple[str, str, int]  # side, image, transform


def embedded(
    comparison: Comparison, pairs: Iterable[Mapping[str, Any]], workers: int
) -> dict[Key, tuple[str, tuple[int, int]]]:
    """The address and the size of each picture of `pairs`."""

    def made(key: Key) -> tuple[str, tuple[int, int]]:
        side, image, transform = key
        small = picture(comparison.a if side == "a" else comparison.b, image, transform, LONGEST)
        return webp(small), small.size

    keys = list(dict.fromkeys(key_of(pair, side) for pair in pairs for side in "ab"))
    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(keys, bar(pool.map(made, keys), "pictures", "picture", len(keys)), strict=True))


def key_of(pair: Mapping[str, Any], side: str) -> Key:
    return side, str(pair[f"image_{side}"]), turn_of(pair, side)


def sides(pair: Mapping[str, Any], pictures: Mapping[Key, tuple[str, tuple[int, int]]]) -> list[Side]:
    """Both pictures of a pair with what is written below them."""
    drawn = outlines(pair)
    found = []
    for side in "ab":
        label = f"{shown(str(pair[f'split_{side}']))} · {shown(str(pair[f'class_{side}']))}"
        image = shown(str(pair[f"image_{side}"]))
        if pair["pictured"]:
            address, size = pictures[key_of(pair, side)]
            found.append(Side(label, image, address, *size, corners(drawn.get(side, []))))
        else:
            found.append(Side(label, image))
    return found


def corners(outline: Outline) -> str:
    """An outline as the points of an SVG polygon in a picture of 100 x 100."""
    return " ".join(f"{100 * x:.1f},{100 * y:.1f}" for x, y in outline)


def webp(image: Image.Image) -> str:
    encoded = io.BytesIO()
    image.save(encoded, "WEBP", **WEBP)
    return data_address("webp", encoded.getvalue())


def data_address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


# What to drop


def quoted(images: Iterable[str]) -> bytes:
    """Names, one a line, as `xargs` reads them: quoted where a shell needs it, a line end in a name after a backslash.

    The bytes are those of the files, whatever their encoding.
    """
    lines = ("\\\n".join(shlex.quote(part) if part else "" for part in image.split("\n")) for image in images)
    return b"".join(name_bytes(line) + b"\n" for line in lines)
