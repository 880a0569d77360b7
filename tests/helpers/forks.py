"""Programs started as forks of a process that has imported what they use: plans take a third of the time, stages half.

Each start is a process of its own that reads the package anew; what the fork holds already is other people's code.
Run as a program, this file is the process that is forked.
"""

import atexit
import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NoReturn

# What programs import of others.
SNAKEMAKE = (
    *("snakemake.cli", "snakemake.report.html_reporter", "snakemake_executor_plugin_slurm", "pandas", "PIL.Image"),
    *("pydantic", "requests", "smart_open", "tqdm", "yaml", "yte"),
)
TORCH = (
    *("torch", "torchvision.ops", "timm", "diffusers", "captum.attr", "pycocotools.cocoeval", "scipy.stats", "pandas"),
    *("imagehash", "matplotlib.figure", "pydantic", "psutil", "tqdm", "yaml"),
)


class Fork:
    """A program that runs as a fork, in a folder and a session of its own; used as a `subprocess.Popen`."""

    def __init__(
        self, imports: tuple[str, ...], program: str, *arguments: str, folder: Path, variables: Mapping[str, str]
    ) -> None:
        server = forked(imports)
        assert server.stdin
        with tempfile.TemporaryDirectory() as pipes:
            names = [f"{pipes}/{name}" for name in ("out", "err", "end")]
            for name in names:
                os.mkfifo(name)
            job = [names, program, arguments, str(folder.absolute()), dict(variables)]
            print(json.dumps(job), file=server.stdin, flush=True)
            self.stdout, self.stderr, self._end = map(open, names)
        self.pid = int(self._end.readline())
        self.returncode: int | None = None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        with ThreadPoolExecutor(1) as apart:
            errors = apart.submit(self.stderr.read)
            said = self.stdout.read(), errors.result(timeout)
        self.returncode = int(self._end.readline())
        return said


def start(
    imports: tuple[str, ...], program: str, *arguments: str, folder: Path, variables: Mapping[str, str]
) -> Fork | subprocess.Popen[str]:
    """Start `python -m PROGRAM`, or `python PROGRAM` for a file; where there are no forks, as any process."""
    if hasattr(os, "fork"):
        return Fork(imports, program, *arguments, folder=folder, variables=variables)
    command = [sys.executable, *([] if program.endswith(".py") else ["-m"]), program, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=variables, stdout=pipe, stderr=pipe, text=True)


def run(
    imports: tuple[str, ...], program: str, *arguments: str, folder: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Start a program, and wait for its end."""
    process = start(imports, program, *arguments, folder=folder, variables=variables)
    out, errors = process.communicate()
    assert process.returncode is not None
    return subprocess.CompletedProcess(arguments, process.returncode, out, errors)


@cache
def forked(imports: tuple[str, ...]) -> subprocess.Popen[str]:
    """The process that is forked; it ends with this one."""
    command = [sys.executable, "-P", __file__, *imports]  # -P: modules beside this file have names of others
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True)


def serve(imports: list[str]) -> None:
    for name in imports:
        __import__(name)
    gc.freeze()  # the collector leaves the pages alone that forks share
    while line := sys.stdin.readline():
        if os.fork() == 0:
            names, *job = json.loads(line)
            keep(names, job)
    os._exit(0)


def keep(names: list[str], job: list) -> NoReturn:
    """Start the program and tell its number and how it ends; in the process of the program, be it."""
    pipes = [os.open(name, os.O_WRONLY) for name in names]
    process = os.fork()
    if process == 0:
        os.setsid()
        os.close(pipes.pop())
        become(pipes, *job)
    for pipe in pipes[:2]:
        os.close(pipe)
    os.write(pipes[2], f"{process}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.write(pipes[2], f"{code}\n".encode())
    os._exit(0)


def become(pipes: list[int], program: str, arguments: list[str], folder: str, variables: dict[str, str]) -> NoReturn:
    for number, pipe in enumerate((os.open(os.devnull, os.O_RDONLY), *pipes)):
        os.dup2(pipe, number)
        os.close(pipe)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = [program, *arguments]
    paths = variables.get("PYTHONPATH", "").split(os.pathsep)
    code: object = 0
    try:
        if program.endswith(".py"):
            sys.path[:0] = [str(Path(program).parent), *paths]
            runpy.run_path(program, run_name="__main__")
        else:
            sys.path[:0] = ["", *paths]
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 1)  # without taking down what was imported, which takes seconds


if __name__ == "__main__":
    serve(sys.argv[1:])
