"""Small `.npz` files in the layout of the published vision transformers: their names, their axes."""

from pathlib import Path

import numpy as np


def write_flax(
    path: Path,
    *,
    side: int = 2,
    patch: int = 8,
    width: int = 16,
    heads: int = 2,
    depth: int = 3,
    classes: int = 5,
    **changes: np.ndarray | None,
) -> Path:
    """Random weights for a grid of side x side patches. `changes` replaces arrays, None takes one out;
    a name's slashes are written as double underscores."""
    draw = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return draw.normal(0, 0.3, shape).astype(np.float32)

    def dense(name: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> dict[str, np.ndarray]:
        return {f"{name}/kernel": random(*inputs, *outputs), f"{name}/bias": random(*outputs)}

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}/scale": 1 + random(width), f"{name}/bias": random(width)}

    arrays = {
        "cls": random(1, 1, width),
        "Transformer/posembed_input/pos_embedding": random(1, 1 + side * side, width),
        "embedding/kernel": random(patch, patch, 3, width),
        "embedding/bias": random(width),
        **norm("Transformer/encoder_norm"),
        **dense("pre_logits", (width,), (width,)),
        **dense("head", (width,), (classes,)),
    }
    for i in range(depth):
        block = f"Transformer/encoderblock_{i}"
        attention = f"{block}/MultiHeadDotProductAttention_1"
        split = (heads, width // heads)
        arrays |= norm(f"{block}/LayerNorm_0") | norm(f"{block}/LayerNorm_2")
        for name in ("query", "key", "value"):
            arrays |= dense(f"{attention}/{name}", (width,), split)
        arrays |= dense(f"{attention}/out", split, (width,))
        arrays |= dense(f"{block}/MlpBlock_3/Dense_0", (width,), (4 * width,))
        arrays |= dense(f"{block}/MlpBlock_3/Dense_1", (4 * width,), (width,))
    arrays |= {name.replace("__", "/"): array for name, array in changes.items() if array is not None}
    for name in (name.replace("__", "/") for name, array in changes.items() if array is None):
        del arrays[name]
    np.savez(path, **arrays)
    return path
