"""Table what the generated images of a study are worth: generated.csv and generated.md."""

import argparse
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import write_text
from florilegium.core.receipts import write_receipt
from florilegium.report.generated import generated, generated_markdown, sets_of
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from florilegium.report.tables import write_csv


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="results/<preset>/<study>")
    parser.add_argument("--out", type=Path, required=True, help="generated.csv; its twin is put beside it")
    parser.add_argument("--spec", type=Path, required=True, help="file of the study's description, as JSON")
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    study = read(Study, arguments.spec.read_text(encoding="utf-8"))
    runs = read_study(arguments.runs, study)
    table = generated(study, runs)
    out: Path = arguments.out
    write_csv(table, out)
    write_text(out.with_suffix(".md"), generated_markdown(study, table))
    write_receipt(
        out.with_suffix(".receipt.json"),
        stage="generated",
        spec=study.model_dump(mode="json"),
        code=arguments.code,
        inputs=[file for found in sets_of(study, runs) for file in found.files],
        outputs=[out, out.with_suffix(".md")],
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
