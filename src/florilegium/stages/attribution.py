"""Explain answers of a trained classifier, image by image, by several methods, and judge the methods."""

import argparse
import time
from pathlib import Path

import pandas as pd

from florilegium.core.attribution_settings import Attribution
from florilegium.core.errors import run_main
from florilegium.core.files import atomic, write_json
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt
from florilegium.core.strict import Name, Strict
from florilegium.data.packed import read_pixels
from florilegium.explanation.attributions import Attributions
from florilegium.explanation.choice import choose, spread
from florilegium.explanation.interpretation import interpret
from florilegium.models.trained import load_trained
from florilegium.report.pictures_attribution import draw
from florilegium.report.scores_attribution import summarise
from florilegium.report.study import read
from florilegium.training.machine import configure, pick_device

BACKGROUND = 32  # test images that GradientSHAP compares with


class Asked(Strict):
    """The stage's specification: what is explained, and the preset that its pictures name."""

    attribution: Attribution
    preset: Name
    comparable: bool


def main() -> None:
    started = time.time()
    arguments = parse_arguments()
    asked = read(Asked, arguments.spec)
    device = pick_device(arguments.device)
    configure(device, threads=1)
    predictions = arguments.checkpoint.with_name("predictions.csv")
    tested = pd.read_csv(predictions, dtype=str, keep_default_na=False).astype({"probability": float})
    chosen = choose(tested, asked.attribution)
    others = spread(sorted(tested["image"]), BACKGROUND)
    trained = load_trained(arguments.checkpoint)
    attributions, seconds = interpret(
        trained.network,
        trained.config,
        asked.attribution,
        chosen,
        trained.classes,
        pictures=read_pixels(arguments.pixels, list(chosen["image"])),
        background=read_pixels(arguments.pixels, others),
        device=device,
    )
    tell(attributions)
    run = "/".join(arguments.checkpoint.parts[-5:-1])  # study, experiment, arm and seed
    scores = summarise(attributions.table)
    written = attributions.save(arguments.out)
    written += [arguments.out / "scores.csv", arguments.out / "cost.json"]
    with atomic(written[-2]) as temporary:
        scores.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    write_json(written[-1], {"device": device.type, "seconds_per_attribution": seconds})
    written += draw(attributions, scores, arguments.out, asked, run)
    receipt = arguments.checkpoint.with_name("receipt.json")
    table = arguments.pixels.with_suffix(".csv")
    write_receipt(
        arguments.out / "receipt.json",
        stage="attribution",
        spec=asked.model_dump(mode="json"),
        code=arguments.code,
        inputs=[arguments.checkpoint, receipt, predictions, arguments.pixels, table],
        outputs=written,
        started=started,
        device=device.type,
        unfit=dict(zip(attributions.unfit.tolist(), attributions.reasons.tolist(), strict=True)),
    )


def tell(attributions: Attributions) -> None:
    """Say in the log how complete each complete method was, and which methods are missing."""
    claims = attributions.table.dropna(subset="completeness_gap")
    for method, rows in claims.groupby("method", sort=False):
        shares = rows["completeness_gap"] / rows["difference"].abs()
        say(
            f"{method}: completeness gap {rows['completeness_gap'].mean():.2g} logits in the mean, "
            f"{rows['completeness_gap'].max():.2g} at most; {100 * shares.median():.2g} % of the change in the median"
        )
    for method, reason in zip(attributions.unfit, attributions.reasons, strict=True):
        say(f"{method}: not available for this network: {reason}")


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
        "--spec", required=True, help='JSON: {"attribution": ..., "preset": ..., "comparable": ...}'
    )
    parser.add_argument("--code", required=True)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
