"""Estimate the GPU hours of every study before anything of it is run."""

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd

from florilegium.core.errors import UserError, run_main
from florilegium.core.files import read_json, write_text
from florilegium.core.receipts import write_receipt
from florilegium.core.schema import Card
from florilegium.core.validate import parse
from florilegium.estimation import told
from florilegium.estimation.hours import COLUMNS, row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, type=Path, help="JSON file of preset, card and experiments")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--out", required=True, type=Path, help="table, a row an arm; <out>.txt is by study")
    arguments = parser.parse_args()
    started = time.time()
    spec = read_json(arguments.spec)
    card = parse(Card, spec["card"], "estimates")
    table = pd.DataFrame([_row(entry, card) for entry in spec["experiments"]], columns=list(COLUMNS))
    text = arguments.out.with_suffix(".txt")
    write_text(arguments.out, table.to_csv(index=False, lineterminator="\n"))
    write_text(text, "\n".join(told.summary(table, spec["preset"], card, spec["uncounted"])) + "\n")
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="estimate",
        spec=spec,
        code=arguments.code,
        inputs=[],
        outputs=[arguments.out, text],
        started=started,
    )


def _row(entry: dict[str, Any], card: Card) -> dict[str, Any]:
    try:
        return row(entry, card)
    except UserError as error:
        raise UserError(f"{entry['experiment']}: {error}") from None


if __name__ == "__main__":
    run_main(main)
