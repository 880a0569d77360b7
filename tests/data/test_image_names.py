"""File names as annotation files write them, and the files that they mean."""

import unicodedata
from time import process_time

import pytest

from florilegium.core.errors import UserError
from florilegium.data.image_names import ImageNames

FILES = [
    *("train/001.jpg", "train/002.jpg", "val/002.jpg", "images/day 1/a b.jpg", "images/day 2/c.jpg"),
    *("100%25.png", "Blüte.png", "deep/er/x.png"),
]


def names(split: str | None = None, source: str = "train.json", files: list[str] = FILES) -> ImageNames:
    return ImageNames(files, source, split)


@pytest.mark.parametrize(
    ("file_name", "path"),
    [
        ("train/001.jpg", "train/001.jpg"),
        ("001.jpg", "train/001.jpg"),
        ("./train/001.jpg", "train/001.jpg"),
        ("/train/001.jpg", "train/001.jpg"),
        ("../train/001.jpg", "train/001.jpg"),
        ("train//001.jpg", "train/001.jpg"),
        ("train/x/../001.jpg", "train/001.jpg"),
        ("train\\001.jpg", "train/001.jpg"),
        ("C:\\Users\\me\\data\\train\\001.jpg", "train/001.jpg"),
        ("D:/data/train/001.jpg", "train/001.jpg"),
        ("/home/me/data/train/001.jpg", "train/001.jpg"),
        ("file:///home/me/train/001.jpg", "train/001.jpg"),
        ("https://example.org/sets/train/001.jpg", "train/001.jpg"),
        ("https://bucket.example.org/train/001.jpg?signature=a/b%20c#top", "train/001.jpg"),
        ("s3://bucket/images/day%201/a%20b.jpg?version=2", "images/day 1/a b.jpg"),
        ("day 1/a b.jpg", "images/day 1/a b.jpg"),
        ("day%201/a%20b.jpg", "images/day 1/a b.jpg"),
        ("100%25.png", "100%25.png"),
        ("Blüte.png", "Blüte.png"),
        (unicodedata.normalize("NFD", "Blüte.png"), "Blüte.png"),
        ("er/x.png", "deep/er/x.png"),
        ("val2017/002.jpg", "val/002.jpg"),
    ],
)
def test_a_name_means_the_file_with_the_longest_common_end(file_name: str, path: str) -> None:
    assert names("val").find(file_name) == path


@pytest.mark.parametrize(
    "file_name",
    [
        *("", "/", "..", "003.jpg", "train/003.jpg", "01.jpg", "train/a/../003.jpg"),
        "val/001.jpg",  # val is there, and has no such file: the one in train is another picture
        "val2017/001.jpg",
        "/data/test/001.jpg",
        "images/day 2/a b.jpg",
        "train/001.jpg?version=2",  # no address: a file may be called so
        "\0.jpg",
    ],
)
def test_a_name_that_would_mean_another_picture_means_none(file_name: str) -> None:
    assert names("val").find(file_name) is None


def test_a_decomposed_file_is_found_by_its_composed_name() -> None:
    decomposed = unicodedata.normalize("NFD", "Blüte.png")
    assert names(files=[decomposed]).find("Blüte.png") == decomposed
    both = names(files=[decomposed, "Blüte.png"])
    assert (both.find("Blüte.png"), both.find(decomposed)) == ("Blüte.png", decomposed)


@pytest.mark.parametrize(
    ("split", "source", "path"),
    [
        ("train", "labels.json", "train/002.jpg"),
        ("val", "annotations/instances_val2017.json", "val/002.jpg"),
        (None, "val/labels.json", "val/002.jpg"),
        (None, "val.json", "val/002.jpg"),
    ],
)
def test_of_several_files_the_split_or_the_annotation_file_tells(split: str | None, source: str, path: str) -> None:
    assert names(split, source).find("002.jpg") == path


def test_several_files_that_nothing_tells_apart_are_named() -> None:
    with pytest.raises(UserError, match=r"a\.json: '002\.jpg' may be train/002\.jpg or val/002\.jpg; name its folder"):
        names(None, "a.json").find("002.jpg")


def test_files_of_one_name_in_many_folders_take_no_long_time() -> None:
    """Quadratic code took 11 seconds for as many."""
    files = [f"scene{number}/colour.png" for number in range(5_000)]
    started = process_time()
    found = names(files=files)
    assert [found.find(f"/data/{name}") for name in files] == files
    assert process_time() - started < 2


def test_what_was_found_by_its_end_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    found = names()
    for name in ("/mnt/a/train/001.jpg", "/mnt/a/train/002.jpg", "train/001.jpg"):
        found.find(name)
    found.tell()
    assert capsys.readouterr().out == (
        "train.json: 2 images were found by the end of their file_name, whose first folders are not here (first "
        "'/mnt/a/train/001.jpg', as train/001.jpg)\n"
    )
