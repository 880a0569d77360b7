"""Plot the figures of a study from its runs and its comparison.

Reads:  runs, comparison.csv, differences.csv and scores.csv of the study, tables and pixels of its data sets.
Writes: <name>.png for each figure that the study has, into the folder `--out`.
Why:    a table holds the numbers, a figure shows how they compare.
"""

from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.outputs import RECEIPT
from florilegium.figures import draw
from florilegium.figures.material import Material
from florilegium.report.runs import RUN_FILES, files_of, read_study
from florilegium.report.study import Study, read
from florilegium.report.tables import read_csv
from florilegium.stages.stage import add_tables, stage, study_parser


def main() -> None:
    comparison = "comparison.csv, the other tables beside it"
    parser = study_parser(__doc__, out="the folder of the figures", comparison=comparison)
    add_tables(parser)
    for option, files in (("--pixels", "pixels<size>.npy ..."), ("--scenes", "scenes<packing>.npy, or none")):
        parser.add_argument(option, type=Path, nargs="*", default=[], help=f"resources/<source>/{files}")
    arguments = parser.parse_args()
    tables = [arguments.comparison.with_name(f"{name}.csv") for name in ("comparison", "differences", "scores")]
    with stage("figures", arguments, tables, path=arguments.out / RECEIPT) as receipt:
        study = read(Study, arguments.spec)
        packed = {(path.parent.name, path.name): path for path in arguments.pixels}
        places = {entry.dataset: (entry.source, f"pixels{entry.storage_size}.npy") for entry in study.entries}
        comparison, differences, scores = map(read_csv, tables)
        summaries = {path.parent.name: read_json(path) for path in arguments.images}
        material = Material(
            study=study,
            runs=read_study(arguments.runs, study),
            comparison=comparison,
            differences=differences,
            scores=scores,
            classes={name: summary["classes"] for name, summary in summaries.items()},
            words={name: summary.get("words") or {} for name, summary in summaries.items()},
            pixels={dataset: packed[place] for dataset, place in places.items() if place in packed},
            scenes=next(iter(arguments.scenes), None),
        )
        receipt.outputs += draw.render(material, arguments.out)
        receipt.spec = study.model_dump(mode="json")
        receipt.inputs += [*arguments.images, *files_of(material.runs, RUN_FILES), *draw.sources(material)]


if __name__ == "__main__":
    run_main(main)
