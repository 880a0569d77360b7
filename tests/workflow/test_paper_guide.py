"""The commands of docs/paper.md are planned, and its configuration is taken."""

import re
from pathlib import Path

import pytest
import yaml

from florilegium.models.catalogue import read_catalogue
from florilegium.plan.project import load_plan
from tests.workflow.conftest import snakemake
from tests.workflow.test_readme import blocks

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs" / "paper.md").read_text(encoding="utf-8")
COMMANDS = [command for block in blocks(GUIDE) for command in block]
(CONFIGURATION,) = (
    yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_plans_jobs(unmade: Path, command: str):
    program, *arguments = command.split()
    assert program == "snakemake" and "preset=paper" in arguments
    done = snakemake(unmade, "-n", "--quiet", "rules", *(a for a in arguments if a != "-n"))
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE))
    target = next(name for name in ("gpu_hours", "download", "techniques", "all") if name in arguments)
    assert jobs[target] == "1" and int(jobs["total"]) > 1


def test_the_configuration_is_taken():
    settings = load_plan(PROJECT, {"preset": "paper", **CONFIGURATION}).settings
    catalogue = read_catalogue(PROJECT / "workflow" / "weights.yaml", settings.weights)
    assert CONFIGURATION["datasets"].keys() == settings.datasets.keys()
    assert catalogue["resnet18.tv_in1k"].source and CONFIGURATION["weights"].keys() <= catalogue.keys()
