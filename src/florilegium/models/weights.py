"""Weights: written, read, and adapted to a network."""

import math
import pickle
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.core.errors import UserError, some
from florilegium.core.files import atomic
from florilegium.core.system import say
from florilegium.models.flax_vit import METADATA, read_flax
from florilegium.models.freeze import classifiers

State = dict[str, Tensor]
Adapt = Callable[[State], State]
"""From a state to that in the form of a network."""
SHOWN = 5
# Counters of batches, which no answer depends on: older files have none, nor has a layer with frozen statistics.
COUNTERS = "*num_batches_tracked"
NOT_BACKBONE = ("fc.*", COUNTERS)
# Names before every entry that training on several devices, and a compiled network, leave in what they save.
SHELLS = re.compile(r"(?:(?:module|_orig_mod)\.)+")


def load_into(
    network: nn.Module,
    path: Path,
    *,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
    adapt: Adapt | None = None,
    new_head: bool = False,
) -> None:
    """Copy the weights in `path` into `network`, in place.

    Args:
        path: a `.safetensors` file, a `.pth` or `.pt` file that holds tensors only, or a published `.npz` of a vision
            transformer.
        allow_missing: globs of keys that the file may lack; the network keeps its own values.
        allow_unexpected: globs of keys that the file may hold beyond the network's. A key of another shape is both
            missing and unexpected. The position embedding of another grid of patches is resized, that of a published
            `.npz` file as published.
        adapt: brings a state that does not fit, apart from its head, into the form of the network.
        new_head: the network keeps the values of a head that the file lacks, or has for another number of classes.

    Raises `UserError` if the file cannot be read, is of another architecture or size, or has a key that is not allowed.
    """
    own, found = network.state_dict(), read_state(path)
    in_heads = tuple(f"{head}.*" for head in head_names(network)) if new_head else ()
    if was_flax := _was_flax(path):
        found = _fit_positions(network, found, corner_to_corner=True)
    if adapt is not None and not _fits(found, own, in_heads):
        found = adapt({key: value.float() if value.is_floating_point() else value for key, value in found.items()})
    found = found if was_flax else _fit_positions(network, found, corner_to_corner=False)
    fitting = {key: value for key, value in found.items() if key in own and own[key].shape == value.shape}
    missing = _not_allowed(own.keys() - fitting.keys(), (*allow_missing, *in_heads, COUNTERS))
    unexpected = _not_allowed(found.keys() - fitting.keys(), (*allow_unexpected, *in_heads))
    values, fitting_values = (sum(value.numel() for value in state.values()) for state in (own, fitting))
    if not fitting or ((missing or unexpected) and fitting_values < values / 2):
        raise _of_another_network(network, path, own, found, len(fitting))
    faults = [
        f"{verb} {_listed(keys, own, found)}; name them in recipe.{allowed_by} if that is meant"
        for verb, keys, allowed_by in (
            ("lacks", missing, "allow_missing"),
            ("holds unexpected", unexpected, "allow_unexpected"),
        )
        if keys
    ]
    if faults:
        raise UserError(f"{path}: {'; it '.join(faults)}")
    network.load_state_dict(own | fitting)


def head_names(network: nn.Module) -> tuple[str, ...]:
    """The names of the modules that are the network's heads; none where it does not tell them."""
    ids = {id(head) for head in classifiers(network)}
    return tuple(name for name, module in network.named_modules() if id(module) in ids)


def _fits(found: State, own: State, but: Sequence[str]) -> bool:
    """True for a state with the network's own keys and shapes, apart from those that match a glob of `but`."""
    shapes = ({key: state[key].shape for key in _not_allowed(state, but)} for state in (found, own))
    return next(shapes) == next(shapes)


def load_detector_weights(
    network: nn.Module, path: Path, *, allow_unexpected: Sequence[str] = (), **options: Any
) -> None:
    """Copy the detector in `path` into `network`, or the classifier in `path` into its backbone, in place.
    A residual network's keys are the same in torchvision, in timm and in a backbone here. Options and the `UserError`
    raised are those of `load_into`.
    """
    target = network
    if not any(key.startswith("backbone.") for key in read_state(path)):
        target, allow_unexpected = network.get_submodule("backbone"), (*allow_unexpected, *NOT_BACKBONE)
        if hasattr(target, "of_classifier"):  # a backbone of timm
            options["adapt"] = target.of_classifier
    load_into(target, path, allow_unexpected=allow_unexpected, **options)


