"""Stages that start as forks: whatever a stage can see or do, it is as after a cold start.

The stage is a probe in a copy of the package's core, so that it can be edited. It prints on a line apart
who started it.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import florilegium
from florilegium import stages
from florilegium.core import errors, warm, warm_server
from tests.helpers.package import closure, modules

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the server needs Linux")

PROBE = f"""
from {errors.__name__} import UserError, run_main
from {stages.__name__}.part import VALUE
"""
PROBE += """
import json, locale, os, resource, signal, sys, threading, time, warnings

def facts():
    streams = [sys.stdin, sys.stdout, sys.stderr]
    streams = [(s.fileno(), s.encoding, s.errors, s.line_buffering, s.isatty()) for s in streams]
    own = sys.modules["__main__"]
    signals = {n: str(signal.getsignal(n)).split(" at ")[0] for n in range(1, 32)}
    return [
        sys.argv, sys.orig_argv, sys.path, str(sys.flags), sys.warnoptions, str(warnings.filters), streams, signals,
        dict(os.environ), os.getcwd(), os.umask(0o22), os.getpriority(os.PRIO_PROCESS, 0), os.getpgrp(), os.getsid(0),
        resource.getrlimit(resource.RLIMIT_NOFILE), threading.active_count(), locale.getpreferredencoding(),
        own.__spec__.name, own.__file__, own.__name__, __spec__.name in sys.modules, sys.stdin.read(), VALUE,
    ]

def main():
    print(f"started by {os.getppid()}", flush=True)
    wish, *more = sys.argv[1:]
    if wish == "facts":
        print(json.dumps(facts(), default=str).replace(str(os.getpid()), "own"))
        print("\\N{SNOWMAN}", file=sys.stderr)
    if wish == "count":
        found = []
        signal.signal(signal.SIGTERM, lambda *_: found.append(1))
        print(f"process {os.getpid()}", flush=True)
        while not os.path.exists(more[0]):
            time.sleep(0.01)
        print(len(found))
        return 7
    if wish == "exit":
        sys.exit(int(more[0]) if more[0].isdigit() else more[0])
    if wish == "mistake":
        raise UserError("the probe: is wrong; mend it")
    if wish == "fault":
        os.fsdecode(None)
    if wish == "kill":
        os.kill(os.getpid(), int(more[0]))

if __name__ == "__main__":
    run_main(main)
