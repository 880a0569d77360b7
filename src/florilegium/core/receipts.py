"""Receipts: the small JSON beside each artifact, and finished results kept until the workflow has them."""

import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from florilegium.core.files import digest, read_json, replacing, write_json, write_text

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
    machine = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    return machine | versions_of(sys.modules)


ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def shown(path: Path | str) -> str:
    """`path` relative to the working directory, or its name alone when it lies outside."""
    resolved, here = Path(path).absolute(), Path.cwd()
    return resolved.relative_to(here).as_posix() if resolved.is_relative_to(here) else resolved.name


def disclosed(value: Any) -> Any:
    """JSON values with every text in them that is a place made fit to be told.

    An address loses its user, password and query, where tokens stand; a `file://` address and an
    absolute path become what `shown` makes of them. All else stays as it is.
    """
    if isinstance(value, Mapping):
        return {key: disclosed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [disclosed(item) for item in value]
    return _place(value) if isinstance(value, str) else value


def _place(text: str) -> str:
    if ADDRESS.fullmatch(text):
        parts = urllib.parse.urlsplit(text)
        if parts.scheme == "file":
            return _local(urllib.parse.unquote(parts.path))
        host = parts.netloc.rpartition("@")[2]
        return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
    return _local(text) if _is_absolute(text) else text


def _is_absolute(text: str) -> bool:
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()


def _local(text: str) -> str:
    return shown(text) if Path(text).is_absolute() else PureWindowsPath(text).name


REFERENCE = "reference"  # the folder below results/ whose content is committed, and so the name of no preset
FOLDERS = re.compile(r"""(?:file://|(?<![\w./:-]))/(?:[^\s/'"`,;:()]+/)+|\b[A-Za-z]:\\(?:[^\s\\'"`,;()]+\\)*""")
# of an absolute path inside a sentence; of POSIX with one folder or more, of Windows with its drive


def without_folders(value: Any) -> Any:
    """JSON values as `core.receipts.disclosed` tells them, and of each absolute path inside a sentence its name alone."""
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(item) for item in value]
    return FOLDERS.sub("", disclosed(value)) if isinstance(value, str) else value


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
    written as `core.receipts.disclosed` tells them, so that no receipt holds an absolute path or the
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


SUFFIX = ".done"
MARK = "fingerprint"
RECEIPT = "receipt.json"


def keep(results: Path, names: Sequence[str], state: Path, fingerprint: str) -> None:
    """Keep the files `names` of the folder `results`, the receipt among them, beside the folder `state`."""
    with replacing(_kept_place(state)) as folder:
        for name in names:
            _link(results / name, folder / name)
        write_text(folder / MARK, fingerprint)


def take_over(results: Path, state: Path, fingerprint: str) -> bool:
    """Put kept files back into `results`; False when there are none, or not of this fingerprint, or when
    they are no longer what their receipt says."""
    folder = _kept_place(state)
    try:
        if (folder / MARK).read_text(encoding="utf-8") != fingerprint:
            return False
        sums = {Path(name).name: facts["sha256"] for name, facts in read_receipt(folder / RECEIPT)["outputs"].items()}
        if any(digest(folder / name) != wanted for name, wanted in sums.items()):
            return False
    except (OSError, ValueError, KeyError):
        return False
    results.mkdir(parents=True, exist_ok=True)
    for name in (*sums, RECEIPT):
        (results / name).unlink(missing_ok=True)
        _link(folder / name, results / name)
    return True


def withdraw(results: Path, state: Path) -> None:
    """Take back from `results` what is kept: nobody has it on the books."""
    for path in _kept_place(state).iterdir():
        (results / path.name).unlink(missing_ok=True)


def forget(state: Path, results: Path) -> None:
    """Let go, anywhere below `state`, of what lies in its place below `results`."""
    for folder in state.rglob(f"*{SUFFIX}"):
        place = results / folder.relative_to(state).with_suffix("")
        if all((place / path.name).exists() for path in folder.iterdir() if path.name != MARK):
            shutil.rmtree(folder)


def _kept_place(state: Path) -> Path:
    return state.with_name(state.name + SUFFIX)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # on a file system without links, or on another one
        shutil.copy2(source, target)
