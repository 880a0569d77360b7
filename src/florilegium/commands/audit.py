"""Find pictures that two folders share, or that one holds twice."""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from florilegium.audit.comparison import Collection, compare
from florilegium.audit.keeping import locked
from florilegium.audit.outcome import DOUBLE, counts, verdict
from florilegium.audit.pictures import write_audit
from florilegium.audit.points import SMALLEST
from florilegium.audit.reading import hash_images
from florilegium.audit.steps import Steps
from florilegium.commands.reading import add_ground, add_limit
from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.config.products import Audit
from florilegium.core.errors import UserError, counted, some
from florilegium.core.names import shown
from florilegium.core.system import say
from florilegium.data.kinds import pictures_below, say_left_out
from florilegium.data.splits import Layout, by_folders

NO_SPLIT, NO_CLASS = "all", "unlabelled"
KEPT = "kept"  # folder beside the results
PAGE = "audit.html"
NAMED = 3  # pictures or classes that a line names
DESCRIPTION = """\
Find pictures that are in both folders (or twice in one), also when they were resized, re-encoded,
flipped or rotated, cut at their edges, bordered, zoomed or written on. A model is trained on A and
tested on B; without B, A is searched for duplicates across its own splits: folders named train, val
(valid, validation) and test, where every folder beside them is one, too. Nothing is changed in
either folder."""
EPILOG = """\
written to DIR:
  audit.html          all of it on one page, which needs no network: pairs side by side, filtered
  contact_sheet.png   the surest and the least sure pairs side by side, to judge by eye
  pairs.csv           every pair with its distances and verdict
  dropped.csv         images of A to leave out of training, and why
  dropped.txt         the same images for a shell: cd A && xargs -r rm -- < DIR/dropped.txt
  distances.png, summary.json
  kept/               what was made of each picture: the same command again reads only what is new or changed

examples:
  python -m florilegium audit photos/train photos/test --out audit
  python -m florilegium audit photos --out audit        (photos holds train, val, test)
  python -m florilegium audit photos --out audit --fail-on double --json > audit.json"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    defaults = Audit()
    parser = subparsers.add_parser(
        "audit",
        help=__doc__,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help="folder of images that is trained on")
    parser.add_argument("b", metavar="B", nargs="?", help="folder of images that is tested on")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result")
    text = "largest hash distance of a candidate pair, 0 to 64 bits (default %(default)s)"
    parser.add_argument("--radius", type=int, default=defaults.radius, help=text)
    text = "largest mean squared pixel difference, 0 to 1, of the same picture (default %(default)s)"
    parser.add_argument("--pixel-threshold", type=float, default=defaults.pixel_threshold, help=text)
    text = "do not look for flips and quarter turns, neither of whole pictures nor of crops"
    parser.add_argument("--no-dihedral", action="store_true", help=text)
    text = "do not look for pictures that were cut, bordered, zoomed, written on or recoloured"
    parser.add_argument("--no-crops", action="store_true", help=text)
    text = (
        "what the command ends with 1 for: a leak, or also a picture that one split holds twice (default %(default)s)"
    )
    parser.add_argument("--fail-on", choices=("leak", "double"), default="leak", help=text)
    text = "print one JSON object for machines, and what people read to standard error"
    parser.add_argument("--json", action="store_true", help=text)
    text = "what to do with images that cannot be decoded (default %(default)s)"
    parser.add_argument("--corrupt", choices=("stop", "skip"), default="stop", help=text)
    add_ground(parser)
    add_limit(parser, DEFAULT.max_megapixels)
    text = "processes (default: all cores, %(default)s)"
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help=text)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit and print the verdict; 1 when there is what it fails on, else 0."""
    for option, value, top in (("radius", arguments.radius, 64), ("pixel-threshold", arguments.pixel_threshold, 1)):
        if not 0 <= value <= top:
            raise UserError(f"--{option} {value}: must lie between 0 and {top}")
    if arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: must be at least 1")
    if arguments.fail_on == "double" and arguments.b is not None:
        raise UserError("--fail-on double: looks inside one folder, and here are two; audit each of them alone")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise UserError(f"--out {arguments.out}: is a file; give a folder for the result")
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        result = audit(arguments)
    if arguments.json:
        print(json.dumps(result))
    return int(result["leak"] or (arguments.fail_on == "double" and result["kinds"][DOUBLE] > 0))


