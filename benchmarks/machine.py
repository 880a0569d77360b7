"""The machine that figures were measured on, to stand beside them."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from florilegium.core.receipts import git_state, versions_in_use


def hardware() -> str:
    """Processor and core count, as the system names them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores"


def machine() -> dict[str, Any]:
    """Hardware, load, versions and commit; the GPU only where torch is in use already."""
    torch = sys.modules.get("torch")
    return {
        "hardware": hardware(),
        "gpu": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None,
        "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "versions": versions_in_use(),
        "git": git_state(),
    }
