"""Whole files or none, and errors as sentences."""

import errno
import json

import pytest

from florilegium.config import json_schema
from florilegium.config.json_schema import FILES, schema
from florilegium.core.files import atomic, digest, write_json, write_text
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


def test_digest_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert digest(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


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
