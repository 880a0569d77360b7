"""Layouts: class and split of every image, and what a data set that does not fit gets."""

import tarfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from florilegium.core.errors import UserError
from florilegium.core.walk import told
from florilegium.data.layouts import Index, index, recognise, strangers
from tests.helpers.data import dataset, own


def names_17(numbers: Iterable[int], folder: str = "jpg/") -> list[str]:
    return [f"{folder}image_{n:04d}.jpg" for n in numbers]


def splits_17(folder: Path, shift: int = 0, **changes: object) -> None:
    """A `datasplits.mat` of three splits: of each class 40, 20 and 20, turned by one place a split."""
    content: dict[str, object] = {}
    for k in (1, 2, 3):
        place = (np.arange(1360) + k + shift) % 80
        for key, start, end in (("trn", 0, 40), ("val", 40, 60), ("tst", 60, 80)):
            content[f"{key}{k}"] = (np.flatnonzero((place >= start) & (place < end)) + 1).astype(np.uint16)
    scipy.io.savemat(folder / "datasplits.mat", content | changes)


def counts(found: Index) -> Counter[str]:
    return Counter(split for _, _, split in found.rows)


# --- Oxford 17 -----------------------------------------------------------------------------


def test_17_takes_the_official_split_that_is_asked_for(project: Path, tmp_path: Path) -> None:
    splits_17(tmp_path)
    paths = [*names_17(range(1, 1361)), "jpg/files.txt", "datasplits.mat"]
    found = {k: index(dataset(project, "oxford17"), tmp_path, paths, k) for k in (1, 2, 3)}
    for k, result in found.items():
        assert counts(result) == {"train": 680, "val": 340, "test": 340}
        assert result.split_origin == f"official split {k}"
        table = scipy.io.loadmat(tmp_path / "datasplits.mat")
        tested = {image for image, _, split in result.rows if split == "test"}
        assert tested == set(names_17(table[f"tst{k}"].ravel()))
    classes = {image: label for image, label, _ in found[1].rows}
    assert classes["jpg/image_0080.jpg"] == "Daffodil"
    assert classes["jpg/image_0081.jpg"] == "Snowdrop"
    assert classes["jpg/image_0161.jpg"] == "Lily of the valley"
    assert classes["jpg/image_1360.jpg"] == "Pansy"


def test_17_without_the_split_file_says_that_the_split_is_its_own(project: Path, tmp_path: Path) -> None:
    oxford = dataset(project, "oxford17")
    found = index(oxford, tmp_path, names_17(range(1, 1361)))
    assert found.split_origin == "the project's own, seeded and stratified"
    per_class = Counter((label, split) for _, label, split in found.rows)
    assert {per_class[c, "train"] for c in oxford.classes} == {40}
    assert {per_class[c, s] for c in oxford.classes for s in ("val", "test")} == {20}
    elsewhere = index(oxford, tmp_path, names_17(range(1360, 0, -1), folder=""))
    assert [row[1:] for row in elsewhere.rows] == [row[1:] for row in found.rows]


def test_a_part_of_17_drops_the_absent_classes_and_says_so(project: Path, tmp_path: Path) -> None:
    splits_17(tmp_path)
    paths = [*names_17([*range(1, 51), *range(161, 241)]), "datasplits.mat"]
    found = index(dataset(project, "oxford17"), tmp_path, paths, 2)
    assert found.classes == ("Daffodil", "Lily of the valley")
    assert len(found.absent_classes) == 15
    summary = found.summary()
    assert (summary["n_images"], summary["n_classes"]) == (130, 2)
    assert summary["n_train"] + summary["n_val"] + summary["n_test"] == 130


def refused(project: Path, name: str, root: Path, paths: list[str], split: int | None = None) -> str:
    with pytest.raises(UserError) as caught:
        index(dataset(project, name), root, paths, split)
    return str(caught.value)


def test_17_refuses_what_does_not_fit(project: Path, tmp_path: Path) -> None:
    images = names_17(range(1, 161))
    everything = [*images, "datasplits.mat"]
    assert "unknown official split 4; the data set has 1 to 3" in refused(project, "oxford17", tmp_path, images, 4)
    assert "official split 1 needs datasplits.mat" in refused(project, "oxford17", tmp_path, images, 1)
    assert "no images" in refused(project, "oxford17", tmp_path, ["a/image_1.jpg", "b.jpg"])
    assert "class 18" in refused(project, "oxford17", tmp_path, [*images, "image_1361.jpg"])
    assert "same image twice" in refused(project, "oxford17", tmp_path, [*images, "image_0001.jpg"])
    splits_17(tmp_path, tst1=np.arange(100, 161))
    assert "puts jpg/image_" in refused(project, "oxford17", tmp_path, everything, 1)
    splits_17(tmp_path, val1=np.array([50]))
    assert "does not cover jpg/image_" in refused(project, "oxford17", tmp_path, everything, 1)
    scipy.io.savemat(tmp_path / "datasplits.mat", {"trn1": [1]})
    assert "has no variable 'val1'" in refused(project, "oxford17", tmp_path, everything, 1)
    (tmp_path / "datasplits.mat").write_bytes(b"<html>not found</html>" * 20)
    assert "not a readable MATLAB file" in refused(project, "oxford17", tmp_path, everything, 1)


