"""Initial weights of a detector: another detector's, or a classifier's for its backbone."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from florilegium.models.weights import load_into, read_state

# A classifier's head, and counters that a layer with frozen statistics does not have.
NOT_BACKBONE = ("fc.*", "*num_batches_tracked")


def load_detector_weights(
    network: nn.Module,
    path: Path,
    *,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> None:
    """Copy the detector in `path` into `network`, or the classifier in `path` into its backbone, in place.

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
