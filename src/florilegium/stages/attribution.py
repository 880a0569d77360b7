"""Explain answers of a trained classifier, image by image, by several methods, and score the methods.

Reads:  a run's checkpoint, receipt and predictions, and the packed images that it was tested on.
Writes: attributions with their scores and costs, and pictures of them, into the folder `--out`.
Why:    methods disagree about why a network answers as it does; their scores say which to trust.
"""

import pandas as pd

from florilegium.config.products import Attribution
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.system import say
from florilegium.data.pack import read_pixels
from florilegium.explanation.interpretation import choose, interpret, spread
from florilegium.explanation.records import AttributionRecord
from florilegium.figures.attribution import draw
from florilegium.models.trained import load_trained
from florilegium.report.scores import summarise
from florilegium.report.study import read
from florilegium.report.tables import write_csv
from florilegium.stages.arguments import PictureOrigin, explanation_files, explanation_parser, leased_device, run_of
from florilegium.stages.stage import stage

BACKGROUND = 32  # test images that GradientSHAP compares with


class AttributionSpec(PictureOrigin):
    attribution: Attribution


def main() -> None:
    arguments = explanation_parser(__doc__, "attribution").parse_args()
    spec = read(AttributionSpec, arguments.spec)
    out = arguments.out
    inputs = explanation_files(arguments)
    with (
        stage("attribution", arguments, inputs, path=out / "receipt.json") as receipt,
        leased_device(arguments, threads=1) as (device, _),
    ):
        table = pd.read_csv(arguments.checkpoint.with_name("predictions.csv"), dtype=str, keep_default_na=False)
        predictions = table.astype({"probability": float})
        chosen = choose(predictions, spec.attribution)
        background = spread(sorted(predictions["image"]), BACKGROUND)
        trained = load_trained(arguments.checkpoint)
        attributions, seconds = interpret(
            trained,
            spec.attribution,
            chosen,
            pictures=read_pixels(arguments.pixels, list(chosen["image"])),
            background=read_pixels(arguments.pixels, background),
            device=device,
        )
        log_completeness(attributions)
        scores = summarise(attributions.table)
        receipt.outputs += [*attributions.save(out), out / "scores.csv", out / "cost.json"]
        write_csv(scores, out / "scores.csv", digits=6)
        write_json(out / "cost.json", {"device": device.type, "seconds_per_attribution": seconds})
        receipt.outputs += draw(attributions, scores, out, spec, run_of(arguments.checkpoint))
        receipt.spec = spec.model_dump(mode="json")
        unfit = dict(zip(attributions.unfit.tolist(), attributions.reasons.tolist(), strict=True))
        receipt.facts |= {"device": device.type, "unfit": unfit}


def log_completeness(attributions: AttributionRecord) -> None:
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
