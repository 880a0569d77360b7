"""What `start` finds, and the sentence for what cannot be begun with."""

import json
from pathlib import Path
from typing import Any

import pytest

from florilegium.core.errors import UserError
from florilegium.own.found import find
from tests.helpers.annotated import coco, photo, write

PROJECT = Path("/nowhere/project")


def classes(*names: str, count: int = 5, suffix: str = ".png") -> dict[str, bytes]:
    """Pictures by name, `count` in each folder."""
    return {f"{name}/{n}{suffix}": photo(n) for name in names for n in range(count)}


def boxed(count: int = 9, **changes: object) -> dict[str, Any]:
    """A COCO file and its pictures."""
    boxes = [(n, (3, 1)[n % 2], [2.0, 2.0, 10.0, 10.0]) for n in range(1, count + 1)]
    content = coco([(n, f"images/{n}.png") for n in range(1, count + 1)], boxes)
    return {"all.json": json.dumps(content | changes).encode()} | {
        f"images/{n}.png": photo(n) for n in range(1, count + 1)
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Blätter {2}"


def test_a_folder_a_class_is_told_with_its_splits(folder: Path):
    write(folder, classes("ash", "birch", count=20))
    found = find(folder, PROJECT)
    assert found.told() == (
        "40 pictures of 2 classes: 28 train, 6 val, 6 test (the project's own, seeded and stratified)"
    )
    assert (found.classes, found.least, found.dataset.layout) == (("ash", "birch"), ("ash", 14), "folders")
    # half a 95 % interval of an accuracy of one half: 1.96 x 0.5 / the root of 6
    assert found.remarks() == ["6 test pictures tell an accuracy to within 40 points at best (95 %); more help"]


def test_splits_of_the_person_are_kept(folder: Path):
    write(folder, classes("train/a", "train/b", "valid/a", "valid/b", "test/a", "test/b"))
    found = find(folder, PROJECT)
    assert found.images == {"train": 10, "val": 10, "test": 10} and "valid (as val)" in found.origin


def test_three_pictures_a_class_are_enough_and_few_are_named(folder: Path):
    write(folder, classes("a", "b", count=3))
    found = find(folder, PROJECT)
    assert found.images == {"train": 2, "val": 2, "test": 2}
    assert found.remarks()[0] == "class 'a' has 1 of the pictures to train on, the fewest"


def test_a_file_that_is_no_picture_is_named_and_left_out(folder: Path):
    write(folder, classes("a", "b") | {"a/bad.jpg": b"nothing"})
    assert "1 files are no pictures, though their names say so, and will be left out: a/bad.jpg" in " ".join(
        find(folder, PROJECT).remarks()
    )


@pytest.mark.parametrize("target", [".", "all.json"])
def test_a_coco_file_is_told_with_its_boxes(folder: Path, target: str):
    write(folder, boxed())
    found = find(folder / target, PROJECT)
    assert found.told().startswith("9 pictures of 2 classes, 9 boxes: 7 train, 1 val, 1 test (annotation files;")
    assert found.dataset.annotations == ({"train": "all.json"} if target == "all.json" else None)


def test_annotations_in_a_folder_of_their_own_belong_to_the_pictures_beside_it(folder: Path):
    files = boxed()
    write(folder, files | {"annotations/instances_default.json": files.pop("all.json")})
    found = find(folder / "annotations" / "instances_default.json", PROJECT)
    assert found.folder == folder.resolve()
    assert found.dataset.annotations == {"train": "annotations/instances_default.json"}


def test_bad_boxes_are_counted_and_left_out(folder: Path):
    files = boxed()
    content = json.loads(files["all.json"])
    content["annotations"][0]["bbox"] = [2, 2, -1, 10]
    write(folder, files | {"all.json": json.dumps(content).encode()})
    assert "1 boxes are bad, and will be left out: all.json: annotation 10" in " ".join(find(folder, PROJECT).remarks())


def test_a_folder_in_the_form_of_voc_is_read(folder: Path):
    names = [f"{n:02}" for n in range(9)]
    box = "<bndbox><xmin>3</xmin><ymin>3</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
    files: dict[str, Any] = {f"JPEGImages/{name}.jpg": photo(int(name)) for name in names}
    for n, name in enumerate(names):
        size = "<size><width>40</width><height>30</height><depth>3</depth></size>"
        objects = f"<object><name>{('cat', 'dog')[n % 2]}</name>{box}</object>"
        text = f"<annotation><filename>{name}.jpg</filename>{size}{objects}</annotation>"
        files[f"Annotations/{name}.xml"] = text.encode()
    write(folder, files)
    found = find(folder, PROJECT)
    assert (found.dataset.layout, found.classes, found.boxes) == ("voc", ("cat", "dog"), 9)


def test_a_class_may_be_called_labels(folder: Path):
    write(folder, classes("labels", "tins") | {"labels/readme.txt": b"x"})
    assert find(folder, PROJECT).classes == ("labels", "tins")


def test_a_json_file_beside_class_folders_is_no_annotation(folder: Path):
    write(folder, classes("a", "b") | {"metadata.json": b"{broken"})
    assert find(folder, PROJECT).dataset.layout == "folders"


@pytest.mark.parametrize(
    ("files", "target", "sentence"),
    [
        ({}, ".", "there is no such folder or file; mend the path"),
        ({"a/notes.txt": b"x"}, ".", "holds no pictures that can be read; give a folder with a folder for each class"),
        ({"data.zip": b"PK"}, ".", "holds no pictures that can be read; unpack data.zip, or give"),
        ({"data.zip": b"PK"}, "data.zip", "is an archive; unpack it, and give its folder"),
        (classes("a"), ".", "all images are of one class, 'a'; a second one is needed"),
        (classes("a", "b", count=2), ".", "class 'a' has too few images to split, 2 where 3 are needed"),
        ({"1.png": photo(1), "2.png": photo(2)}, ".", "1.png lies in no class folder; move it into one"),
        (classes("a", "b"), "a/1.png", "is neither a folder nor a COCO file"),
        ({"x.json": b"{}"}, "x.json", "is no COCO file, since it has no `images` and `annotations`"),
        ({"train.json": b"{"}, ".", "train.json: not valid JSON"),
        (boxed(2), ".", "2 images to train on are too few to take val and test from them"),
        (boxed(annotations=[]), ".", "there are no annotations in it"),
        (boxed() | {"images/3.png": None}, ".", "1 of 9 images are not among the data set's files"),
        ({"images/train/1.png": photo(1), "labels/train/1.txt": b"0 .5 .5 .1 .1"}, ".", "in YOLO's form"),
    ],
)
def test_what_cannot_be_begun_with_is_one_sentence(folder: Path, files: dict[str, Any], target: str, sentence: str):
    write(folder, {name: content for name, content in files.items() if content is not None})
    with pytest.raises(UserError) as told:
        find(folder / target, PROJECT)
    assert sentence in str(told.value) and "\n" not in str(told.value)


def test_a_folder_around_the_project_is_refused(folder: Path):
    write(folder, {"project/a/1.png": photo(1)})
    for given in (folder, folder / "project"):
        with pytest.raises(UserError, match="the project itself lies in this folder"):
            find(given, folder / "project")
