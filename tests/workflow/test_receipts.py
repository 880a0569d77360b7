"""Every artifact of a finished demo is in a receipt that fits, and no receipt tells a place on this machine."""

import re
import subprocess
import sys
from pathlib import Path

from florilegium.core.files import read_json
from tests.workflow.conftest import environment


def test_every_file_of_the_demo_fits_its_receipt(finished: Path):
    command = [sys.executable, "-m", "florilegium", "verify", "results/"]
    done = subprocess.run(command, cwd=finished, env=environment(finished), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = r"\S+ files of \S+ receipts and (\S+) files of (\d+) data sets and downloads fit\n"
    said = re.fullmatch(counts, done.stdout)
    assert said, done.stdout
    pictures = [read_json(path)["files"] for path in finished.glob("resources/*/files.json")]
    assert int(said[1].replace(",", "")) >= sum(map(len, pictures)) > 1000 and int(said[2]) >= len(pictures) > 1


def test_no_receipt_tells_a_place(finished: Path):
    receipts = [*finished.glob("results/**/*receipt.json"), *finished.glob("resources/**/*receipt.json")]
    assert {read_json(path)["stage"] for path in receipts} >= {
        "render", "index", "pack", "hash", "audit", "train", "compare", "figures", "page"
    }  # fmt: skip
    for path in receipts:
        text = path.read_text()
        assert str(finished) not in text and str(Path.home()) + "/" not in text, path
