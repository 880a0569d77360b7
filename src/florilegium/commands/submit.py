"""Find objects in a test set whose annotations are secret, and write them in the form of a submission."""

import argparse
from pathlib import Path

from florilegium.core.errors import report


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("submit", help=__doc__, description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a detector's checkpoint.safetensors, its receipt.json beside it")
    parser.add_argument("images", type=Path, help="the folder that the file names of the annotations start from")
    parser.add_argument(
        "--annotations", type=Path, required=True, help="COCO file of the test set; its annotations may be absent"
    )
    parser.add_argument("--out", type=Path, required=True, help="COCO results")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the results; 2 when an image cannot be read, the others are still predicted on."""
    from florilegium.core.files import write_text
    from florilegium.evaluation.coco import as_lines
    from florilegium.evaluation.detect_files import submission
    from florilegium.models.trained import load_trained_detector
    from florilegium.training.machine import pick_device

    trained = load_trained_detector(args.checkpoint)
    results, faults = submission(trained, args.images, args.annotations, device=pick_device(args.device))
    write_text(args.out, as_lines(results))
    print(f"{args.out}: {len(results)} detections")
    return report(faults)