"""
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")}
STARTER = f"import os, sys; from {warm_server.__package__} import warm_server as w; process = w.start({{}}); "
STARTER += "print(process.pid, os.environ[w.ADDRESS], flush=True); sys.stdin.read()"


class Place:
    """A folder with the copy, and a server of it that was started by a process that stands for Snakemake's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        package = folder / florilegium.__name__
        shutil.copytree(Path(warm.__file__).parent, package / "core", ignore=shutil.ignore_patterns("__pycache__"))
        self.stages = package / "stages"
        self.stages.mkdir()
        for path in (package / "__init__.py", self.stages / "__init__.py"):
            path.touch()
        (self.stages / "probe.py").write_text(PROBE)
        self.edit("VALUE = 1\n")
        self.client = package / Path(warm.__file__).relative_to(Path(florilegium.__file__).parent)
        self.variables = {**os.environ, "PYTHONPATH": str(folder), "LC_ALL": "C"}
        command, pipe = [sys.executable, "-c", STARTER], subprocess.PIPE
        self.starter = subprocess.Popen(command, cwd=folder, env=self.variables, stdin=pipe, stdout=pipe, text=True)
        assert self.starter.stdout
        server, address = self.starter.stdout.readline().split()
        self.server = psutil.Process(int(server))
        self.variables |= THREADS | {warm.ADDRESS: address}

    def edit(self, text: str) -> None:
        """Change a module that the probe imports; its time is one in the past, as an editor's that took longer."""
        path = self.stages / "part.py"
        path.write_text(text)
        os.utime(path, (time.time() - 100 + len(text),) * 2)

    def command(self, *arguments: str, cold: bool = False) -> list[str]:
        options = [] if cold else ["-IS", str(self.client)]
        return [sys.executable, *options, "-m", f"{stages.__name__}.probe", *arguments]

    def start(self, *arguments: str, cold: bool = False, **changes: Any) -> subprocess.Popen[str]:
        """Start the probe as a job."""
        given = {"cwd": self.folder, "env": self.variables, "stdin": subprocess.DEVNULL, **changes}
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*arguments, cold=cold), text=True, stdout=pipe, stderr=pipe, **given)

    def run(self, *arguments: str, **changes: Any) -> tuple[bool, int, str, str]:
        """Whether the probe was a fork, its exit code, and what it has written."""
        return self.end(self.start(*arguments, **changes))

    def end(self, process: subprocess.Popen[str]) -> tuple[bool, int, str, str]:
        out, errors = process.communicate(timeout=60)
        first, _, others = out.partition("\n")
        return int(first.split()[-1]) != os.getpid(), process.returncode, others, errors

    def processes(self) -> list[psutil.Process]:
        return [self.server, *self.server.children(recursive=True)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "Blüten und Blätter"
    folder.mkdir()
    place = Place(folder)
    yield place
    place.starter.kill()
    place.starter.communicate()


def wait_until(is_so: Callable[[], object]) -> None:
    end = time.time() + 30
    while not is_so():
        assert time.time() < end
        time.sleep(0.01)


def begun(process: subprocess.Popen[str]) -> psutil.Process:
    """The process of a probe that counts its signals."""
    assert process.stdout
    process.stdout.readline()
    return psutil.Process(int(process.stdout.readline().split()[-1]))


def test_a_fork_finds_all_as_a_cold_start_does(place: Place):
    given = ("facts", "", "--name", "Ä {b}  c\n")
    is_fork, *cold = place.run(*given, cold=True)
    assert not is_fork and "{b}  c" in cold[1]
    for _ in range(2):
        is_fork, code, out, errors = place.run(*given)
        assert json.loads(out) == json.loads(cold[1])
        assert (is_fork, code, errors) == (True, cold[0], cold[2])


@pytest.mark.parametrize("wish", ["exit 0", "exit 5", "exit text", "mistake", "fault", "kill 9", "kill 15", "kill 6"])
def test_a_fork_ends_as_a_cold_start_does(place: Place, wish: str):
    is_fork, *cold = place.run(*wish.split(), cold=True)
    assert not is_fork
    assert place.run(*wish.split()) == (True, *cold)


def test_streams_are_those_of_the_job(place: Place):
    with open(place.folder / "log", "w") as log:
        log.write("before\n")
        log.flush()
        process = subprocess.Popen(
            place.command("mistake"), cwd=place.folder, env=place.variables, stdout=log, stderr=subprocess.STDOUT
        )
        assert process.wait() == 2
    before, started, said = (place.folder / "log").read_text().splitlines()
    assert (before, said) == ("before", "error: the probe: is wrong; mend it")
    assert int(started.split()[-1]) in {process.pid for process in place.processes()}


def test_an_edit_counts_for_the_next_job(place: Place):
    assert place.run("facts")[2].rstrip().endswith("1]")
    place.edit("VALUE = 22\n")
    assert [place.run("facts")[2].rstrip()[-4:] for _ in range(2)] == [" 22]"] * 2
    assert place.run("facts")[0]  # by a new process of the server


@pytest.mark.parametrize("text", ["print('said')", "import threading; threading.Thread(target=input).start()", "1 / 0"])
def test_what_cannot_be_forked_starts_cold(place: Place, text: str):
    place.edit(f"VALUE = 1\n{text}\n")
    for _ in range(2):
        process = place.start("exit", "0", stdin=subprocess.PIPE)
        out, errors = process.communicate("\n", timeout=60)
        assert f"started by {os.getpid()}" in out or "ZeroDivisionError" in errors
    assert len(place.processes()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"umask": 0o77},
        {"cwd": "/"},
        {"preexec_fn": lambda: os.nice(1)},
        {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))},
        {"start_new_session": True},
        {"env": {"OMP_NUM_THREADS": "2"}},
        {"env": {"PYTHONHASHSEED": "1"}},
        {"env": {warm.ADDRESS: "florilegium-0"}},
    ],
    ids=["umask", "cwd", "nice", "limit", "session", "threads", "hash seed", "address"],
)
def test_a_job_that_a_fork_would_not_be_like_starts_cold(place: Place, changes: dict[str, Any]):
    if "env" in changes:
        changes = {"env": place.variables | changes["env"]}
    is_fork, code, *_ = place.run("exit", "5", **changes)
    assert (is_fork, code) == (False, 5)
    assert place.run("exit", "5")[:2] == (True, 5)


