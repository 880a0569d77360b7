"""CIFAR: from the makers' batches to files, splits and pixels; what is no batch is refused."""

import pickle
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.config.datasets import DatasetOverride
from florilegium.core.errors import UserError
from florilegium.data.cifar import read_plain
from florilegium.data.fetch import fetch
from florilegium.data.layouts import index
from tests.helpers.archives import (
    BATCHES,
    CIFAR10,
    cifar10_archive,
    cifar10_files,
    cifar100_files,
    cifar_pictures,
    python2_pickle,
    rows,
)
from tests.helpers.data import dataset, picture, tar
from tests.stages.test_data import run

OWN_VAL = "val is the project's own, seeded and stratified"


def test_cifar_10_from_archive_to_pixels(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, pictures = cifar10_files(per_batch=40)
    archive = cifar10_archive(tmp_path / "cifar.tar.gz", files)
    summary, table, packed = run(monkeypatch, tmp_path, dataset(project, "cifar10"), archive)
    assert summary["classes"] == list(CIFAR10)
    assert (summary["n_train"], summary["n_val"], summary["n_test"]) == (180, 20, 40)
    assert summary["split_origin"] == f"official; {OWN_VAL}"
    assert summary["words"] == {}
    per_class = Counter((label, split) for _, label, split in table)
    assert {per_class[c, s] for c in CIFAR10 for s in ("train", "val", "test")} == {18, 2, 4}
    assert all((image.split("/")[0] == "test") == (split == "test") for image, _, split in table)
    assert len(packed) == 240
    files_folder = tmp_path / "resources/set/files"
    assert not list(files_folder.rglob("*batch*_*"))  # pictures have taken their place
    # The third frog of the training set is image 26 of the first batch; the last ship of the test set is 38.
    for image, number in (("train/frog/0002.png", 26), ("test/ship/0003.png", 5 * 40 + 38)):
        assert np.array_equal(np.asarray(Image.open(files_folder / image)), pictures[number])


def test_images_of_a_class_are_numbered_through_all_batches(project: Path, tmp_path: Path) -> None:
    files, pictures = cifar10_files(per_batch=20)
    found = unpacked(project, tmp_path, files)
    assert found["train/airplane/0009.png"] == pictures[4 * 20 + 10].tobytes()
    assert {name for name in found if name.startswith("test/cat")} == {"test/cat/0000.png", "test/cat/0001.png"}


def unpacked(project: Path, tmp_path: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """The pixels of every image that fetching such an archive makes."""
    override = DatasetOverride.model_validate({"files": cifar10_archive(tmp_path / "c.tgz", files)})
    root = tmp_path / "files"
    listing = fetch("c10", dataset(project, "cifar10"), override, root=root, downloads=tmp_path)
    paths = [file["path"] for file in listing["files"] if file["path"].endswith(".png")]
    return {path: np.asarray(Image.open(root / path)).tobytes() for path in paths}


def test_cifar_100_takes_the_fine_labels(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = dataset(project, "cifar100")
    archive = tar(tmp_path / "cifar.tar.gz", cifar100_files(source.classes))
    files = {"cifar-100-python.tar.gz": {"path": str(archive)}}
    summary, table, packed = run(monkeypatch, tmp_path, source, files)
    assert summary["classes"] == list(source.classes) and summary["n_classes"] == 100
    assert (summary["n_train"], summary["n_val"], summary["n_test"]) == (900, 100, 1000)
    for (_, label, split), pixels in zip(table, packed, strict=True):
        colour = (source.classes.index(label), 255 if split == "test" else 0, 0)
        assert (pixels == colour).all()


def test_an_archive_of_folders_stands_in_for_the_batches(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        f"{split}/{label}/{i:04d}.jpg": picture()
        for split, n in (("train", 20), ("test", 5))
        for label in ("cat", "ship")
        for i in range(n)
    }
    summary, _, _ = run(
        monkeypatch, tmp_path, dataset(project, "cifar10"), cifar10_archive(tmp_path / "x.tgz", content)
    )
    assert summary["classes"] == ["cat", "ship"] and len(summary["absent_classes"]) == 8
    assert (summary["n_train"], summary["n_val"], summary["n_test"]) == (36, 4, 10)


def test_the_real_folders_are_indexed(project: Path, photographs: Path) -> None:
    with tarfile.open(photographs / "cifar10-jpeg.tar.xz") as archive:
        names = archive.getnames()
    for layout, val in (("cifar10", 5000), ("folders", 7500)):
        source = dataset(project, "cifar10").model_copy(update={"layout": layout})
        found = index(source, photographs, names)
        splits = Counter(split for _, _, split in found.rows)
        assert splits == {"train": 50_000 - val, "val": val, "test": 10_000}
        assert found.classes == CIFAR10


# --- what is refused -----------------------------------------------------------------------


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("touched"),))


def calling(module: str, name: str) -> bytes:
    """A pickle that calls a function with the text `touch touched`."""
    return f"c{module}\n{name}\n(S'touch touched'\ntR.".encode()


ONE = python2_pickle({b"a": rows(cifar_pictures(1, 0))})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (calling("os", "system"), "it asks for os.system, which plain data never need"),
        (calling("builtins", "eval"), "it asks for builtins.eval"),
        (calling("numpy", "load"), "it asks for numpy.load"),
        (calling("numpy.core.multiarray", "_reconstruct.__class__"), "it asks for numpy.core.multiarray"),
        (pickle.dumps({b"data": Malicious()}), "it asks for pathlib.Path"),
        (b"", "it cannot be read"),
        (b"<html>not found</html>", "it cannot be read"),
        (python2_pickle({b"data": rows(cifar_pictures(3, 0))})[:-100], "it cannot be read"),
        (python2_pickle([1, 2]), "it holds a list in place of a dict"),
        (ONE.replace(b"u1", b"O8"), "of the type b'O8'"),
        (ONE.replace(b"\x00\x0c\x00\x00", b"\xff\x0c\x00\x00", 1), "cannot"),
    ],
)  # fmt: skip
def test_a_pickle_of_anything_else_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        read_plain(tmp_path / "batch")
    assert [path.name for path in tmp_path.iterdir()] == ["batch"]


