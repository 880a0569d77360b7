"""Hand on a trained network: as an ONNX file, or as a folder that timm reads; with a model card."""

import argparse
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florilegium.core.errors import UserError

if TYPE_CHECKING:
    from florilegium.export.networks import Portable

DESCRIPTION = """\
Write a network that a run of the workflow has trained so that others can use it without Florilegium, and beside it
README.md, a model card from the run's receipt: data, leaks dropped, n, interval, what it is not for.

onnx  model.onnx, which onnxruntime and others run without torch; classes and preprocessing are in its metadata. Its
      answers are compared with torch's first. Of a detector, boxes and scores before overlapping ones are suppressed.
timm  config.json and model.safetensors, which timm.create_model("local-dir:FOLDER", pretrained=True) reads; for
      classifiers that are networks of timm."""
EXPORTS = Path("exports")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "export", help=__doc__, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="a run's checkpoint.safetensors, its receipt.json beside it")
    parser.add_argument("--to", required=True, choices=("onnx", "timm"), help="what to write")
    out = "the folder to write, a new one (exports/<study>-<experiment>-<arm>-<seed>-<onnx or timm>)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=out)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the folder, and print what is in it."""
    from florilegium.core.files import replacing, write_text
    from florilegium.export.card import card
    from florilegium.export.facts import facts_of
    from florilegium.export.networks import load_portable
    from florilegium.models.trained import is_detector, read_run

    check_new(args.out)
    _, receipt = read_run(args.checkpoint)
    detects = is_detector(receipt)
    write = writer(args.checkpoint, args.to, receipt, detects)
    portable = load_portable(args.checkpoint, detects=detects)
    facts = facts_of(args.checkpoint, receipt, "detection" if detects else "classification")
    out = args.out or EXPORTS / f"{facts.folder}-{args.to}"
    check_new(out)
    out.mkdir(parents=True, exist_ok=True)  # so that an error of the system names this path
    try:
        with replacing(out) as folder:
            difference = write(portable, folder)
            write_text(folder / "README.md", card(facts, args.to, difference))
    finally:
        with suppress(OSError):  # it is not empty once something was written
            out.rmdir()
    for path in sorted(out.iterdir()):
        print(f"{path}: {path.stat().st_size:,} bytes")
    if difference is not None:
        print(f"its answers in onnxruntime differ from torch's by at most {difference:.1g}")
    return 0


def check_new(out: Path | None) -> None:
    """Raise `UserError` for a path where something is: a card may have been edited."""
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is there already, and is not written over; remove it, or give another --out")


def writer(
    checkpoint: Path, form: str, receipt: dict[str, Any], detects: bool
) -> Callable[["Portable", Path], float | None]:
    """The function that writes a network into a folder, and gives its difference from torch where that is measured;
    raises `UserError`, before anything is read that takes time, for what cannot be written."""
    from florilegium.config.base import parse
    from florilegium.config.data import Model
    from florilegium.models.arguments import GENERATORS

    model = parse(Model, receipt.get("model"), f"{checkpoint.with_name('receipt.json')}: model")
    if model.name in GENERATORS:
        raise UserError(
            f"{checkpoint}: is a generator of pictures ({model.name}), and classifiers and detectors can be exported; "
            "hand on the checkpoint with its receipt.json, or the pictures in its samples/"
        )
    if form == "onnx":
        from florilegium.export.onnx_file import check_installed, write_onnx

        check_installed()
        return write_onnx
    if detects:
        raise UserError("--to timm: a detector is no network of timm, which has classifiers alone; take --to onnx")
    from florilegium.export.timm_folder import check_timms, write_timm

    check_timms(model)
    return partial(write_timm, model)
