"""Planning when nothing is to be done: what it imports, and how long it takes beside an empty Snakefile."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import florilegium
from tests.workflow.conftest import copy_project, environment, snakemake
from tests.workflow.test_reruns import finish

HEAVY = {"torch", "torchvision", "timm", "pandas", "matplotlib"}
LIMIT = 1.5  # times what the empty Snakefile takes
ROUNDS = 3
EMPTY = """
rule all:
    default_target: True
    input: expand("made/{{i}}/{{k}}", i=range({jobs}), k=range({outputs}))

rule one:
    output: expand("made/{{{{i}}}}/{{k}}", k=range({outputs}))
    shell: "touch {{output}}"
"""
MODULES = """
import json, sys
from snakemake.cli import main
try:
    main(["-n", "all"])
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)))
"""
IMPORTS = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def folders(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A demo that Snakemake takes for finished, and a project of as many jobs and outputs that do nothing."""
    demo = copy_project(project, tmp_path_factory.mktemp("planning") / "demo")
    outputs = len(finish(demo))
    plan = snakemake(demo, "-n", "--forceall", "--quiet", "rules", "all")
    jobs = int(re.findall(r"^total +(\d+)", plan.stdout + plan.stderr, flags=re.MULTILINE)[-1]) - 1
    empty = tmp_path_factory.mktemp("planning") / "empty"
    empty.mkdir()
    (empty / "Snakefile").write_text(EMPTY.format(jobs=jobs, outputs=round(outputs / jobs)))
    finish(empty)
    return demo, empty


def python(folder: Path, *arguments: str) -> list[str]:
    """The JSON list that a script prints last."""
    done = subprocess.run(
        [sys.executable, "-c", *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def processor_seconds(folder: Path) -> float:
    """The processor time of one plan, which unlike the clock does not count what else the machine does."""
    command = [sys.executable, "-m", "snakemake", "-n", "all"]
    with (folder / "plan.log").open("w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        text = log.read()
    assert process.returncode == 0, text
    assert "Nothing to be done" in text, text
    return usage.ru_utime + usage.ru_stime


def test_nothing_heavy_is_imported(folders: tuple[Path, Path]):
    """Snakemake itself imports pandas, so the package's modules are imported again without Snakemake."""
    demo, _ = folders
    loaded = python(demo, MODULES)
    assert (HEAVY - {"pandas"}).isdisjoint(loaded)
    own = [name for name in loaded if name.partition(".")[0] == florilegium.__name__]
    assert len(own) > 20
    assert HEAVY.isdisjoint(python(demo, IMPORTS, json.dumps(own)))


def test_it_takes_at_most_half_as_long_again_as_an_empty_snakefile(folders: tuple[Path, Path]):
    times = [[processor_seconds(folder) for folder in folders] for _ in range(ROUNDS)]
    ours, empty = (min(column) for column in zip(*times, strict=True))
    assert ours <= LIMIT * empty, f"{ours:.2f} s, and {empty:.2f} s with empty jobs"
