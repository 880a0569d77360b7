"""Explain answers of a trained classifier, image by image, by several methods, and score the methods.

Reads:  a run's checkpoint, receipt and predictions, and the packed images that it was tested on.
Writes: attributions with their scores and costs, and pictures of them, into the folder `--out`.
Why:    methods disagree about why a network answers as it does; their scores say which to trust.
"""

from florilegium.config.products import Attribution
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.system import say
from florilegium.explanation.interpretation import choose, interpret, spread
from florilegium.explanation.records import AttributionRecord
from florilegium.figures.attribution import draw
from florilegium.report.scores import summarise
from florilegium.report.tables import write_csv
from florilegium.stages.explanation import PictureOrigin, explanation

BACKGROUND = 32  # test images that GradientSHAP compares with


class AttributionSpec(PictureOrigin):
    attribution: Attribution


def main() -> None:
    with explanation("attribution", __doc__, AttributionSpec) as run:
        out, trained = run.out, run.trained
        chosen = choose(run.predictions, run.spec.attribution)
        attributions, seconds = interpret(
            trained,
            run.spec.attribution,
            chosen,
            pictures=run.pixels(list(chosen["image"])),
            background=run.pixels(spread(sorted(run.predictions["image"]), BACKGROUND)),
            device=run.device,
        )
        log_completeness(attributions)
        scores = summarise(attributions.table)
        write_csv(scores, out / "scores.csv", digits=6)
        write_json(out / "cost.json", {"device": run.device.type, "seconds_per_attribution": seconds})
        pictures = draw(attributions, scores, out, run.spec.rendered, run.run)
        run.receipt.outputs += [*attributions.save(out), out / "scores.csv", out / "cost.json", *pictures]
        run.receipt.facts["unfit"] = dict(zip(attributions.unfit.tolist(), attributions.reasons.tolist(), strict=True))


def log_completeness(attributions: AttributionRecord) -> None:
    """Log how complete each complete method was, and which methods the network has not."""
    claims = attributions.table.dropna(subset="completeness_gap")
    for method, rows in claims.groupby("method", sort=False):
        gap, shares = rows["completeness_gap"], rows["completeness_gap"] / rows["difference"].abs()
        say(
            f"{method}: completeness gap {gap.mean():.2g} logits in the mean, {gap.max():.2g} at most; "
            f"{100 * shares.median():.2g} % of the change in the median"
        )
    for method, reason in zip(attributions.unfit, attributions.reasons, strict=True):
        say(f"{method}: not available for this network: {reason}")


if __name__ == "__main__":
    run_main(main)
