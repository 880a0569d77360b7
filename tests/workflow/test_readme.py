"""Every command of the README and its guide runs, as a reader types them: those of one block in order, in one folder.

Those that set up and run the demo whole are run by `.ci/run`.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workflow.conftest import environment

BLOCK = re.compile(r"^```bash\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
SETS_UP = ("make ", "python3 -m venv", ".venv/bin/")
LEAK_FOUND = 1


def blocks(readme: str) -> list[list[str]]:
    """The commands of each block of code, in order, without those that set up."""
    lines = [[line.partition("  #")[0].strip() for line in block.splitlines()] for block in BLOCK.findall(readme)]
    kept = [[line for line in block if line and not line.startswith(SETS_UP)] for block in lines]
    return [block for block in kept if block]


PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs" / "how_to.md").read_text(encoding="utf-8")
README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks(README + GUIDE)


def test_the_guide_has_commands_and_the_readme_is_short():
    assert len(BLOCKS) >= 6 and len(README.splitlines()) <= 120


@pytest.mark.parametrize(
    "page", sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")]), ids=lambda page: page.name
)
def test_links_lead_to_files_and_headings(page: Path):
    for address in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if address.startswith(("http://", "https://")):
            continue
        name, _, heading = address.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), address
        titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not heading or heading in anchors, address


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, block: list[str]) -> Path:
    """A copy in which the commands find what they name: all studies are in the whole demo alone."""
    if any("demo_scenes" in command or " reference " in command for command in block):
        whole = request.getfixturevalue("whole_demo")
        return Path(shutil.copytree(whole, tmp_path / "whole", symlinks=True, ignore=shutil.ignore_patterns(".venv")))
    return Path(request.getfixturevalue("copy"))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0][:40])
def test_the_commands_of_a_block_run_one_after_another(folder: Path, block: list[str]):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8))
    # a leak, for the audit to find, and a folder for a reader's own
    for name in ("pictures/train/a.png", "pictures/test/b.png", "photographs/a.png"):
        (folder / name).parent.mkdir(parents=True)
        picture.save(folder / name)
    for command in block:
        done = run(command, folder)
        expected = LEAK_FOUND if " audit pictures" in command else 0
        assert done.returncode == expected, done.stdout + done.stderr


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if "examples/" in command:
        command += " -n"  # the archives that it names are the reader's
        for name in re.findall(r"path: (\S+?)}", (folder / "examples/local_archives.yaml").read_text()):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("an archive")
    return subprocess.run(
        command, cwd=folder, env=environment(folder), shell=True, capture_output=True, text=True, timeout=300
    )
