"""`verify` hashes down to the pictures and archives: what was replaced, is missing or was added is named."""

import os
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from florilegium.commands.verify import run
from florilegium.core.files import digest, read_json, write_json
from florilegium.core.lineage import open_ledger
from florilegium.core.local_files import listed, remember
from florilegium.core.receipts import write_receipt
from florilegium.core.verification import Findings, verify
from florilegium.core.walk import walk

PICTURES = (
    "a/1.png",
    "a/photo {edited}.png",
    "b/<i>&.png",
    "b/line\nbreak.png",
    f"b/{os.fsdecode(b'x' + bytes([255]))}.png",
)
LISTING = Path("resources/mine/files.json")
RESULT = Path("results/demo/flowers/comparison.csv")
DOWNLOAD = Path("resources/downloads/mine/labels.mat")
WEIGHTS = Path("resources/weights/slim.safetensors")


def write(path: Path, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content or os.fsencode(path))
    return path


def receipt(output: Path, stage: str, inputs: list[Path], place: Path | None = None, **facts: object) -> None:
    where = place or output.with_suffix(".receipt.json")
    write_receipt(where, stage=stage, spec={}, code="c0de", inputs=inputs, outputs=[output], started=0.0, **facts)


@pytest.fixture(params=["own folder", "extracted"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result made of pictures, which lie outside the project or were extracted inside it; the pictures' folder."""
    project = tmp_path / "my project {2}"
    project.mkdir()
    monkeypatch.chdir(project)
    folder = tmp_path / "my pictures" if request.param == "own folder" else Path("resources/mine/files")
    for picture in PICTURES:
        write(folder / picture)
    files = [{"path": name, "bytes": 1, "sha256": digest(folder / name)} for name in walk(folder).files]
    own = write(tmp_path / "archives" / "set.zip")
    origin = [
        {"file": "set.zip", "from": "set.zip", "sha256": digest(own), "bytes": 1},
        {"file": "labels.mat", "from": "https://example.org/labels.mat", "sha256": digest(write(DOWNLOAD)), "bytes": 1},
    ]
    write_json(LISTING, {"root": folder.as_posix(), "origin": origin, "files": files})
    receipt(LISTING, "fetch", [], origin=origin)
    local = listed("mine", {"set.zip": own})
    remember("datasets", "mine", "files:0", local, local.status(), origin)
    slim = write(Path("resources/downloads/weights/slim/slim.npz"))
    facts = {"file": "slim.npz", "from": "https://example.org/slim.npz", "sha256": digest(slim), "bytes": 1}
    receipt(write(WEIGHTS), "weights", [], origin=[facts])
    receipt(write(RESULT), "compare", [LISTING, WEIGHTS])
    return folder


def found(start: str = "results") -> Findings:
    return verify(*open_ledger(Path(start)))


def test_everything_is_hashed_once_and_fits(root: Path):
    findings = found()
    assert not findings.faults and not findings.unfit and not findings.leftovers and not findings.absent
    assert len(findings.files) == 3 and len(findings.listed) == len(PICTURES) + 3
    assert len(findings.listings) == 3  # files.json, and two receipts of what was downloaded


def test_the_command_counts_and_names_what_else_is_there(root: Path, capsys: pytest.CaptureFixture[str]):
    DOWNLOAD.unlink()
    left = write(Path("resources/mine/.files.old"))
    assert run(Namespace(path=Path("results"))) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{DOWNLOAD}: is no longer there, so that only the files that were made of it are verified",
        f"{left}: left by a process that was killed, or being written now; what writes there next clears it",
        "3 files of 3 receipts and 7 files of 3 data sets and downloads fit",
    ]
    replaced(root / PICTURES[0])
    assert run(Namespace(path=Path("results"))) == 1
    said = capsys.readouterr()
    assert "1.png: has changed since" in said.err and "and 6 of 7 files of 3 data sets" in said.out


def replaced(path: Path) -> None:
    """Other content of the same size and time."""
    time = path.stat().st_mtime_ns
    path.write_bytes(b"z" * path.stat().st_size)
    os.utime(path, ns=(time, time))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a replaced picture": (lambda root: replaced(root / PICTURES[1]), "photo {edited}.png: has changed since "),
    "a missing picture": (lambda root: (root / PICTURES[2]).unlink(), "<i>&.png: is missing since "),
    "a broken line": (lambda root: replaced(root / PICTURES[3]), r"line\nbreak.png: has changed since "),
    "no UTF-8": (lambda root: (root / PICTURES[4]).unlink(), r"x\xff.png: is missing since "),
    "an added picture": (lambda root: write(root / "a/{new}.png"), "{new}.png: was added since "),
    "no folder": (shutil.rmtree, "this folder is missing, and resources/mine/files.json lists 5 files in it"),
    "a folder in its place": (lambda root: ((root / PICTURES[0]).unlink(), (root / PICTURES[0]).mkdir()), "1.png: "),
    "an archive of one's own": (
        lambda _: replaced(Path("../archives/set.zip")),
        "archives/set.zip: has changed since ",
    ),
    "a download": (lambda _: replaced(DOWNLOAD), f"{DOWNLOAD}: has changed since resources/mine/files.receipt.json"),
    "a download of weights": (
        lambda _: replaced(Path("resources/downloads/weights/slim/slim.npz")),
        "slim.npz: has changed since resources/weights/slim.receipt.json",
    ),
    "the weights": (lambda _: replaced(WEIGHTS), f"{WEIGHTS}: has changed since"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_does_not_fit_is_named_once(root: Path, case: str):
    spoil, said = SPOILT[case]
    spoil(root)
    findings = found()
    assert len(findings.faults) == 1 and said in findings.faults[0] and findings.faults[0].isprintable()
    assert findings.unfit


def test_a_receipt_with_names_that_no_system_takes_stops_nothing(root: Path):
    """As a damaged or hostile one has them: each is one fault among the others."""
    place = RESULT.with_suffix(".receipt.json")
    content = read_json(place)
    content["outputs"] |= {"results/demo/a\0b.csv": {"sha256": "0"}, f"results/demo/{'x' * 300}": {"sha256": "0"}}
    write_json(place, content)
    replaced(root / PICTURES[0])
    assert sum(": is missing since " in fault for fault in found().faults) == 2
    assert any("1.png: has changed since " in fault for fault in found().faults)


def test_of_many_ten_are_named_and_the_others_counted(root: Path):
    for number in range(25):
        write(root / f"a/new{number}.png")
    findings = found()
    assert len(findings.faults) == 11 and findings.faults[-1].endswith("the same of 15 more of its files")
    assert len(findings.unfit) == 25


def test_litter_is_no_picture(root: Path):
    for name in ("a/.DS_Store", "Thumbs.db", "__MACOSX/a/._1.png"):
        write(root / name)
    assert not found().faults


def test_an_archive_that_is_gone_is_no_fault(root: Path):
    Path("../archives/set.zip").unlink()
    DOWNLOAD.unlink()
    findings = found()
    assert not findings.faults and len(findings.absent) == 2 and str(DOWNLOAD) in findings.absent


def test_leftovers_are_named_and_no_fault(root: Path):
    left = {
        "results/demo/flowers/.metrics.json.12-abcdef.0a1b2c3d.part",
        "resources/mine/.files.part",
        "resources/mine/.files.old",
        "state/demo/flowers/a/seed0.done",
    }
    for name in left:
        write(Path(name) / "file" if not name.endswith("3d.part") else Path(name))
    write(Path("state/demo/flowers/a/seed1/progress.json"))
    findings = found()
    assert set(findings.leftovers) == left and not findings.faults
    assert "state/demo/flowers/a/seed0.done" in found("results/demo").leftovers


def test_a_list_that_was_changed_is_told_beside_the_pictures(root: Path):
    LISTING.write_text("{")
    assert [fault.split(" since ")[0] for fault in found().faults] == [f"{LISTING}: has changed"]