def audit(arguments: argparse.Namespace) -> dict[str, Any]:
    """Audit, print the verdict before pictures are drawn, and return what `--json` prints."""
    settings = Audit(
        radius=arguments.radius,
        pixel_threshold=arguments.pixel_threshold,
        dihedral=not arguments.no_dihedral,
        crops=not arguments.no_crops,
    )
    steps, roots = Steps(), check_folders(arguments)
    with locked(arguments.out / KEPT / "lock"):
        sides = collect(roots, settings, arguments, steps)
        a, b = sides["a"], sides.get("b", sides["a"])
        held_out = tuple(str(split) for split in np.unique(b.collection.splits))
        comparison = compare(
            a.collection, b.collection, settings, held_out=held_out, workers=arguments.workers, steps=steps
        )
        for line in (*(splits_line(of) for of in sides.values()), verdict(comparison)):
            say(line)
        lines = (flat_line, small_line) if settings.crops else (flat_line,)
        for line in filter(None, (line(of.collection) for line in lines for of in sides.values())):
            say(line)
        with steps("pictures"):
            notes = {f"splits_{side}": of.splits for side, of in sides.items()}
            paths = write_audit(comparison, arguments.out, notes, arguments.workers)
    say(f"The pairs are shown in {arguments.out / PAGE} and listed in pairs.csv beside it.")
    say(steps.line())
    of_sides: dict[str, dict[str, Any]] = {side: counted_side(of, roots[side]) for side, of in sides.items()}
    return {
        **of_sides,
        "leak": not comparison.leaks().empty,
        "kinds": counts(comparison),
        "dropped": len(comparison.removed),
        "files": {path.name: str(path) for path in paths},
        "seconds": {step: round(seconds, 3) for step, seconds in steps.seconds.items()},
    }


def counted_side(side: "Side", found: tuple[Path, list[str]]) -> dict[str, Any]:
    """A folder in numbers; `flat` pictures are compared when equal alone, `small` ones not for crops."""
    hashes, (root, images) = side.collection.hashes, found
    splits, sizes = np.unique(side.collection.splits, return_counts=True)
    return {
        "name": side.collection.name,
        "folder": str(root),
        "images": len(hashes),
        "skipped": len(images) - len(hashes),
        "flat": int((~hashes.reliable).sum()),
        "small": int(side.collection.small.sum()),
        "splits": dict(zip(splits.tolist(), sizes.tolist(), strict=True)),
    }


@dataclass(frozen=True)
class Side:
    """A folder as the audit sees it."""

    collection: Collection
    splits: str  # the folders that were taken for splits, in words; empty without any


def check_folders(arguments: argparse.Namespace) -> dict[str, tuple[Path, list[str]]]:
    """The folders a and b, or a alone, with their images; raises UserError for those that cannot be compared."""
    roots = {side: Path(folder) for side in "ab" if (folder := getattr(arguments, side)) is not None}
    images = {side: list_images(root) for side, root in roots.items()}
    for root in roots.values():
        if is_inside(arguments.out, root):
            raise UserError(
                f"--out {arguments.out}: lies inside {root}, where the result would be audited the next time; "
                "give a folder beside it"
            )
    if "b" in roots:
        refuse_overlap(roots["a"], roots["b"])
    elif len(images["a"]) == 1:
        raise UserError(f"{roots['a']}: holds one image, so that there is nothing to compare; give a second folder")
    return {side: (root, images[side]) for side, root in roots.items()}