def test_a_class_too_small_to_split_is_named_with_its_count(project: Path, tmp_path: Path) -> None:
    sentence = refused(project, "oxford17", tmp_path, names_17([*range(1, 81), 81, 82]))
    assert "class 'Snowdrop' has too few images to split, 2 where 3 are needed" in sentence


# --- Oxford 102 ----------------------------------------------------------------------------


def files_102(folder: Path, labels: list[int], **ids: list[int]) -> list[str]:
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": np.array(labels, np.uint8)})
    scipy.io.savemat(folder / "setid.mat", {k: np.array(v, np.uint16) for k, v in ids.items()})
    return [*(f"jpg/image_{n:05d}.jpg" for n in range(1, len(labels) + 1)), "imagelabels.mat", "setid.mat"]


def test_102_reads_labels_and_the_official_split(project: Path, tmp_path: Path) -> None:
    paths = files_102(tmp_path, [102, 1, 102, 1, 1], trnid=[1, 2], valid=[3], tstid=[4, 5])
    found = index(dataset(project, "oxford102"), tmp_path, paths)
    assert [row[1:] for row in found.rows] == [
        ("blackberry lily", "train"),
        ("pink primrose", "train"),
        ("blackberry lily", "val"),
        ("pink primrose", "test"),
        ("pink primrose", "test"),
    ]
    assert found.classes == ("pink primrose", "blackberry lily")
    assert len(found.absent_classes) == 100
    assert found.split_origin == "official"


def test_102_refuses_what_does_not_fit(project: Path, tmp_path: Path) -> None:
    paths = files_102(tmp_path, [102, 1, 1, 1], trnid=[1, 2], valid=[3], tstid=[4])
    beyond = [*paths, "jpg/image_00005.jpg"]
    assert "labels 4 images and does not cover jpg/image_00005.jpg" in refused(project, "oxford102", tmp_path, beyond)
    assert "setid.mat is not below" in refused(project, "oxford102", tmp_path, paths[:-1])
    paths = files_102(tmp_path, [102, 1, 1, 1], trnid=[1, 2], valid=[3], tstid=[])
    assert "does not cover jpg/image_00004.jpg" in refused(project, "oxford102", tmp_path, paths)
    paths = files_102(tmp_path, [102, 1, 1, 1], trnid=[1], valid=[3], tstid=[2, 4])
    assert "class 'pink primrose' has no image to train on" in refused(project, "oxford102", tmp_path, paths)
    paths = files_102(tmp_path, [1, 2, 1, 103], trnid=[1, 2], valid=[3], tstid=[4])
    assert "is of class 103" in refused(project, "oxford102", tmp_path, paths)


# --- a folder per class --------------------------------------------------------------------


def folders(prefix: str = "", n: int = 20, suffix: str = "jpg") -> list[str]:
    return [f"{prefix}{label}/{i}.{suffix}" for label in ("cat", "dog") for i in range(n)]


def in_folders(paths: list[str], **values: object) -> Index:
    return index(own(**values), Path("pictures"), paths)


@pytest.mark.parametrize("prefix", ["", "archive/", "archive/train/"])
def test_a_folder_a_class_is_split_by_the_project(prefix: str) -> None:
    found = in_folders(folders(prefix))
    assert found.classes == ("cat", "dog")
    assert Counter(row[1:] for row in found.rows) == {
        (label, split): n for label in found.classes for split, n in (("train", 14), ("val", 3), ("test", 3))
    }
    assert found.split_origin == "the project's own, seeded and stratified"
    assert [row[1:] for row in found.rows] == [row[1:] for row in in_folders(folders()).rows]


def test_folders_of_splits_are_taken_as_they_are() -> None:
    paths = [*folders("x/train/"), *folders("x/val/", 3), *folders("x/test/", 5)]
    found = in_folders(paths)
    assert found.split_origin == "folders"
    assert counts(found) == {"train": 40, "val": 6, "test": 10}
    assert {split for image, _, split in found.rows if image.startswith("x/test/")} == {"test"}


@pytest.mark.parametrize(
    ("train", "val", "test", "origin"),
    [
        ("train", "valid", "test", "folders: train, valid (as val), test"),
        ("Training", "Validation", "Testing", "folders: Training (as train), Validation (as val), Testing (as test)"),
    ],
)
def test_folders_of_splits_are_known_by_other_names(train: str, val: str, test: str, origin: str) -> None:
    found = in_folders([*folders(f"{train}/"), *folders(f"{val}/", 3), *folders(f"{test}/", 5)])
    assert (counts(found), found.split_origin) == ({"train": 40, "val": 6, "test": 10}, origin)


def test_splits_may_lie_inside_the_classes() -> None:
    names = [f"{label}/{split}/{i}.jpg" for label in ("cat", "dog") for split in ("train", "test") for i in range(9)]
    found = in_folders(names)
    assert counts(found) == {"train": 16, "val": 2, "test": 18}
    assert found.split_origin.startswith("folders: train, test, in each class; val is the project's own")


