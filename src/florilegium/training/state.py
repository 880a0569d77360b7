"""The resumable state of a run: one file, written whole or not at all, by one process at a time."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from filelock import FileLock, Timeout

from florilegium.core.errors import UserError
from florilegium.core.files import atomic
from florilegium.core.system import say
from florilegium.training import parallel


class StateFolder:
    """A folder that holds the state of one run, locked while it is open.

    The lock is a file beside the folder and outlives it: inside, another process could lock a file that has just
    been removed. The system frees it when its process ends, however that ends. `<folder>.pid` beside it names
    the process. The helpers of a training in several processes neither lock nor write: they load what the first
    one reads.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self.file = folder / "state.pt"
        self.lock = FileLock(folder.with_name(f"{folder.name}.lock"), blocking=False)
        self.holder = folder.with_name(f"{folder.name}.pid")

    def __enter__(self) -> "StateFolder":
        if parallel.rank():
            return self
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.lock.acquire()
        except Timeout:
            raise UserError(
                f"{self.folder}: another process{self._named_holder()} is training this run; wait for it or end it"
            ) from None
        self.holder.write_text(str(os.getpid()), encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.lock.is_locked:
            self.holder.unlink(missing_ok=True)
            self.lock.release()

    def _named_holder(self) -> str:
        try:
            return f" (pid {self.holder.read_text(encoding='utf-8')})"
        except OSError:  # it has only just taken the lock, or has ended since
            return ""

    def load(self) -> dict[str, Any] | None:
        """The saved state, its tensors on the host, or None if there is none of this fingerprint.

        The folder of another fingerprint's state, or of one that cannot be read, is renamed.
        """
        return parallel.shared(None if parallel.rank() else self._read())

    def _read(self) -> dict[str, Any] | None:
        if not self.file.exists():
            return None
        try:
            state = torch.load(self.file, map_location="cpu", weights_only=True)
            fingerprint = state["fingerprint"]
        except Exception:  # torch raises many kinds for a damaged file
            self._set_aside("cannot be read")
            return None
        if fingerprint != self.fingerprint:
            self._set_aside("belongs to another configuration, code or data")
            return None
        return state

    def save(self, state: dict[str, Any]) -> None:
        if parallel.rank():
            return
        with atomic(self.file) as temporary, open(temporary, "wb") as file:
            torch.save({**state, "fingerprint": self.fingerprint}, file)

    def clear(self) -> None:
        """Remove the state, with the remains of an interrupted write."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()

    def _set_aside(self, why: str) -> None:
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.stale-{number}")).exists():
            number += 1
        self.folder.rename(aside)
        say(f"{self.file} {why}; kept as {aside.name}, training starts anew")
