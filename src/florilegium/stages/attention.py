"""Look at the attention of a trained network, of a transformer's tokens or of the nodes of a head of attention:
maps, and numbers of every head."""

import time

import pandas as pd

from florilegium.core.attention_settings import Attention
from florilegium.core.errors import run_main
from florilegium.core.receipts import write_receipt
from florilegium.data.packed import read_pixels
from florilegium.explanation.choice import spread
from florilegium.explanation.nodes import survey_nodes
from florilegium.explanation.survey import survey
from florilegium.figures.attention import draw as draw_tokens
from florilegium.figures.nodes import draw as draw_nodes
from florilegium.models.trained import load_trained
from florilegium.report.study import read
from florilegium.stages import explained
from florilegium.training.machine import configure, pick_device


class Asked(explained.Shown):
    """The stage's specification: what is looked at, and the preset that its pictures name."""

    attention: Attention


def main() -> None:
    started = time.time()
    arguments = explained.parse_arguments(__doc__, "attention")
    asked = read(Asked, arguments.spec)
    device = pick_device(arguments.device)
    configure(device, threads=1)
    predictions = pd.read_csv(explained.predictions_of(arguments), dtype=str, keep_default_na=False)
    tested = sorted(predictions["image"])
    trained = load_trained(arguments.checkpoint)
    pictures = {
        "measured": read_pixels(arguments.pixels, spread(tested, asked.attention.images)),
        "shown": read_pixels(arguments.pixels, spread(tested, asked.attention.shown)),
    }
    place = explained.run_of(arguments)
    if asked.attention.of == "nodes":
        nodes = survey_nodes(trained.network, trained.config, **pictures, device=device)
        written = [*nodes.save(arguments.out), *draw_nodes(nodes, arguments.out, asked, place)]
    else:
        tokens = survey(trained.network, trained.config, asked.attention, **pictures, device=device)
        written = [*tokens.save(arguments.out), *draw_tokens(tokens, arguments.out, asked, place)]
    write_receipt(
        arguments.out / "receipt.json",
        stage="attention",
        spec=asked.model_dump(mode="json"),
        code=arguments.code,
        inputs=explained.inputs_of(arguments),
        outputs=written,
        started=started,
        device=device.type,
    )


if __name__ == "__main__":
    run_main(main)
