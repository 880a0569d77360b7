"""Whole files or none, and errors as sentences."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from florilegium.config import json_schema
from florilegium.config.json_schema import FILES, schema
from florilegium.core import files
from florilegium.core.files import atomic, digest, replacing, write_json, write_text
from florilegium.core.receipts import read_receipt, write_receipt


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_full_disk_is_named_with_the_file(tmp_path):
    with pytest.raises(OSError) as caught, atomic(tmp_path / "big.npy"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "big.npy")
    assert list(tmp_path.iterdir()) == []


def test_an_error_names_the_file_and_not_what_stands_in_for_it(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OSError) as caught, atomic(tmp_path / "a.csv") as temporary:
        temporary.write_text("new")
    assert caught.value.filename == str(tmp_path / "a.csv")


def test_digest_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert digest(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_large_file_is_hashed_again_only_if_it_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGE", 3)
    read: list[str] = []
    monkeypatch.setattr(files, "digest", lambda path: read.append(path.name) or digest(path))
    path, small = tmp_path / "x", tmp_path / "small"
    path.write_bytes(b"abc")
    small.write_bytes(b"ab")
    for _ in range(2):
        assert files.noted_digest(path) == digest(path) and files.noted_digest(small) == digest(small)
    assert read == ["x", "small", "small"]
    kept = path.stat()
    with open(path, "rb+") as file:  # in place, as long, with the time of the old content
        file.write(b"abd")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert files.noted_digest(path) == digest(path)
    write_text(path, "abc")  # replaced
    assert files.noted_digest(path) == digest(path)
    next(tmp_path.glob(".x*")).write_text("{")
    assert files.noted_digest(path) == digest(path)
    assert read[3:] == ["x"] * 3


def test_json_refuses_what_is_not_json(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_a_receipt_names_files_by_content_and_holds_no_absolute_path(tmp_path, monkeypatch):
    outside = tmp_path / "outside.bin"
    outside.write_bytes(b"abc")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (work / "made.txt").write_text("made")
    login = "me:mine"
    mirrors = [f"https://{login}@example.org/a?token=mine", outside.as_uri(), "archives"]
    spec = {"lr": 0.1, "override": {"mirrors": mirrors, "path": str(work / "archives" / "a.tgz")}}
    write_receipt(
        work / "receipt.json", stage="test", spec=spec, code="c0de", inputs=[outside],
        outputs=[work / "made.txt"], started=0.0, seed=3, origin=[{"from": str(outside)}],
    )  # fmt: skip
    receipt = read_receipt(work / "receipt.json")
    assert receipt["inputs"]["outside.bin"]["sha256"] == digest(outside)
    assert list(receipt["outputs"]) == ["made.txt"]
    assert receipt["seed"] == 3
    assert receipt["origin"] == [{"from": "outside.bin"}]
    said = {"mirrors": ["https://example.org/a", "outside.bin", "archives"], "path": "archives/a.tgz"}
    assert receipt["spec"] == {"lr": 0.1, "override": said}
    assert str(tmp_path) not in (work / "receipt.json").read_text()


@pytest.mark.parametrize("name", FILES)
def test_exported_schemas_are_current(project, name):
    exported = json.loads((project / "workflow" / "schemas" / f"{name}.schema.json").read_text())
    assert exported == schema(name), f"run: python -m {json_schema.__name__} workflow/schemas"


KILLED = f"""
import os, signal, sys, time
from pathlib import Path
from {files.__name__} import atomic
with atomic(Path(sys.argv[1]) / "metrics.json") as temporary:
    temporary.write_text("half")
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    print(flush=True)
    time.sleep(60)
"""


def begin(folder: Path, how: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", KILLED, str(folder), how], stdout=subprocess.PIPE)


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not yet looked for leftovers."""
    monkeypatch.setattr(files, "_cleared", set())


def test_what_a_killed_process_began_is_removed_and_told(tmp_path: Path, another_process: None, capsys):
    begin(tmp_path, "killed").wait()
    (leftover,) = tmp_path.iterdir()
    assert files.is_leftover(leftover.name)
    write_text(tmp_path / "other.csv", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]
    assert capsys.readouterr().out == (
        f"{tmp_path}: removed 1 unfinished files of processes that were killed, such as {leftover.name}\n"
    )


