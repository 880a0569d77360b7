"""Write the page of a preset: tables, figures, audits and provenance in one HTML file."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import write_text
from florilegium.core.receipts import write_receipt
from florilegium.figures.registry import planned
from florilegium.report.evidence import Evidence
from florilegium.report.page import TEMPLATES, render_page
from florilegium.report.runs import RUN_FILES
from florilegium.report.study import Page, read


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
    evidence = Evidence(page, arguments.results, images)
    write_text(arguments.out, render_page(evidence))
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="page",
        spec=page.model_dump(mode="json"),
        code=arguments.code,
        inputs=[*sources(evidence), *arguments.images],
        outputs=[arguments.out],
        started=started,
    )


def sources(evidence: Evidence) -> Iterator[Path]:
    """The templates of the page, and its files below `results`."""
    yield from TEMPLATES
    for a, b in evidence.page.audits:
        for name in ("summary.json", "contact_sheet.png", "distances.png"):
            yield evidence.root / "audit" / f"{a}__{b}" / name
    for name, study in evidence.page.studies.items():
        folder = evidence.root / name
        tables = (
            "comparison",
            "differences",
            "costs",
            "scores",
            *(("generated",) if study.makes_images() else ()),
        )
        yield from (folder / f"{table}.csv" for table in tables)
        yield from (folder / "figures" / f"{figure.name}.png" for figure in planned(study))
        for runs in evidence.runs[name].values():
            yield from (run.folder / file for run in runs for file in (*RUN_FILES, "receipt.json"))


if __name__ == "__main__":
    run_main(main)
