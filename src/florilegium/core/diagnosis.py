"""What a person can mend of an exception that a library or the system raised, as one sentence."""

import errno
import os
from collections.abc import Iterator

# Errors of the system while a file is written, and their texts inside the messages of libraries.
UNWRITABLE = {
    errno.ENOSPC: "no space left on device",
    errno.EDQUOT: "disk quota exceeded",
    errno.EFBIG: "file too large",
}
MEMORY_TEXTS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "alloc_failed")
OWN = __name__.partition(".")[0]
# Errors of the system that are no fault of a program, even where they name no file.
OUTER = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
WAYS_OUT = {
    errno.ENOENT: "give a path that exists",
    errno.EISDIR: "give a file in place of this folder",
    errno.ENOTDIR: "a file stands where a folder is needed; give another path",
    errno.EEXIST: "a file stands where a folder is needed; give another path",
    errno.EACCES: "allow it to your user, or give another path",
    errno.EPERM: "allow it to your user, or give another path",
    errno.EROFS: "give a path that can be written",
    errno.ENAMETOOLONG: "shorten it",
    errno.ELOOP: "mend the circle of links",
    errno.EIO: "the disk or its connection fails; check it, then run again",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs, the machine has too many open files",
}


def mendable(error: BaseException) -> str | None:
    """The sentence for a full disk, memory that ran out, a path that cannot be used, a missing package; otherwise None.

    Libraries wrap what the system said, so that everything `error` was raised from is looked at, too.
    """
    chain = list(_chain(error))
    if number := unwritable(error):
        return _not_written(number, chain)
    sentences = (sentence for cause in chain if (sentence := _no_memory(cause)))
    return next(sentences, None) or _missing_package(error) or _system_error(error)


def unwritable(error: BaseException) -> int | None:
    """ENOSPC, EDQUOT or EFBIG if `error` comes from a full disk, a full quota or a limit of the size of files."""
    for cause in _chain(error):
        told, text = getattr(cause, "errno", None), str(cause).lower()
        for number, said in UNWRITABLE.items():
            if told == number or said in text:
                return number
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error`, and all that it was raised from, or while handling it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop()
        if cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__context__, cause.__cause__, *getattr(cause, "exceptions", ())]


def _not_written(number: int, chain: list[BaseException]) -> str:
    files = [file for file in (getattr(cause, "filename", None) for cause in chain) if isinstance(file, str | bytes)]
    where = os.fsdecode(files[0]) if files else "the output"
    if number == errno.EFBIG:
        return f"{where}: the file is larger than its file system or your limit allows; raise it (ulimit -f)"
    place = "in your quota of the disk" if number == errno.EDQUOT else "on the disk"
    return f"no space left {place} while writing {where}; free some and run again, finished work is kept"


def _no_memory(cause: BaseException) -> str | None:
    kind, text = type(cause).__name__, str(cause).lower()
    if kind == "BrokenProcessPool":
        return (
            "a process that reads images was ended from outside, most often because memory ran out; use fewer "
            "processes (--workers, or --cores of Snakemake)"
        )
    ran_out = isinstance(cause, MemoryError) or kind == "OutOfMemoryError" or getattr(cause, "errno", 0) == errno.ENOMEM
    if ran_out or (isinstance(cause, RuntimeError) and any(said in text for said in MEMORY_TEXTS)):
        on_device = any(name in text for name in ("cuda", "cublas", "cudnn", "mps", "hip"))
        device = "the GPU's memory ran out" if on_device else "memory ran out"
        return (
            f"{device}; lower recipe.batch_size or raise recipe.accumulate, run fewer jobs at once, or choose another "
            "device (--device cpu; device in config.yaml)"
        )
    return None


def _missing_package(error: BaseException) -> str | None:
    if not isinstance(error, ModuleNotFoundError) or not error.name or error.name.partition(".")[0] == OWN:
        return None
    return f"the package '{error.name}' is not installed; set up the environment again, as the README says"


def _system_error(error: BaseException) -> str | None:
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.filename is None and error.errno not in OUTER:
        return None
    said = os.strerror(error.errno).lower()
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
    return f"{where}: {said}; {WAYS_OUT.get(error.errno, 'mend it, or give another path')}"
