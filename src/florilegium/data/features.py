"""What a frozen backbone saw in the images of an experiment, in files: the images of a cached probe."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from florilegium.core.files import atomic, read_json, write_json, write_text
from florilegium.core.outputs import FEATURES
from florilegium.data.load import Images, Splits

FILES = FEATURES
PARTS = ("train", "val", "test")


def parts_of(splits: Splits) -> dict[str, Images]:
    """The parts of `splits` that have images of their own: validation may be on those of the test."""
    own = {part: getattr(splits, part) for part in PARTS}
    return {
        part: images
        for part, images in own.items()
        if images is not None and (part != "val" or images is not splits.test)
    }


def write_features(folder: Path, splits: Splits, features: Tensor, backbone: str) -> None:
    """Write what belongs to the images of `parts_of(splits)`, one after the other.

    Args:
        features: float32 (N, H, F), before each of the H heads.
        backbone: the hash of the network before the heads.
    """
    parts = parts_of(splits)
    rows = [
        (part, name, splits.classes[label])
        for part, images in parts.items()
        for name, label in zip(images.names, images.labels.tolist(), strict=True)
    ]
    with atomic(folder / "features.npy") as temporary, open(temporary, "wb") as file:
        np.save(file, features.numpy())
    table = pd.DataFrame(rows, columns=["part", "image", "class"])
    write_text(folder / "features.csv", table.to_csv(index=False, lineterminator="\n"))
    validated = None if splits.val is None else "test" if splits.val is splits.test else "val"
    facts = {"backbone": backbone, "classes": list(splits.classes), "validated_on": validated}
    write_json(folder / "features.json", facts)


def load_features(folder: Path) -> Splits:
    """The splits with features, float32 (N, H, F), in place of pixels."""
    table = pd.read_csv(folder / "features.csv", dtype=str, keep_default_na=False)
    features = np.load(folder / "features.npy", mmap_mode="r")
    facts = read_json(folder / "features.json")
    number = {name: label for label, name in enumerate(facts["classes"])}

    def take(part: str) -> Images:
        chosen = table["part"] == part
        labels = torch.tensor([number[name] for name in table["class"][chosen]])
        return Images(torch.from_numpy(features[chosen.to_numpy()]), labels, tuple(table["image"][chosen]))

    test, validated = take("test"), facts["validated_on"]
    val = None if validated is None else test if validated == "test" else take("val")
    return Splits(take("train"), val, test, tuple(facts["classes"]))
