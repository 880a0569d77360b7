"""Every family of networks: its module, and the names that it answers to.

`florilegium.models.registry` says what a family's module must offer. Names are known without importing
it, so that checking a configuration costs no torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from florilegium.core.spec import Model
from florilegium.models import cifar_names, generator_names, norm_vit_sizes, retinanet_names, timm_names


@dataclass(frozen=True)
class Family:
    """The module of a family, a function that lists its names, and one that raises `UserError` for a model
    whose arguments can be seen to be wrong before anything is built."""

    module: str
    names: Callable[[], frozenset[str]]
    check: Callable[[Model], object] = lambda model: None


# Where two families know a name, the first one builds it.
FAMILIES = (
    Family("florilegium.models.norm_vit", norm_vit_sizes.names, norm_vit_sizes.arguments_of),
    Family("florilegium.models.distilled", timm_names.distilled),
    Family("florilegium.models.timm_classifier", timm_names.names),
    Family("florilegium.models.retinanet", retinanet_names.names),
    Family("florilegium.models.generators", generator_names.names),
    Family("florilegium.models.cifar_resnet", cifar_names.plain, cifar_names.arguments_of),
    Family("florilegium.models.graph_attention", cifar_names.attending, cifar_names.head_arguments_of),
)
