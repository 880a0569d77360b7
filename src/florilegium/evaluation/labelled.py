"""Labelled images to measure a trained classifier on: a packed data set, or a folder per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from florilegium.config.data import split_of
from florilegium.core.errors import UserError
from florilegium.data.layouts import recognise
from florilegium.data.load import Images
from florilegium.data.splits import SPLITS
from florilegium.evaluation.prediction import read_pictures
from florilegium.models.trained import Trained

RESOURCES = Path("resources")


@dataclass(frozen=True)
class LabelledImages:
    """Images with the classifier's labels, the classes that have none, and a sentence per unreadable file."""

    images: Images
    absent: tuple[str, ...]
    faults: tuple[str, ...] = ()


def read_labelled(dataset: str, split: str, trained: Trained) -> LabelledImages:
    """The images of `dataset`: a folder, or the name of a data set that the workflow has packed.

    Raises:
        UserError: there is neither, no image is in the split, or a class is none of the classifier's.
    """
    if Path(dataset).is_dir():
        return _read_folder(Path(dataset), split, trained)
    return _read_packed(dataset, split, trained)


def check_packed(name: str, files: Sequence[Path], kinds: str = "folder") -> None:
    """Raise `UserError` unless the packed data set `name` has `files`; `kinds` of source might have been meant."""
    for path in files:
        if not path.is_file():
            raise UserError(
                f"{name}: is no {kinds}, and no data set that is packed already ({path} is not there); mend the "
                f"path, or make it with `snakemake --cores 1 {' '.join(file.as_posix() for file in files)}`"
            )


def _read_folder(folder: Path, split: str, trained: Trained) -> LabelledImages:
    """A folder per class; where the folders train, val and test stand above them, those of `split`."""
    if any((folder / name).is_dir() for name in SPLITS):
        folder = folder / split
    names = recognise("folders", (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))
    if not names:
        raise UserError(f"{folder}: holds no images; give a folder that has one folder of images a class")
    for name in names:
        if "/" not in name:
            raise UserError(f"{folder / name}: lies in no class folder; move it into one, or remove it")
    shown = {folder / name: name.split("/")[0] for name in names}
    labels = _labels(list(shown.values()), trained, str(folder))
    pixels, read, faults = read_pictures(list(shown), trained.storage_size)
    if not read:
        raise UserError(f"{folder}: none of its {len(names)} images can be read ({faults[0]})")
    kept = torch.tensor([label for path, label in zip(shown, labels, strict=True) if path in set(read)])
    return LabelledImages(
        Images(pixels, kept, tuple(path.relative_to(folder).as_posix() for path in read)),
        _absent(kept, trained),
        tuple(faults),
    )


def _read_packed(name: str, split: str, trained: Trained) -> LabelledImages:
    """A split of a data set in `resources/`, packed at the size that the classifier was trained at."""
    source, _ = split_of(name)
    table_path = RESOURCES / name / "images.csv"
    pixels_path = RESOURCES / source / f"pixels{trained.storage_size}.npy"
    check_packed(name, [table_path, pixels_path])
    table = pd.read_csv(table_path, dtype=str)
    rows = {image: row for row, image in enumerate(pd.read_csv(pixels_path.with_suffix(".csv"))["image"])}
    part = table[(table["split"] == split) & table["image"].isin(rows)].sort_values("image")
    if part.empty:
        raise UserError(f"{table_path}: no image is in the split '{split}'; give another --split")
    labels = torch.tensor(_labels(part["class"].tolist(), trained, str(table_path)))
    pixels = np.load(pixels_path, mmap_mode="r")[[rows[image] for image in part["image"]]]
    images = Images(torch.from_numpy(pixels), labels, tuple(part["image"]))
    return LabelledImages(images, _absent(labels, trained))


def _labels(names: list[str], trained: Trained, where: str) -> list[int]:
    label = {name: number for number, name in enumerate(trained.classes)}
    foreign = sorted(set(names) - label.keys())
    if foreign:
        unseen = sorted(label.keys() - set(names))
        raise UserError(
            f"{where}: class {_listed(foreign)} is none of the {len(label)} that the checkpoint was trained on"
            + (f", of which {_listed(unseen)} is not here" if unseen else "")
            + "; rename the folders, or give the data set that it belongs to"
        )
    return [label[name] for name in names]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"'{name}'" for name in names[:5]) + more


def _absent(labels: torch.Tensor, trained: Trained) -> tuple[str, ...]:
    present = set(labels.tolist())
    return tuple(name for label, name in enumerate(trained.classes) if label not in present)
