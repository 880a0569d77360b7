"""A lock on an open file that ends with the process, however that dies, on every system."""

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def lock_file(file: IO[str]) -> None:
    """Take the file's first byte for this process alone, until the file is closed.

    Raises:
        OSError: at once, when another process has it.
    """
    if sys.platform == "win32":
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
