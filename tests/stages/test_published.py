"""Every data set of workflow/datasets.yaml, from its published address to what a training reads: small archives of the
true layout, on a server that stands for the whole network and behaves as badly as one."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from torchvision import datasets

from florilegium.config.base import read_yaml
from florilegium.config.data import DataUse, DetectionData
from florilegium.config.datasets import Dataset, DatasetOverride
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.data.boxed import load_boxed
from florilegium.data.fetch import fetch
from florilegium.data.load import load_splits
from florilegium.stages import annotations, scenes
from florilegium.stages import fetch as fetch_stage
from tests.data.test_voc import TEST_2007, TRAINVAL_2007, TRAINVAL_2012
from tests.helpers.archives import cifar10_files, cifar100_files, oxford17_files, oxford102_files, tiny_files
from tests.helpers.data import Site, dataset, leads_here, serving, tar, zipped
from tests.helpers.stages import run_stage
from tests.stages.test_data import run

Content = dict[str, bytes]
MIRROR = "https://mirror.example/copies"


class Source(NamedTuple):
    """What is published, by the name of the file, and what a training reads of it."""

    files: Callable[[Dataset, Path], dict[str, Path | bytes]]
    counts: Sequence[int]
    """Images to train, to validate and to test on."""
    shown: dict[str, tuple[str, str]]
    """Class and split of some images."""
    split: int | None = None


def flowers17(_: Dataset, folder: Path) -> dict[str, Path | bytes]:
    content, splits = oxford17_files((0, 30, 50, 79))
    return {"17flowers.tgz": tar(folder / "17", content), "datasplits.mat": splits}


def flowers102(_: Dataset, folder: Path) -> dict[str, Path | bytes]:
    content, labels, splits = oxford102_files()
    return {"102flowers.tgz": tar(folder / "102", content), "imagelabels.mat": labels, "setid.mat": splits}


def tiny(source: Dataset, folder: Path) -> dict[str, Path | bytes]:
    content = tiny_files({wnid: f"word {wnid}" for wnid in source.classes[:3]}, n_train=10, n_val=2)
    return {"tiny-imagenet-200.zip": zipped(folder / "tiny", content)}


def voc(_: Dataset, folder: Path) -> dict[str, Path | bytes]:
    contents = {"VOCtrainval_06-Nov-2007": TRAINVAL_2007, "VOCtest_06-Nov-2007": TEST_2007}
    contents |= {"VOCtrainval_11-May-2012": TRAINVAL_2012}
    return {f"{name}.tar": tar(folder / name, content, "w") for name, content in contents.items()}


SOURCES = {
    "oxford17": Source(
        flowers17,
        (17, 17, 34),  # split 3 is turned by three places: of 0, 30, 50 and 79 the first and the last are tested
        {"jpg/image_0031.jpg": ("Daffodil", "train"), "jpg/image_1360.jpg": ("Pansy", "test")},
        split=3,
    ),
    "oxford102": Source(
        flowers102,
        (102, 102, 204),
        {"jpg/image_00001.jpg": ("pink primrose", "train"), "jpg/image_00408.jpg": ("blackberry lily", "test")},
    ),
    "cifar10": Source(
        lambda _, folder: {"cifar-10-python.tar.gz": tar(folder / "c10", cifar10_files(per_batch=20)[0])},
        (90, 10, 20),
        {"test/truck/0001.png": ("truck", "test")},
    ),
    "cifar100": Source(
        lambda source, folder: {
            "cifar-100-python.tar.gz": tar(folder / "c100", cifar100_files(source.classes, per_class=2))
        },
        (100, 100, 200),
        {"test/worm/0000.png": ("worm", "test"), "test/apple/0001.png": ("apple", "test")},
    ),
    "tiny_imagenet": Source(tiny, (27, 3, 6), {"tiny-imagenet-200/val/images/val_5.JPEG": ("n01641577", "test")}),
    "voc5": Source(
        voc,
        (2, 2, 1),  # without the pictures that show none of the five classes
        {
            "VOCdevkit/VOC2007/JPEGImages/000005.jpg": ("cat", "train"),
            "VOCdevkit/VOC2007/JPEGImages/000001.jpg": ("bus", "test"),
        },
    ),
}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with serving() as running:
        leads_here(running, monkeypatch)
        yield running


def test_every_data_set_that_is_downloaded_is_in_the_table(project: Path) -> None:
    entries = read_yaml(project / "workflow" / "datasets.yaml")
    assert {name for name, entry in entries.items() if "files" in entry} == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_a_data_set_comes_from_its_published_addresses(
    name: str, project: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past a mirror without the file and an address that has moved, over a connection that breaks in the middle."""
    source, published = SOURCES[name], dataset(project, name)
    files = contents(source.files(published, tmp_path))
    assert {file.file for file in published.files} == set(files)
    for file in published.files:
        for url in file.urls:
            assert url.rpartition("/")[2] == file.file
            site.files[url.partition("//")[2]] = files[file.file]
    said = refused(published, tmp_path)
    assert all(f"{url}: its md5 is" in said for url in published.files[0].urls)

    site.asked.clear()
    for file in published.files:
        *first, last = (url.partition("//")[2] for url in file.urls)
        for place in first:
            del site.files[place]
        site.files[f"moved.example/{file.file}"] = site.files.pop(last)
        site.moved[last] = f"https://moved.example/{file.file}"
        site.cut[f"moved.example/{file.file}"] = len(files[file.file]) // 2 + 1
    ours = [file.model_copy(update={"md5": hashlib.md5(files[file.file]).hexdigest()}) for file in published.files]
    received(name, published.model_copy(update={"files": tuple(ours)}), tmp_path, monkeypatch)
    listing = read_json(tmp_path / "resources/set/files.json")
    assert [(one["from"], one["published"]) for one in listing["origin"]] == [(f.urls[-1], True) for f in ours]
    for file in ours:
        half = site.cut[f"moved.example/{file.file}"]
        assert (f"mirror.example/copies/{file.file}", None) in site.asked
        assert (f"moved.example/{file.file}", f"bytes={half}-") in site.asked


