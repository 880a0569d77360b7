"""The receipt beside each artifact: what made it, from what, on what, and how long it took."""

import subprocess
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from florilegium.core.files import digest, read_json, write_json
from florilegium.core.places import disclosed, shown
from florilegium.core.versions import versions_in_use


def write_receipt(
    path: Path,
    *,
    stage: str,
    spec: Any,
    code: str,
    inputs: Iterable[Path],
    outputs: Iterable[Path],
    started: float,
    **facts: Any,
) -> None:
    """Write a receipt, in the folder of the outputs: that is where `core.lineage` looks for it.

    `inputs` and `outputs` are named relative to the working directory (a path outside it by its
    file name alone) with their sha256 and bytes. `started` is `time.time()` at the start of the
    stage; `facts` are further JSON values such as `seed`, `device`, `origin`. Spec and facts are
    written as `core.places.disclosed` tells them, so that no receipt holds an absolute path or the
    password of a mirror.
    """
    write_json(
        path,
        {
            "stage": stage,
            "spec": disclosed(spec),
            "code": code,
            "inputs": _hashes(inputs),
            "outputs": _hashes(outputs),
            "git": git_state(),
            "versions": versions_in_use(),
            "seconds": round(time.time() - started, 3),
            **disclosed(facts),
        },
    )


def read_receipt(path: Path) -> dict[str, Any]:
    receipt = read_json(path)
    assert isinstance(receipt, dict)
    return receipt


def _hashes(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    return {
        shown(path): {"sha256": digest(path), "bytes": Path(path).stat().st_size}
        for path in sorted(set(map(Path, paths)))
    }


@lru_cache(maxsize=1)
def git_state() -> dict[str, Any]:
    """The commit of the working directory and whether its tracked files were edited since."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
