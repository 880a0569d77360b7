"""The walk of folders: links, circles, litter and names of any kind; what is left out is counted and named."""

import os
import re
import socket
from pathlib import Path

import pytest

from florilegium.core import walk as subject
from florilegium.core.errors import UserError
from florilegium.core.outputs import AUDIT, AUDIT_PAGE, AUDIT_TABLES
from florilegium.core.walk import told, walk


def files(root: Path, *names: str) -> Path:
    """Empty files below `root`."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_files_come_as_paths_sorted_as_text(tmp_path: Path) -> None:
    files(tmp_path, "b/2.jpg", "b/10.jpg", "a b/1.jpg", "a/1.jpg", "B/1.jpg", "top.txt", "é/1.jpg")
    found = walk(tmp_path)
    assert found.files == ["B/1.jpg", "a b/1.jpg", "a/1.jpg", "b/10.jpg", "b/2.jpg", "top.txt", "é/1.jpg"]
    assert found.left_out == {}
    assert told(found.left_out) == ""


@pytest.mark.parametrize("name", ["", ".cache/set", "@eaDir"])
def test_the_folder_itself_may_be_called_anything(tmp_path: Path, name: str) -> None:
    assert walk(files(tmp_path / name, "a/1.jpg")).files == ["a/1.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        *(".DS_Store", "._1.jpg", ".hidden/1.jpg", "__MACOSX/a/1.jpg", "Icon\r", ".ipynb_checkpoints/1-checkpoint.jpg"),
        *("Thumbs.db", "THUMBS.DB", "ehthumbs.db", "desktop.ini", "Desktop.ini", "$RECYCLE.BIN/1.jpg"),
        *(
            "System Volume Information/1.jpg",
            "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
            "lost+found/1.jpg",
            "#recycle/1.jpg",
        ),
        *("RECYCLER/1.jpg", "1.jpg:Zone.Identifier", "ZbThumbnail.info"),
        *(".git/1.jpg", ".Trash-1000/files/1.jpg", ".1.jpg.a1b2c3d4.part"),
    ],
)
@pytest.mark.parametrize("below", ["", "a/", "a/deep/"])
def test_what_is_hidden_or_litter_is_passed_over(tmp_path: Path, name: str, below: str) -> None:
    files(tmp_path, "a/1.jpg", below + name)
    found = walk(tmp_path)
    assert found.files == ["a/1.jpg"]
    hidden = below + name.split("/")[0]
    assert found.left_out == {"hidden": [hidden]}
    assert told(found.left_out) == f"1 file is left out: 1 hidden ({hidden})"


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    files(tmp_path, "elsewhere/.blobs/cafe", "elsewhere/cats/1.jpg", "elsewhere/cats/deep/2.jpg")
    root = files(tmp_path / "set", "dogs/3.jpg")
    (root / "cats").symlink_to(tmp_path / "elsewhere" / "cats")
    (root / "tigers").symlink_to("../elsewhere/cats")  # two classes of one folder
    (root / "dogs" / "4.jpg").symlink_to(tmp_path / "elsewhere" / ".blobs" / "cafe")
    cats = ["1.jpg", "deep/2.jpg"]
    expected = [*(f"cats/{n}" for n in cats), "dogs/3.jpg", "dogs/4.jpg", *(f"tigers/{n}" for n in cats)]
    assert walk(root).files == expected
    (tmp_path / "to the set").symlink_to(root)
    assert walk(tmp_path / "to the set").files == expected


@pytest.mark.parametrize("target", [".", "..", "../..", "/"])
def test_a_link_in_a_circle_is_one_sentence_that_names_it(tmp_path: Path, target: str) -> None:
    files(tmp_path, "set/a/1.jpg")
    (tmp_path / "set" / "a" / "again").symlink_to(target)
    with pytest.raises(UserError, match=r"set/a/again: this link leads to a folder that it lies in.*remove the link"):
        walk(tmp_path / "set")


def test_two_links_in_a_circle_end(tmp_path: Path) -> None:
    files(tmp_path, "set/a/1.jpg", "other/2.jpg")
    (tmp_path / "set" / "a" / "there").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(tmp_path / "set" / "a")
    with pytest.raises(UserError, match=r"set/a/there/back: this link leads to a folder that it lies in"):
        walk(tmp_path / "set")


def test_links_that_multiply_come_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST_VISITS", 100)
    files(tmp_path, *(f"store/{level}/keep.jpg" for level in range(30)))
    for level in range(29):
        for name in "ab":
            (tmp_path / "store" / str(level) / name).symlink_to(tmp_path / "store" / str(level + 1))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "start").symlink_to(tmp_path / "store" / "0")
    with pytest.raises(UserError, match="more than 100 links lead to this one folder"):
        walk(tmp_path / "set")


def test_what_is_no_file_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path, "a/1.jpg", "a/1.jpg~", "a/~$1.jpg", "a/#1.jpg#")
    (tmp_path / "a" / "2.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "b").symlink_to("b")
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    (tmp_path / "a" / "null.jpg").symlink_to("/dev/null")
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
    found = walk(tmp_path)
    assert found.files == ["a/1.jpg"]
    assert found.left_out == {
        "backup of an editor": ["a/#1.jpg#", "a/1.jpg~", "a/~$1.jpg"],
        "broken link": ["a/2.jpg", "b"],
        "socket, pipe or device": ["a/null.jpg", "a/pipe.jpg", "socket.jpg"],
    }
    assert told(found.left_out) == (
        "8 files are left out: 3 backup of an editor (a/#1.jpg#), 3 socket, pipe or device (a/null.jpg), "
        "2 broken link (a/2.jpg)"
    )


def test_a_folder_that_cannot_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path, "a/1.jpg", "closed/2.jpg")
    scandir = os.scandir

    def closed(path: str) -> object:  # whoever runs the tests may be allowed to read everything
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UserError, match=r"closed: this folder cannot be read \(Permission denied\); give"):
        walk(tmp_path)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'no'}: there is no such folder")):
        walk(tmp_path / "no")
    files(tmp_path, "1.jpg")
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / '1.jpg'}: is a file; give its folder")):
        walk(tmp_path / "1.jpg")


NAMES = [
    *(
        "with space.jpg",
        "{sample}.jpg",
        "<b>.jpg",
        "'q\".jpg",
        "#%&;$(x)`.jpg",
        "line\nbreak\t.jpg",
        "-rf.jpg",
        "=1+1.jpg",
    ),
    *("\U0001f33c.jpg", "cafe\u0301.jpg", "caf\u00e9.jpg", "back\\slash.jpg", "NUL.jpg", "dot.", "a" * 251 + ".jpg"),
    *(os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"\xff\xfe.jpg"), "null", "1e3", " "),
]


def test_names_of_any_kind_are_found_as_they_are(tmp_path: Path) -> None:
    files(tmp_path, *(f"{name}/{name}" for name in NAMES))
    found = walk(tmp_path)
    assert found.files == sorted(f"{name}/{name}" for name in NAMES)
    assert all((tmp_path / name).is_file() for name in found.files)


def test_a_path_may_be_very_deep(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 300)
    files(tmp_path, f"{deep}/1.jpg")
    assert walk(tmp_path).files == [f"{deep}/1.jpg"]


def test_what_an_audit_wrote_is_no_picture_of_a_data_set(tmp_path: Path) -> None:
    written = (*AUDIT, *AUDIT_PAGE, *AUDIT_TABLES)
    files(tmp_path, *(f"found/{name}" for name in written), "found/own.jpg", "a/distances.png")
    found = walk(tmp_path)
    assert found.files == ["a/distances.png", "found/own.jpg"]
    assert set(found.left_out) == {"written by an audit"}
    assert len(found.left_out["written by an audit"]) == len(written)
