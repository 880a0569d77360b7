"""Every family of networks: its module, and the names that it answers to.

`florilegium.models.registry` says what a family's module must offer. Names are known without importing
it, so that checking a configuration costs no torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from florilegium.models import retinanet_names, timm_names


@dataclass(frozen=True)
class Family:
    """The module of a family and a function that lists its names."""

    module: str
    names: Callable[[], frozenset[str]]


# Where two families know a name, the first one builds it.
FAMILIES = (
    Family("florilegium.models.timm_classifier", timm_names.names),
    Family("florilegium.models.retinanet", retinanet_names.names),
)
