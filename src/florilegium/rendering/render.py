"""The data sets that the project draws itself."""

from pathlib import Path

from florilegium.core.sources import Rendering
from florilegium.data import objects
from florilegium.rendering import emblems as emblem_sets
from florilegium.rendering import flowers as synthetic

DRAWN_BY = {
    "objects": objects,
    **dict.fromkeys(emblem_sets.CLASSES, emblem_sets),
}  # all others by `synthetic`


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every file of `rendering` below `folder`; their paths inside it, sorted.

    Raises UserError for a size that cannot be drawn.
    """
    return DRAWN_BY.get(rendering.scene, synthetic).render(rendering, folder)
