"""Every family of networks. A new one is a file in this folder and a line here; the file has two functions:

- `build(model, n_classes, *, drop_path, dropout)`: the network with random weights. Raises `UserError` for an argument
  or a rate that it does not take.
- `own_input(model)`: the `InputConfig` that it was designed for, and True if it takes no images of another size.

Names and arguments are checked without importing the file, so that checking a configuration does not import torch.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

from florilegium.config.data import Model
from florilegium.config.metrics import TaskName
from florilegium.models import arguments


class Family(NamedTuple):
    """The module of a family; a function that lists its names, one that raises `UserError` for invalid arguments before
    anything is built, the task of its networks, the name of the function that builds them, and that of the one that
    brings weights of others into their form, if there is one."""

    module: str
    names: Callable[[], Collection[str]]
    check: Callable[[Model], object] = arguments.check_counts
    task: TaskName = "classification"
    build: str = "build"
    adapt: str = ""


# If two families share a name, the first one builds it.
FAMILIES = (
    Family("florilegium.models.norm_vit", arguments.NORM_VITS.keys, arguments.norm_vit_arguments),
    Family(
        "florilegium.models.timm_classifier",
        arguments.distilled_names,
        build="build_distilled",
        adapt="adapted_to_distilled",
    ),
    Family("florilegium.models.timm_classifier", arguments.timm_names, adapt="adapted"),
    Family("florilegium.models.retinanet", arguments.RETINANETS.keys, arguments.retinanet_arguments, task="detection"),
    Family("florilegium.models.generators", arguments.GENERATORS.keys, task="generation"),
    Family("florilegium.models.resnet", arguments.CIFAR_RESNETS.keys, arguments.cifar_arguments),
    Family("florilegium.models.graph_attention", arguments.ATTENTION_RESNETS.keys, arguments.attention_arguments),
)
