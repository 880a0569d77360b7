"""Published `.npz` weights of vision transformers (google-research/vision_transformer), in timm's names.

Flax keeps the matrix of a layer as (inputs, outputs), where attention has an axis for its heads and another for the
channels of each, and a convolution as (height, width, inputs, outputs). Nothing here imports torch.
"""

import re
import zipfile
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from florilegium.core.errors import UserError

Arrays = dict[str, NDArray[np.float32]]

# A layer that only the head of ImageNet-21k had before it; timm's loader leaves it out as well.
LEFT_OUT = ("pre_logits/kernel", "pre_logits/bias")
# Metadata of safetensors files made from one: their position embeddings are resized in another way.
METADATA = {"format": "pt", "published_as": "npz"}


def read_flax(path: Path) -> Arrays:
    """The weights in an `.npz` file as a state dict of timm's VisionTransformer, its head included; raises `UserError`
    for no `.npz` file, or one of another layout."""
    found = _read(path)
    for name in LEFT_OUT:
        found.pop(name, None)
    try:
        state = _convert(found)
    except KeyError as error:
        raise _other_layout(path, f"{error} is missing") from None
    except ValueError as error:  # an axis too few or too many
        raise _other_layout(path, str(error)) from None
    if found:
        raise _other_layout(path, f"'{min(found)}' is not of it")
    return {name: np.ascontiguousarray(array, np.float32) for name, array in state.items()}


def _read(path: Path) -> Arrays:
    """The arrays of the archive; objects that could run code when loaded are refused."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array")
        with archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file of weights") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is truncated or no .npz file of arrays ({error}); fetch it again") from error


def _other_layout(path: Path, why: str) -> UserError:
    return UserError(
        f"{path}: is not in the layout of the published vision transformers ({why}); give a file such as "
        "ViT-B_16.npz of storage.googleapis.com/vit_models/imagenet21k"
    )


def _convert(found: Arrays) -> Arrays:
    """The state dict; its arrays are removed from `found`. Raises `KeyError` for a missing one."""
    numbers = [int(m[1]) for name in found if (m := re.match(r"Transformer/encoderblock_(\d+)/", name))]
    state = {
        "cls_token": found.pop("cls"),
        "pos_embed": found.pop("Transformer/posembed_input/pos_embedding"),
        "patch_embed.proj.weight": found.pop("embedding/kernel").transpose(3, 2, 0, 1),
        "patch_embed.proj.bias": found.pop("embedding/bias"),
        **_norm(found, "Transformer/encoder_norm", "norm"),
        **_layer(found, "head", "head"),
    }
    for number in range(max(numbers, default=-1) + 1):
        state |= _block(found, f"Transformer/encoderblock_{number}", f"blocks.{number}")
    return state


def _block(found: Arrays, theirs: str, ours: str) -> Arrays:
    attention = f"{theirs}/MultiHeadDotProductAttention_1"
    parts = [_layer(found, f"{attention}/{name}", name) for name in ("query", "key", "value")]
    weights, biases = zip(*(part.values() for part in parts), strict=True)
    return {
        **_norm(found, f"{theirs}/LayerNorm_0", f"{ours}.norm1"),
        f"{ours}.attn.qkv.weight": np.concatenate(weights),
        f"{ours}.attn.qkv.bias": np.concatenate(biases),
        **_layer(found, f"{attention}/out", f"{ours}.attn.proj", input_axes=2),
        **_norm(found, f"{theirs}/LayerNorm_2", f"{ours}.norm2"),
        **_layer(found, f"{theirs}/MlpBlock_3/Dense_0", f"{ours}.mlp.fc1"),
        **_layer(found, f"{theirs}/MlpBlock_3/Dense_1", f"{ours}.mlp.fc2"),
    }


def _norm(found: Arrays, theirs: str, ours: str) -> Arrays:
    return {f"{ours}.weight": found.pop(f"{theirs}/scale"), f"{ours}.bias": found.pop(f"{theirs}/bias")}


def _layer(found: Arrays, theirs: str, ours: str, input_axes: int = 1) -> Arrays:
    """Weight (outputs, inputs) and bias (outputs,); the first `input_axes` of the kernel are inputs."""
    kernel, bias = found.pop(f"{theirs}/kernel"), found.pop(f"{theirs}/bias")
    inputs = prod(kernel.shape[:input_axes])
    return {f"{ours}.weight": kernel.reshape(inputs, -1).T, f"{ours}.bias": bias.reshape(-1)}
