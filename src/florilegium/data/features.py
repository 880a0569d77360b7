"""Features that a frozen backbone made of the images of an experiment, in files: the input of a cached probe."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from florilegium.core.files import atomic, read_json, write_json, write_table
from florilegium.data.load import Images, Splits

PARTS = ("train", "val", "test")


def parts_of(splits: Splits) -> dict[str, Images]:
    """The parts of `splits` that have images of their own: those of validation may be the test's."""
    names = [part for part in PARTS if part != "val" or not splits.validated_on_test]
    return {part: images for part in names if (images := getattr(splits, part)) is not None}


def write_features(folder: Path, splits: Splits, features: Tensor, backbone: str) -> None:
    """Write the features of the images of `parts_of(splits)`, part after part.

    Args:
        features: float32 (N, H, F), the inputs of the H heads.
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
    write_table(folder / "features.csv", ("part", "image", "class"), rows)
    validated = "test" if splits.validated_on_test else "val"
    facts = {
        "backbone": backbone,
        "classes": list(splits.classes),
        "validated_on": None if splits.val is None else validated,
    }
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

    parts = {part: take(part) for part in PARTS}
    validated = facts["validated_on"]
    val = parts[validated] if validated else None
    return Splits(parts["train"], val, parts["test"], tuple(facts["classes"]), validated == "test")
