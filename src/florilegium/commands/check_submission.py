"""Say what is wrong with a file of detections before it is handed in."""

import argparse
from pathlib import Path

from florilegium.core.errors import report


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("check-submission", help=__doc__, description=__doc__)
    parser.add_argument("file", type=Path, help="COCO results, such as a run's predictions.json")
    parser.add_argument(
        "--annotations", type=Path, required=True, help="COCO file of the test set; its annotations may be absent"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one line when the file is right; else a sentence for each kind of fault, and 2."""
    from florilegium.evaluation.submission import faults, read_images, read_submission

    images, categories = read_images(args.annotations)
    lines = read_submission(args.file)
    code = report(f"{args.file}: {fault}" for fault in faults(lines, images, categories))
    if not code:
        print(f"{args.file}: {len(lines)} detections in {len(images)} images, nothing wrong")
    return code
