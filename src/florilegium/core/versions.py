"""Versions of the packages that can change a number or a picture, and of what runs them."""

import platform
import sys
from collections.abc import Iterable
from importlib import metadata

# By the name that is imported: the name under which the package is installed.
PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "numpy": "numpy",
    "PIL": "pillow",
    "imagehash": "imagehash",
    "pandas": "pandas",
    "scipy": "scipy",
    "matplotlib": "matplotlib",
    "pycocotools": "pycocotools",
    "captum": "captum",
    "diffusers": "diffusers",
}


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """The installed version of each package among `names` (as imported) that is in `PACKAGES`."""
    found = {}
    for name in sorted(set(names) & PACKAGES.keys()):
        try:
            found[PACKAGES[name]] = metadata.version(PACKAGES[name])
        except metadata.PackageNotFoundError:
            continue
    return found


def versions_in_use() -> dict[str, str]:
    """Python, the kind of machine, and each package that this process has imported so far."""
    machine = {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
    }
    return machine | versions_of(sys.modules)
