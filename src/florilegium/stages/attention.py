"""Look at the attention of a trained transformer: maps, rollouts, entropy and diagonal of every head."""

import time

import pandas as pd

from florilegium.core.attention_settings import Attention
from florilegium.core.errors import run_main
from florilegium.core.receipts import write_receipt
from florilegium.data.packed import read_pixels
from florilegium.explanation.choice import spread
from florilegium.explanation.survey import survey
from florilegium.models.trained import load_trained
from florilegium.report.pictures_attention import draw
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
    attended = survey(
        trained.network,
        trained.config,
        asked.attention,
        measured=read_pixels(arguments.pixels, spread(tested, asked.attention.images)),
        shown=read_pixels(arguments.pixels, spread(tested, asked.attention.shown)),
        device=device,
    )
    pictures = draw(attended, arguments.out, asked, explained.run_of(arguments))
    written = [*attended.save(arguments.out), *pictures]
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
