"""Table what the generated images of a study are worth.

Reads:  the judgements of every set of generated images, and the runs that learned from them.
Writes: generated.csv, and generated.md beside it.
Why:    a generator is judged by a classifier, by copies of training images, and by what its images teach.
"""

from pathlib import Path

from florilegium.core.errors import run_main
from florilegium.core.files import write_text
from florilegium.report.generated import generated, generated_markdown, sets_of
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from florilegium.report.tables import write_csv
from florilegium.stages.stage import stage, stage_parser


def main() -> None:
    parser = stage_parser(
        __doc__,
        out="generated.csv; its twin is put beside it",
        spec="file of the study's description, as JSON",
        spec_is_file=True,
    )
    parser.add_argument("--runs", type=Path, required=True, help="results/<preset>/<study>")
    arguments = parser.parse_args()
    out: Path = arguments.out
    with stage("generated", arguments) as receipt:
        study = read(Study, arguments.spec)
        runs = read_study(arguments.runs, study)
        table = generated(study, runs)
        write_csv(table, out)
        write_text(out.with_suffix(".md"), generated_markdown(study, table))
        receipt.spec = study.model_dump(mode="json")
        receipt.inputs += [file for images in sets_of(study, runs) for file in images.files]
        receipt.outputs += [out, out.with_suffix(".md")]


if __name__ == "__main__":
    run_main(main)
