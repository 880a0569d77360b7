"""Find pictures that two folders share, or that one holds twice."""

import argparse
import os
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from florilegium.audit.comparison import SPLITS, Collection, Comparison, compare
from florilegium.audit.hashing import hash_images
from florilegium.audit.pictures import write_audit
from florilegium.config.products import Audit
from florilegium.core.errors import UserError
from florilegium.core.system import say
from florilegium.data.decode import is_image

NO_SPLIT, NO_CLASS = "all", "unlabelled"
DESCRIPTION = """\
Find pictures that are in both folders (or twice in one), also when they were resized, re-encoded,
flipped or rotated. A model is trained on A and tested on B; without B, A is searched for duplicates
across its own splits. Subfolders named train, val and test count as splits, the next
subfolder as the class. Nothing is changed in either folder."""
EPILOG = """\
written to DIR:
  contact_sheet.png   the pairs side by side, to judge by eye
  pairs.csv           every pair with its distances and verdict
  dropped.csv         images of A to leave out of training, and why
  distances.png, summary.json

examples:
  python -m florilegium audit photos/train photos/test --out audit
  python -m florilegium audit photos --out audit        (photos holds train, val, test)"""


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
    parser.add_argument("--no-dihedral", action="store_true", help="do not look for flips and rotations")
    text = "what to do with images that cannot be decoded (default %(default)s)"
    parser.add_argument("--corrupt", choices=("stop", "skip"), default="stop", help=text)
    text = "processes (default: all cores, %(default)s)"
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help=text)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit and print the verdict; 1 when there is a leak, else 0."""
    for option, value, top in (("radius", arguments.radius, 64), ("pixel-threshold", arguments.pixel_threshold, 1)):
        if not 0 <= value <= top:
            raise UserError(f"--{option} {value}: must lie between 0 and {top}")
    if arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: must be at least 1")
    settings = Audit(
        radius=arguments.radius, pixel_threshold=arguments.pixel_threshold, dihedral=not arguments.no_dihedral
    )
    a, b = collect(arguments)
    held_out = tuple(str(split) for split in np.unique(b.splits))
    comparison = compare(a, b, settings, held_out=held_out, workers=arguments.workers)
    write_audit(comparison, arguments.out)
    say(verdict(comparison))
    say(f"The pairs are shown in {arguments.out / 'contact_sheet.png'} and listed in pairs.csv beside it.")
    return int(not comparison.leaks().empty)


def collect(arguments: argparse.Namespace) -> tuple[Collection, Collection]:
    """Hash both folders; the same collection twice when there is one."""
    roots = [Path(folder) for folder in (arguments.a, arguments.b) if folder is not None]
    listed = [list_images(root) for root in roots]
    if len(roots) == 2:
        refuse_overlap(*roots)
    names = [root.resolve().name for root in roots]
    if len(set(names)) < len(names):
        names = [str(root) for root in roots]
    collections = [
        hash_folder(name, root, images, arguments) for name, root, images in zip(names, roots, listed, strict=True)
    ]
    return collections[0], collections[-1]


def list_images(root: Path) -> list[str]:
    """Paths below `root` of its images, hidden files left out."""
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder; give a folder of images")
    paths = (path for path in root.rglob("*") if is_image(path) and path.is_file())
    images = sorted(path.relative_to(root).as_posix() for path in paths)
    if not images:
        raise UserError(f"{root}: there is no image in this folder or below it; give a folder of images")
    return images


def refuse_overlap(a: Path, b: Path) -> None:
    """Raise UserError when one folder is the other or lies inside it: every file would be a leak."""
    for inner, outer in ((a, b), (b, a)):
        if inner.resolve().is_relative_to(outer.resolve()):
            raise UserError(
                f"{inner}: lies inside {outer}, so its files would be compared with themselves; give two separate "
                "folders, or one folder alone to search it for duplicates"
            )


def hash_folder(name: str, root: Path, images: list[str], arguments: argparse.Namespace) -> Collection:
    hashes, skipped = hash_images(root, images, workers=arguments.workers, corrupt=arguments.corrupt)
    if skipped:
        say(f"{name}: skipped {len(skipped)} images that cannot be decoded, such as {next(iter(skipped))}")
    table = pd.DataFrame([(image, *labels(image)) for image in images], columns=["image", "split", "class"])
    return Collection.join(name, hashes, table, root)


def labels(image: str) -> tuple[str, str]:
    """Split and class of an image by the folders above it."""
    folders = PurePosixPath(image).parts[:-1]
    split = next((folder for folder in folders if folder in SPLITS), NO_SPLIT)
    classes = [folder for folder in folders if folder != split]
    return split, classes[0] if classes else NO_CLASS


def verdict(comparison: Comparison) -> str:
    """The result of an audit, for a person, in two or three lines."""
    a, b = comparison.a, comparison.b
    same, leaks = comparison.same, comparison.leaks()
    size_a, size_b = (f"{len(side.hashes):,} images" for side in (a, b))
    if comparison.inside:
        doubles = f"{len(same):,} pairs of images show the same picture"
        parted = f", {len(leaks):,} of them in two splits" if len(np.unique(a.splits)) > 1 else ""
        return f"{a.name} ({size_a})\n{'No leak' if leaks.empty else 'LEAK'}: {doubles}{parted}."
    title = f"{a.name} ({size_a}) against {b.name} ({size_b})\n"
    if leaks.empty:
        return f"{title}No leak: no image of {b.name} shows a picture that {a.name} holds."
    return (
        f"{title}LEAK: {leaks['image_b'].nunique():,} images of {b.name} show a picture that {a.name} holds too "
        f"({len(leaks):,} pairs).\n"
        f"dropped.csv lists the {leaks['image_a'].nunique():,} images of {a.name} to leave out of training."
    )
