"""Estimate the GPU hours of every study before anything of it is run."""

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd

from florilegium.core.errors import UserError, run_main
from florilegium.core.files import read_json, write_text
from florilegium.core.receipts import write_receipt
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse, Model
from florilegium.core.validate import parse
from florilegium.evaluation.console import aligned
from florilegium.evaluation.estimate import Work, work_of

HOUR = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, type=Path, help="JSON file of preset, card and experiments")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--out", required=True, type=Path, help="table, a row an arm; <out>.txt is by study")
    arguments = parser.parse_args()
    started = time.time()
    spec = read_json(arguments.spec)
    rate = spec["card"]["teraflops"] * 1e12 * spec["card"]["share"]  # operations a second
    table = pd.DataFrame([row(entry, rate) for entry in spec["experiments"]])
    told = arguments.out.with_suffix(".txt")
    write_text(arguments.out, table.to_csv(index=False, lineterminator="\n"))
    write_text(told, "\n".join(summary(table, spec)) + "\n")
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="estimate",
        spec=spec,
        code=arguments.code,
        inputs=[],
        outputs=[arguments.out, told],
        started=started,
    )


def row(entry: dict[str, Any], rate: float) -> dict[str, Any]:
    """One arm with all its runs."""
    work = _work(entry)
    study, experiment, arm = entry["experiment"].split("/")
    return {
        "study": study,
        "experiment": experiment,
        "arm": arm,
        "runs": entry["runs"],
        "train_images": work.train_images,
        "judged_images": work.judged_images,
        "params": work.params,
        "params_trainable": work.params_trainable,
        "macs": work.macs,
        "operations": f"{work.operations * entry['runs']:.4g}",
        "gpu_hours": round(work.operations * entry["runs"] / rate / HOUR, 4),
    }


def summary(table: pd.DataFrame, spec: dict[str, Any]) -> list[str]:
    """What a person is shown: hours by study, and what they assume."""
    card = spec["card"]
    by_study = table.groupby("study").agg(
        arms=("arm", "size"), runs=("runs", "sum"), hours=("gpu_hours", "sum")
    )
    rows = [
        (study, int(found.arms), int(found.runs), f"{found.hours:,.1f}")
        for study, found in by_study.iterrows()
    ]
    total = ("all", len(table), int(table["runs"].sum()), f"{table['gpu_hours'].sum():,.1f}")
    return [
        f"Estimated GPU hours of preset {spec['preset']}, for one {card['name']} at {card['share']:.0%} of "
        f"{card['teraflops']:g} TFLOP/s (config.yaml: estimates):",
        "",
        *aligned([("study", "arms", "runs", "GPU hours"), *rows, total]),
        "",
        "Forward passes in training, validation and tests, and the backward pass of what trains. Detection and",
        "rendered data sets are not counted.",
    ]


def _work(entry: dict[str, Any]) -> Work:
    try:
        return work_of(
            parse(Model, entry["model"], "model"),
            parse(Recipe, entry["recipe"], "recipe"),
            parse(DataUse, entry["data"], "data"),
            entry["images"],
            entry["classes"],
            cached=entry["cached"],
        )
    except UserError as error:
        raise UserError(f"{entry['experiment']}: {error}") from None


if __name__ == "__main__":
    run_main(main)
