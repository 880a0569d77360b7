"""Every family of networks: its module, and the names that it answers to.

`florilegium.models.registry` describes the functions of a family's module. Names are known without importing
it, so that checking a configuration does not import torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from florilegium.config.data import Model
from florilegium.config.experiment import TaskName
from florilegium.models import (
    cifar_names,
    generator_names,
    norm_vit_sizes,
    retinanet_arguments,
    timm_names,
)


@dataclass(frozen=True)
class Family:
    """The module of a family, a function that lists its names, one that raises `UserError` for invalid arguments
    before anything is built, and the task of its networks."""

    module: str
    names: Callable[[], frozenset[str]]
    check: Callable[[Model], object] = lambda model: None
    task: TaskName = "classification"


# If two families share a name, the first one builds it.
FAMILIES = (
    Family("florilegium.models.norm_vit", norm_vit_sizes.names, norm_vit_sizes.arguments_of),
    Family("florilegium.models.distilled", timm_names.distilled),
    Family("florilegium.models.timm_classifier", timm_names.names),
    Family(
        "florilegium.models.retinanet",
        retinanet_arguments.names,
        retinanet_arguments.arguments_of,
        task="detection",
    ),
    Family("florilegium.models.generators", generator_names.names, task="generation"),
    Family("florilegium.models.cifar_resnet", cifar_names.plain, cifar_names.arguments_of),
    Family("florilegium.models.graph_attention", cifar_names.attending, cifar_names.head_arguments_of),
)
