"""Look at the attention of a trained transformer: maps, rollouts, entropy and diagonal of every head."""

import argparse
import time
from pathlib import Path

import pandas as pd

from florilegium.core.attention_settings import Attention
from florilegium.core.errors import run_main
from florilegium.core.receipts import write_receipt
from florilegium.core.strict import Name, Strict
from florilegium.data.packed import read_pixels
from florilegium.explanation.choice import spread
from florilegium.explanation.survey import survey
from florilegium.models.trained import load_trained
from florilegium.report.pictures_attention import draw
from florilegium.report.study import read
from florilegium.training.machine import configure, pick_device


class Asked(Strict):
    """The stage's specification: what is looked at, and the preset that its pictures name."""

    attention: Attention
    preset: Name
    comparable: bool


def main() -> None:
    started = time.time()
    arguments = parse_arguments()
    asked = read(Asked, arguments.spec)
    device = pick_device(arguments.device)
    configure(device, threads=1)
    predictions = arguments.checkpoint.with_name("predictions.csv")
    tested = sorted(pd.read_csv(predictions, dtype=str, keep_default_na=False)["image"])
    trained = load_trained(arguments.checkpoint)
    attended = survey(
        trained.network,
        trained.config,
        asked.attention,
        measured=read_pixels(arguments.pixels, spread(tested, asked.attention.images)),
        shown=read_pixels(arguments.pixels, spread(tested, asked.attention.shown)),
        device=device,
    )
    run = "/".join(arguments.checkpoint.parts[-5:-1])  # study, experiment, arm and seed
    written = [*attended.save(arguments.out), *draw(attended, arguments.out, asked, run)]
    receipt = arguments.checkpoint.with_name("receipt.json")
    write_receipt(
        arguments.out / "receipt.json",
        stage="attention",
        spec=asked.model_dump(mode="json"),
        code=arguments.code,
        inputs=[
            arguments.checkpoint,
            receipt,
            predictions,
            arguments.pixels,
            arguments.pixels.with_suffix(".csv"),
        ],
        outputs=written,
        started=started,
        device=device.type,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        help="a run's checkpoint.safetensors, its receipt.json and predictions.csv beside it",
    )
    parser.add_argument("--pixels", required=True, type=Path, help="packed images that it was tested on")
    parser.add_argument("--out", required=True, type=Path, help="folder to write to")
    parser.add_argument(
        "--spec", required=True, help='JSON: {"attention": ..., "preset": ..., "comparable": ...}'
    )
    parser.add_argument("--code", required=True)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
