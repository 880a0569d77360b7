"""Hold a study's runs against what was published: comparison.csv, comparison.md, differences.csv."""

import argparse
import time
from pathlib import Path

import pandas as pd

from florilegium.core.errors import run_main
from florilegium.core.files import atomic, read_json, write_text
from florilegium.core.receipts import write_receipt
from florilegium.report.comparison import compare
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from florilegium.report.tables import markdown


def write_csv(table: pd.DataFrame, path: Path) -> None:
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.10g")


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="results/<preset>/<study>")
    parser.add_argument(
        "--images", type=Path, nargs="*", default=[], help="resources/<dataset>/images.json ..."
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="comparison.csv; the others are put beside it"
    )
    parser.add_argument("--spec", required=True, help="the study's description, as JSON")
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    study = read(Study, arguments.spec)
    splits = {path.parent.name: read_json(path)["split_origin"] for path in arguments.images}
    runs = read_study(arguments.runs, study)
    comparison, differences = compare(study, runs, splits)
    out: Path = arguments.out
    outputs = [out, out.with_suffix(".md"), out.with_name("differences.csv")]
    write_csv(comparison, outputs[0])
    text = markdown(comparison, title=study.title, preset=study.preset, comparable=study.comparable)
    write_text(outputs[1], text)
    write_csv(differences, outputs[2])
    inputs = [
        run.folder / name
        for of_arm in runs.values()
        for run in of_arm
        for name in ("metrics.json", "history.csv", "predictions.csv", "receipt.json")
    ]
    write_receipt(
        out.with_suffix(".receipt.json"),
        stage="compare",
        spec=study.model_dump(mode="json"),
        code=arguments.code,
        inputs=[*inputs, *arguments.images],
        outputs=outputs,
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
