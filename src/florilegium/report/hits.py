"""Whether each test image was right: read from a run's predictions, or packed, a bit an image.

The bits are all that a paired test needs of a classifier. Packed they are small enough to be kept in git, and tell nothing of
the data set: its image names are there as a digest alone, which says whether two runs were tested on the same images.
"""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.errors import UserError
from florilegium.core.files import read_json, write_json

PREDICTIONS, PACKED = "predictions.csv", "hits.json"
Answers = tuple[str, NDArray[np.bool_]]
"""The digest of the names of the test images, and whether each was right, shape (images,), in the order of their names."""


def read_hits(folder: Path) -> Answers:
    """The answers of the run in `folder`, from its predictions where they are, else from the packed bits.

    Raises:
        UserError: there is neither, or the packed bits cannot be read.
    """
    predictions = folder / PREDICTIONS
    return of_predictions(predictions) if predictions.is_file() else unpack(folder / PACKED)


def of_predictions(path: Path) -> Answers:
    """The answers in a table `image, target, prediction`; every cell is a text, so that no class is taken for a number."""
    table = pd.read_csv(
        path, usecols=["image", "target", "prediction"], dtype=str, keep_default_na=False
    ).sort_values("image", kind="stable")
    return named(table["image"].tolist()), (table["target"] == table["prediction"]).to_numpy(np.bool_)


def named(images: list[str]) -> str:
    """The digest of the names of images, sha256; no name holds the NUL between them."""
    return hashlib.sha256("\0".join(images).encode()).hexdigest()


def pack(answers: Answers, path: Path) -> None:
    """Write answers as JSON: the digest, the number of images, and eight images a byte, in base64."""
    images, right = answers
    packed = base64.b64encode(np.packbits(right).tobytes()).decode("ascii")
    write_json(path, {"images": images, "n": len(right), "right": packed})


def unpack(path: Path) -> Answers:
    """What `pack` wrote.

    Raises:
        UserError: there is no such file, it is no such record, or it has more or fewer bits than it says.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: there is no such file, nor {PREDICTIONS} beside it; which images were right is unknown"
        )
    try:
        return _unpacked(read_json(path))
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise UserError(
            f"{path}: is cut, or no record of which images were right; take it from git again, or write the reference anew"
        ) from None


def _unpacked(record: dict[str, Any]) -> Answers:
    images, n = str(record["images"]), int(record["n"])
    packed = np.frombuffer(base64.b64decode(record["right"], validate=True), np.uint8)
    bits = np.unpackbits(packed)
    if len(packed) != -(-n // 8) or bits[n:].any():
        raise ValueError
    return images, bits[:n].astype(np.bool_)
