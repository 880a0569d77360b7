"""Every family of networks: its module, and the names that it answers to.

`florilegium.models.registry` describes the functions of a family's module. Names are known without importing
it, so that checking a configuration does not import torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from florilegium.config.data import Model
from florilegium.config.metrics import TaskName
from florilegium.models import arguments


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
    Family("florilegium.models.norm_vit", arguments.norm_vit_names, arguments.norm_vit_arguments),
    Family("florilegium.models.distilled", arguments.distilled),
    Family("florilegium.models.timm_classifier", arguments.timm_names),
    Family("florilegium.models.retinanet", arguments.retinanet_names, arguments.retinanet_arguments, task="detection"),
    Family("florilegium.models.generators", arguments.generator_names, task="generation"),
    Family("florilegium.models.cifar_resnet", arguments.plain, arguments.cifar_arguments),
    Family("florilegium.models.graph_attention", arguments.attending, arguments.head_arguments_of),
)
