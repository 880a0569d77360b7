"""A trained detector as its run left it; the counterpart of `florilegium.models.trained`."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from florilegium.config.base import parse
from florilegium.config.data import DetectionData, Model
from florilegium.config.recipes import DetectionRecipe
from florilegium.data.augment import InputConfig
from florilegium.models.trained import expecting, input_of, load_network, read_run


@dataclass(frozen=True)
class TrainedDetector:
    """A network with its weights, the classes that it detects, and its input configuration."""

    network: nn.Module
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    """Of the data set that it was trained on, one a class."""
    config: InputConfig
    data: DetectionData
    recipe: DetectionRecipe


def load_trained_detector(checkpoint: Path) -> TrainedDetector:
    """The detector in `checkpoint`.

    Raises:
        UserError: no checkpoint, no receipt, or a receipt of other weights or of a classifier.
    """
    where, receipt = read_run(checkpoint)
    with expecting("detector", where):
        model = parse(Model, receipt["model"], f"{where}: model")
        data = parse(DetectionData, receipt["spec"]["data"], f"{where}: data")
        recipe = parse(DetectionRecipe, receipt["spec"]["recipe"], f"{where}: recipe")
        classes, category_ids = tuple(receipt["classes"]), tuple(receipt["category_ids"])
        config = input_of(receipt)
    network = load_network(model, len(classes), checkpoint)
    return TrainedDetector(network, classes, category_ids, config, data, recipe)
