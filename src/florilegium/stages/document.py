"""Write the results of a finished preset as a document to commit, with its plots.

python -m florilegium.stages.document results/mini --hardware "2 cores of ..." --out docs/results/mini-cpu.md
"""

import argparse
import datetime
import json
import shutil
from pathlib import Path

from florilegium.core.errors import UserError, run_main
from florilegium.core.files import write_text
from florilegium.core.receipts import read_receipt
from florilegium.report.document import document, figures
from florilegium.report.study import Page, read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="results/<preset>, finished")
    parser.add_argument("--hardware", required=True, help="what it ran on, in words")
    parser.add_argument(
        "--out", type=Path, required=True, help="plots go into a folder of its name beside it"
    )
    arguments = parser.parse_args()
    receipt = arguments.results / "report.receipt.json"
    if not receipt.is_file():
        raise UserError(f"{receipt}: there is no such file; run the preset to its end first")
    page = read(Page, json.dumps(read_receipt(receipt)["spec"]))
    images = {name: Path("resources") / name / "images.json" for name in page.datasets}
    made = datetime.date.fromtimestamp(receipt.stat().st_mtime).isoformat()
    plots = arguments.out.with_suffix("")
    text = document(page, arguments.results, images, plots=plots.name, hardware=arguments.hardware, date=made)
    write_text(arguments.out, text)
    plots.mkdir(exist_ok=True)
    for name, path in figures(page, arguments.results).items():
        shutil.copyfile(path, plots / name)


if __name__ == "__main__":
    run_main(main)