def test_a_signal_to_the_client_or_to_its_group_comes_once(place: Place):
    for to_group in (False, True):
        mark = place.folder / f"mark{to_group}"
        command = ["bash", "-c", '"$@"; exit $?', "bash", *place.command("count", str(mark))]
        shell = subprocess.Popen(
            command, cwd=place.folder, env=place.variables, process_group=0, stdout=subprocess.PIPE, text=True
        )
        fork = begun(shell)
        assert os.getpgid(fork.pid) == shell.pid
        (client,) = psutil.Process(shell.pid).children()
        (os.killpg if to_group else os.kill)(shell.pid if to_group else client.pid, signal.SIGTERM)
        time.sleep(0.2)
        mark.touch()
        assert shell.communicate()[0] == "1\n"
        assert shell.returncode == (-signal.SIGTERM if to_group else 7)


def test_who_kills_the_client_kills_the_fork_before_the_next_job(place: Place):
    process = place.start("count", str(place.folder / "never"))
    fork = begun(process)
    fork.suspend()  # as one that is slow to die
    process.kill()
    assert place.run("exit", "0")[0]
    assert not fork.is_running()


def test_a_server_that_is_killed_takes_no_job_along(place: Place):
    mark = place.folder / "mark"
    process = place.start("count", str(mark))
    fork = begun(process)
    for part in place.processes():
        if part != fork:
            part.kill()
    assert place.run("exit", "5")[:2] == (False, 5)
    mark.touch()
    assert process.communicate() == ("0\n", "")
    assert process.returncode == 7


def test_a_server_ends_with_who_started_it_and_its_jobs_go_on(place: Place):
    mark = place.folder / "mark"
    process = place.start("count", str(mark))
    fork = begun(process)
    others = [part for part in place.processes() if part != fork]
    place.starter.kill()
    wait_until(lambda: not any(part.is_running() and part.status() != psutil.STATUS_ZOMBIE for part in others))
    mark.touch()
    process.communicate()
    assert process.returncode == 7


def test_two_servers_do_not_meet(place: Place, tmp_path: Path):
    other = Place(tmp_path)
    other.edit("VALUE = 22\n")
    assert [each.run("facts")[2].rstrip()[-4:] for each in (place, other)] == [", 1]", " 22]"]
    other.starter.kill()
    other.starter.communicate()
    assert place.run("exit", "0")[0]


def test_another_system_has_no_server():
    """Windows lacks these modules."""
    program = "import sys; sys.modules.update(fcntl=None, resource=None); sys.platform = 'win32'\n"
    program += f"from {warm_server.__package__} import warm_server; print(warm_server.start({{}}))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "None\n"


@pytest.mark.parametrize("name", sorted(warm_server.NETWORKS))
def test_what_is_imported_ahead_the_stage_imports_itself(name: str):
    """Its receipts would name it otherwise, and those of a cold start would not."""
    sources = [modules()[module].read_text() for module in closure(f"{warm_server.STAGES}{name}")]
    found = {package for source in sources for package in re.findall(r"^ *(?:import|from) (\w+)", source, re.M)}
    assert {package.partition(".")[0] for package in warm_server.TORCH} <= found
