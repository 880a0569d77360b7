"""Look at the attention of a trained network: of a transformer's tokens, or of the nodes of a head of attention.

Reads:  a run's checkpoint, receipt and predictions, and the packed images that it was tested on.
Writes: maps and numbers of every head, and pictures of them, into the folder `--out`.
Why:    some networks were published for what they attend to; this shows whether they do.
"""

import pandas as pd

from florilegium.config.products import Attention
from florilegium.core.errors import run_main
from florilegium.data.pack import read_pixels
from florilegium.explanation.attention import survey, survey_nodes
from florilegium.explanation.interpretation import spread
from florilegium.figures.attention import draw as draw_tokens
from florilegium.figures.nodes import draw as draw_nodes
from florilegium.models.trained import load_trained
from florilegium.report.study import read
from florilegium.stages.arguments import PictureOrigin, explanation_files, explanation_parser, leased_device, run_of
from florilegium.stages.stage import stage


class AttentionSpec(PictureOrigin):
    attention: Attention


def main() -> None:
    arguments = explanation_parser(__doc__, "attention").parse_args()
    spec = read(AttentionSpec, arguments.spec)
    out, run = arguments.out, run_of(arguments.checkpoint)
    inputs = explanation_files(arguments)
    with (
        stage("attention", arguments, inputs, path=out / "receipt.json") as receipt,
        leased_device(arguments, threads=1) as (device, _),
    ):
        predictions = arguments.checkpoint.with_name("predictions.csv")
        images = sorted(pd.read_csv(predictions, dtype=str, keep_default_na=False)["image"])
        trained = load_trained(arguments.checkpoint)
        pixels = {
            "measured": read_pixels(arguments.pixels, spread(images, spec.attention.images)),
            "shown": read_pixels(arguments.pixels, spread(images, spec.attention.shown)),
        }
        if spec.attention.of == "nodes":
            nodes = survey_nodes(trained, **pixels, device=device)
            receipt.outputs += [*nodes.save(out), *draw_nodes(nodes, out, spec, run)]
        else:
            tokens = survey(trained, spec.attention, **pixels, device=device)
            receipt.outputs += [*tokens.save(out), *draw_tokens(tokens, out, spec, run)]
        receipt.spec = spec.model_dump(mode="json")
        receipt.facts["device"] = device.type


if __name__ == "__main__":
    run_main(main)
