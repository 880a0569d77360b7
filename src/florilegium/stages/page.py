"""Write the page of a preset: tables, figures, audits and provenance in one HTML file."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import write_text
from florilegium.core.receipts import write_receipt
from florilegium.figures.registry import planned
from florilegium.report.page import TEMPLATES, render_page
from florilegium.report.runs import read_study
from florilegium.report.study import Page, read

READ = ("metrics.json", "history.csv", "cost.json", "receipt.json")


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/<preset>")
    parser.add_argument(
        "--images", type=Path, nargs="*", default=[], help="resources/<dataset>/images.json ..."
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--spec", type=Path, required=True, help="file of what the page shows, as JSON")
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    page = read(Page, arguments.spec.read_text(encoding="utf-8"))
    images = {path.parent.name: path for path in arguments.images}
    write_text(arguments.out, render_page(page, arguments.results, images))
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="page",
        spec=page.model_dump(mode="json"),
        code=arguments.code,
        inputs=[*sources(page, arguments.results), *arguments.images],
        outputs=[arguments.out],
        started=started,
    )


def sources(page: Page, results: Path) -> Iterator[Path]:
    """Every file below `results`, and every template, that the page is made of."""
    yield from TEMPLATES
    for a, b in page.audits:
        for name in ("summary.json", "contact_sheet.png", "distances.png"):
            yield results / "audit" / f"{a}__{b}" / name
    for name, study in page.studies.items():
        folder = results / name
        yield from (
            folder / table for table in ("comparison.csv", "differences.csv", "costs.csv", "scores.csv")
        )
        if study.makes_images():
            yield folder / "generated.csv"
        yield from (folder / "figures" / f"{figure.name}.png" for figure in planned(study))
        for runs in read_study(folder, study).values():
            yield from (run.folder / file for run in runs for file in READ)


if __name__ == "__main__":
    run_main(main)
