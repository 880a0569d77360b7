"""The answers of a classifier on its test images: which were right, how sure it was, and how often by class.

They are read from a run's predictions, or from what is packed of them, which is small enough for git: a bit for each
image, counts by class and by probability, and a digest of the image names alone. It tells whether two runs were tested
on the same images, and discloses nothing of the data set.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.errors import UserError
from florilegium.core.files import read_json, write_json
from florilegium.core.names import name_bytes
from florilegium.core.tables import read_table
from florilegium.evaluation.calibration import Reliability, reliability

PREDICTIONS, PACKED = "predictions.csv", "hits.json"


class Answers(NamedTuple):
    """The answers of one run.

    Attributes:
        images: the digest of the test images' names.
        right: for each image, in the order of names, whether it was right: (images,).
        by_class: by class the number of its images, and of those that were right; empty of what was packed before
            they were.
        reliability: None where some probability is not finite, and of what was packed before.
    """

    images: str
    right: NDArray[np.bool_]
    by_class: dict[str, tuple[int, int]]
    reliability: Reliability | None = None


def read_answers(folder: Path) -> Answers:
    """The answers of the run in `folder`, from its predictions if they are there, else from what is packed.

    Raises:
        UserError: there is neither, or the packed answers cannot be read.
    """
    if not (folder / PREDICTIONS).is_file():
        return _unpack(folder / PACKED)
    return answers_of(read_table(folder / PREDICTIONS, {"probability": float}))


def answers_of(table: pd.DataFrame) -> Answers:
    """The answers in a table of predictions: `image, target, prediction, probability`, a row an image."""
    table = table.sort_values("image", kind="stable")
    names = hashlib.sha256(name_bytes("\0".join(table["image"])))  # no name holds a NUL
    right = (table["target"] == table["prediction"]).to_numpy(np.bool_)
    counts = table.assign(right=right).groupby("target")["right"].agg(["size", "sum"])
    by_class = {str(name): (int(n), int(hits)) for name, n, hits in counts.itertuples()}
    return Answers(names.hexdigest(), right, by_class, reliability(table["probability"].to_numpy(), right))


def pack(answers: Answers, path: Path) -> None:
    """Write answers as JSON: the digest, the number of images, eight images a byte in base64, and the counts."""
    bits = base64.b64encode(np.packbits(answers.right).tobytes()).decode("ascii")
    content: dict[str, Any] = {"images": answers.images, "n": len(answers.right), "right": bits}
    if answers.by_class:
        content["by_class"] = {name: f"{right}/{n}" for name, (n, right) in answers.by_class.items()}
    if answers.reliability is not None:
        rows = zip(*(part.tolist() for part in answers.reliability), strict=True)
        content["reliability"] = [f"{right}/{n} {probability!r}" for n, probability, right in rows]
    write_json(path, content)


def _unpack(path: Path) -> Answers:
    """The answers that `pack` wrote; raises `UserError` when the file is missing, or no such record."""
    if not path.is_file():
        raise UserError(
            f"{path}: there is no such file, nor {PREDICTIONS} beside it; make it again, or take it from git"
        )
    try:
        record = read_json(path)
        images, n = str(record["images"]), int(record["n"])
        packed = np.frombuffer(base64.b64decode(record["right"], validate=True), np.uint8)
        bits = np.unpackbits(packed)
        if len(packed) != -(-n // 8) or bits[n:].any():
            raise ValueError
        binned = record.get("reliability")
        return Answers(
            images,
            bits[:n].astype(np.bool_),
            {name: _counts(of_class)[::-1] for name, of_class in record.get("by_class", {}).items()},
            binned and _reliability(binned),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        remedy = "take it from git again, or write the reference anew"
        raise UserError(f"{path}: is cut, or no record of which images were right; {remedy}") from None


def _counts(text: str) -> tuple[int, int]:
    """Right answers and images of `13/20`."""
    right, n = map(int, text.split("/"))
    return right, n


def _reliability(rows: list[str]) -> Reliability:
    pairs = [row.split() for row in rows]
    right, n = np.array([_counts(counts) for counts, _ in pairs]).T
    return Reliability(n, np.array([float(probability) for _, probability in pairs]), right)
