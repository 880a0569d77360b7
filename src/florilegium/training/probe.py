"""Linear probes on cached features: a frozen backbone processes each image once, then its heads train alone."""

from pathlib import Path

import torch
from torch import Tensor, nn

from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.core.system import bar
from florilegium.data.augment import EvalTransform, InputConfig
from florilegium.data.load import Images
from florilegium.evaluation.precision import autocast
from florilegium.models.freeze import Heads, digest_before, heads_of

BATCH = 64
ASKED_BY = "recipe.features"


def extract(
    network: nn.Module, images: Images, config: InputConfig, *, device: torch.device, precision: str
) -> Tensor:
    """The features before each of the heads of `network`, for every image: float32 (N, H, F), on the CPU.

    The network is left on `device` and in evaluation mode.

    Raises:
        UserError: the heads of the network are not known.
    """
    heads = heads_of(network, ASKED_BY)
    network.to(device, memory_format=torch.channels_last).eval()
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [
        head.register_forward_pre_hook(lambda head, given: inputs.update({head: given[0]})) for head in heads
    ]
    transform, batches = EvalTransform(config), []
    for start in bar(range(0, len(images), BATCH), "features", "batch"):
        pixels = images.pixels[start : start + BATCH].to(device, non_blocking=True)
        with torch.inference_mode(), autocast(device, precision):
            network(transform(pixels))
        batches.append(torch.stack([inputs[head].float() for head in heads], dim=1).cpu())  # (B, H, F)
    for hook in hooks:
        hook.remove()
    return torch.cat(batches)


def digest_of(network: nn.Module) -> str:
    """The hash of the network without its heads."""
    return digest_before(heads_of(network, ASKED_BY), network)


def heads_for(network: nn.Module, folder: Path) -> Heads:
    """The heads of `network`, to be trained on the features in `folder`.

    Raises:
        UserError: the features are those of another backbone.
    """
    if read_json(folder / "features.json")["backbone"] != digest_of(network):
        raise UserError(
            f"{folder}: the features were made by other weights than this run's; recipe.allow_missing may leave "
            "random, before the heads, what differs from seed to seed: name there the heads alone"
        )
    return Heads(heads_of(network, ASKED_BY))
