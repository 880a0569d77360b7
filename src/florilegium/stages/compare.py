"""Compare a study's runs with what was published.

Reads:  metrics, history, costs and receipt of every run, the summaries of the data sets, and of their audits.
Writes: claims, comparison, differences, costs and scores, as CSV and Markdown, beside `--out`.
Why:    every measured number stands beside the published one, with its interval and test.
"""

from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json, write_text
from florilegium.core.outputs import RECEIPT
from florilegium.report.claim_texts import claims_markdown
from florilegium.report.comparison import tabulate
from florilegium.report.runs import RUN_FILES, files_of, read_study
from florilegium.report.scores import costs_markdown
from florilegium.report.study import Study, read
from florilegium.report.tables import markdown
from florilegium.stages.stage import add_tables, stage, study_parser


def main() -> None:
    parser = study_parser(__doc__, out="comparison.csv; the other tables go beside it")
    add_tables(parser)
    parser.add_argument("--audits", type=Path, nargs="*", default=[], help="results/<preset>/audit/*/summary.json ...")
    arguments = parser.parse_args()
    out: Path = arguments.out
    with stage("compare", arguments, inputs=[*arguments.images, *arguments.audits]) as receipt:
        study = read(Study, arguments.spec)
        runs = read_study(arguments.runs, study)
        images = {path.parent.name: read_json(path) for path in arguments.images}
        tables = tabulate(study, runs, images, [read_json(path) for path in arguments.audits])
        texts = {
            out.with_name("claims.md"): claims_markdown([(study, tables.claims)]),
            out.with_suffix(".md"): markdown(study, tables.comparison),
            out.with_name("costs.md"): costs_markdown(study, tables.costs),
        }
        for path, text in texts.items():
            write_text(path, text)
        receipt.spec = study.model_dump(mode="json")
        receipt.inputs += files_of(runs, (*RUN_FILES, RECEIPT))
        receipt.outputs += [*tables.write(out.parent), *texts]


if __name__ == "__main__":
    run_main(main)
