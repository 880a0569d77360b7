"""Fetch published weights and verify them.

Reads:  the published file, from its mirrors or resources/downloads/weights.
Writes: resources/weights/<name>.safetensors; files of other kinds, or with other names, are converted.
Why:    no training starts from weights that are not the published ones.
"""

import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from florilegium.config.weights import Weights, WeightsOverride
from florilegium.core.errors import UserError, run_main
from florilegium.core.files import atomic
from florilegium.core.local_files import listed, remember
from florilegium.data.fetch import origin_of
from florilegium.models.catalogue import hold_to_first_use, obtain
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
        override = WeightsOverride.model_validate(receipt.spec["override"] or {})
        local = listed(arguments.name, override.paths)
        before = local.status()
        if weights.timm is not None:
            from florilegium.models.published import where  # timm and torch, which the others do without

            weights = where(weights)
        verified = obtain(arguments.name, weights, DOWNLOADS, override)
        assert weights.published is not None
        origin = origin_of(verified, weights.published, override.places)
        if not local.paths:
            hold_to_first_use(arguments.name, weights, origin)
        receipt.facts["origin"] = [origin]
        kind = verified.path.suffix.lower()
        with atomic(arguments.out) as temporary:
            if kind == ".npz":
                save_file(read_flax(verified.path), temporary, metadata=METADATA)
            elif weights.names == "own" and kind == ".safetensors":
                _check_whole(verified.path)
                shutil.copyfile(verified.path, temporary)
            else:
                from florilegium.models.published import convert

                convert(verified.path, weights, temporary)
        receipt.outputs += [arguments.out]
        remember("weights", arguments.name, arguments.local_files, local, before, receipt.facts["origin"])


def _check_whole(path: Path) -> None:
    """Raise `UserError` for a file of safetensors that is none, or cut: a training would name the copy of it."""
    try:
        with safe_open(path, "numpy"):
            pass
    except SafetensorError as error:
        raise UserError(f"{path}: is truncated or no file of weights ({error}); fetch or save it again") from None


if __name__ == "__main__":
    run_main(main)
