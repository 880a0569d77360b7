"""JSON that other programs wrote: any encoding of Unicode is read, and each fault is one sentence with its place."""

import codecs
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from florilegium.core.errors import UserError
from florilegium.data.json_files import flag, number, read_foreign_json, whole

TEXT = '{"name": "Gänseblümchen", "id": 7}'
CONTENT = {"name": "Gänseblümchen", "id": 7}


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        json.dumps(CONTENT).encode(),
        TEXT.replace(" ", "\r\n").encode(),
    ],
)
def test_every_encoding_of_unicode_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert read_foreign_json(path) == CONTENT


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (codecs.BOM_UTF8, "is empty"),
        (b" \n", "is empty"),
        (b'{"a": [1, 2', "not valid JSON (it is cut in line 1)"),
        (b'{"a": "no end', "not valid JSON (it is cut in line 1)"),
        (b'{"a":\n', "not valid JSON (it is cut in line"),
        (b'{"a": 1}\n{"a": 2}', "Extra data at line 2, column 1"),
        (b"<html></html>", "Expecting value at line 1, column 1"),
        (b"{'a': 1}", "at line 1, column 2"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ' * 100_000, "nested too deep"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "digits"),
        (b'{"a": {"id": 3, "b": 1, "b": 2}}', "the key 'b' is twice in the object {'id': 3, 'b': 2}"),
        ('{"a": "é"}'.encode("latin-1"), "is not written in UTF-8 or UTF-16 (byte 0xe9 in line 1 is no UTF-8)"),
        (gzip.compress(b"{}", mtime=0), "is packed (gzip); unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    ],
)
def test_each_fault_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_foreign_json(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and sentence in said and "; " in said
    assert "\n" not in said and len(said) < 300 + len(str(path))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.json: there is no such file"):
        read_foreign_json(tmp_path / "a.json")
    with pytest.raises(UserError, match="is a folder, where a file is wanted"):
        read_foreign_json(tmp_path)
    with pytest.raises(UserError, match=r"b\.json: cannot be read"):
        read_foreign_json(Path("\0b.json"))


NUMBERS = [
    (2, 2, 2),
    (2.0, 2.0, 2),
    ("2", 2, 2),
    ("2.0", 2.0, 2),
    (" 2 ", 2, 2),
    ("+2", 2, 2),
    ("-3", -3, -3),
    (2.5, 2.5, None),
    ("2.5", 2.5, None),
    ("1e3", 1000.0, None),  # a text of hexadecimal digits might look like that
    (1e300, 1e300, None),
    (10**30, 10**30, None),
    ("00042", 42, 42),
]


@pytest.mark.parametrize(("value", "as_number", "as_whole"), NUMBERS)
def test_a_number_is_one_in_any_form(value: Any, as_number: float, as_whole: int | None) -> None:
    assert number(value) == as_number
    assert whole(value) == as_whole


NONE_AT_ALL = [None, "", "img_1", "1_000", "٣", "nan", "inf", float("nan"), float("inf"), True, [1], {}, "0x10", "1,5"]


@pytest.mark.parametrize("value", NONE_AT_ALL)
def test_what_is_no_number_is_none(value: Any) -> None:
    assert number(value) is None and whole(value) is None


@pytest.mark.parametrize("value", [1, 1.0, True, "1", "1.0", "true", "True", " TRUE "])
def test_a_flag_is_set_in_any_form(value: Any) -> None:
    assert flag(value) is True


@pytest.mark.parametrize("value", [0, 0.0, False, None, "", " ", "0", "0.0", "false", "False"])
def test_a_flag_is_not_set_in_any_form(value: Any) -> None:
    assert flag(value) is False


@pytest.mark.parametrize("value", [2, -1, 0.5, "2", "maybe", "yes", [], [1], {}, float("nan")])
def test_what_is_no_flag_is_none(value: Any) -> None:
    assert flag(value) is None
