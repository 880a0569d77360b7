"""Audit two data sets that meet in an experiment, or one across its own splits.

Reads:  hashes/, images.csv and files.json of each data set, and the images of candidate pairs.
Writes: pairs.csv, summary.json, the images to drop, and contact sheets, into the folder `--out`.
Why:    no model may be tested on a picture that it was trained on.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from florilegium.audit.comparison import Collection, compare
from florilegium.audit.kept import load
from florilegium.audit.pictures import write_audit
from florilegium.audit.steps import Steps
from florilegium.config.pictures import Pictures
from florilegium.config.products import Audit
from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.core.outputs import HASHES, RECEIPT
from florilegium.core.system import say
from florilegium.core.tables import read_table
from florilegium.stages.stage import stage, stage_parser

FILES = {"hashes": "hashes/", "images": "images.csv", "files": "files.json"}  # of a data set, by option


def main() -> None:
    arguments = parse_arguments()
    sides = "a" if arguments.name_a == arguments.name_b else "ab"
    files = {side: [getattr(arguments, f"{kind}_{side}") for kind in FILES] for side in sides}
    inputs = [path for hashes, *tables in files.values() for path in (*(hashes / name for name in HASHES), *tables)]
    steps = Steps()
    with stage("audit", arguments, inputs, path=arguments.out / RECEIPT) as receipt:
        pictures = Pictures.model_validate(receipt.spec["pictures"])
        settings = Audit.model_validate(receipt.spec["audit"])
        with steps("opening"):
            a = collection(arguments.name_a, files["a"], pictures, settings)
            b = collection(arguments.name_b, files["b"], pictures, settings) if "b" in files else a
        comparison = compare(a, b, settings, workers=arguments.workers, steps=steps)
        with steps("pictures"):
            receipt.outputs += write_audit(comparison, arguments.out, workers=arguments.workers)
    say(f"audit {a.name} / {b.name}: {len(comparison.same):,} pairs show the same picture")
    say(steps.line())


def parse_arguments() -> argparse.Namespace:
    parser = stage_parser(__doc__, out="folder of the audit", spec="audit, pictures")
    for side, role in (("a", "trained on"), ("b", "tested on")):
        parser.add_argument(f"--name-{side}", required=True, help=f"name of the data set that is {role}")
        for kind, file in FILES.items():
            parser.add_argument(f"--{kind}-{side}", type=Path, required=True, help=f"its {file}")
    parser.add_argument("--workers", type=int, default=1, help="threads that compare")
    return parser.parse_args()


def collection(name: str, files: Sequence[Path], pictures: Pictures, settings: Audit) -> Collection:
    """A data set, read from the files that earlier stages made: one each of `FILES`."""
    folder, images, listing = files
    table, root = read_table(images), Path(read_json(listing)["root"])
    hashes = load(folder, pictures, crops=settings.crops, root=root)
    return Collection.join(name, hashes, table, root, pictures)


if __name__ == "__main__":
    run_main(main)