def test_what_a_living_process_writes_stays(tmp_path: Path, another_process: None):
    process = begin(tmp_path, "alive")
    try:
        process.stdout.readline()
        write_text(tmp_path / "other.csv", "whole")
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        process.kill()
        process.wait()


NOW, LATER = 0.0, 7200.0  # when it is looked at, in seconds after it was begun
OWN = f"{os.getpid()}-{files.MACHINE}"
BEGUN = {
    "of this process": (f".a.csv.{OWN}.01234567.part", NOW, True),
    "of this machine, ended": (f".a.csv.999999999-{files.MACHINE}.01234567.part", NOW, False),
    "of another machine, in work": (".a.csv.1-abcdef.01234567.part", NOW, True),
    "of another machine, given up": (".a.csv.1-abcdef.01234567.part", LATER, False),
    "of an earlier version, in work": (".a.csv.01234567.part", NOW, True),
    "of an earlier version, given up": (".a.csv.01234567.part", LATER, False),
    "a download": ("a.tgz.part", LATER, True),
    "somebody's hidden file": (".notes.part", LATER, True),
    "somebody's own": ("a.0a1b2c3d.part", LATER, True),
}


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("kind", BEGUN)
def test_only_what_nobody_goes_on_with_is_removed(
    kind: str, is_folder: bool, tmp_path: Path, another_process: None, monkeypatch: pytest.MonkeyPatch
):
    name, after, stays = BEGUN[kind]
    part = tmp_path / name
    part.mkdir() if is_folder else part.write_text("half")
    now = time.time()
    monkeypatch.setattr(files.time, "time", lambda: now + after)
    files.clear_leftovers(tmp_path)
    assert part.exists() == stays


def test_a_younger_process_with_the_number_of_one_that_is_gone_did_not_begin_it(
    tmp_path: Path, another_process: None, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / f".a.csv.{OWN}.01234567.part").write_text("half")
    monkeypatch.setattr(files.psutil.Process, "create_time", lambda _: time.time() + 100)
    files.clear_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("has_new", [False, True])
def test_a_folder_that_was_set_aside_comes_back_unless_the_new_one_is_there(
    has_new: bool, tmp_path: Path, another_process: None
):
    aside = tmp_path / f".files.999999999-{files.MACHINE}.01234567.old"
    aside.mkdir()
    (aside / "old.txt").write_text("old")
    if has_new:
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / "new.txt").write_text("new")
    with pytest.raises(RuntimeError), replacing(tmp_path / "files"):
        raise RuntimeError
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt")] == [
        "files/new.txt" if has_new else "files/old.txt"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_full_disk_names_the_folder_that_was_being_replaced(tmp_path: Path):
    """Pillow's errors name no file."""
    with pytest.raises(OSError) as full, replacing(tmp_path / "files"):
        raise OSError(errno.ENOSPC, "full")
    assert full.value.filename == str(tmp_path / "files")
    with pytest.raises(OSError) as other, replacing(tmp_path / "files"):
        raise OSError(errno.ECONNRESET, "reset")
    assert other.value.filename is None


def test_two_writers_of_one_folder_do_not_mix_their_files(tmp_path: Path):
    with replacing(tmp_path / "files") as first, replacing(tmp_path / "files") as second:
        (first / "a.txt").write_text("first")
        (second / "a.txt").write_text("second")
        assert (first / "a.txt").read_text() == "first"
    assert (tmp_path / "files" / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


@pytest.mark.parametrize(
    "name", [".metrics.json.12-abcdef.01234567.part", ".seed0.done.part", ".files.12-abcdef.01234567.old"]
)
def test_names_of_leftovers(name: str):
    assert files.is_leftover(name)


@pytest.mark.parametrize("name", ["metrics.json", "a.tgz.part", ".DS_Store", "x.old", "seed0.done"])
def test_names_of_what_is_none(name: str):
    assert not files.is_leftover(name)
