"""Published files of weights that are not as a network here wants them: brought into its names, as safetensors."""

from contextlib import suppress
from pathlib import Path

import timm
import torch
from torch import Tensor

from florilegium.config.data import Model
from florilegium.config.datasets import RemoteFile
from florilegium.config.weights import HubFile, Weights
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.weights import State, read_state, save


def where(weights: Weights) -> Weights:
    """The entry of a name of timm with the place that timm's own configuration gives; raises `UserError` if it gives
    none."""
    cfg = None
    with suppress(RuntimeError):  # of a tag that timm names and leaves out
        cfg = timm.models.get_pretrained_cfg(str(weights.timm), allow_unregistered=False)
    place: dict[str, HubFile | RemoteFile] = {}
    if cfg and cfg.hf_hub_id:
        repository, _, revision = cfg.hf_hub_id.partition("@")
        named = {"file": cfg.hf_hub_filename, "revision": revision}
        place["hub"] = HubFile(repository=repository, **{key: value for key, value in named.items() if value})
    elif cfg and isinstance(cfg.url, str):
        place["source"] = RemoteFile(file=cfg.url.rpartition("/")[2], urls=(cfg.url,))
    else:
        raise UserError(f"init.weights: timm knows no place that has weights of {weights.timm}; take another tag")
    return weights.model_copy(update={"timm": None, **place})


def convert(path: Path, weights: Weights, out: Path) -> None:
    """Write the weights in `path` to `out`, as safetensors with names that the network or timm knows.

    Raises `UserError` for a file that cannot be read, or whose entries are not in the network's order.
    """
    state = read_state(path)
    save(in_order(state, weights, path) if weights.names == "by_order" else state, out)


def in_order(found: State, weights: Weights, path: Path) -> State:
    """The entries of `found` under the names of the network, taken one after another.

    Raises `UserError` unless each entry is of the shape and the kind (weight, bias, running mean ...) of the network's
    entry at its place, and the same entries share a layer; or all have the network's own names.
    """
    with torch.device("meta"):
        network = registry.build(Model(name=weights.model), weights.n_classes or 1000)
    own = network.state_dict()
    if found.keys() == own.keys():  # written by timm's own network
        return found
    start = f"{path}: its entries do not stand in the order of {weights.model}"
    way_out = "give another model, or names: own"
    if len(found) != len(own):
        raise UserError(f"{start}, which has {len(own)} of them, and the file {len(found)}; {way_out}")
    layers: dict[str, str] = {}
    for (theirs, value), (ours, expected) in zip(found.items(), own.items(), strict=True):
        if not _is_same_kind(theirs, value, ours, expected, layers):
            shapes = f"shape {list(value.shape)} for {list(expected.shape)}"
            raise UserError(f"{start}: {theirs} stands for {ours} ({shapes}); {way_out}")
    return dict(zip(own, found.values(), strict=True))


def _is_same_kind(theirs: str, value: Tensor, ours: str, expected: Tensor, layers: dict[str, str]) -> bool:
    """True for two entries that may stand for each other; `layers` are those of the file, by the network's so far."""
    layer, _, kind = theirs.rpartition(".")
    own_layer, _, own_kind = ours.rpartition(".")
    is_new = own_layer not in layers and layer not in layers.values()
    if kind != own_kind or value.shape != expected.shape or not (is_new or layers.get(own_layer) == layer):
        return False
    layers[own_layer] = layer
    return True
