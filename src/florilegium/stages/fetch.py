"""Fetch the files of a data set, verify them, and list them.

Reads:  the data set's mirrors, or a folder of the user's own.
Writes: the files, and files.json, their list.
Why:    nothing is computed on a file that is not the published one.
"""

from florilegium.config.data import Dataset, DatasetOverride
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.data.fetch import fetch
from florilegium.stages.stage import stage, stage_parser


def main() -> None:
    parser = stage_parser(__doc__, out="files.json; the files go beside it", spec="dataset, override")
    parser.add_argument("--name", required=True, help="the data set's key")
    arguments = parser.parse_args()
    name, out = arguments.name, arguments.out
    with stage("fetch", arguments) as receipt:
        dataset, override = receipt.spec["dataset"], receipt.spec["override"]
        listing = fetch(
            name,
            Dataset.model_validate(dataset | {"title": name}),
            DatasetOverride.model_validate(override) if override else None,
            root=out.parent / "files",
            downloads=out.parents[1] / "downloads" / name,
        )
        write_json(out, listing)
        receipt.outputs += [out]
        receipt.facts |= {
            "origin": listing["origin"],
            "n_files": len(listing["files"]),
            "bytes": sum(file["bytes"] for file in listing["files"]),
        }


if __name__ == "__main__":
    run_main(main)
