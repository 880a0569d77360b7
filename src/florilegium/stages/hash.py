"""Hash the images of a data set for its audits.

Reads:  files.json and the images that it lists.
Writes: hashes.npz, perceptual hashes and small thumbnails.
Why:    an audit compares millions of pairs, which only small fingerprints allow.
"""

from florilegium.audit.hashing import hash_images
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError, run_main
from florilegium.core.system import say
from florilegium.data.layouts import recognise
from florilegium.stages.stage import FILES, add_workers, listed_files, stage, stage_parser


def main() -> None:
    parser = stage_parser(__doc__, out="hashes.npz", spec="layout, corrupt, pictures", files=FILES)
    add_workers(parser)
    arguments = parser.parse_args()
    with stage("hash", arguments, inputs=[arguments.files]) as receipt:
        root, files = listed_files(arguments.files)
        spec = receipt.spec
        images = recognise(spec["layout"], root, files)
        if not images:
            raise UserError(f"{root}: no images among its {len(files)} files")
        pictures = Pictures.model_validate(spec["pictures"])
        hashes, skipped = hash_images(
            root, images, workers=arguments.workers, corrupt=spec["corrupt"], pictures=pictures
        )
        hashes.save(arguments.out)
        receipt.outputs += [arguments.out]
        receipt.facts |= {"n_images": len(hashes), "skipped": skipped}
    example = f", such as {next(iter(skipped))}" if skipped else ""
    say(f"hashed {len(hashes):,} images of {root}, skipped {len(skipped)} that cannot be decoded{example}")


if __name__ == "__main__":
    run_main(main)
