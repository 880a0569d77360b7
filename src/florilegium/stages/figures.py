"""Draw the figures of a study from its runs and its comparison."""

import argparse
import time
from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.receipts import write_receipt
from florilegium.report.comparison import read_tables
from florilegium.report.figures import render
from florilegium.report.figures_attention import sources
from florilegium.report.material import Material
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read

READ = ("metrics.json", "history.csv", "predictions.csv")


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="results/<preset>/<study>")
    parser.add_argument(
        "--comparison", type=Path, required=True, help="comparison.csv, differences.csv beside it"
    )
    parser.add_argument(
        "--images", type=Path, nargs="*", default=[], help="resources/<dataset>/images.json ..."
    )
    parser.add_argument(
        "--pixels", type=Path, nargs="*", default=[], help="resources/<source>/pixels<size>.npy ..."
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder of the figures")
    parser.add_argument("--spec", required=True, help="the study's description, as JSON")
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    study = read(Study, arguments.spec)
    packed = {(path.parent.name, path.name): path for path in arguments.pixels}
    places = {entry.dataset: (entry.source, f"pixels{entry.storage_size}.npy") for entry in study.entries}
    comparison, differences = read_tables(arguments.comparison.parent)
    material = Material(
        study=study,
        runs=read_study(arguments.runs, study),
        comparison=comparison,
        differences=differences,
        classes={path.parent.name: read_json(path)["classes"] for path in arguments.images},
        pixels={dataset: packed[place] for dataset, place in places.items() if place in packed},
    )
    written = list(render(material, arguments.out))
    runs = [run.folder / name for of_arm in material.runs.values() for run in of_arm for name in READ]
    shown = material.pixels.get(study.main().dataset)
    pixels = [] if shown is None else [shown, shown.with_suffix(".csv")]
    write_receipt(
        arguments.out / "receipt.json",
        stage="figures",
        spec=study.model_dump(mode="json"),
        code=arguments.code,
        inputs=[
            arguments.comparison,
            arguments.comparison.with_name("differences.csv"),
            *arguments.images,
            *pixels,
            *runs,
            *sources(material),
        ],
        outputs=written,
        started=started,
    )


if __name__ == "__main__":
    run_main(main)
