"""Bring the file of named weights to its place, verified; published Flax weights become safetensors."""

import argparse
import json
import shutil
import time
from pathlib import Path

from safetensors.numpy import save_file

from florilegium.core.errors import run_main
from florilegium.core.files import atomic
from florilegium.core.receipts import write_receipt
from florilegium.core.sources import DatasetOverride, Weights
from florilegium.data.fetch import origin_of
from florilegium.models.catalogue import obtain
from florilegium.models.flax_vit import METADATA, read_flax

DOWNLOADS = Path("resources/downloads/weights")


def main() -> None:
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="key of workflow/weights.yaml")
    parser.add_argument("--spec", required=True, help="JSON: weights (its entry there), override")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt")
    parser.add_argument("--out", required=True, type=Path, help="resources/weights/<name>.safetensors")
    arguments = parser.parse_args()
    spec = json.loads(arguments.spec)
    weights = Weights.model_validate(spec["weights"])
    override = DatasetOverride.model_validate(spec["override"] or {})
    verified = obtain(arguments.name, weights, DOWNLOADS, override)
    with atomic(arguments.out) as temporary:
        if Path(weights.source.file).suffix == ".npz":
            save_file(read_flax(verified.path), temporary, metadata=METADATA)
        else:
            shutil.copyfile(verified.path, temporary)
    write_receipt(
        arguments.out.with_suffix(".receipt.json"),
        stage="weights",
        spec=spec,
        code=arguments.code,
        inputs=[],
        outputs=[arguments.out],
        started=started,
        origin=[origin_of(verified, weights.source, override)],
    )


if __name__ == "__main__":
    run_main(main)
