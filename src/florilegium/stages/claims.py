"""Gather the claims of all studies of a preset.

Reads:  claims.csv of every study.
Writes: claims.csv and claims.md of the preset.
Why:    what became of the studies' claims is the first that one asks.
"""

from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.report.claim_texts import write_claims
from florilegium.report.study import Page, read
from florilegium.report.tables import read_csv
from florilegium.stages.stage import stage, stage_parser


def main() -> None:
    spec = "the page's contents"
    parser = stage_parser(__doc__, out="claims.csv; claims.md goes beside it", spec=spec, spec_is_file=True)
    parser.add_argument("--results", type=Path, required=True, help="the folder of the studies")
    arguments = parser.parse_args()
    with stage("claims", arguments) as receipt:
        page = read(Page, arguments.spec)
        tables = {name: arguments.results / name / "claims.csv" for name, _ in page.in_order()}
        receipt.inputs += tables.values()
        claims = [(of, read_csv(tables[name])) for name, of in page.in_order()]
        receipt.outputs += write_claims(claims, arguments.out.parent)
        receipt.spec = page.model_dump(mode="json")


if __name__ == "__main__":
    run_main(main)
