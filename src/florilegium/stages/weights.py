"""Fetch published weights and verify them.

Reads:  the published file, from its mirrors or resources/downloads/weights.
Writes: resources/weights/<name>.safetensors; published Flax weights are converted.
Why:    no training starts from weights that are not the published ones.
"""

import shutil
from pathlib import Path

from safetensors.numpy import save_file

from florilegium.config.data import DatasetOverride, Weights
from florilegium.core.errors import run_main
from florilegium.core.files import atomic
from florilegium.core.local_files import listed, remember
from florilegium.data.fetch import origin_of
from florilegium.models.catalogue import obtain
from florilegium.models.flax_vit import METADATA, read_flax
from florilegium.stages.stage import add_local_files, stage, stage_parser

DOWNLOADS = Path("resources/downloads/weights")


def main() -> None:
    parser = stage_parser(__doc__, out="resources/weights/<name>.safetensors", spec="weights, override")
    parser.add_argument("--name", required=True, help="key of workflow/weights.yaml")
    add_local_files(parser)
    arguments = parser.parse_args()
    with stage("weights", arguments) as receipt:
        weights = Weights.model_validate(receipt.spec["weights"])
        override = DatasetOverride.model_validate(receipt.spec["override"] or {})
        local = listed(arguments.name, override.paths)
        before = local.status()
        verified = obtain(arguments.name, weights, DOWNLOADS, override)
        with atomic(arguments.out) as temporary:
            if Path(weights.source.file).suffix == ".npz":
                save_file(read_flax(verified.path), temporary, metadata=METADATA)
            else:
                shutil.copyfile(verified.path, temporary)
        receipt.outputs += [arguments.out]
        receipt.facts["origin"] = [origin_of(verified, weights.source, override)]
        remember("weights", arguments.name, arguments.local_files, local, before, receipt.facts["origin"])


if __name__ == "__main__":
    run_main(main)
