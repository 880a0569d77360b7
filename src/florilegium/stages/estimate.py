"""Estimate the GPU hours of every study before anything of it is run.

Reads:  the description of all experiments, from `--spec` alone.
Writes: a table with a row for each arm, and a summary by study beside it, <out>.txt.
Why:    the paper preset takes days on a GPU; nobody should start it without a guess of how many.
"""

from florilegium.config.base import parse
from florilegium.config.study import Card
from florilegium.core.errors import run_main
from florilegium.core.files import write_text
from florilegium.core.tables import write_frame
from florilegium.estimation.hours import summary, table_of
from florilegium.stages.stage import stage, stage_parser


def main() -> None:
    out_help, spec_help = "the table; <out>.txt goes beside it", "preset, card, experiments, uncounted"
    arguments = stage_parser(__doc__, out=out_help, spec=spec_help, spec_is_file=True).parse_args()
    text = arguments.out.with_suffix(".txt")
    with stage("estimate", arguments) as receipt:
        spec = receipt.spec
        card = parse(Card, spec["card"], "estimates")
        table = table_of(spec["experiments"], card)
        write_frame(arguments.out, table)
        write_text(text, "\n".join(summary(table, spec["preset"], card, spec["uncounted"])) + "\n")
        receipt.outputs += [arguments.out, text]


if __name__ == "__main__":
    run_main(main)
