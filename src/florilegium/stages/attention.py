"""Look at the attention of a trained network: of a transformer's tokens, or of the nodes of an attention head.

Reads:  a run's checkpoint, receipt and predictions, and the packed images that it was tested on.
Writes: maps and measures of every head, and pictures of them, into the folder `--out`.
Why:    some networks were published for what they attend to; this shows whether they do.
"""

from florilegium.config.products import Attention
from florilegium.core.errors import run_main
from florilegium.explanation.attention import survey, survey_nodes
from florilegium.explanation.interpretation import spread
from florilegium.figures.attention import draw as draw_tokens
from florilegium.figures.nodes import draw as draw_nodes
from florilegium.stages.explanation import PictureOrigin, explanation


class AttentionSpec(PictureOrigin):
    attention: Attention


def main() -> None:
    with explanation("attention", __doc__, AttentionSpec) as run:
        settings, trained = run.spec.attention, run.trained
        images = sorted(run.predictions["image"])
        pixels = {
            "measured": run.pixels(spread(images, settings.images)),
            "shown": run.pixels(spread(images, settings.shown)),
        }
        if settings.of == "nodes":
            nodes = survey_nodes(trained, **pixels, device=run.device)
            run.receipt.outputs += [*nodes.save(run.out), *draw_nodes(nodes, run.out, run.spec.rendered, run.run)]
        else:
            tokens = survey(trained, settings, **pixels, device=run.device)
            run.receipt.outputs += [*tokens.save(run.out), *draw_tokens(tokens, run.out, run.spec.rendered, run.run)]


if __name__ == "__main__":
    run_main(main)