def save(state: State, path: Path) -> None:
    """Write a state dict as safetensors, atomically; equal tensors give equal bytes."""
    host = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}
    with atomic(path) as temporary:
        save_file(host, temporary, metadata={"format": "pt"})


def read_state(path: Path) -> State:
    """The state dict in a file, on the CPU; raises `UserError` when there is none."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such file of weights")
    try:
        if path.suffix.lower() == ".safetensors":
            return _without_shells(load_file(path))
        if path.suffix.lower() == ".npz":
            return {key: torch.from_numpy(value) for key, value in read_flax(path).items()}
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: is no file of weights, or holds other objects than tensors, which are not loaded since "
            "they could run code; save its state dict alone"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise UserError(f"{path}: is truncated or no file of weights; fetch or save it again") from error
    for key in ("state_dict", "model"):  # as training frameworks wrap it
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not _is_state(content) and isinstance(content, dict):
        inside = [key for key, value in content.items() if value and _is_state(value)]
        if len(inside) > 1:
            names = ", ".join(map(repr, inside))
            raise UserError(f"{path}: holds several state dicts ({names}); save the one that is meant alone")
        content = content[inside[0]] if inside else None
    if not _is_state(content):
        raise UserError(f"{path}: holds no state dict")
    return _without_shells(content)


def _is_state(content: Any) -> bool:
    return isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values())


def _without_shells(state: State) -> State:
    has_shells = all(map(SHELLS.match, state))
    return {SHELLS.sub("", key, count=1): value for key, value in state.items()} if has_shells else dict(state)


# Position embeddings


def _was_flax(path: Path) -> bool:
    """True if a readable file of weights is, or was made from, a published `.npz` of a vision transformer."""
    if path.suffix.lower() != ".safetensors":
        return path.suffix.lower() == ".npz"
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}) == METADATA


def _fit_positions(network: nn.Module, found: State, *, corner_to_corner: bool) -> State:
    """`found`, with `pos_embed` (1, tokens, C) resized to the network's grid of patches.

    The entries of class tokens stay as they are; those of patches are interpolated as an image
    (Dosovitskiy et al. 2021, section 3.2), bilinearly. The code that published the `.npz` weights aligns the
    centres of the outermost patches (`scipy.ndimage.zoom`); otherwise the edges of the two grids are aligned, as
    for resized images. Embeddings of no square grid or of another width stay as they are.
    """
    own, theirs = getattr(network, "pos_embed", None), found.get("pos_embed")
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if own is None or theirs is None or grid is None or own.ndim != 3 or theirs.ndim != 3:
        return found
    tokens = own.shape[1] - grid[0] * grid[1]
    side = math.isqrt(max(theirs.shape[1] - tokens, 0))
    square = side * side == theirs.shape[1] - tokens
    if own.shape == theirs.shape or own.shape[2] != theirs.shape[2] or not side or not square:
        return found
    say(f"position embeddings are resized from {side} x {side} patches to {grid[0]} x {grid[1]}")
    image = theirs[:, tokens:].unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, C, rows, columns)
    resized = F.interpolate(image.float(), grid, mode="bilinear", align_corners=corner_to_corner)
    patches = resized.flatten(2).transpose(1, 2).to(theirs.dtype)  # (1, rows * columns, C)
    return {**found, "pos_embed": torch.cat([theirs[:, :tokens], patches], dim=1)}


def _not_allowed(keys: Iterable[str], globs: Sequence[str]) -> list[str]:
    return sorted(key for key in keys if not any(fnmatchcase(key, glob) for glob in globs))


def _of_another_network(network: nn.Module, path: Path, own: State, found: State, fitting: int) -> UserError:
    """The error for weights most of which do not fit the network."""
    shared = [key for key in own if key in found]
    way_out = "give the weights of the same model"
    if len(shared) > len(own) / 2:
        other = next(key for key in shared if own[key].shape != found[key].shape)
        return UserError(f"{path}: holds weights of another size, {_listed([other], own, found)}; {way_out}")
    return UserError(
        f"{path}: holds weights of another architecture ({fitting} of the {len(own)} entries of "
        f"{type(network).__name__} are in it); {way_out}"
    )


def _listed(keys: Sequence[str], own: State, found: State) -> str:
    """The first few keys, each with its shapes where these differ."""
    shown = [
        f"{key} (shape {list(found[key].shape)} in place of {list(own[key].shape)})"
        if key in own and key in found
        else key
        for key in keys
    ]
    return some(shown, SHOWN)