def collect(
    roots: dict[str, tuple[Path, list[str]]], settings: Audit, arguments: argparse.Namespace, steps: Steps
) -> dict[str, Side]:
    """The folders with what is kept of their images."""
    names = {side: shown(root.resolve().name or str(root)) for side, (root, _) in roots.items()}
    if len(set(names.values())) < len(names):
        names = {side: shown(str(root)) for side, (root, _) in roots.items()}
    sides = {}
    for side, (root, images) in roots.items():
        layout = take_splits(root, images, needed=len(roots) == 1)
        pictures = Pictures(ground=arguments.ground, max_megapixels=arguments.max_megapixels)
        kept, rows, skipped = hash_images(
            root,
            images,
            arguments.out / KEPT / side,
            workers=arguments.workers,
            corrupt=arguments.corrupt,
            pictures=pictures,
            crops=settings.crops,
            steps=steps,
        )
        if skipped:
            example = shown(next(iter(skipped)))
            say(f"{names[side]}: skipped {counted(len(skipped), 'image')} that cannot be decoded, such as {example}")
        table = pd.DataFrame(
            [(image, layout.splits.get(image, NO_SPLIT), layout.labels.get(image, NO_CLASS)) for image in images],
            columns=["image", "split", "class"],
        )
        sides[side] = Side(Collection.join(names[side], kept.hashes(rows), table, root, pictures), layout.said)
    return sides


def list_images(root: Path) -> list[str]:
    """Paths below `root` of its images; says what else is there."""
    found = pictures_below(root)
    say_left_out(root, found.left_out)
    if not found.images:
        raise UserError(f"{root}: there is no image in this folder or below it; give a folder of images")
    return found.images


def refuse_overlap(a: Path, b: Path) -> None:
    """Raise UserError when one folder is the other or lies inside it: every file would be a leak."""
    if a.samefile(b):
        raise UserError(f"{a} and {b}: are the same folder; give it once to search it for duplicates")
    for inner, outer in ((a, b), (b, a)):
        if is_inside(inner, outer):
            raise UserError(
                f"{inner}: lies inside {outer}, so its files would be compared with themselves; give two separate "
                "folders, or one folder alone to search it for duplicates"
            )


def is_inside(path: Path, folder: Path) -> bool:
    """True for a folder, by whatever name, and for all that lies, or would lie, below it."""
    whole = path.resolve()
    return any(place.exists() and place.samefile(folder) for place in (whole, *whole.parents))


def take_splits(root: Path, images: list[str], *, needed: bool) -> Layout:
    """The splits and classes of a folder; raises UserError where splits are `needed` and are not clear."""
    try:
        return by_folders(images, str(root))
    except UserError as error:
        if needed:
            raise
        say(f"{error}. Between two folders no split is needed, so none is taken here")
        return Layout({}, {})


def splits_line(side: Side) -> str:
    """Which folders were taken for splits, for a person."""
    classes = sorted({*side.collection.classes} - {NO_CLASS})
    none = f"none, its folders are classes ({listed(classes)})" if classes else "none"
    apart = (side.collection.splits == NO_SPLIT).sum()
    outside = f"; {apart:,} images lie in none" if side.splits and apart else ""
    return f"{side.collection.name}: splits: {shown(side.splits) or none}{outside}"


def flat_line(side: Collection) -> str:
    """The pictures that cannot be compared by their hash, for a person; empty where there are none."""
    flat = side.hashes.images[~side.hashes.reliable]
    if not len(flat):
        return ""
    return (
        f"{side.name}: {len(flat):,} of {len(side.hashes):,} images are flat or symmetric, so that their hash says "
        f"nothing: only equal ones were found among them ({listed(flat)})."
    )


def small_line(side: Collection) -> str:
    """The pictures that no crop is found of, for a person; empty where there are none."""
    images = side.hashes.images[side.small]
    if not len(images):
        return ""
    return (
        f"{side.name}: {len(images):,} of {len(side.hashes):,} images are below {SMALLEST} pixels, so that cut copies "
        f"of them cannot be seen ({listed(images)})."
    )


def listed(names: Iterable[str]) -> str:
    """The first names and the number of the others, for a line."""
    return some(list(map(shown, names)), NAMED)
