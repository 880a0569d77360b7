"""Explain answers of a trained classifier, image by image, by several methods, and judge the methods."""

import time

import pandas as pd

from florilegium.core.attribution_settings import Attribution
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt
from florilegium.data.packed import read_pixels
from florilegium.explanation.attributions import Attributions
from florilegium.explanation.choice import choose, spread
from florilegium.explanation.interpretation import interpret
from florilegium.figures.attribution import draw
from florilegium.models.trained import load_trained
from florilegium.report.csv_file import write_csv
from florilegium.report.scores_attribution import summarise
from florilegium.report.study import read
from florilegium.stages import explained
from florilegium.training.machine import configure, pick_device

BACKGROUND = 32  # test images that GradientSHAP compares with


class Asked(explained.Shown):
    """The stage's specification: what is explained, and the preset that its pictures name."""

    attribution: Attribution


def main() -> None:
    started = time.time()
    arguments = explained.parse_arguments(__doc__, "attribution")
    asked = read(Asked, arguments.spec)
    device = pick_device(arguments.device)
    configure(device, threads=1)
    predictions = pd.read_csv(explained.predictions_of(arguments), dtype=str, keep_default_na=False)
    tested = predictions.astype({"probability": float})
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
    scores = summarise(attributions.table)
    written = attributions.save(arguments.out)
    written += [arguments.out / "scores.csv", arguments.out / "cost.json"]
    write_csv(scores, written[-2], digits=6)
    write_json(written[-1], {"device": device.type, "seconds_per_attribution": seconds})
    written += draw(attributions, scores, arguments.out, asked, explained.run_of(arguments))
    write_receipt(
        arguments.out / "receipt.json",
        stage="attribution",
        spec=asked.model_dump(mode="json"),
        code=arguments.code,
        inputs=explained.inputs_of(arguments),
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


if __name__ == "__main__":
    run_main(main)
