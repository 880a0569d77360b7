"""Bring the file of named weights to its place, verified; published Flax weights become safetensors."""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from florilegium.core.errors import run_main
from florilegium.core.files import atomic, digest
from florilegium.core.places import disclosed
from florilegium.core.receipts import write_receipt
from florilegium.core.sources import Weights
from florilegium.models.catalogue import obtain
from florilegium.models.flax_vit import METADATA, read_flax

DOWNLOADS = Path("resources/downloads/weights")


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="key of workflow/weights.yaml")
    parser.add_argument("--spec", required=True, help="its entry there, as JSON")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--out", required=True, type=Path, help="resources/weights/<name>.safetensors")
    arguments = parser.parse_args()
    weights = Weights.model_validate_json(arguments.spec)
    found = obtain(arguments.name, weights, DOWNLOADS)
    with atomic(arguments.out) as temporary:
        if found.suffix == ".npz":
            save_file(read_flax(found), temporary, metadata=METADATA)
        else:
            shutil.copyfile(found, temporary)
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="weights",
        spec=weights.model_dump(mode="json"),
        code=arguments.code,
        inputs=[],
        outputs=[arguments.out],
        started=started,
        origin=[origin(weights, found)],
    )


def origin(weights: Weights, found: Path) -> dict[str, Any]:
    """The published file, in the words in which `files.json` names the archives of a data set."""
    places = ", ".join(map(disclosed, weights.source.urls)) or "put there by hand"
    size = found.stat().st_size
    return {"file": weights.source.file, "from": places, "sha256": digest(found), "bytes": size}


if __name__ == "__main__":
    run_main(main)
