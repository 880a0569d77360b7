"""Tiny ImageNet: the official layout to splits, label order, words and pixels."""

import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError
from florilegium.data.layouts import index, recognise
from tests.helpers.archives import tiny_archive, tiny_files
from tests.helpers.data import dataset
from tests.stages.test_data import run

WORDS = {"n01443537": "goldfish, Carassius auratus", "n02124075": "Egyptian cat", "n07753592": "banana"}
TOP = "tiny-imagenet-200"


def own() -> Dataset:
    return Dataset(title="tiny", layout="tiny_imagenet", folder=".")


def test_from_archive_to_pixels(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tiny_archive(tmp_path / "tiny.zip", tiny_files(WORDS, n_train=20))
    summary, table, packed = run(monkeypatch, tmp_path, dataset(project, "tiny_imagenet"), archive)
    assert summary["classes"] == list(WORDS) and len(summary["absent_classes"]) == 197
    assert summary["words"] == {"n01443537": "goldfish", "n02124075": "Egyptian cat", "n07753592": "banana"}
    per_class = Counter((label, split) for _, label, split in table)
    assert {per_class[w, s] for w in WORDS for s in ("train",)} == {18}
    assert {(per_class[w, "val"], per_class[w, "test"]) for w in WORDS} == {(2, 3)}
    assert "official val as test; val is the project's own" in summary["split_origin"]
    assert {split for image, _, split in table if "/val/" in image} == {"test"}
    assert not any("/test/" in image for image, _, _ in table)
    # The annotations say the class of a validation image, whatever its number; grey pictures become RGB.
    for (_, label, split), pixels in zip(table, packed, strict=True):
        place = list(WORDS).index(label)
        expected = (90, 90, 90) if place == 0 and split != "test" else (40 * place, 200, 10)
        assert np.abs(pixels.astype(int) - expected).max() < 4


def folder(tmp_path: Path, files: dict[str, bytes]) -> tuple[Path, list[str]]:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path, list(files)


def test_without_declared_classes_wnids_gives_the_label_order(tmp_path: Path) -> None:
    root, paths = folder(tmp_path, tiny_files(WORDS))
    found = index(own(), root, paths)
    assert found.classes == tuple(reversed(WORDS))
    assert index(own(), root, list(reversed(paths))) == found


def test_words_are_optional(tmp_path: Path) -> None:
    files = tiny_files(WORDS)
    del files[f"{TOP}/words.txt"]
    assert index(own(), *folder(tmp_path, files)).summary()["words"] == {}


def test_images_without_a_published_label_are_passed_over(tmp_path: Path) -> None:
    labelled = ["train/n1/images/a.JPEG", "val/images/b.JPEG"]
    assert recognise("tiny_imagenet", tmp_path, [*labelled, "test/images/c.JPEG", "train/n1/a.JPEG"]) == labelled


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("val/val_annotations.txt", None, "val_annotations.txt is not below"),
        ("wnids.txt", None, "wnids.txt is not below"),
        ("val/val_annotations.txt", b"val_0.JPEG\tn01443537\n", "val_annotations.txt does not cover"),
        ("val/val_annotations.txt", b"val_0.JPEG n01443537\n", "line 1 has less than 2 columns"),
        ("wnids.txt", b"n01443537\nn02124075\n", "unknown class 'n07753592'"),
    ],
)
def test_what_does_not_fit_gets_one_sentence(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    files = tiny_files(WORDS)
    del files[f"{TOP}/{name}"]
    if content is not None:
        files[f"{TOP}/{name}"] = content
    with pytest.raises(UserError) as caught:
        index(own(), *folder(tmp_path, files))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_real_part_is_indexed(project: Path, photographs: Path, tmp_path: Path) -> None:
    with tarfile.open(photographs / "tiny-imagenet-part.tar.xz") as archive:
        members = archive.getmembers()
        archive.extractall(tmp_path, [m for m in members if m.name.endswith(".txt")], filter="data")
    tiny = dataset(project, "tiny_imagenet")
    found = index(tiny, tmp_path, [member.name for member in members])
    assert Counter(split for _, _, split in found.rows) == {"train": 4500, "val": 500, "test": 2500}
    assert (len(found.classes), len(found.absent_classes)) == (50, 150)
    assert found.classes == tuple(sorted(found.classes)) and set(found.classes) == set(found.words)
    assert found.words["n01698640"] == "American alligator"
