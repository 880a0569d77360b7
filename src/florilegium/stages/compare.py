"""Hold a study's runs against what was published: comparison, differences, costs and scores, as CSV and Markdown."""

import argparse
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json, write_text
from florilegium.core.receipts import write_receipt
from florilegium.report.comparison import tabulate, write_tables
from florilegium.report.runs import files_of, read_study
from florilegium.report.scores import costs_markdown
from florilegium.report.study import Study, read
from florilegium.report.tables import markdown

READ = ("metrics.json", "history.csv", "cost.json", "receipt.json")


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
    parser.add_argument("--spec", type=Path, required=True, help="file of the study's description, as JSON")
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    study = read(Study, arguments.spec.read_text(encoding="utf-8"))
    images = {path.parent.name: read_json(path) for path in arguments.images}
    runs = read_study(arguments.runs, study)
    tables = tabulate(study, runs, images)
    out: Path = arguments.out
    texts = {
        out.with_suffix(".md"): markdown(
            tables.comparison, title=study.title, preset=study.preset, rendered=study.rendered
        ),
        out.with_name("costs.md"): costs_markdown(study, tables.costs),
    }
    written = write_tables(tables.by_file(), out.parent)
    for path, text in texts.items():
        write_text(path, text)
    write_receipt(
        out.with_suffix(".receipt.json"),
        stage="compare",
        spec=study.model_dump(mode="json"),
        code=arguments.code,
        inputs=[*files_of(runs, READ), *arguments.images],
        outputs=[*written, *texts],
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
