"""The commands of docs/start.md run one after another, from a folder on the desktop to an exported network.

The networks are small, since the guide's own takes minutes; its files are planned as they were written.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from florilegium.core.files import read_json
from tests.helpers.colours import write_pictures
from tests.workflow.conftest import environment, snakemake
from tests.workflow.test_readme import blocks

PROJECT = Path(__file__).parents[2]
(START,), (CHECK, PLAN, RUN), (PREDICT, EXPORT) = blocks((PROJECT / "docs" / "start.md").read_text(encoding="utf-8"))
SMALL = (
    "{leaves/*: {data: {storage_size: 24}, model: {name: cifar_resnet18, arguments: {widths: [4, 4, 4, 4], blocks: "
    "[1, 1, 1, 1]}}, init: {}, recipe: {image_size: 16, epochs: 2, warmup_epochs: 1}}}"
)


def run(command: str, folder: Path, home: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment(folder), "HOME": str(home)},
        shell=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_guide_goes_from_a_folder_to_a_page_and_a_network(fresh: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    pictures = {f"{name}/{n}.png": label for label, name in enumerate(("ash", "birch")) for n in range(8)}
    write_pictures(home / "Desktop" / "leaves", pictures)
    same = home / "Desktop" / "leaves" / "ash"
    for name in ("8.png", "9.png", "10.png"):  # copies of one picture, some of which are to be tested
        shutil.copy(same / "0.png", same / name)
    told = run(START, fresh, home)
    assert "19 pictures of 2 classes" in told and "own/leaves/config.yaml: written" in told
    assert re.search(r"6 trainings see [\d,]+ pictures: about [\d.]+ (min|hours) of one processor core here", told)
    assert f"next: {RUN}" in told
    assert "nothing wrong" in run(CHECK, fresh, home)
    snakemake(fresh, *PLAN.split()[1:])
    snakemake(fresh, *RUN.split()[1:], "--config", "seeds=[0]", f"experiments={SMALL}")
    page = (fresh / "results/own/report.html").read_text(encoding="utf-8")
    assert "EfficientNet-Lite0 from ImageNet" in page
    assert read_json(fresh / "results/own/audit/leaves__leaves/summary.json")["leak"]
    assert "ash/" in (fresh / "results/own/audit/leaves__leaves/dropped.csv").read_text()
    assert run(PREDICT, fresh, home).count("ash") >= 11
    card = fresh / "exports/leaves-pretrained-corrected-seed0-onnx/README.md"
    if pytest.importorskip("onnxruntime", reason="the extra `export` is not installed, so the guide's last command is"):
        run(EXPORT, fresh, home)
        assert "Leaks dropped from what it was trained on" in card.read_text(encoding="utf-8")
