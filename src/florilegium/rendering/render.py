"""The data sets that the project renders itself, by the name of their scene."""

from pathlib import Path

from florilegium.config.data import Rendering
from florilegium.core.errors import UserError
from florilegium.rendering import emblems, flowers, objects

MODULES = {**dict.fromkeys(flowers.SPLIT_PARTS, flowers), **dict.fromkeys(emblems.CLASSES, emblems), "objects": objects}


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every file of `rendering` below `folder`; returns their paths inside it, sorted.

    Raises UserError for a size that cannot be drawn.
    """
    module = MODULES[rendering.scene]
    if rendering.size not in module.SIZES:
        raise UserError(
            f"{rendering.scene}: rendered.size = {rendering.size} cannot be drawn; give {module.SIZES[0]} to "
            f"{module.SIZES[-1]}"
        )
    return module.render(rendering, folder)
