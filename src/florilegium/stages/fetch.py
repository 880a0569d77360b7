"""Fetch the files of a data set, verify them, and list them.

Reads:  the data set's mirrors, or a folder of the user's own.
Writes: the files, and files.json, their list.
Why:    nothing is computed on a file that is not the published one.
"""

from pathlib import Path

from florilegium.config.datasets import Dataset, DatasetOverride
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.local_files import LocalFiles, below, listed, remember
from florilegium.data.fetch import fetch
from florilegium.stages.stage import add_local_files, stage, stage_parser


def main() -> None:
    parser = stage_parser(__doc__, out="files.json; the files go beside it", spec="dataset, override")
    parser.add_argument("--name", required=True, help="the data set's key")
    add_local_files(parser)
    arguments = parser.parse_args()
    name, out = arguments.name, arguments.out
    with stage("fetch", arguments) as receipt:
        dataset = Dataset.model_validate(receipt.spec["dataset"] | {"title": name})
        override = DatasetOverride.model_validate(receipt.spec["override"] or {})
        local = _local_files(name, dataset, override)
        before = local.status()
        listing = fetch(
            name, dataset, override, root=out.parent / "files", downloads=out.parents[1] / "downloads" / name
        )
        write_json(out, listing)
        receipt.outputs += [out]
        receipt.facts |= {
            "origin": listing["origin"],
            "n_files": len(listing["files"]),
            "bytes": sum(file["bytes"] for file in listing["files"]),
        }
        found = listing["files"] if local.is_folder else listing["origin"]
        remember("datasets", name, arguments.local_files, local, before, found)


def _local_files(name: str, dataset: Dataset, override: DatasetOverride) -> LocalFiles:
    """The files of a person's own that a data set is made of."""
    folder = Path(dataset.folder or "").expanduser()
    return below(folder) if dataset.folder and folder.is_dir() else listed(name, override.paths)


if __name__ == "__main__":
    run_main(main)
