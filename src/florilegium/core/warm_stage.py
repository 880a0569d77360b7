"""How a fork of `core.warm_server` becomes a stage, in the way of `python -m STAGE`, and ends."""

import atexit
import ctypes
import importlib
import io
import os
import runpy
import signal
import socket
import sys
import threading
import types
from contextlib import suppress
from typing import Any, NoReturn, TextIO

from florilegium.core.warm import SIZE


def read(request: int) -> list[bytes]:
    """The parts of a client's request."""
    return os.pread(request, os.fstat(request).st_size, 0).split(b"\0\0")


def become(link: int, request: int, life: int, *streams: int) -> NoReturn:
    """Run the stage of a request in this process, in the way of `python -m STAGE`, and end it."""
    import fcntl  # which Windows has not

    client = socket.socket(fileno=link)
    _, group, _, _, stage, *arguments = map(os.fsdecode, read(request))
    os.setpgid(0, int(group))
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)  # when its other end is closed
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    client.send(b"pid %d" % os.getpid())
    if client.recv(SIZE) != b"go":
        os._exit(1)
    os.close(request)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = map(reopened, (sys.stdin, sys.stdout, sys.stderr), range(3))
    from florilegium.core import system

    system.starter = int.from_bytes(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    importlib.invalidate_caches()
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = [stage, *arguments]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]
    code = finish(stage)
    client.send(b"end %d" % code)
    os._exit(code)  # without taking down what was imported


def reopened(stream: Any, number: int) -> TextIO:
    """One of the standard streams, as a start of Python would make it for the file that it is now."""
    buffering = 0 if isinstance(stream.buffer, io.RawIOBase) else -1
    binary = open(number, "wb" if number else "rb", buffering, closefd=False)  # noqa: SIM115
    at_once = bool(buffering) and (number == 2 or os.isatty(number))
    return io.TextIOWrapper(
        binary, stream.encoding, stream.errors, line_buffering=at_once, write_through=stream.write_through
    )


def finish(stage: str) -> int:
    """Run a stage and all that it has left for the end of the process; returns the exit code."""
    code: object = 0
    try:
        runpy._run_module_as_main(stage)  # type: ignore[attr-defined]  # as `python -m` does
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end
    atexit._run_exitfuncs()
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError):
            output.flush()
    ctypes.CDLL(None).fflush(None)
    return code & 0xFF
