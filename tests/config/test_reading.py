"""Reading YAML: what is read is what is written, and a file that cannot be read ends in a sentence, soon."""

import os
import time
from pathlib import Path

import pytest
import yaml

from florilegium.config.reading import LARGEST, read_text, read_yaml
from florilegium.core.errors import UserError

PROJECT = Path(__file__).resolve().parents[2]
OWN = sorted(path for folder in ("workflow", "examples", "docs") for path in (PROJECT / folder).rglob("*.yaml"))


@pytest.mark.parametrize("path", [PROJECT / "config.yaml", *OWN], ids=lambda path: path.name)
def test_the_project_s_files_are_read_as_yaml_reads_them(path: Path):
    assert repr(read_yaml(path)) == repr(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3, m: 4}",
        "a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y], m: 4}",
        "a: &x {k: 1}\nb: {m: 1, <<: *x}",
        "a: 1_000\nb: 0x1F\nc: 1_000.5\nd: -.inf\ne: ~\nf: 'no'\ng: !!str 5\nh: |\n  two\n  lines\n",
        "{a: [1, {b: c}], d: 'e: f'}",
    ],
)
def test_merge_keys_and_plain_values_are_those_of_yaml(text: str):
    assert repr(read_text(text, "f")) == repr(yaml.safe_load(text))


def test_keys_are_text_as_it_is_written():
    text = "no: 1\n18: 2\n1.10: 3\n~: 4\n2024-01-01: 5\n010: 6\n'a b': 7\n"
    assert read_text(text, "f") == {
        "no": 1, "18": 2, "1.10": 3, "~": 4, "2024-01-01": 5, "010": 6, "a b": 7
    }  # fmt: skip


def test_a_byte_order_mark_and_other_line_ends_change_nothing(tmp_path: Path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: [2]\r\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": 1, "b": [2]}


def refused(path: Path) -> str:
    with pytest.raises(UserError) as told:
        read_yaml(path, "f.yaml")
    assert "\n" not in str(told.value)
    return str(told.value).removeprefix("f.yaml: ")


def test_what_is_no_readable_file_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(LARGEST + 1)
    (tmp_path / "file").write_text("a: 1")
    assert refused(tmp_path) == "is a folder; give a YAML file"
    assert refused(tmp_path / "absent") == "there is no such file"
    assert refused(tmp_path / "file" / "below") == "there is no such file"
    assert refused(tmp_path / "nowhere") == "is a link to nothing"
    assert refused(tmp_path / "circle").startswith("cannot be read (")
    assert refused(tmp_path / "pipe") == "is no regular file; give a YAML file"
    assert "has 16 MB" in refused(tmp_path / "large")
    assert refused(tmp_path / ("x" * 300)).startswith("cannot be read (")
    assert refused(tmp_path / "a\0b").startswith("cannot be read (")

    def forbidden(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    assert refused(tmp_path / "file") == "may not be read; give yourself the permission (chmod u+r)"


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 40)
)
DEEP = {
    "brackets": "a: " + "[" * 100_000,
    "closed brackets": "a: " + "[" * 100_000 + "]" * 100_000,
    "braces": "{a: " * 50_000,
    "dashes": "- " * 100_000 + "a",
    "marks": "? " * 50_000 + "a",
    "indentation": "\n".join(" " * k + "a:" for k in range(2000)),
    "lines": "\n".join(" " * k + "-" for k in range(2000)),
    "aliases": BOMB,
    "itself": "a: &a {b: [*a]}",
}


@pytest.mark.parametrize("kind", DEEP)
def test_what_grows_without_bound_is_refused_at_once(kind: str):
    began = time.process_time()
    with pytest.raises(UserError) as told:
        read_text(DEEP[kind], "f.yaml")
    assert str(told.value).startswith("f.yaml line ") and "\n" not in str(told.value)
    assert time.process_time() - began < 3
