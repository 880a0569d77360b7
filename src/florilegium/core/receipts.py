"""Receipts: the small JSON beside each artifact, and finished results kept until the workflow has them."""

import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from florilegium.core.files import (
    clear_leftovers,
    digest,
    link,
    noted_digest,
    read_json,
    replacing,
    write_json,
    write_text,
)
from florilegium.core.outputs import RECEIPT

# The distribution of each package that may be imported.
PACKAGES = {
    name: name
    for name in (
        *("torch", "torchvision", "timm", "numpy", "imagehash", "pandas", "scipy", "matplotlib", "pycocotools"),
        *("captum", "diffusers"),
    )
} | {"PIL": "pillow"}
REFERENCE = "reference"  # the folder below results/ with committed results, and so the name of no preset
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
# The folders of an absolute path inside a sentence: one or more of POSIX, or those of Windows after a drive.
FOLDERS = re.compile(r"""(?:file://|(?<![\w./:-]))/(?:[^\s/'"`,;:()]+/)+|\b[A-Za-z]:\\(?:[^\s\\'"`,;()]+\\)*""")


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
    """Write a receipt, in the folder of the outputs, where `core.lineage` looks for it.

    Inputs and outputs are recorded by name, sha256 and bytes; the name is relative to the working directory, or the
    file's name alone for a file outside. Spec and facts are `redacted`.

    Args:
        started: `time.time()` at the start of the stage.
        facts: further JSON values such as `seed`, `device`, `origin`.
    """
    receipt = {
        "stage": stage,
        "spec": redacted(spec),
        "code": code,
        "inputs": _hashes(inputs),
        "outputs": _hashes(outputs),
        "git": git_state(),
        "versions": versions_in_use(),
        "seconds": round(time.time() - started, 3),
    }
    write_json(path, receipt | redacted(facts))


def read_receipt(path: Path) -> dict[str, Any]:
    receipt = read_json(path)
    assert isinstance(receipt, dict)
    return receipt


def _hashes(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    return {
        _relative(path): {"sha256": noted_digest(path), "bytes": path.stat().st_size}
        for path in sorted(set(map(Path, paths)))
    }


@lru_cache(maxsize=1)
def git_state() -> dict[str, Any]:
    """The commit of the working directory, and `dirty` if its tracked files were edited since."""
    commit = _git("rev-parse", "HEAD")
    dirty = None if commit is None else bool(_git("status", "--porcelain", "--untracked-files=no"))
    return {"commit": commit, "dirty": dirty}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """The installed version of each package in `PACKAGES` among `names` (as imported)."""
    versions = {}
    for name in sorted(set(names) & PACKAGES.keys()):
        with suppress(metadata.PackageNotFoundError):
            versions[PACKAGES[name]] = metadata.version(PACKAGES[name])
    return versions


def versions_in_use() -> dict[str, str]:
    """Python, the kind of machine, and each package that this process has imported so far."""
    machine = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    return machine | versions_of(sys.modules)


# Paths and addresses in receipts


def redacted(value: Any) -> Any:
    """JSON values without private parts of addresses and paths.

    An address loses its user, password and query, which may hold tokens; a `file://` address and an absolute path
    become relative to the working directory, or the file's name for a file outside. All else stays.
    """
    return _mapped(_redacted_text, value)


def without_folders(value: Any) -> Any:
    """`redacted` JSON values, with the file's name in place of each absolute path inside a sentence."""
    return _mapped(lambda text: FOLDERS.sub("", _redacted_text(text)), value)


def _mapped(function: Callable[[str], str], value: Any) -> Any:
    """JSON values with every text replaced by `function` of it."""
    if isinstance(value, Mapping):
        return {key: _mapped(function, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(function, item) for item in value]
    return function(value) if isinstance(value, str) else value


def _redacted_text(text: str) -> str:
    if ADDRESS.fullmatch(text):
        parts = urllib.parse.urlsplit(text)
        if parts.scheme == "file":
            return _local(urllib.parse.unquote(parts.path))
        host = parts.netloc.rpartition("@")[2]
        return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
    is_absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    return _local(text) if is_absolute else text


def _local(text: str) -> str:
    return _relative(text) if Path(text).is_absolute() else PureWindowsPath(text).name


def _relative(path: Path | str) -> str:
    """`path` relative to the working directory; the file's name for a file outside."""
    absolute, here = Path(path).absolute(), Path.cwd()
    return absolute.relative_to(here).as_posix() if absolute.is_relative_to(here) else absolute.name


# Finished results: a copy of each lies beside its run's state until the workflow has accepted the outputs. Snakemake
# deletes the outputs of a job that it does not see finish; the next attempt then takes them from the copy.

KEPT_SUFFIX = ".done"
FINGERPRINT = "fingerprint"


def keep(results: Path, names: Sequence[str], state: Path, fingerprint: str) -> None:
    """Keep the files `names` of the folder `results`, the receipt among them, beside the folder `state`."""
    with replacing(_kept_folder(state)) as folder:
        for name in names:
            link(results / name, folder / name)
        write_text(folder / FINGERPRINT, fingerprint)


def take_over(results: Path, state: Path, fingerprint: str) -> bool:
    """Put kept files back into `results`; False if there are none, if they have another fingerprint, or if they differ
    from their receipt."""
    folder = _kept_folder(state)
    try:
        if (folder / FINGERPRINT).read_text(encoding="utf-8") != fingerprint:
            return False
        sums = {Path(name).name: facts["sha256"] for name, facts in read_receipt(folder / RECEIPT)["outputs"].items()}
        if any(digest(folder / name) != recorded for name, recorded in sums.items()):
            return False
    except (OSError, ValueError, KeyError):
        return False
    results.mkdir(parents=True, exist_ok=True)
    clear_leftovers(results)
    for name in (*sums, RECEIPT):
        (results / name).unlink(missing_ok=True)
        link(folder / name, results / name)
    return True


def withdraw(results: Path, state: Path) -> None:
    """Remove kept files from `results`, where no workflow expects them."""
    for path in _kept_folder(state).iterdir():
        (results / path.name).unlink(missing_ok=True)


def discard_kept(state: Path, results: Path, is_recorded: Callable[[Sequence[str]], bool] = lambda _: True) -> None:
    """Delete kept files below `state` that are all in place below `results`, and recorded there.

    Args:
        is_recorded: False for files that Snakemake has not seen finished: it would delete them at its next start.
    """
    for folder in state.rglob(f"*{KEPT_SUFFIX}"):
        place = results / folder.relative_to(state).with_suffix("")
        files = [place / path.name for path in folder.iterdir() if path.name != FINGERPRINT]
        if all(file.exists() for file in files) and is_recorded([file.as_posix() for file in files]):
            shutil.rmtree(folder)


def _kept_folder(state: Path) -> Path:
    return state.with_name(state.name + KEPT_SUFFIX)
