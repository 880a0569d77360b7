"""Trained networks, read from a checkpoint and the receipt beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from florilegium.config.base import parse
from florilegium.config.data import DetectionData, Model
from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.config.recipes import DetectionRecipe
from florilegium.core.errors import UserError
from florilegium.core.files import digest
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import read_receipt
from florilegium.data.augment import InputConfig
from florilegium.models import registry
from florilegium.models.weights import load_into

if TYPE_CHECKING:
    from florilegium.models.retinanet import RetinaNet


@dataclass(frozen=True)
class Trained:
    """A network with its weights, its classes in label order, and its input configuration."""

    network: nn.Module
    classes: tuple[str, ...]
    config: InputConfig
    storage_size: int
    """Side in pixels of the packed images that it was trained on."""
    pictures: Pictures = DEFAULT
    """How they were read."""


@dataclass(frozen=True)
class TrainedDetector:
    """A network with its weights, the classes that it detects, and its input configuration."""

    network: "RetinaNet"
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    """Of the data set that it was trained on, one a class."""
    config: InputConfig
    data: DetectionData
    recipe: DetectionRecipe
    pictures: Pictures = DEFAULT
    """How its images were read."""


def load_trained(checkpoint: Path, max_megapixels: float | None = None) -> Trained:
    """The classifier in `checkpoint`; raises `UserError` for no checkpoint, or without a receipt of these weights.

    `max_megapixels` replaces the limit of pictures that its training had.
    """
    where, receipt = read_run(checkpoint)
    with _expecting("classifier", where):
        model = parse(Model, receipt["model"], f"{where}: model")
        classes, config = tuple(receipt["classes"]), input_of(receipt)
        storage_size, pictures = receipt["spec"]["data"]["storage_size"], pictures_of(receipt, where, max_megapixels)
    return Trained(_network(model, len(classes), checkpoint), classes, config, storage_size, pictures)


def load_trained_detector(checkpoint: Path, max_megapixels: float | None = None) -> TrainedDetector:
    """The detector in `checkpoint`; see `load_trained`."""
    where, receipt = read_run(checkpoint)
    with _expecting("detector", where):
        category_ids = tuple(receipt["category_ids"])  # which no other run has
        model = parse(Model, receipt["model"], f"{where}: model")
        data = parse(DetectionData, receipt["spec"]["data"], f"{where}: data")
        recipe = parse(DetectionRecipe, receipt["spec"]["recipe"], f"{where}: recipe")
        classes, config = tuple(receipt["classes"]), input_of(receipt)
        pictures = pictures_of(receipt, where, max_megapixels)
    from florilegium.models.retinanet import RetinaNet  # torchvision takes a second that classifiers need not spend

    network = _network(model, len(classes), checkpoint)
    assert isinstance(network, RetinaNet), "no other network has boxes"
    return TrainedDetector(network, classes, category_ids, config, data, recipe, pictures)


def is_detector(receipt: Mapping[str, Any]) -> bool:
    """True if the receipt is that of a detector's run."""
    return "category_ids" in receipt


def input_of(receipt: Mapping[str, Any]) -> InputConfig:
    """The input configuration of a run; raises `KeyError` or `TypeError` if the receipt lacks it."""
    fields = receipt["input"]
    mean, std = tuple(fields["mean"]), tuple(fields["std"])
    return InputConfig(fields["size"], mean, std, fields["interpolation"], fields["crop_pct"])


def pictures_of(receipt: Mapping[str, Any], where: Path, max_megapixels: float | None = None) -> Pictures:
    """How the images of a run were read, perhaps with another limit; older receipts do not say it."""
    limit = {} if max_megapixels is None else {"max_megapixels": max_megapixels}
    return parse(Pictures, receipt["spec"].get("pictures", {}) | limit, f"{where}: pictures")


def read_run(checkpoint: Path) -> tuple[Path, dict[str, Any]]:
    """The path and content of the receipt beside a checkpoint; raises `UserError` if there is none of these weights."""
    if not checkpoint.is_file():
        raise UserError(f"{checkpoint}: there is no such checkpoint; give a run's checkpoint.safetensors")
    where = checkpoint.with_name(RECEIPT)
    try:
        receipt = read_receipt(where)
        sums = {Path(path).name: entry["sha256"] for path, entry in receipt["outputs"].items()}
    except FileNotFoundError:
        raise UserError(
            f"{where}: there is no such file, and it alone says what network {checkpoint.name} belongs to; keep "
            "the two files together"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        raise UserError(f"{where}: is no receipt; copy the run's folder again") from None
    if sums.get(checkpoint.name) != digest(checkpoint):
        raise UserError(
            f"{where}: was not written for {checkpoint.name} as it is now (their sha256 differ); keep a "
            "checkpoint with the receipt of its own run"
        )
    return where, receipt


@contextmanager
def _expecting(kind: str, where: Path) -> Iterator[None]:
    """Raise `UserError` where the body misses something that the receipt `where` of such a network has."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else "a part of it is of another kind"
        raise UserError(
            f"{where}: is no receipt of a trained {kind} ({reason}); give the checkpoint of a {kind}'s run"
        ) from None


def _network(model: Model, n_classes: int, checkpoint: Path) -> nn.Module:
    """The network with the weights in `checkpoint`, in evaluation mode."""
    network = registry.build(model, n_classes)
    load_into(network, checkpoint)
    return network.eval()
