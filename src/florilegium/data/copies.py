"""Ways to take the same picture: as it is, or as copies of a picture differ that went through many hands."""

from collections.abc import Callable

import numpy as np

from florilegium.data.scene import SUPERSAMPLING, photograph


def _encoded(canvas: np.ndarray, seed: str) -> np.ndarray:
    """Fewer levels, and colour at half the resolution, as a strong JPEG leaves it."""
    pixels = photograph(canvas, seed).astype(np.int32)
    half = len(pixels) // 2
    pixels = pixels[: 2 * half, : 2 * half]
    grey = pixels.sum(axis=2, keepdims=True) // 3
    coarse = (pixels - grey).reshape(half, 2, half, 2, 3).sum(axis=(1, 3)) // 4
    colour = coarse.repeat(2, axis=0).repeat(2, axis=1)
    return np.clip(grey // 8 * 8 + 4 + colour, 0, 255).astype(np.uint8)


def _brighter(canvas: np.ndarray, seed: str) -> np.ndarray:
    return np.clip(photograph(canvas, seed).astype(np.int32) * 9 // 8, 0, 255).astype(np.uint8)


def _cropped(canvas: np.ndarray, seed: str) -> np.ndarray:
    edge = len(canvas) // 64
    return photograph(canvas[edge : len(canvas) - edge, edge : len(canvas) - edge], seed)


def _resized(canvas: np.ndarray, seed: str) -> np.ndarray:
    return photograph(canvas, seed, reduce=2 * SUPERSAMPLING)


def _mirrored(canvas: np.ndarray, seed: str) -> np.ndarray:
    return photograph(canvas[:, ::-1], seed)


# From a canvas and a seed for its grain to pixels, uint8 (S, S, 3).
COPIES: dict[str, Callable[[np.ndarray, str], np.ndarray]] = {
    "encoded": _encoded,
    "brighter": _brighter,
    "cropped": _cropped,
    "resized": _resized,
    "mirrored": _mirrored,
}
ORIGINAL = "original"
TAKEN = {ORIGINAL: photograph, **COPIES}
