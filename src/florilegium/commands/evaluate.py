"""Measure on a labelled data set a network that a run of the workflow has trained."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from florilegium.commands.reading import add_csv, add_drawn_on, add_limit
from florilegium.core.errors import report
from florilegium.core.system import aligned


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("evaluate", help=__doc__, description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a run's checkpoint.safetensors, its receipt.json beside it")
    parser.add_argument(
        "dataset",
        help="name of a packed data set, or a folder with a folder of images for each class (or train, val and test "
        "of such folders); for a detector, a COCO file, or a folder of train.json, val.json and test.json",
    )
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="(%(default)s)")
    bad_boxes = "of a detector: stop at boxes without area, outside their image or not finite, or drop and count them"
    parser.add_argument("--bad-boxes", choices=("stop", "drop"), help=f"{bad_boxes} (stop)")
    add_drawn_on(parser)
    add_csv(parser, "the prediction for every image")
    add_limit(parser, None)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="(%(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the scores, a line each; 2 when a file cannot be read."""
    from florilegium.models.trained import is_detector, read_run

    score = score_detector if is_detector(read_run(args.checkpoint)[1]) else score_classifier
    return report(score(args))


def score_classifier(args: argparse.Namespace) -> Sequence[str]:
    """Print n, top-1 with its Wilson interval, top-5, the loss and the calibration error, then top-1 by class; a
    sentence for each unreadable file."""
    from florilegium.core.tables import write_frame
    from florilegium.data.augment import EvalTransform
    from florilegium.evaluation.classification import evaluate
    from florilegium.evaluation.classify_files import read_labelled
    from florilegium.models.trained import load_trained
    from florilegium.report.answers import answers_of
    from florilegium.report.statistics import wilson
    from florilegium.training.classification import predictions
    from florilegium.training.machine import pick_device

    device = pick_device(args.device)
    trained = load_trained(args.checkpoint, args.max_megapixels)
    labelled = read_labelled(args.dataset, args.split, trained)
    scores = evaluate(trained.network.to(device), labelled.images, EvalTransform(trained.config), device=device)
    table = predictions(labelled.images, scores, trained.classes)
    if args.csv:
        write_frame(args.csv, table)
    n, answers = len(labelled.images), answers_of(table)
    low, high = wilson(round(scores.top1 * n), n)
    present = len(trained.classes) - len(labelled.absent)
    rows = [
        *([("splits", args.split, f"of {labelled.splits}")] if labelled.splits else []),
        ("images", n, ""),
        ("classes", present, f"of the {len(trained.classes)} that the network knows"),
        ("top1", scores.top1, f"95 % interval {low:.4f} to {high:.4f} (Wilson)"),
        ("top5", scores.top5, ""),
        ("loss", scores.loss, ""),
        ("ece", answers.reliability.error if answers.reliability else "none", "calibration error, 15 bins"),
    ]
    print("\n".join(aligned(rows)))
    accuracy = [(name, right / count, f"of {count}") for name, (count, right) in answers.by_class.items()]
    accuracy.sort(key=lambda row: row[1])
    print("by class, the lowest top-1 first", *aligned(accuracy), sep="\n")
    return labelled.faults


def score_detector(args: argparse.Namespace) -> Sequence[str]:
    """Print COCO's scores and the AP of each class; a sentence for each unreadable file."""
    from florilegium.core.tables import write_frame
    from florilegium.evaluation.coco import score_results
    from florilegium.evaluation.detect_files import annotated, answers_of, as_table
    from florilegium.models.trained import load_trained_detector
    from florilegium.training.machine import pick_device

    trained = load_trained_detector(args.checkpoint, args.max_megapixels)
    options = {"bad_boxes": args.bad_boxes, "drawn_on": args.drawn_on}
    with annotated(args.dataset, args.split, trained, **options) as data:
        results = answers_of(trained, data.images, least=None, device=pick_device(args.device)).results
        scores = score_results(data.truth, results)
        names = dict(zip(data.images.ids, data.images.names, strict=True))
    if args.csv:
        classes = dict(zip(trained.category_ids, trained.classes, strict=True))
        write_frame(args.csv, as_table(results, names, classes))
    objects = data.truth["annotations"]
    ignored = sum(object["iscrowd"] for object in objects)
    rows: list[tuple[object, object, str]] = [
        *([("split", args.split, data.origin)] if data.origin else []),
        ("images", len(names), ""),
        ("objects", len(objects), f"{ignored} of them ignored" if ignored else ""),
    ]
    if data.bad:
        print("\n".join(f"left out: {bad.told()}" for bad in data.bad), file=sys.stderr)
        rows.append(("bad boxes, left out", len(data.bad), ""))
    rows += [(name, "none there" if value is None else value, "") for name, value in scores.overall.items()]
    by_class = {name: of_class["AP"] for name, of_class in scores.by_class.items()}
    rows += [(f"AP of {name}", value, "") for name, value in by_class.items() if value is not None]
    print("\n".join(aligned(rows)))
    return data.faults
