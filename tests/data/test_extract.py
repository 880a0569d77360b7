"""Unpacking: every format, and every archive that must be refused."""

import errno
import io
import tarfile
import zipfile
from pathlib import Path
from random import Random

import pytest

from florilegium.core.errors import UserError
from florilegium.core.files import replacing
from florilegium.data.extract import Limits, extract
from tests.helpers.data import tar, zipped

CONTENT = {"a/one.txt": b"one" * 5000, "a/b/two.txt": b"", "three.txt": b"3"}
MODES = {"tar": "w", "tgz": "w:gz", "tar.xz": "w:xz", "tar.bz2": "w:bz2"}


def pack(folder: Path, kind: str, content: dict[str, bytes]) -> Path:
    path = folder / f"x.{kind}"
    return zipped(path, content) if kind == "zip" else tar(path, content, MODES[kind])


def unpacked(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", [*MODES, "zip"])
def test_all_formats_give_back_what_was_packed(tmp_path: Path, kind: str) -> None:
    extract(pack(tmp_path, kind, CONTENT), tmp_path / "out")
    assert unpacked(tmp_path / "out") == CONTENT


def test_the_content_says_what_it_is_and_not_the_name(tmp_path: Path) -> None:
    archive = pack(tmp_path, "tar.xz", CONTENT).rename(tmp_path / "17flowers.tgz")
    extract(archive, tmp_path / "out")
    assert unpacked(tmp_path / "out") == CONTENT


@pytest.mark.parametrize("kind", ["tgz", "zip"])
@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", "..\\x", "C:\\x", "C:x", "\\\\host\\share\\x"])
def test_paths_outside_the_folder_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    archive = pack(tmp_path, kind, {"first.txt": b"1", name: b"evil"})
    with pytest.raises(UserError, match="leads outside its folder"):
        extract(archive, tmp_path / "deep" / "out")
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {archive.name, "first.txt"}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "is neither a file nor a folder"),
        (tarfile.CHRTYPE, "is neither a file nor a folder"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes, said: str) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("inner")
        member.type, member.linkname = kind, "../../secret"
        archive.addfile(member)
    with pytest.raises(UserError, match=f"'inner' in it {said}"):
        extract(path, tmp_path / "out")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("inner")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "../../secret")
    with pytest.raises(UserError, match="'inner' in it is a link"):
        extract(path, tmp_path / "out")


def test_one_path_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for content in (b"good", b"evil"):
            member = tarfile.TarInfo("same.txt")
            member.size = 4
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(UserError, match=r"'same\.txt' in it is named twice"):
        extract(path, tmp_path / "out")


@pytest.mark.parametrize("kind", [*MODES, "zip"])
@pytest.mark.parametrize("part", [0.3, 0.95])
def test_truncated_archives_are_a_sentence(tmp_path: Path, kind: str, part: float) -> None:
    noise = Random(0).randbytes(60_000)
    archive = pack(tmp_path, kind, {"a.bin": noise, "b.bin": noise[::-1]})
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(UserError, match="damaged or truncated"):
        extract(archive, tmp_path / "out")


def test_a_tar_that_is_cut_between_two_members_is_not_taken_for_whole(tmp_path: Path) -> None:
    archive = pack(tmp_path, "tar", {"a.bin": b"x" * 512, "b.bin": b"y" * 512})
    archive.write_bytes(archive.read_bytes()[:1024])
    with pytest.raises(UserError, match="damaged or truncated"):
        extract(archive, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x1f\x8b garbage", b"PK\x03\x04 garbage"])
def test_what_is_no_archive_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tgz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.tgz: damaged or truncated, or no archive"):
        extract(path, tmp_path / "out")


@pytest.mark.parametrize("kind", ["tgz", "zip"])
@pytest.mark.parametrize(
    "limits", [Limits(bytes=100_000), Limits(files=2), Limits(ratio=50, free=0)], ids=["bytes", "files", "ratio"]
)
def test_bombs_stop_at_each_limit(tmp_path: Path, kind: str, limits: Limits) -> None:
    archive = pack(tmp_path, kind, {f"{i}.bin": bytes(1_000_000) for i in range(3)})
    with pytest.raises(UserError, match="made to fill a disk"):
        extract(archive, tmp_path / "out", limits)
    assert sum(len(content) for content in unpacked(tmp_path / "out").values()) <= 2_000_000
    extract(archive, tmp_path / "whole", Limits(ratio=5000))


def test_no_more_is_unpacked_than_a_header_says(tmp_path: Path) -> None:
    archive = pack(tmp_path, "zip", {"a.bin": bytes(1_000_000)})
    honest, lie = (1_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")
    assert archive.read_bytes().count(honest) == 2  # beside the content, and in the table at the end
    archive.write_bytes(archive.read_bytes().replace(honest, lie))
    with pytest.raises(UserError, match="damaged or truncated"):
        extract(archive, tmp_path / "out", Limits(bytes=10_000))
    assert sum(len(content) for content in unpacked(tmp_path / "out").values()) <= 1_000


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_a_path_that_is_a_file_and_a_folder_is_refused(tmp_path: Path, kind: str, names: tuple[str, str]) -> None:
    archive = pack(tmp_path, kind, dict.fromkeys(names, b"x"))
    with pytest.raises(UserError, match="is a file and a folder at once"):
        extract(archive, tmp_path / "out")


def test_a_full_disk_is_not_called_a_damaged_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for kind in ("tgz", "zip"):
        archive = pack(tmp_path, kind, CONTENT)
        monkeypatch.setattr(tarfile.TarFile, "makefile", full)
        monkeypatch.setattr(zipfile.ZipFile, "_extract_member", full)
        with pytest.raises(OSError, match="No space left"):
            extract(archive, tmp_path / kind)


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    with replacing(folder) as fresh:
        (fresh / "old.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(folder) as fresh:
        (fresh / "new.txt").write_text("new")
        raise KeyboardInterrupt
    assert unpacked(folder) == {"old.txt": b"old"}
    with replacing(folder) as fresh:
        (fresh / "new.txt").write_text("new")
    assert unpacked(folder) == {"new.txt": b"new"}
    assert list(tmp_path.iterdir()) == [folder]
