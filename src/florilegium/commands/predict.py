"""Classify images, or detect objects in them, with a network that a run of the workflow has trained."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from florilegium.commands.reading import add_csv, add_limit
from florilegium.core.errors import report
from florilegium.core.system import aligned
from florilegium.data.kinds import pictures_below, say_left_out


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("predict", help=__doc__, description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a run's checkpoint.safetensors, its receipt.json beside it")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="image files, or folders of them")
    parser.add_argument("--top", type=positive, default=1, metavar="K", help="classes to print for an image (1)")
    least = "of a detector: least probability of an object that is printed (0.5)"
    parser.add_argument("--score", type=float, default=0.5, metavar="P", help=least)
    add_csv(parser, "the table")
    add_limit(parser, None)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="(%(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print `image, rank, prediction, probability`, or a detector's objects with their boxes. Returns 2 when a file
    cannot be read; the others are still printed.
    """
    paths, faults = find_images(args.paths)
    if paths:
        faults += print_predictions(args, paths)
    return report(faults)


def print_predictions(args: argparse.Namespace, paths: list[Path]) -> list[str]:
    """Predict, print and write the table; a sentence for each file that cannot be read."""
    from florilegium.core.tables import write_frame
    from florilegium.evaluation.classify_files import predict
    from florilegium.evaluation.detect_files import find_objects
    from florilegium.models.trained import is_detector, load_trained, load_trained_detector, read_run
    from florilegium.training.machine import pick_device

    device = pick_device(args.device)
    if is_detector(read_run(args.checkpoint)[1]):
        detector = load_trained_detector(args.checkpoint, args.max_megapixels)
        table, unread = find_objects(detector, paths, least=args.score, device=device)
    else:
        table, unread = predict(load_trained(args.checkpoint, args.max_megapixels), paths, top=args.top, device=device)
    if args.csv:
        write_frame(args.csv, table)
    print("\n".join(aligned([tuple(table.columns), *table.itertuples(index=False)])))
    return unread


def find_images(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Image files in the order given, those of a folder sorted; and a sentence for each path without any."""
    images: list[Path] = []
    faults = []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        found = pictures_below(path)
        say_left_out(path, found.left_out, sys.stderr)
        images += [path / name for name in found.images]
        if not found.images:
            faults.append(f"{path}: holds no images; give a folder of images, or an image file")
    return images, faults


def positive(text: str) -> int:
    """The number in `text`, for argparse; refuses what is not above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value