def test_addresses_and_checksums_are_those_that_torchvision_knows(project: Path) -> None:
    """Oxford 17 and Tiny ImageNet are not among its data sets; of VOC it knows the first of two addresses."""
    flowers, by_year = datasets.Flowers102, datasets.voc.DATASET_YEAR_DICT
    known = {f"{flowers._download_url_prefix}{file}": md5 for file, md5 in flowers._file_dict.values()}
    known |= {form.url: form.tgz_md5 for form in (datasets.CIFAR10, datasets.CIFAR100)}
    known |= {by_year[year]["url"]: by_year[year]["md5"] for year in ("2007", "2007-test", "2012")}
    names = ("oxford102", "cifar10", "cifar100", "voc5")
    assert {file.urls[0]: file.md5 for name in names for file in dataset(project, name).files} == known


def contents(files: dict[str, Path | bytes]) -> Content:
    return {name: file.read_bytes() if isinstance(file, Path) else file for name, file in files.items()}


def refused(source: Dataset, folder: Path) -> str:
    """What is said of a file with another checksum than the published one."""
    with pytest.raises(UserError) as caught:
        fetch("it", source, None, root=folder / "refused", downloads=folder / "downloads")
    assert not (folder / "refused").exists() and not [*(folder / "downloads").iterdir()]
    return str(caught.value)


def received(name: str, source: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stages up to what a training reads, and compare it with what was published."""
    expected = SOURCES[name]
    if source.has_boxes:
        table, classes = boxes(source, folder, monkeypatch)
    else:
        summary, table, pixels = run(monkeypatch, folder, source, {}, expected.split, [MIRROR])
        place = folder / "resources/set"
        splits = load_splits(DataUse(dataset="it"), pixels=place / "pixels8.npy", images=place / "images.csv")
        classes = splits.classes
        for part in (splits.train, splits.val, splits.test):
            assert part is not None
            labels = dict(zip(part.names, part.labels.tolist(), strict=True))
            assert labels == {image: classes.index(label) for image, label, _ in table if image in labels}
        assert [len(part) for part in (splits.train, splits.val, splits.test)] == [*expected.counts]
        assert summary["other_files"] == [] and len(pixels) == sum(expected.counts)
    held = {label for _, label, _ in table}
    assert classes == tuple(label for label in source.classes if label in held or source.has_boxes)
    found = Counter(split for _, _, split in table)
    assert [found[split] for split in ("train", "val", "test")] == [*expected.counts]
    rows = {image: (label, split) for image, label, split in table}
    assert {image: rows[image] for image in expected.shown} == expected.shown


def boxes(source: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[str]], tuple[str, ...]]:
    """The rows of images.csv of a data set with boxes, and the classes of what a training of detectors reads."""
    monkeypatch.chdir(folder)
    place = Path("resources/set")
    entry = source.model_dump(mode="json", exclude={"images", "sides"}, exclude_none=True)
    override = DatasetOverride(mirrors=(MIRROR,)).model_dump(mode="json")
    files, checked, packed = (place / name for name in ("files.json", "annotations.json", "scenes48-64-least.npy"))
    run_stage(monkeypatch, fetch_stage, {"dataset": entry, "override": override}, "--name", "set", "--out", files)
    run_stage(monkeypatch, annotations, {"dataset": entry, "bad_boxes": "stop"}, "--files", files, "--out", checked)
    spec = {"short_side": 48, "long_side": 64, "padding": "least", "corrupt": "stop", "pictures": {}}
    run_stage(monkeypatch, scenes, spec, "--files", files, "--annotations", checked, "--workers", 1, "--out", packed)
    splits = load_boxed(DetectionData(dataset="it"), pixels=packed, annotations=checked)
    rows = [line.split(",") for line in (place / "images.csv").read_text().splitlines()[1:]]
    assert splits.val is not None
    held = {"train": splits.train, "val": splits.val, "test": splits.test}
    assert all(set(part.names) == {row[0] for row in rows if row[2] == split} for split, part in held.items())
    # The bird and the cat of one photograph; an object that is marked difficult is not counted.
    assert splits.train.boxes[0].tolist() == pytest.approx(np.array([[2, 3, 10, 20], [10, 11, 30.5, 40]]) * 1.2)
    assert [splits.classes[label] for label in splits.val.labels[0]] == ["car", "bus"]
    return rows, splits.classes
