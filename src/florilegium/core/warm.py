"""The client of `core.warm_server`: a job starts `python -IS warm.py -m STAGE ...` in place of `python -m STAGE ...`.

It gives the server its command line, environment, standard streams and process group, and ends as the fork ends that
runs the stage. Where anything is odd it starts the stage cold, without a word. Whoever kills it kills the fork; signals
to the job's group reach the fork, those to the client alone are passed on. It imports as little as it can.
"""

# ruff: noqa: PTH109, PTH116

import os
import signal
import socket
import sys
from contextlib import suppress

ADDRESS = "FLORILEGIUM_WARM"  # an environment variable with the name of the server's socket
PATIENCE = 60.0  # seconds in which a server has imported
SIZE = 64  # bytes of a message
PASSED_ON = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGCONT")


def run(*command: str) -> None:
    """Run `python *command`, warm or cold, and end as it ends."""
    fork = None
    with suppress(OSError, ValueError, KeyError):
        fork = _ask(os.environ[ADDRESS], command)
    if fork is None:
        os.execv(sys.executable, [sys.executable, *command])
    _end(_wait(fork))


def _ask(address: str, command: tuple[str, ...]) -> socket.socket | None:
    """Have the server run `command`: the link to the fork. Raises, or returns None, where it is to start cold."""
    group = os.getpgrp()
    if group == os.getpid():  # it cannot leave the group, whose signals would reach the fork twice
        return None
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    life, _ = os.pipe()  # its other end closes with this process
    request = os.memfd_create("request")
    with os.fdopen(os.dup(request), "wb") as file:
        file.write(b"\0\0".join([inherited(), b"%d" % group, environment(), *map(os.fsencode, command)]))
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.settimeout(PATIENCE)
    link.connect(f"\0{address}")
    if not is_own(link):
        return None
    socket.send_fds(link, [b"job"], [request, life, 0, 1, 2])
    os.close(life)
    process = int(link.recv(SIZE).removeprefix(b"pid "))  # nothing where the server refuses

    def pass_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, number)

    for number in (getattr(signal, name) for name in PASSED_ON):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    os.setpgid(0, 0)
    link.send(b"go")
    return link


def _wait(link: socket.socket) -> int:
    """The exit code of the fork, or less than 0 for the signal that has ended it, once it is gone."""
    link.settimeout(None)
    code = -signal.SIGKILL
    while said := link.recv(SIZE):
        code = int(said.removeprefix(b"end "))
    return code


def _end(code: int) -> None:
    """End with that exit code, or by the signal that a negative one stands for."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the fork has left its own
        with suppress(OSError):  # not for SIGKILL
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


# What client and server compare


def is_own(link: socket.socket) -> bool:
    """True if the process at the other end is of the same user."""
    _, user, _ = memoryview(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)).cast("i")
    return bool(user == os.getuid())


def environment() -> bytes:
    return b"\0".join(sorted(b"=".join(item) for item in os.environb.items()))


def inherited() -> bytes:
    """All that a cold start would inherit beside its environment, and what would run it: equal where a fork of this
    process can stand for a cold start by another one."""
    import resource

    umask = os.umask(0o77)
    os.umask(umask)
    limits = [resource.getrlimit(limit) for name, limit in vars(resource).items() if name.startswith("RLIMIT_")]
    ignored = [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]
    code, place = os.stat(__file__), os.stat(".")
    state = (
        *(sys.version, sys.executable, code.st_mtime_ns, code.st_size, os.getcwd(), place.st_dev, place.st_ino, umask),
        *(limits, sorted(map(int, ignored)), sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))),
        *(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))),
        *(os.getresuid(), os.getresgid(), os.getgroups(), os.getsid(0)),
    )
    return repr(state).encode()


if __name__ == "__main__":
    run(*sys.argv[1:])