def test_an_array_in_columns_is_read_as_it_was(tmp_path: Path) -> None:
    content = python2_pickle({b"a": np.arange(6, dtype=np.uint8).reshape(3, 2)})
    (tmp_path / "batch").write_bytes(content.replace(b"tb\x89", b"tb\x88"))
    assert read_plain(tmp_path / "batch")[b"a"].tolist() == [[0, 3], [1, 4], [2, 5]]


def batch(**changes: object) -> bytes:
    content = {"labels": [0, 1, 2], "data": rows(cifar_pictures(3, 0))} | changes
    return python2_pickle({key.encode(): value for key, value in content.items()})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("data_batch_3", None, "the archive has no data_batch_3"),
        ("batches.meta", None, "the archive has no batches.meta"),
        ("data_batch_2", b"\x80\x02}q\x01(U", "data_batch_2 in its archive is no batch of CIFAR images (it cannot"),
        ("data_batch_2", calling("os", "system"), "(it asks for os.system"),
        ("test_batch", batch(labels=[0, 1]), "it has not one label for each of its 3 images"),
        ("test_batch", batch(labels=[0, 1, 10]), "10 is no label of 10 classes"),
        ("test_batch", batch(data=np.zeros((3, 100), np.uint8)), "its data are no rows of 3072 bytes"),
        ("test_batch", batch(data=[1, 2, 3]), "its data are no rows of 3072 bytes"),
        ("test_batch", python2_pickle({b"data": rows(cifar_pictures(3, 0))}), "it has no 'labels'"),
        ("batches.meta", python2_pickle({b"label_names": [b"../../cat"]}), "'../../cat' is no class name"),
        ("batches.meta", python2_pickle({b"label_names": []}), "it names no classes"),
        ("batches.meta", python2_pickle({b"label_names": 10}), "it names no classes"),
    ],
)  # fmt: skip
def test_a_batch_that_is_none_gets_one_sentence(
    project: Path, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    files, _ = cifar10_files(per_batch=10)
    del files[f"{BATCHES}/{name}"]
    if content is not None:
        files[f"{BATCHES}/{name}"] = content
    with pytest.raises(UserError) as caught:
        unpacked(project, tmp_path, files)
    assert said in str(caught.value) and "get" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "files").exists()


def test_batches_in_a_folder_are_not_images(project: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no images among the 2 files .* wants its published archive, or one"):
        index(dataset(project, "cifar10"), tmp_path, ["data_batch_1", "batches.meta"])
