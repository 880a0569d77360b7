"""Draw the figures of a study from its runs and its comparison.

Reads:  runs, comparison.csv, differences.csv and scores.csv of the study, tables and pixels of its data sets.
Writes: <name>.png for each figure that the study has, into the folder `--out`.
Why:    a table says how much, a figure says what it is like.
"""

from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.figures import draw
from florilegium.figures.material import Material
from florilegium.report.runs import RUN_FILES, files_of, read_study
from florilegium.report.study import Study, read
from florilegium.report.tables import read_csv
from florilegium.stages.stage import stage, stage_parser


def main() -> None:
    parser = stage_parser(
        __doc__, out="the folder of the figures", spec="file of the study's description, as JSON", spec_is_file=True
    )
    parser.add_argument("--runs", type=Path, required=True, help="results/<preset>/<study>")
    parser.add_argument("--comparison", type=Path, required=True, help="comparison.csv, its sisters beside it")
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="resources/<dataset>/images.json ...")
    parser.add_argument("--pixels", type=Path, nargs="*", default=[], help="resources/<source>/pixels<size>.npy ...")
    parser.add_argument(
        "--scenes", type=Path, nargs="*", default=[], help="resources/<source>/scenes<packing>.npy, or none"
    )
    arguments = parser.parse_args()
    tables = [arguments.comparison.with_name(f"{name}.csv") for name in ("comparison", "differences", "scores")]
    with stage("figures", arguments, tables, path=arguments.out / "receipt.json") as receipt:
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
