"""Stages that start warm: as forks of a process that has imported what they import, which takes one to four seconds.

The server is a tree of processes without threads. The first imports nothing but this. Those below it import torch, or
the module of a stage and that of its family of networks, when the first job of the kind comes, and are forked for the
others. A node holds no package that a cold start of its stages would not import, so that receipts name the same ones.
It ends as soon as one of the files that it has read has changed: a fork runs the code that a cold start would run.

The server ends with Snakemake; stages that it has begun go on, as they do after a cold start. It leaves no file: the
name of its socket is not in the file system (unix(7), abstract).
"""

import gc
import importlib
import json
import os
import secrets
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from florilegium.core.warm import ADDRESS, SIZE, environment, inherited, is_own
from florilegium.core.warm_stage import become, read

STAGES = "florilegium.stages."
# The stages that train or run networks. By their end all have imported `TORCH`.
NETWORKS = {
    *("train", "train_detector", "train_generator", "features", "find_lr"),
    *("sample", "judge", "attention", "attribution"),
}
TORCH = ("torch", "torch._dynamo", "pandas")
# What Snakemake adds to its own environment for a job (numbers of threads, the folder for temporary files), and bash.
THREADS = {f"{name}_NUM_THREADS".encode() for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")}
ADDED = {b"VECLIB_MAXIMUM_THREADS", b"TMPDIR", b"TMP", b"TEMPDIR", b"TEMP", b"PWD", b"OLDPWD", b"SHLVL", b"_"} | THREADS
IDLE = 60  # seconds in which nobody wants a fork of a node
FDS = 8  # file descriptors of a message, at most

Names = tuple[str, ...]


def start(families: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    """Start a server for jobs of this process, which it ends with; None where there can be none.

    Args:
        families: the module of each network, by the network's name.
    """
    if sys.platform != "linux":  # elsewhere there is no `fork`, or it is not safe, or the calls below are missing
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        os.environ[ADDRESS] = f"florilegium-{secrets.token_hex(16)}"
        listener.bind(f"\0{os.environ[ADDRESS]}")
        listener.listen(1024)
        command = [sys.executable, "-m", __name__, str(listener.fileno())]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        server = subprocess.Popen(  # in a group of its own: signals that end jobs are not for it
            command, stdin=pipe, stdout=nowhere, stderr=nowhere, pass_fds=[listener.fileno()], process_group=0
        )
    assert server.stdin
    with suppress(OSError):  # it has ended: jobs start cold
        server.stdin.write(json.dumps(families).encode() + b"\n")
        server.stdin.flush()
    return server


class Child(NamedTuple):
    """A fork of a node: a job, or a node that has imported `names`, too."""

    process: int
    link: socket.socket
    """To the client of the job, or to the node."""
    names: Names | None


class Node:
    """A process of the server.

    A message that it reads from `inbox` is what the nodes below it have to import, and the files of a job: the link to
    its client, its request, a pipe that closes with the client, and the three standard streams.
    """

    life: int | None = None
    """A pipe that it ends with, beside its inbox."""

    def __init__(self, inbox: socket.socket) -> None:
        self.inbox = inbox
        self.files: dict[str, tuple[int, int]] = {}
        """What it has read beside the nodes above it."""
        self.children: dict[int, Child] = {}
        """By the descriptors that can be polled for their ends, pidfd_open(2)."""
        self.refused: set[Names] = set()

    def serve(self) -> NoReturn:
        while True:
            ready = select.poll()
            for number in (self.life, self.inbox.fileno(), *self.children):
                if number is not None:
                    ready.register(number, select.POLLIN)
            happened = {number for number, _ in ready.poll(1000 * IDLE)}
            is_idle = not happened and not self.children and self.life is None
            if self.life in happened or is_idle:  # the memory of one that is idle is worth more than its imports
                os._exit(0)
            for number in happened & self.children.keys():
                self.bury(number)
            if self.inbox.fileno() in happened:
                self.receive()

    def receive(self) -> None:
        said, fds, *_ = socket.recv_fds(self.inbox, 1 << 16, FDS, socket.MSG_CMSG_CLOEXEC)
        if not said:  # the node above has ended
            os._exit(0)
        self.handle([tuple(names) for names in json.loads(said)], fds)
        for number in fds:
            os.close(number)

    def handle(self, below: Sequence[Names], fds: Sequence[int]) -> None:
        """Begin the job here, or pass it on to the node that has imported the first of `below`, too."""
        if any(stamp(path) != known for path, known in self.files.items()):
            os._exit(0)  # which closes the link: the client starts its stage cold
        if not below:
            self.begin(fds)
        elif below[0] not in self.refused:
            self.pass_on(below, fds)

    def pass_on(self, below: Sequence[Names], fds: Sequence[int]) -> None:
        if below[0] not in {child.names for child in self.children.values()}:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self.fork(ours, below[0], lambda: self.grow(theirs, below[0], fds))
        link = next(child.link for child in self.children.values() if child.names == below[0])
        with suppress(OSError):  # it has just ended
            socket.send_fds(link, [json.dumps(below[1:]).encode()], fds)

    def grow(self, inbox: socket.socket, names: Names, fds: Sequence[int]) -> NoReturn:
        for number in fds:  # they come again, by the inbox
            os.close(number)
        Node(inbox).load(names).serve()

    def load(self, names: Names) -> "Node":
        """Import `names`, or end this process where a fork of it would not be as good as a cold start."""
        began, read_above = time.time_ns(), paths_read()
        said = os.memfd_create("said")
        for stream in (1, 2):
            os.dup2(said, stream)
        gc.disable()  # what is imported stays: to look through it for cycles takes a fifth of the time
        for name in names:
            importlib.import_module(name)
            if name.startswith(STAGES):  # it will be `__main__`
                delattr(sys.modules[STAGES.rstrip(".")], name.removeprefix(STAGES))
                del sys.modules[name]
        sys.stdout.flush()
        self.files = {path: known for path in paths_read() - read_above if (known := stamp(path))}
        is_edited = any(changed > began for changed, _ in self.files.values())
        if is_edited or os.fstat(said).st_size or len(list(Path("/proc/self/task").iterdir())) > 1:
            os._exit(1)
        os.close(said)
        gc.collect()
        gc.enable()
        gc.freeze()  # the collector leaves the pages alone that forks share
        return self

    def begin(self, fds: Sequence[int]) -> None:
        """Begin a job in a fork."""
        for number, child in list(self.children.items()):
            hung_up = select.poll()
            hung_up.register(child.link, 0)
            if child.names is None and hung_up.poll(0):  # killed: the next attempt must not meet its locks
                self.bury(number)
        self.fork(socket.socket(fileno=os.dup(fds[0])), None, lambda: become(*fds))

    def fork(self, link: socket.socket, names: Names | None, body: Callable[[], NoReturn]) -> None:
        """Call `body` in a child, which holds none of the files of this process."""
        process = os.fork()
        if process:
            self.children[os.pidfd_open(process)] = Child(process, link, names)
            return
        try:
            link.close()
            self.inbox.close()
            for number, child in self.children.items():
                child.link.close()
                os.close(number)
            body()
        finally:
            os._exit(1)

    def bury(self, number: int) -> None:
        """Wait for the end of a child, and tell the client of a job."""
        process, link, names = self.children.pop(number)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        os.close(number)
        if names is None:
            with suppress(OSError):  # the client has gone
                link.send(b"end %d" % code)
        elif code:
            self.refused.add(names)
        link.close()


class Root(Node):
    """The first process, which clients connect to. It passes on those whose fork would be as good as a cold start."""

    def __init__(self, listener: socket.socket, families: Mapping[str, str]) -> None:
        super().__init__(listener)
        self.life = sys.stdin.fileno()
        self.families = families
        self.inherited = inherited()
        self.environment: bytes | None = None

    def receive(self) -> None:
        link, _ = self.inbox.accept()
        with link, suppress(OSError, ValueError):
            link.settimeout(10)
            _, fds, *_ = socket.recv_fds(link, SIZE, FDS, socket.MSG_CMSG_CLOEXEC)
            link.setblocking(True)  # the fork uses it as well
            try:
                state, _, variables, *command = read(fds[0])
                if is_own(link) and state == self.inherited and self.is_fit(variables):
                    self.handle(self.below(*map(os.fsdecode, command)), [link.fileno(), *fds])
            finally:
                for number in fds:
                    os.close(number)

    def is_fit(self, variables: bytes) -> bool:
        """True for the environment of this process. The first job may add to it, before anything was imported."""
        if self.environment is None:
            own, asked = (set(text.split(b"\0")) for text in (environment(), variables))
            changed = {variable.partition(b"=")[0] for variable in own ^ asked}
            if not changed <= ADDED or not {name + b"=1" for name in THREADS} <= asked:
                return False
            os.environb.update(dict(variable.split(b"=", 1) for variable in asked))
            self.environment = variables
        return variables == self.environment

    def below(self, option: str, stage: str, *arguments: str) -> list[Names]:
        """What the nodes below this one import for a job, one after the other."""
        kind = stage.removeprefix(STAGES)
        if option != "-m" or kind == stage:
            raise ValueError(stage)
        if kind not in NETWORKS:
            return [(stage,)]
        spec = json.loads(arguments[arguments.index("--spec") + 1])
        family = self.families.get(spec.get("model", {}).get("name"))
        return [TORCH, (stage, family) if family else (stage,)]


def paths_read() -> set[str]:
    """The files that this process has imported."""
    return {str(getattr(module, "__file__", None)) for module in list(sys.modules.values())}


def stamp(path: str) -> tuple[int, int] | None:
    """What tells whether a file has changed; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


if __name__ == "__main__":
    Root(socket.socket(fileno=int(sys.argv[1])), json.loads(sys.stdin.readline())).serve()
