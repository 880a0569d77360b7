"""What the figures of a study are drawn from, and whether one is cut."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from florilegium.figures.material import Material
from tests.helpers import report


def material(root: Path, description: dict[str, Any], pixels: Path | None = None, n_classes: int = 17) -> Material:
    classes = report.class_names(n_classes)
    packed = {"flowers17": pixels} if pixels else {}
    return report.material_of(root, description, {"flowers17": classes, "flowers102": classes}, packed)


def margin(path: Path) -> int:
    """The darkest grey value on the picture's four edges; 255 when nothing touches them."""
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"))
    return int(min(grey[0].min(), grey[-1].min(), grey[:, 0].min(), grey[:, -1].min()))
