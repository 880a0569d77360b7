"""A trained classifier on image files, for `florilegium predict` and `evaluate`."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from florilegium.config.base import parse
from florilegium.config.datasets import split_of
from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.core.errors import UserError, some
from florilegium.core.files import read_json
from florilegium.core.names import spelt
from florilegium.core.system import bar
from florilegium.core.tables import read_table
from florilegium.data.augment import EvalTransform
from florilegium.data.decode import BadImage, square
from florilegium.data.kinds import pictures_below, say_left_out
from florilegium.data.load import Images
from florilegium.data.splits import by_folders
from florilegium.data.stored import ArrayFile, Stored
from florilegium.evaluation.classification import EVALUATION_BATCH
from florilegium.models.trained import Trained

RESOURCES = Path("resources")


def predict(
    trained: Trained, paths: Sequence[Path], *, top: int, device: torch.device
) -> tuple[pd.DataFrame, list[str]]:
    """The `top` likeliest classes of each image, fewer where the network knows fewer.

    Returns:
        A table `image, rank, prediction, probability`, the likeliest first, and a sentence for each file that cannot
        be read.
    """
    network, transform = trained.network.to(device), EvalTransform(trained.config)
    count = min(top, len(trained.classes))
    rows: list[tuple[str, int, str, float]] = []
    faults: list[str] = []
    for start in bar(range(0, len(paths), EVALUATION_BATCH), "predicting", "batch"):
        pixels, read, unread = read_pictures(
            paths[start : start + EVALUATION_BATCH], trained.storage_size, trained.pictures
        )
        faults += unread
        if not read:
            continue
        inputs = transform(pixels.to(device))  # (B, 3, s, s)
        with torch.inference_mode():
            best = network(inputs).float().softmax(dim=1).topk(count, dim=1)
        for path, values, labels in zip(read, best.values.tolist(), best.indices.tolist(), strict=True):
            for rank, (value, label) in enumerate(zip(values, labels, strict=True), start=1):
                rows.append((path.as_posix(), rank, trained.classes[label], round(value, 6)))
    return pd.DataFrame(rows, columns=["image", "rank", "prediction", "probability"]), faults


def read_pictures(
    paths: Sequence[Path], side: int, pictures: Pictures = DEFAULT
) -> tuple[Tensor, list[Path], list[str]]:
    """Decode files as the packed images were.

    Returns:
        Pixels uint8 (N, side, side, 3) of the files that can be read, their paths, and a sentence for each of the
        others.
    """

    def decoded(path: Path) -> np.ndarray | str:
        try:
            return square(path, side, pictures)
        except BadImage as error:
            return f"{path}: {error}"

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(decoded, paths))
    faults = [result for result in results if isinstance(result, str)]
    pixels = [result for result in results if not isinstance(result, str)]
    read = [path for path, result in zip(paths, results, strict=True) if not isinstance(result, str)]
    return torch.from_numpy(np.stack(pixels) if read else np.empty((0, side, side, 3), np.uint8)), read, faults


# Labelled images


@dataclass(frozen=True)
class LabelledImages:
    """Images with the classifier's labels, the classes that have none, and a sentence per unreadable file."""

    images: Images
    absent: tuple[str, ...]
    faults: tuple[str, ...] = ()
    splits: str = ""  # the folders that were taken for splits, in words


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
    if (exists := Path(name).exists()) or Path(name).name != name:
        what = "is a file" if exists else "there is no such path"
        raise UserError(f"{name}: {what}; give a {kinds}, or the name of a data set that is packed")
    for path in files:
        if not path.is_file():
            raise UserError(
                f"{name}: is no {kinds}, and no data set that is packed already ({path} is not there); mend the "
                f"path, or make it with `snakemake --cores 1 {' '.join(file.as_posix() for file in files)}`"
            )


def check_reading(pixels: Path, pictures: Pictures) -> None:
    """Raise `UserError` unless packed pixels lie on the ground of `pictures`, as far as a receipt says."""
    receipt = pixels.with_suffix(".receipt.json")
    if not receipt.is_file():
        return
    packed = parse(Pictures, read_json(receipt)["spec"].get("pictures", {}), f"{receipt}: pictures")
    if packed.ground != pictures.ground:
        raise UserError(
            f"{pixels}: its transparent pictures lie on {packed.ground}, and those that the checkpoint was trained on "
            f"on {pictures.ground}; set pictures.ground in config.yaml to that, and pack them again"
        )


def _read_folder(folder: Path, split: str, trained: Trained) -> LabelledImages:
    """A folder per class; where there are folders of splits, those of `split`. Names begin below `folder`."""
    found = pictures_below(folder)
    say_left_out(folder, found.left_out, sys.stderr)
    layout = by_folders(found.images, str(folder), trained.classes)
    names = [name for name in found.images if layout.splits.get(name, split) == split]
    if not names:
        if layout.splits:
            raise UserError(
                f"{folder}: no image is in the split '{split}' (there are {layout.said}); give another --split"
            )
        raise UserError(f"{folder}: holds no images; give a folder that has one folder of images a class")
    for name in names:
        if name not in layout.labels:
            raise UserError(f"{folder / name}: lies in no class folder; move it into one, or remove it")
    labels = dict(zip(names, _labels([layout.labels[name] for name in names], trained, str(folder)), strict=True))
    pixels, read, faults = read_pictures([folder / name for name in names], trained.storage_size, trained.pictures)
    if not read:
        raise UserError(f"{folder}: none of its {len(names)} images can be read ({faults[0]})")
    readable = tuple(path.relative_to(folder).as_posix() for path in read)
    targets = torch.tensor([labels[name] for name in readable])
    return LabelledImages(Images(pixels, targets, readable), _absent(targets, trained), tuple(faults), layout.said)


def _read_packed(name: str, split: str, trained: Trained) -> LabelledImages:
    """A split of a data set in `resources/`, packed at the size that the classifier was trained at."""
    source, _ = split_of(name)
    table_path = RESOURCES / name / "images.csv"
    pixels_path = RESOURCES / source / f"pixels{trained.storage_size}.npy"
    check_packed(name, [table_path, pixels_path])
    check_reading(pixels_path, trained.pictures)
    table = read_table(table_path)
    rows = {image: row for row, image in enumerate(read_table(pixels_path.with_suffix(".csv"))["image"])}
    part = table[(table["split"] == split) & table["image"].isin(rows)].sort_values("image")
    if part.empty:
        raise UserError(f"{table_path}: no image is in the split '{split}'; give another --split")
    labels = torch.tensor(_labels(part["class"].tolist(), trained, str(table_path)))
    pixels = Stored([(ArrayFile(pixels_path), torch.tensor([rows[image] for image in part["image"]]))])
    return LabelledImages(Images(pixels, labels, tuple(part["image"])), _absent(labels, trained))


def _labels(names: list[str], trained: Trained, where: str) -> list[int]:
    label = {spelt(name): number for number, name in enumerate(trained.classes)}
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
    return some([f"'{name}'" for name in names], 5)


def _absent(labels: Tensor, trained: Trained) -> tuple[str, ...]:
    present = set(labels.tolist())
    return tuple(name for label, name in enumerate(trained.classes) if label not in present)
