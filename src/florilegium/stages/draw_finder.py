"""Draw what a learning-rate finder saw. Apart from the finder, so that another look trains nothing anew."""

import argparse
import json
import time
from pathlib import Path

import pandas as pd

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.receipts import write_receipt
from florilegium.figures import style
from florilegium.figures.finders import Origin, draw_rates


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, type=Path, help="finder.csv, finder.json beside it")
    parser.add_argument("--out", required=True, type=Path, help="the picture")
    parser.add_argument("--spec", required=True, help="JSON with preset, rendered and the experiment's name")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    arguments = parser.parse_args()
    spec, found = json.loads(arguments.spec), arguments.table.with_suffix(".json")
    origin = Origin(spec["rendered"])
    table, suggestion = pd.read_csv(arguments.table), read_json(found)["suggestion"]
    with style.applied():
        style.save(draw_rates(table, suggestion, origin, spec["experiment"]), arguments.out)
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="draw_finder",
        spec=spec,
        code=arguments.code,
        inputs=[arguments.table, found],
        outputs=[arguments.out],
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
