"""Draw the figures of a study from its runs and its comparison."""

import argparse
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.receipts import write_receipt
from florilegium.figures import draw
from florilegium.figures.material import Material
from florilegium.report.comparison import read_tables
from florilegium.report.runs import files_of, read_study
from florilegium.report.scores import read_scores
from florilegium.report.study import Study, read

READ = ("metrics.json", "history.csv", "cost.json")


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="results/<preset>/<study>")
    parser.add_argument(
        "--comparison",
        type=Path,
        required=True,
        help="comparison.csv, differences.csv and scores.csv beside it",
    )
    parser.add_argument(
        "--images", type=Path, nargs="*", default=[], help="resources/<dataset>/images.json ..."
    )
    parser.add_argument(
        "--pixels", type=Path, nargs="*", default=[], help="resources/<source>/pixels<size>.npy ..."
    )
    parser.add_argument(
        "--scenes", type=Path, nargs="*", default=[], help="resources/<source>/scenes<packing>.npy, or none"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder of the figures")
    parser.add_argument("--spec", type=Path, required=True, help="file of the study's description, as JSON")
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    study = read(Study, arguments.spec.read_text(encoding="utf-8"))
    packed = {(path.parent.name, path.name): path for path in arguments.pixels}
    places = {entry.dataset: (entry.source, f"pixels{entry.storage_size}.npy") for entry in study.entries}
    comparison, differences = read_tables(arguments.comparison.parent)
    summaries = {path.parent.name: read_json(path) for path in arguments.images}
    material = Material(
        study=study,
        runs=read_study(arguments.runs, study),
        comparison=comparison,
        differences=differences,
        scores=read_scores(arguments.comparison.parent),
        classes={name: summary["classes"] for name, summary in summaries.items()},
        words={name: summary.get("words") or {} for name, summary in summaries.items()},
        pixels={dataset: packed[place] for dataset, place in places.items() if place in packed},
        scenes=next(iter(arguments.scenes), None),
    )
    written = list(draw.render(material, arguments.out))
    write_receipt(
        arguments.out / "receipt.json",
        stage="figures",
        spec=study.model_dump(mode="json"),
        code=arguments.code,
        inputs=[
            arguments.comparison,
            arguments.comparison.with_name("differences.csv"),
            arguments.comparison.with_name("scores.csv"),
            *arguments.images,
            *files_of(material.runs, READ),
            *draw.sources(material),
        ],
        outputs=written,
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
