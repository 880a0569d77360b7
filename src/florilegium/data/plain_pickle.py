"""Pickles of plain values, read without running any code that they name.

A pickle is a program that may call everything it can name. Those of the CIFAR sets, written by Python 2,
need two names beside numbers, bytes, lists and dicts: NumPy's array and its data type. Two classes here
stand in for them and only store bytes; every other name ends the reading.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np


def read_plain(path: Path) -> dict[Any, Any]:
    """The dict in a pickle; text of Python 2 comes as bytes, an array as uint8 of its shape.

    Raises ValueError, whose text is the reason without the path, for a pickle that asks for any
    other class or function, is damaged, or holds no dict.
    """
    try:
        with open(path, "rb") as file:
            content = _Reader(file, encoding="bytes").load()
    except _Refused:
        raise
    except Exception as error:  # whatever a damaged file makes the pickle machine meet
        raise ValueError(f"it cannot be read ({error or type(error).__name__})") from None
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__} in place of a dict")
    return {key: value.pixels if isinstance(value, _Array) else value for key, value in content.items()}


class _Refused(ValueError):
    """The pickle names something that plain values do not need."""


class _DataType:
    """A stand-in for `numpy.dtype` that takes bytes alone."""

    def __init__(self, code: bytes, *_: object) -> None:
        if code != b"u1":
            raise ValueError(f"an array's numbers are of the type {code!r} in place of bytes")

    def __setstate__(self, state: object) -> None:
        """Byte order and fields: a byte has neither."""


class _Array:
    """A stand-in for an array: made empty, then filled by its state (version, shape, data type, order, bytes)."""

    def __init__(self, *_: object) -> None:
        self.pixels = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _DataType, bool, bytes]) -> None:
        _, shape, kind, columns_first, content = state
        if not isinstance(kind, _DataType):
            raise ValueError("an array has no data type")
        flat = np.frombuffer(content, np.uint8)
        self.pixels = flat.reshape(shape, order="F" if columns_first else "C")


ADMITTED = {
    ("numpy", "dtype"): _DataType,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise _Refused(f"it asks for {module}.{name}, which plain data never need")
        return ADMITTED[module, name]
