"""Write the page of a preset: tables, figures, audits and provenance in one HTML file."""

import argparse
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import write_text
from florilegium.core.receipts import write_receipt
from florilegium.report.page import render_page
from florilegium.report.study import Page, read


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/<preset>")
    parser.add_argument(
        "--images", type=Path, nargs="*", default=[], help="resources/<dataset>/images.json ..."
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--spec", required=True, help="what the page shows, as JSON")
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    page = read(Page, arguments.spec)
    images = {path.parent.name: path for path in arguments.images}
    write_text(arguments.out, render_page(page, arguments.results, images))
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="page",
        spec=page.model_dump(mode="json"),
        code=arguments.code,
        inputs=[arguments.results / study / "comparison.csv" for study in page.studies],
        outputs=[arguments.out],
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
