"""Hand in the detections on a test set whose annotations are secret: write the file, or check one."""

import argparse
from pathlib import Path

from florilegium.commands.reading import add_drawn_on, add_limit
from florilegium.core.errors import FINDING, report

SUBMIT = "Detect objects in a test set whose annotations are secret, and write them in the form of a submission."
CHECK = "Check a file of detections before it is handed in, and say what is wrong with it."


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    write = subparsers.add_parser("submit", help=SUBMIT, description=SUBMIT)
    write.add_argument("checkpoint", type=Path, help="a detector's checkpoint.safetensors, its receipt.json beside it")
    write.add_argument("images", type=Path, help="the folder that the file names of the annotations start from")
    add_drawn_on(write)
    write.add_argument("--out", type=Path, required=True, help="the file to write, COCO results")
    add_limit(write, None)
    write.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="(%(default)s)")
    write.set_defaults(run=submit)
    check = subparsers.add_parser("check-submission", help=CHECK, description=CHECK)
    check.add_argument("file", type=Path, help="COCO results, such as a run's predictions.json")
    images = "the folder of the images, to measure those whose size the annotations do not tell, or that are turned"
    check.add_argument("--images", type=Path, metavar="FOLDER", help=images)
    add_drawn_on(check)
    check.set_defaults(run=check_submission)
    for parser in (write, check):
        coco = "COCO file of the test set; its annotations may be absent"
        parser.add_argument("--annotations", type=Path, required=True, help=coco)


def submit(args: argparse.Namespace) -> int:
    """Write the results; 2 when an image cannot be read, the others are still predicted on."""
    from florilegium.core.files import write_text
    from florilegium.evaluation.coco import as_lines
    from florilegium.evaluation.detect_files import submission
    from florilegium.models.trained import load_trained_detector
    from florilegium.training.machine import pick_device

    trained = load_trained_detector(args.checkpoint, args.max_megapixels)
    device = pick_device(args.device)
    results, faults = submission(trained, args.images, args.annotations, drawn_on=args.drawn_on, device=device)
    write_text(args.out, as_lines(results))
    print(f"{args.out}: {len(results)} detections")
    return report(faults)


def check_submission(args: argparse.Namespace) -> int:
    """Print one line when the file is right; else a sentence for each kind of fault, and 1. Remarks change nothing."""
    from florilegium.evaluation.submission import expected, faults, read_submission, remarks

    test = expected(args.annotations, args.images, args.drawn_on)
    lines = read_submission(args.file)
    for remark in remarks(lines, test):
        print(f"{args.file}: note: {remark}")
    if report(f"{args.file}: {fault}" for fault in faults(lines, test)):
        return FINDING
    print(f"{args.file}: {len(lines)} detections in {len(test.sizes)} images, nothing wrong")
    return 0
