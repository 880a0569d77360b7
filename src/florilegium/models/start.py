"""First weights of a detector: another detector's, or a classifier's for its backbone."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from florilegium.models.weights import load_into, read_state

# What a classifier has beyond a backbone, and counters that a layer of frozen statistics does not keep.
NOT_BACKBONE = ("fc.*", "*num_batches_tracked")


def load_detector(
    network: nn.Module,
    path: Path,
    *,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> None:
    """Copy into `network`, in place, the detector in `path`, or into its backbone the classifier there.

    A residual network's keys are the same in torchvision, in timm and in a backbone here.

    Raises:
        UserError: as `load_into`; keys are those of the file.
    """
    if any(key.startswith("backbone.") for key in read_state(path)):
        load_into(network, path, allow_missing=allow_missing, allow_unexpected=allow_unexpected)
        return
    load_into(
        network.backbone,
        path,
        allow_missing=allow_missing,
        allow_unexpected=(*allow_unexpected, *NOT_BACKBONE),
    )
