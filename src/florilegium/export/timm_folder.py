"""A network of timm as the folder that `timm.create_model("local-dir:…", pretrained=True)` reads."""

from pathlib import Path
from typing import Any

import timm
import torch

from florilegium.config.data import Model
from florilegium.core.errors import UserError
from florilegium.core.files import write_json
from florilegium.export.networks import Portable, pictures
from florilegium.models.arguments import distilled_names, timm_names
from florilegium.models.timm_classifier import TRAINED_HEADS_KEY
from florilegium.models.weights import save

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def check_timms(model: Model) -> str:
    """The name of timm's network; raises `UserError` for a network that is none of timm's."""
    architecture = model.name.partition(".")[0]
    if architecture not in timm_names():
        raise UserError(f"--to timm: {model.name} is a network of this project and none of timm's; take --to onnx")
    return architecture


def write_timm(model: Model, portable: Portable, folder: Path) -> None:
    """Write `config.json`, with classes and preprocessing, and `model.safetensors` into `folder`.

    Raises:
        UserError: timm builds another network from them.
    """
    network: Any = portable.network  # of timm, which has more attributes than torch's
    config, own = portable.config, network.pretrained_cfg
    arguments = dict(model.arguments)
    if (architecture := check_timms(model)) in distilled_names():
        arguments.pop(TRAINED_HEADS_KEY, None)  # of training alone
    described = {
        "architecture": architecture,
        "num_classes": len(portable.classes),
        "num_features": network.num_features,
        "label_names": list(portable.classes),
        "model_args": arguments,
        "pretrained_cfg": {
            "num_classes": len(portable.classes),
            "input_size": [3, config.size, config.size],
            "fixed_input_size": own["fixed_input_size"],
            "interpolation": config.interpolation,
            "crop_pct": config.crop_pct,
            "crop_mode": "center",
            "mean": list(config.mean),
            "std": list(config.std),
            "first_conv": own.get("first_conv"),
            "classifier": own.get("classifier"),
            "custom_load": False,  # the names are the network's own
        },
    }
    write_json(folder / CONFIG, described)
    save(network.state_dict(), folder / WEIGHTS)
    images = pictures(portable, 2)
    again = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.inference_mode():
        if not torch.equal(again(images), network(images)):
            raise UserError(
                f"--to timm: timm {timm.__version__} reads {model.name} back with other answers; take --to onnx"
            )
