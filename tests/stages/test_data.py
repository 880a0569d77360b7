"""Fetch, index and pack as the workflow runs them, on an archive of each official layout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from florilegium.config.datasets import Dataset, DatasetOverride
from florilegium.core.files import read_json
from florilegium.stages import fetch, index, pack
from tests.helpers.archives import colour, oxford17_files
from tests.helpers.data import dataset, picture, tar, zipped
from tests.helpers.stages import run_stage

SHOWN = {"title", "citation", "terms", "homepage"}


def run(
    monkeypatch: pytest.MonkeyPatch,
    here: Path,
    source: Dataset,
    files: dict[str, object],
    split: int | None = None,
    mirrors: Sequence[str] = (),
) -> tuple[dict, list[list[str]], np.ndarray]:
    """All three stages below `here`: the summary, the rows of images.csv and the pixels."""
    monkeypatch.chdir(here)
    entry = source.model_dump(mode="json", exclude=SHOWN, exclude_none=True)
    places = DatasetOverride.model_validate({"files": files, "mirrors": mirrors})
    override = places.model_dump(mode="json") if files or mirrors else None
    resources = Path("resources/set")
    listing, table = resources / "files.json", resources / "images.csv"
    pixels = resources / "pixels8.npy"
    run_stage(monkeypatch, fetch, {"dataset": entry, "override": override}, "--name", "set", "--out", listing)
    run_stage(monkeypatch, index, {"dataset": entry, "split": split}, "--files", listing, "--out", table)
    spec = {"layout": entry["layout"], "corrupt": "stop", "pictures": {}}
    run_stage(monkeypatch, pack, spec, "--files", listing, "--size", 8, "--workers", 1, "--out", pixels)
    for output in (listing, table, pixels):
        receipt = read_json(output.with_suffix(".receipt.json"))
        assert receipt["code"] == "c0de" and output.as_posix() in receipt["outputs"]
    packed, rows = (pd.read_csv(path) for path in (pixels.with_suffix(".csv"), table))
    assert list(packed["image"]) == list(rows["image"])
    return read_json(table.with_suffix(".json")), rows.values.tolist(), np.load(pixels)


def test_oxford_17_from_archive_to_pixels(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, splits = oxford17_files()
    (tmp_path / "s.mat").write_bytes(splits)
    archive = tar(tmp_path / "17flowers.tgz", content)
    files = {"17flowers.tgz": {"path": str(archive)}, "datasplits.mat": {"path": str(tmp_path / "s.mat")}}
    summary, rows, pixels = run(monkeypatch, tmp_path, dataset(project, "oxford17"), files, split=3)
    assert (summary["n_train"], summary["n_val"], summary["n_test"]) == (680, 340, 340)
    assert summary["split_origin"] == "official split 3"
    assert summary["other_files"] == ["17flowers.tgz", "datasplits.mat"]  # these are not the makers'
    assert rows[0] == ["jpg/image_0001.jpg", "Daffodil", "test"]
    assert rows[3] == ["jpg/image_0004.jpg", "Daffodil", "train"]
    assert pixels.shape == (1360, 8, 8, 3)
    expected = [colour(n // 80) for n in range(1360)]
    assert np.abs(pixels.mean(axis=(1, 2)) - expected).max() < 4


@pytest.mark.parametrize("packed", [False, True], ids=["a folder", "a zip"])
def test_a_folder_a_class_from_disk_or_archive_to_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    content = {f"pets/{label}/{i}.jpg": picture() for label in ("red cat", "dog, big") for i in range(10)}
    if packed:
        archive = zipped(tmp_path / "pets.zip", content)
        files = [{"file": "pets.zip", "urls": [archive.as_uri()]}]
        source = Dataset.model_validate({"title": "pets", "layout": "folders", "files": files})
    else:
        for name, data in content.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        source = Dataset(title="pets", layout="folders", folder="pets")
    summary, rows, pixels = run(monkeypatch, tmp_path, source, {})
    assert summary["classes"] == ["dog, big", "red cat"]
    assert (summary["n_train"], summary["n_val"], summary["n_test"]) == (12, 4, 4)
    assert rows[0][0].endswith("dog, big/0.jpg") and rows[0][1] == "dog, big"
    assert len(pixels) == 20


def test_the_log_and_the_summary_say_which_folders_are_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("Train", "valid", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "pets" / split / label).mkdir(parents=True)
            (tmp_path / "pets" / split / label / "1.jpg").write_bytes(picture())
    summary, rows, _ = run(monkeypatch, tmp_path, Dataset(title="pets", layout="folders", folder="pets"), {})
    assert summary["split_origin"] == "folders: Train (as train), valid (as val), test"
    assert "splits: folders: Train (as train), valid (as val), test" in capsys.readouterr().out
    assert [row[1:] for row in rows] == [[c, s] for s in ("train", "test", "val") for c in ("cat", "dog")]
