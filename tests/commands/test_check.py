"""`florilegium check`: all mistakes at once, with exit code 2, and without Snakemake."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml

from florilegium.__main__ import command_line
from florilegium.commands import check as command
from florilegium.core.errors import UserError
from tests.helpers.mistakes import FILES, STUDY, make_project, tried_here, write

HEAVY = {"snakemake", "torch", "timm", "pandas", "matplotlib"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


def check(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code; networks are tried in this process, which takes less time."""
    monkeypatch.setattr(command, "load", partial(command.load, answer=tried_here))
    monkeypatch.setattr(sys, "argv", ["florilegium", "check", *arguments])
    return command_line()


def test_what_is_right_is_counted(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert check(monkeypatch) == 0
    assert capsys.readouterr().out == "4 experiments (8 runs) of 1 study in preset demo: nothing wrong\n"
    write(project, STUDY, FILES[STUDY])
    write(
        project,
        "own.yaml",
        "own_studies: [study.yaml]\nstudies: [study]\nseeds: [7]\ngpus_per_training: 2\ndevice: cpu",
    )
    assert check(monkeypatch, "own.yaml") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("note: own.yaml: gpus_per_training = 2")
    assert told[1:] == ["1 experiment (1 run) of 1 study in preset demo: nothing wrong"]


def test_mistakes_in_all_files_are_told_together(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    study = yaml.safe_load(FILES["workflow/studies/flowers.yaml"])
    study["experiments"]["scratch"]["recipe"] = {"momentum": 2.0}
    study["experiments"]["before"]["model"] = {"name": "resnet81"}
    write(project, "workflow/studies/flowers.yaml", yaml.safe_dump(study))
    write(project, "workflow/studies/bees.yaml", "title: [x]\ndocument: y\nexperiments: {a: {tasks: z}}")
    write(
        project, "config.yaml", "seedz: [1]\ndevice: gpu\nexperiments: {flower/x: {skip: true}, flowers/x: {skipp: 1}}"
    )
    write(project, "own.yaml", "audit: {radius: 70}\nown_studies: [nowhere.yaml]")
    write(project, "workflow/weights.yaml", "resnet18.x: {model: resnet18}")
    assert check(monkeypatch, "own.yaml") == 2
    told = capsys.readouterr().err.splitlines()
    for part in (
        "config.yaml: unknown key 'seedz'",
        "config.yaml: device = gpu",
        "config.yaml: experiments: unknown study 'flower'",
        "config.yaml: experiments.flowers/x: unknown key 'skipp'",
        "own.yaml: audit.radius = 70",
        "own.yaml: own_studies: nowhere.yaml",
        "workflow/studies/flowers.yaml: experiments.scratch.recipe.momentum = 2.0",
        "workflow/studies/bees.yaml: title = [x]",
        "workflow/studies/bees.yaml: experiments.a: unknown key 'tasks'",
        "workflow/weights.yaml: resnet18.x: give exactly one of source, hub, package and timm",
    ):
        (line,) = [line for line in told if line.startswith(f"error: {part}")]
        told.remove(line)
    assert told == []


def test_a_misspelt_preset_hides_no_other_mistake(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write(project, "config.yaml", "preset: dmeo\nexperiments: {flower/x: {skip: true}}")
    assert check(monkeypatch) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(", did")[0] for line in told] == [
        "error: config.yaml: unknown preset 'dmeo'",
        "error: config.yaml: experiments: unknown study 'flower'",
    ]


def test_a_study_that_was_taken_out_is_a_remark_and_one_that_is_misspelt_a_mistake(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    preset = yaml.safe_load((project / "workflow/presets/demo.yaml").read_text())
    write(project, "workflow/presets/demo.yaml", yaml.safe_dump({**preset, "studies": {"techniques": {}}}))
    assert check(monkeypatch) == 0
    told = capsys.readouterr().out
    assert "presets/demo.yaml: studies: there is no study techniques, so its changes have no effect" in told
    write(project, "workflow/presets/demo.yaml", yaml.safe_dump({**preset, "studies": {"flower": {}}}))
    with pytest.raises(UserError, match=r"demo\.yaml: studies: unknown study 'flower', did you mean 'flowers'\?"):
        check(monkeypatch)


def test_a_folder_without_the_project_s_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is no folder of the project"):
        check(monkeypatch)


def test_it_neither_imports_snakemake_nor_torch(project: Path):
    """Networks are tried in a process of their own."""
    program = (
        f"import json, sys\nfrom functools import partial\nfrom {command_line.__module__} import command_line\n"
        f"from {command.__package__} import check\ncheck.load = partial(check.load, answer=None)\n"
        "sys.argv = ['florilegium', 'check']\nassert command_line() == 0\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=project)
    assert not {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])} & HEAVY
