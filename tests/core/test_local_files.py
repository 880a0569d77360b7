"""A mark of a person's own files changes when their content does, whatever they are called and whatever clocks say."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from florilegium.core import local_files
from florilegium.core.errors import UserError
from florilegium.core.files import digest
from florilegium.core.local_files import Mark, below, listed, mark, record_of, recorded_paths, refresh, remember

DAY = 86_400 * 10**9
NAMES = ["0.png", "photo {edited}.png", "<b>&.png", " -x.png", "%s $HOME `id`.png", "ü.png", "u\u0308.png", "1\n2.png"]
RECORD = record_of("datasets", "mine")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pictures with names of every kind, which a stage has read."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my {pictures}"
    for number, name in enumerate((*NAMES, os.fsdecode(b"\xff.png"))):
        path = folder / f"class {number % 2}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 8)
    read(folder)
    return folder


def read(folder: Path) -> str:
    """Do as a stage does: read all files, and remember them with the mark that the plan gave."""
    files = below(folder)
    text = mark(files, RECORD).text
    content = [{"path": name, "sha256": digest(path)} for name, path in files.paths.items()]
    remember("datasets", "mine", text, files, files.status(), content)
    return text


def now(folder: Path) -> Mark:
    return mark(below(folder), RECORD)


def touch(path: Path, by: int) -> None:
    """Move a file's modification time by some nanoseconds."""
    modified = path.stat().st_mtime_ns + by
    os.utime(path, ns=(modified, modified))


def some(folder: Path) -> Path:
    return folder / "class 1" / "photo {edited}.png"


def replaced(folder: Path) -> None:
    """Another content of the same size and modification time."""
    before = some(folder).stat().st_mtime_ns
    some(folder).write_bytes(b"z" * 8)
    os.utime(some(folder), ns=(before, before))


def of_the_future(folder: Path) -> None:
    some(folder).write_bytes(b"z" * 8)
    touch(some(folder), 3 * DAY)


def of_the_past(folder: Path) -> None:
    some(folder).write_bytes(b"z" * 9)
    touch(some(folder), -9000 * DAY)


def new(folder: Path) -> None:
    shutil.copy2(some(folder), some(folder).with_name("copy {edited}.png"))


def renamed(folder: Path) -> None:
    some(folder).rename(some(folder).with_name("another.png"))


CHANGES: dict[Callable[[Path], None], str] = {
    replaced: "1 changed (class 1/photo {edited}.png, ",
    of_the_future: "1 changed (class 1/photo {edited}.png, ",
    of_the_past: "1 changed (class 1/photo {edited}.png, ",
    new: "1 new (class 1/copy {edited}.png, ",
    renamed: "1 new (class 1/another.png, ",
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_gives_another_mark_until_it_is_read(pictures: Path, change: Callable[[Path], None]):
    before = now(pictures)
    assert not before.told
    change(pictures)
    after = now(pictures)
    assert after.text != before.text
    assert after.told.startswith(f"files below {pictures} changed: ") and CHANGES[change] in after.told
    assert read(pictures) == after.text
    assert now(pictures) == Mark(after.text)


def test_what_is_gone_is_told(pictures: Path):
    before = now(pictures).text
    (pictures / "class 0" / "0.png").unlink()
    assert now(pictures).text != before and now(pictures).told.endswith("changed: 1 gone (class 0/0.png)")


def test_times_alone_and_litter_change_nothing(pictures: Path):
    before = now(pictures)
    touch(some(pictures), 3 * DAY)
    touch(pictures / "class 0" / "0.png", -DAY)
    for name in (".DS_Store", "Thumbs.db", "._0.png"):
        (pictures / "class 0" / name).write_bytes(b"litter")
    shutil.copytree(pictures, pictures.with_name("copy"))
    assert now(pictures).text == mark(below(pictures.with_name("copy")), RECORD).text == before.text


def test_what_was_touched_is_hashed_once(pictures: Path, monkeypatch: pytest.MonkeyPatch):
    touch(some(pictures), DAY)
    found = now(pictures)
    refresh(RECORD, found.touched)
    monkeypatch.setattr(local_files, "digests", lambda paths, title: [pytest.fail(f"hashed {path}") for path in paths])
    assert now(pictures) == Mark(found.text)


def test_a_change_while_a_stage_reads_is_seen_later(pictures: Path):
    files = below(pictures)
    before, text = files.status(), now(pictures).text
    content = [{"path": name, "sha256": digest(path)} for name, path in files.paths.items()]
    some(pictures).write_bytes(b"later!")
    remember("datasets", "mine", text, files, before, content)
    assert now(pictures).text != text


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"mark": 1, "files": {}, "paths": {}}', '{"mark": "x", "files": [1]}']
)
def test_without_a_record_the_same_files_have_the_same_mark(pictures: Path, damage: str):
    RECORD.write_text(damage)
    first = now(pictures)
    assert first == now(pictures) and not first.told
    new(pictures)
    assert now(pictures).text != first.text


def test_single_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An archive that is gone leaves what was made of it; one that is another does not."""
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "set{1}.zip"
    archive.write_bytes(b"first")
    files, record = listed("mine", {"set.zip": archive}), record_of("weights", "mine")
    text = mark(files, record).text
    remember("weights", "mine", text, files, files.status(), [{"file": "set.zip", "sha256": digest(archive)}])
    assert recorded_paths("weights", "mine") == {"set.zip": archive} and not recorded_paths("weights", "other")
    archive.write_bytes(b"other")
    assert mark(files, record).told.startswith("files of mine changed: 1 changed (set.zip, ")
    archive.unlink()
    assert mark(files, record) == Mark(text)


def test_a_folder_that_cannot_be_walked_is_one_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="there is no such folder"):
        below(tmp_path / "nowhere")
