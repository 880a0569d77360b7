"""Bring the file of named weights to its place, verified.

Reads:  the published file, from its mirrors or resources/downloads/weights.
Writes: resources/weights/<name>.safetensors; published Flax weights are converted.
Why:    no training starts from weights that are not the published ones.
"""

import shutil
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from florilegium.core.errors import run_main
from florilegium.core.files import atomic, digest
from florilegium.core.places import disclosed
from florilegium.core.sources import Weights
from florilegium.models.catalogue import obtain
from florilegium.models.flax_vit import METADATA, read_flax
from florilegium.stages.stage import stage, stage_parser

DOWNLOADS = Path("resources/downloads/weights")


def main() -> None:
    parser = stage_parser(
        __doc__, out="resources/weights/<name>.safetensors", spec="its entry there, as JSON"
    )
    parser.add_argument("--name", required=True, help="key of workflow/weights.yaml")
    arguments = parser.parse_args()
    with stage("weights", arguments) as receipt:
        weights = Weights.model_validate_json(arguments.spec)
        published = obtain(arguments.name, weights, DOWNLOADS)
        with atomic(arguments.out) as temporary:
            if published.suffix == ".npz":
                save_file(read_flax(published), temporary, metadata=METADATA)
            else:
                shutil.copyfile(published, temporary)
        receipt.spec = weights.model_dump(mode="json")
        receipt.outputs += [arguments.out]
        receipt.facts["origin"] = [origin(weights, published)]


def origin(weights: Weights, published: Path) -> dict[str, Any]:
    """The published file, in the words in which `files.json` names the archives of a data set."""
    places = ", ".join(map(disclosed, weights.source.urls)) or "put there by hand"
    size = published.stat().st_size
    return {"file": weights.source.file, "from": places, "sha256": digest(published), "bytes": size}


if __name__ == "__main__":
    run_main(main)
