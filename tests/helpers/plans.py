"""Plans of the workflow, made by forks of a process that has imported Snakemake: a start of it costs a second more.

Each plan is a process of its own with its own copy of the package; what the fork already holds is other people's code.
Run as a program, this file is the process that is forked.
"""

import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

HERE = Path(__file__)
IMPORTED = (
    *("snakemake.cli", "snakemake.report.html_reporter", "snakemake_executor_plugin_slurm", "pandas", "PIL.Image"),
    *("pydantic", "requests", "smart_open", "tqdm", "yaml", "yte"),
)


def plan(folder: Path, arguments: tuple[str, ...], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `python -m snakemake` answers to these arguments in a folder."""
    with tempfile.TemporaryDirectory() as files:
        said = [f"{files}/out", f"{files}/err"]
        server = forked()
        assert server.stdin and server.stdout
        print(json.dumps([str(folder), arguments, dict(variables), said]), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(Path(path).read_text() for path in said))


@cache
def forked() -> subprocess.Popen[str]:
    """The process that is forked; it ends with this one."""
    command = [sys.executable, "-P", str(HERE)]  # -P: the modules beside this file are not what others import
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def serve() -> None:
    for name in IMPORTED:
        __import__(name)
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            become(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(folder: str, arguments: list[str], variables: dict[str, str], said: list[str]) -> None:
    """Be `python -m snakemake` in a folder, and end."""
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.path[:0] = ["", *filter(None, variables["PYTHONPATH"].split(os.pathsep))]
    sys.argv = ["snakemake", *arguments]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    serve()
