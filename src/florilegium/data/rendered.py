"""The data sets that the project draws itself."""

from pathlib import Path

from florilegium.core.sources import Rendering
from florilegium.data import objects, synthetic


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every file of `rendering` below `folder`; their paths inside it, sorted.

    Raises UserError for a size that cannot be drawn.
    """
    return (objects if rendering.scene == "objects" else synthetic).render(rendering, folder)
