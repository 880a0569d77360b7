"""Tabulate the quality and the use of the images that a study generates.

Reads:  the judgements of every set of generated images, and the runs that learned from them.
Writes: generated.csv, and generated.md beside it.
Why:    a generator is judged by a classifier, by copies of training images, and by what its images teach.
"""

from florilegium.core.errors import run_main
from florilegium.core.files import write_text
from florilegium.report.generated import generated, generated_markdown, sets_of
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read
from florilegium.report.tables import write_csv
from florilegium.stages.stage import stage, study_parser


def main() -> None:
    arguments = study_parser(__doc__, out="generated.csv; generated.md goes beside it").parse_args()
    out, text = arguments.out, arguments.out.with_suffix(".md")
    with stage("generated", arguments) as receipt:
        study = read(Study, arguments.spec)
        runs = read_study(arguments.runs, study)
        table = generated(study, runs)
        write_csv(table, out)
        write_text(text, generated_markdown(study, table))
        receipt.spec = study.model_dump(mode="json")
        receipt.inputs += [file for images in sets_of(study, runs) for file in images.files]
        receipt.outputs += [out, text]


if __name__ == "__main__":
    run_main(main)
