"""Decode all images of a data set once, into one uint8 array.

Reads:  files.json and the images that it lists.
Writes: pixels<size>.npy, its table .csv, and .skipped.csv, the images that cannot be decoded.
Why:    trainings read pixels, and never decode a file again.
"""

from florilegium.config.pictures import Pictures
from florilegium.core.errors import run_main
from florilegium.data.layouts import recognise
from florilegium.data.pack import pack
from florilegium.stages.stage import FILES, add_workers, listed_files, stage, stage_parser


def main() -> None:
    parser = stage_parser(__doc__, out="pixels<size>.npy", spec="layout, corrupt, pictures", files=FILES)
    add_workers(parser)
    parser.add_argument("--size", required=True, type=int, help="side of the packed images in pixels")
    arguments = parser.parse_args()
    out, size = arguments.out, arguments.size
    with stage("pack", arguments, inputs=[arguments.files]) as receipt:
        root, files = listed_files(arguments.files)
        spec = receipt.spec
        images, pictures = recognise(spec["layout"], root, files), Pictures.model_validate(spec["pictures"])
        packed = pack(root, images, size, out, workers=arguments.workers, corrupt=spec["corrupt"], pictures=pictures)
        receipt.outputs += [out, out.with_suffix(".csv"), out.with_suffix(".skipped.csv")]
        receipt.facts |= {"n_packed": len(packed.images), "n_skipped": len(packed.skipped)}


if __name__ == "__main__":
    run_main(main)
