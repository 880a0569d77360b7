"""The names of timm's classifiers, read from its source text.

Importing timm imports torch and takes seconds; a configuration is checked before every invocation, so the names
are read from the text of timm's files instead (a tenth of a second, once).
"""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_ENTRY = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)


@cache
def names() -> frozenset[str]:
    """Every architecture of the installed timm, such as `resnet18`."""
    spec = find_spec("timm")
    assert spec is not None and spec.origin is not None
    files = Path(spec.origin).parent.glob("models/*.py")
    return frozenset(name for file in files for name in _ENTRY.findall(file.read_text(encoding="utf-8")))


@cache
def distilled() -> frozenset[str]:
    """The architectures with a second head for distillation."""
    return frozenset(name for name in names() if name.startswith("deit_") and "_distilled_" in name)
