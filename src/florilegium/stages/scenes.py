"""Decode all images of a detection data set once, into one file, grouped by shape.

Reads:  files.json, annotations.json and the images.
Writes: scenes<packing>.npy, its table .csv, and .skipped.csv, the images that cannot be decoded.
Why:    trainings read pixels, and never decode a file again.
"""

from florilegium.config.pictures import Pictures
from florilegium.core.errors import run_main
from florilegium.core.files import read_json
from florilegium.data.decode import fit
from florilegium.data.pack import pack_buckets
from florilegium.stages.stage import FILES, add_workers, listed_files, stage, stage_parser


def main() -> None:
    parser = stage_parser(
        __doc__,
        out="scenes<packing>.npy",
        spec="short_side, long_side, padding, corrupt, pictures",
        files=FILES,
        annotations="annotations.json of the data set",
    )
    add_workers(parser)
    arguments = parser.parse_args()
    out, annotations = arguments.out, arguments.annotations
    with stage("scenes", arguments, inputs=[arguments.files, annotations]) as receipt:
        spec = receipt.spec
        sides = (spec["short_side"], spec["long_side"])
        fits = {
            image["file_name"]: fit(image["height"], image["width"], *sides)
            for split in read_json(annotations)["splits"].values()
            for image in split["images"]
        }
        root, _ = listed_files(arguments.files)
        packed = pack_buckets(
            root,
            fits,
            spec["padding"],
            out,
            workers=arguments.workers,
            corrupt=spec["corrupt"],
            pictures=Pictures.model_validate(spec["pictures"]),
        )
        receipt.outputs += [out, out.with_suffix(".csv"), out.with_suffix(".skipped.csv")]
        receipt.facts |= {"n_packed": len(packed.images), "n_skipped": len(packed.skipped)}


if __name__ == "__main__":
    run_main(main)
