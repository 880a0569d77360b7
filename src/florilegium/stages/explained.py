"""What the stages share that explain a trained classifier: arguments, inputs, and what pictures name."""

import argparse
from pathlib import Path

from florilegium.core.strict import Name, Strict


class Shown(Strict):
    """A part of such a stage's specification: the preset that its pictures name."""

    preset: Name
    rendered: bool


def parse_arguments(description: str | None, asked: str) -> argparse.Namespace:
    """Arguments of a stage whose spec says what is `asked` of the network."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        help="a run's checkpoint.safetensors, its receipt.json and predictions.csv beside it",
    )
    parser.add_argument("--pixels", required=True, type=Path, help="packed images that it was tested on")
    parser.add_argument("--out", required=True, type=Path, help="folder to write to")
    parser.add_argument(
        "--spec", required=True, help=f'JSON: {{"{asked}": ..., "preset": ..., "rendered": ...}}'
    )
    parser.add_argument("--code", required=True)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser.parse_args()


def predictions_of(arguments: argparse.Namespace) -> Path:
    """The run's answers on its test images."""
    path: Path = arguments.checkpoint.with_name("predictions.csv")
    return path


def run_of(arguments: argparse.Namespace) -> str:
    """`study/experiment/arm/seed`, from the checkpoint's place."""
    return "/".join(arguments.checkpoint.parts[-5:-1])


def inputs_of(arguments: argparse.Namespace) -> list[Path]:
    """Everything that such a stage reads."""
    return [
        arguments.checkpoint,
        arguments.checkpoint.with_name("receipt.json"),
        predictions_of(arguments),
        arguments.pixels,
        arguments.pixels.with_suffix(".csv"),
    ]
