"""A trained detector as its run left it; the counterpart of `florilegium.models.trained`."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from florilegium.core.detection import DetectionData
from florilegium.core.detection_recipe import DetectionRecipe
from florilegium.core.errors import UserError
from florilegium.core.spec import Model
from florilegium.core.validate import parse
from florilegium.data.augment import InputConfig
from florilegium.models import registry
from florilegium.models.trained import input_of, read_run
from florilegium.models.weights import load_into


@dataclass(frozen=True)
class TrainedDetector:
    """A network with its weights, what it finds, and how images are brought to it."""

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
    try:
        model = parse(Model, receipt["model"], f"{where}: model")
        data = parse(DetectionData, receipt["spec"]["data"], f"{where}: data")
        recipe = parse(DetectionRecipe, receipt["spec"]["recipe"], f"{where}: recipe")
        classes, category_ids = tuple(receipt["classes"]), tuple(receipt["category_ids"])
        config = input_of(receipt)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{where}: is no receipt of a trained detector ({error} is missing or of another kind); give the "
            "checkpoint of a detector's run"
        ) from None
    network = registry.build(model, len(classes))
    load_into(network, checkpoint)
    return TrainedDetector(network.eval(), classes, category_ids, config, data, recipe)