@pytest.mark.parametrize(("there", "missing"), [("val", "test"), ("test", "val")])
def test_a_split_without_a_folder_comes_out_of_train(there: str, missing: str) -> None:
    found = in_folders([*folders("train/"), *folders(f"{there}/", 4)])
    assert counts(found) == {"train": 34, there: 8, missing: 6}
    assert all(image.startswith("train/") for image, _, split in found.rows if split == missing)
    assert found.split_origin == f"folders; {missing} is the project's own, seeded and stratified"


def test_a_class_may_be_called_train() -> None:
    assert in_folders([*folders(), *(f"train/{i}.jpg" for i in range(5))]).classes == ("cat", "dog", "train")


def test_one_image_more_hardly_moves_the_others() -> None:
    before = dict(row[::2] for row in in_folders(folders(n=100)).rows)
    after = dict(row[::2] for row in in_folders([*folders(n=100), "cat/new.jpg"]).rows)
    assert sum(after[image] != split for image, split in before.items()) <= 3


def test_declared_classes_give_the_order_and_the_absent_ones() -> None:
    found = in_folders(folders(), classes=("dog", "emu", "cat"))
    assert (found.classes, found.absent_classes) == (("dog", "cat"), ("emu",))


def test_what_is_no_image_is_passed_over_and_counted(tmp_path: Path) -> None:
    paths = ["cat/notes.txt", "cat/B.JPEG", "cat/a.png", "cat/phone.HEIC", "LICENSE"]
    assert recognise("folders", tmp_path, paths) == ["cat/B.JPEG", "cat/a.png"]
    others = strangers("folders", tmp_path, paths)
    assert others[".txt"] == ["cat/notes.txt"] and others["without a suffix"] == ["LICENSE"]
    assert told(others) == (
        "3 files are left out: 1 .txt (cat/notes.txt), 1 HEIC that cannot be read here (cat/phone.HEIC), "
        "1 without a suffix (LICENSE)"
    )
    listed = ["jpg/image_0001.jpg~", "x/image_0001.jpg", "datasplits.mat"]
    assert recognise("oxford17", tmp_path, listed) == ["x/image_0001.jpg"]
    assert strangers("oxford17", tmp_path, listed) == {}


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], "there are no images among the 0 files"),
        (["readme.txt"], "there are no images"),
        (["readme.txt", "photos.rar"], "one folder of images a class; unpack photos.rar"),
        ([*folders(), "stray.jpg"], "stray.jpg lies in no class folder"),
        ([*folders("train/"), *folders("test/"), "test/stray.jpg"], "test/stray.jpg lies in no class folder"),
        ([*folders("train/"), *folders("extra/")], "the folder 'extra' stands beside 'train'"),
        ([*folders("train/"), *folders("val/"), *folders("valid/")], "'val' and 'valid' are both the split val"),
        (folders("test/"), "has the splits test and none to train on; add a folder train"),
        (["train/0.jpg", "train/1.jpg", "test/0.jpg"], "the folders train, test are splits"),
        ([f"cat/{i}.jpg" for i in range(9)], "all images are of one class, 'cat'"),
        ([*folders(), "emu/1.jpg", "emu/2.jpg"], "class 'emu' has too few images to split, 2 where 3"),
        ([*folders("train/"), *folders("val/"), *folders("test/"), "test/emu/1.jpg"], "'emu' has no image to train"),
    ],
)
def test_folders_refuse_what_does_not_fit(paths: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        in_folders(paths)
    assert said in str(caught.value)


def test_a_folder_beside_the_declared_classes_gets_the_nearest_name() -> None:
    with pytest.raises(UserError, match="unknown class 'dog', did you mean 'dogs'"):
        in_folders(folders(), classes=("cat", "dogs"))


def test_numbered_splits_are_for_data_sets_that_have_them() -> None:
    with pytest.raises(UserError, match="unknown official split 1; the data set has none"):
        index(own(), Path("pictures"), folders(), 1)


# --- the real archives ---------------------------------------------------------------------


def members(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return opened.getnames()


def test_the_real_oxford_17_is_indexed(project: Path, photographs: Path) -> None:
    found = index(dataset(project, "oxford17"), photographs, members(photographs / "flowers17.tar.xz"))
    assert counts(found) == {"train": 680, "val": 340, "test": 340}
    assert not found.absent_classes


def test_the_real_part_of_oxford_102_is_indexed(project: Path, photographs: Path) -> None:
    names = members(photographs / "flowers102-224.tar.xz")
    oxford = dataset(project, "oxford102")
    found = index(oxford, photographs, [*names, "imagelabels.mat", "setid.mat"])
    assert counts(found) == {"train": 728, "val": 706, "test": 4109}
    absent = (1, 8, 24, 30, 44, 62, 73, 75, 81, 84, 89, 99, 101)
    assert found.absent_classes == tuple(oxford.classes[n - 1] for n in absent)
    assert len(found.classes) == 89
