"""Programs started as forks of a process that has imported what they use: a plan takes a third of the time, a stage half.

Each start is a process of its own that reads the package anew; what the fork holds already is other people's code.
Run as a program, this file is the process that is forked.
"""

import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

# Imports of others, by the program that makes use of them.
SNAKEMAKE = (
    *("snakemake.cli", "snakemake.report.html_reporter", "snakemake_executor_plugin_slurm", "pandas", "PIL.Image"),
    *("pydantic", "requests", "smart_open", "tqdm", "yaml", "yte"),
)


def run(
    imports: tuple[str, ...], program: str, *arguments: str, folder: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What `python -m PROGRAM`, or `python PROGRAM` for a file, does with these arguments in a folder."""
    if not hasattr(os, "fork"):
        command = [sys.executable, *(() if program.endswith(".py") else ("-m",)), program, *arguments]
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    with tempfile.TemporaryDirectory() as files:
        said = [f"{files}/out", f"{files}/err"]
        server = forked(imports)
        assert server.stdin and server.stdout
        job = [program, arguments, str(folder.absolute()), dict(variables), said]
        print(json.dumps(job), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(Path(path).read_text() for path in said))


@cache
def forked(imports: tuple[str, ...]) -> subprocess.Popen[str]:
    """The process that is forked; it ends with this one."""
    command = [sys.executable, "-P", __file__, *imports]  # -P: modules beside this file have names of others
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def serve(imports: list[str]) -> None:
    for name in imports:
        __import__(name)
    gc.freeze()
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            become(*json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)  # what was imported has no more to say


def become(program: str, arguments: list[str], folder: str, variables: dict[str, str], said: list[str]) -> None:
    """Be the program, in this process."""
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    is_file = program.endswith(".py")
    sys.path[:0] = [str(Path(program).parent) if is_file else "", *variables.get("PYTHONPATH", "").split(os.pathsep)]
    sys.argv = [program, *arguments]
    if is_file:
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(sys.argv[1:])
