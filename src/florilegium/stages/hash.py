"""Hash the images of a data set for its audits, and find their local features.

Reads:  files.json and the images that it lists.
Writes: hashes/, perceptual hashes, small thumbnails and local features.
Why:    an audit compares millions of pairs, which only small fingerprints allow.

What was made of an image stays in `--state`, so that only images that are new or changed are read the next time.
"""

from pathlib import Path

from florilegium.audit.keeping import locked, publish, withdraw
from florilegium.audit.reading import hash_images
from florilegium.audit.steps import Steps
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError, run_main
from florilegium.core.system import say
from florilegium.data.layouts import recognise
from florilegium.stages.stage import FILES, add_workers, listed_files, stage, stage_parser


def main() -> None:
    parser = stage_parser(__doc__, out="folder of the hashes", spec="layout, corrupt, pictures, crops", files=FILES)
    parser.add_argument("--state", required=True, type=Path, help="folder that outlives this stage")
    add_workers(parser)
    arguments = parser.parse_args()
    steps = Steps()
    with (
        stage("hash", arguments, inputs=[arguments.files]) as receipt,
        locked(arguments.state.with_name(f"{arguments.state.name}.lock")),
    ):
        root, files = listed_files(arguments.files)
        spec = receipt.spec
        images = recognise(spec["layout"], root, files)
        if not images:
            raise UserError(f"{root}: no images among its {len(files)} files")
        withdraw(arguments.out)
        kept, rows, skipped = hash_images(
            root,
            images,
            arguments.state,
            workers=arguments.workers,
            corrupt=spec["corrupt"],
            pictures=Pictures.model_validate(spec["pictures"]),
            crops=spec["crops"],
            steps=steps,
        )
        receipt.outputs += publish(kept, rows, arguments.out)
        receipt.facts |= {"n_images": len(rows), "skipped": skipped}
    example = f", such as {next(iter(skipped))}" if skipped else ""
    say(f"hashed {len(rows):,} images of {root}, skipped {len(skipped)} that cannot be decoded{example}")
    say(steps.line())


if __name__ == "__main__":
    run_main(main)
