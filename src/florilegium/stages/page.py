"""Write the page of a preset: tables, figures, audits and provenance in one HTML file.

Reads:  runs, tables and figures of every study, summaries and pictures of the audits, images.json.
Writes: report.html, with all pictures inside.
Why:    whoever has the page needs no other file to read and judge the results.
"""

from collections.abc import Iterator
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import write_text
from florilegium.core.outputs import AUDIT, RECEIPT, TABLES
from florilegium.figures.registry import left_out, planned
from florilegium.report.evidence import Evidence
from florilegium.report.page import TEMPLATES, render_page
from florilegium.report.runs import RUN_FILES
from florilegium.report.study import Page, read
from florilegium.stages.stage import add_tables, stage, stage_parser


def main() -> None:
    spec = "the page's contents"
    parser = stage_parser(__doc__, out="report.html", spec=spec, spec_is_file=True, results="results/<preset>")
    add_tables(parser)
    arguments = parser.parse_args()
    with stage("page", arguments) as receipt:
        page = read(Page, arguments.spec)
        evidence = Evidence(page, arguments.results, {path.parent.name: path for path in arguments.images})
        plots = {name: [*planned(study), *left_out(study)] for name, study in page.studies.items()}
        write_text(arguments.out, render_page(evidence, plots))
        receipt.spec = page.model_dump(mode="json")
        receipt.inputs += [*sources(evidence), *arguments.images]
        receipt.outputs += [arguments.out]


def sources(evidence: Evidence) -> Iterator[Path]:
    """The templates of the page, and its files in the folder of results."""
    yield from TEMPLATES
    for a, b in evidence.page.audits:
        yield from (evidence.root / "audit" / f"{a}__{b}" / name for name in AUDIT)
    for name, study in evidence.page.studies.items():
        folder = evidence.root / name
        tables = [*TABLES, "generated"] if study.makes_images() else TABLES
        yield from (folder / f"{table}.csv" for table in tables)
        yield from (folder / "figures" / f"{figure.name}.png" for figure in planned(study))
        for runs in evidence.runs[name].values():
            yield from (run.folder / file for run in runs for file in (*RUN_FILES, RECEIPT))


if __name__ == "__main__":
    run_main(main)
