"""Annotation files in COCO form: what is read, what is refused, and which boxes are bad."""

import json
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from florilegium.core.errors import UserError
from florilegium.data.annotated import clipped, fault
from florilegium.data.annotations import Checked, check
from tests.helpers.annotated import coco, own_coco, photo, write

TRAIN = [(n, f"{n:02d}.png") for n in range(10)]
OBJECTS = [(n, 1 + n % 2 * 2, [2, 3, 10 + n, 12.5]) for n in range(10)]


def files(train: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """Ten images with a box each to train on, four to validate and four to test on."""
    splits = {"train": train or coco(TRAIN, OBJECTS)}
    for split in ("val", "test"):
        names = [(n, f"{n:02d}.png") for n in range(4)]
        splits[split] = coco(names, [(n, 3, [0, 0, 8, 9]) for n in range(4)])
    splits |= others
    pictures = {
        f"images/{split}/{image['file_name']}": photo(50 * len(split) + i)
        for split, content in splits.items()
        if content
        for i, image in enumerate(content["images"])
    }
    return {f"{split}.json": content for split, content in splits.items() if content} | pictures


def checked(folder: Path, content: dict[str, Any], policy: str = "stop", **values: Any) -> Checked:
    return check(own_coco(folder, **values), folder, write(folder, content), policy)


def refused(folder: Path, content: dict[str, Any], **values: Any) -> str:
    with pytest.raises(UserError) as caught:
        checked(folder, content, **values)
    return str(caught.value)


def test_three_files_and_their_folders_are_read(tmp_path: Path) -> None:
    found = checked(tmp_path, files())
    content = found.content()
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
    assert content["unannotated"] == []
    train = content["splits"]["train"]
    assert train["images"][3] == {"id": 3, "file_name": "images/train/03.png", "width": 40, "height": 30}
    assert train["annotations"][3] == {
        "id": 40,
        "image_id": 3,
        "category_id": 3,
        "bbox": [2, 3, 13, 12.5],
        "iscrowd": 0,
        "area": 13 * 12.5,
    }
    index = found.index()
    assert index.rows[0] == ("images/test/00.png", "dog", "test")
    assert {split: sum(s == split for _, _, s in index.rows) for split in ("train", "val", "test")} == {
        "train": 10,
        "val": 4,
        "test": 4,
    }
    assert (index.classes, index.split_origin) == (("cat", "dog"), "annotation files")


def test_images_of_one_name_are_found_by_the_folder_of_their_split(tmp_path: Path) -> None:
    """Every split has a 00.png, and numbers its images from 0."""
    content = checked(tmp_path, files()).content()
    for split, part in content["splits"].items():
        assert part["images"][0]["file_name"] == f"images/{split}/00.png"
        assert part["images"][0]["id"] == 0


def test_images_beside_their_annotation_file_are_found(tmp_path: Path) -> None:
    given = {}
    for split in ("train", "val", "test"):
        given[f"{split}/labels.json"] = coco([(1, "a.png")], [(1, 1, [1, 1, 5, 5])])
        given[f"{split}/a.png"] = photo(len(given))
    names = {split: f"{split}/labels.json" for split in ("train", "val", "test")}
    content = checked(tmp_path, given, annotations=names).content()
    assert [part["images"][0]["file_name"] for part in content["splits"].values()] == [
        *("train/a.png", "val/a.png", "test/a.png")
    ]


def test_a_name_that_could_be_two_files_is_refused(tmp_path: Path) -> None:
    given = {"train.json": coco(TRAIN[:1], OBJECTS[:1]), "a/00.png": photo(1), "b/00.png": photo(2)}
    assert "'00.png' may be a/00.png or b/00.png; name its folder" in refused(tmp_path, given)


def test_a_validation_set_is_drawn_where_only_training_and_test_have_files(tmp_path: Path) -> None:
    """Another split's file may take the place of the test, as where no test set was published."""
    given = files(test=None)
    found = checked(tmp_path, given, annotations={"train": "train.json", "test": "val.json"})
    index = found.index()
    assert {image for image, _, split in index.rows if split == "test"} == {f"images/val/{n:02d}.png" for n in range(4)}
    drawn = [image for image, _, split in index.rows if split == "val"]
    assert len(drawn) == 2 and all(image.startswith("images/train/") for image in drawn)
    assert index.split_origin == "annotation files; val the project's own, seeded"
    content = found.content()["splits"]
    owners = {image["id"] for image in content["val"]["images"]}
    assert {annotation["image_id"] for annotation in content["val"]["annotations"]} == owners
    assert checked(tmp_path, given, annotations={"train": "train.json", "test": "val.json"}).index() == index


def test_a_test_set_may_come_without_annotations(tmp_path: Path) -> None:
    bare = {"images": files()["test.json"]["images"]}
    found = checked(tmp_path, files(test=bare))
    content = found.content()
    assert content["unannotated"] == ["test"]
    assert len(content["splits"]["test"]["images"]) == 4 and not content["splits"]["test"]["annotations"]
    assert ("images/test/00.png", "scene", "test") in found.index().rows


def test_categories_without_objects_are_left_out(tmp_path: Path) -> None:
    only = [(n, 3, [2, 3, 10, 12]) for n in range(10)]
    found = checked(tmp_path, files(coco(TRAIN, only)))
    assert found.content()["categories"] == [{"id": 3, "name": "dog"}]
    assert found.index().absent_classes == ("cat",)


def test_crowds_and_difficult_objects_are_ignored_unless_kept(tmp_path: Path) -> None:
    train = coco(TRAIN, OBJECTS)
    train["annotations"][0] |= {"iscrowd": 1}
    train["annotations"][1] |= {"difficult": 1, "truncated": 0}
    given = files(train)

    def ignored(found: Checked) -> list[int]:
        return [a["id"] for a in found.content()["splits"]["train"]["annotations"] if a["iscrowd"]]

    found = checked(tmp_path, given)
    assert ignored(found) == [10, 20] and found.counts()["n_ignored"] == 2
    assert found.content()["splits"]["train"]["annotations"][1]["difficult"] == 1
    assert ignored(checked(tmp_path, given, difficult="keep")) == [10]


# --- bad boxes -----------------------------------------------------------------------------

BAD = [
    ([5, 5, 0, 9], "empty"),
    ([5, 5, -3, 9], "inverted"),
    ([5, 5, 0.5, 9], "below one pixel"),
    ([40, 5, 9, 9], "outside the image"),
    ([-20, 5, 20.5, 9], "outside the image"),
    ([float("nan"), 5, 9, 9], "not finite"),
    ([5, 5, float("inf"), 9], "not finite"),
    ([5, 5, 10**400, 9], "not finite"),
    ([5, 5, 9], "not four numbers"),
    (["5", 5, 9, 9], "not four numbers"),
    ([True, 5, 9, 9], "not four numbers"),
    (None, "not four numbers"),
]


@pytest.mark.parametrize(("box", "reason"), BAD)
def test_a_bad_box_has_a_reason(box: Any, reason: str) -> None:
    assert fault(box, 40, 30) == reason


@pytest.mark.parametrize("box", [[0, 0, 40, 30], [39, 29, 1, 1], [-5.5, 0, 10, 30], [0.25, 0.5, 1, 1]])
def test_a_good_box_has_none(box: list[float]) -> None:
    assert fault(box, 40, 30) is None


def test_a_box_that_reaches_outside_is_cut_at_the_edge(tmp_path: Path) -> None:
    assert clipped([-4, 3, 10, 40], 40, 30) == [0, 3, 6, 27]
    assert clipped([0.1, 0.2, 0.3, 29.8], 40, 30) == [0.1, 0.2, 0.3, 29.8]
    train = coco(TRAIN, [*OBJECTS, (2, 1, [30, 20, 20, 5])])
    found = checked(tmp_path, files(train))
    assert found.content()["splits"]["train"]["annotations"][3]["bbox"] == [30, 20, 10, 5]
    assert found.counts()["n_cut_boxes"] == 1


def with_bad(train: dict[str, Any]) -> dict[str, Any]:
    worse = deepcopy(train)
    for annotation, (box, _) in zip(worse["annotations"][2:], BAD, strict=False):
        annotation["bbox"] = box
    return worse


def test_bad_boxes_stop_with_the_first_and_the_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refused(tmp_path, files(with_bad(coco(TRAIN, OBJECTS))))
    assert "train.json: the box [5, 5, 0, 9] of annotation 30 (images/train/02.png) is empty" in sentence
    assert "8 boxes are bad in all" in sentence and "bad_boxes: drop" in sentence
    listed = capsys.readouterr().out
    assert "annotation 40 of images/train/03.png: [5, 5, -3, 9] is inverted" in listed
    assert len(listed.splitlines()) == 8


def test_bad_boxes_are_dropped_and_counted_when_asked(tmp_path: Path) -> None:
    found = checked(tmp_path, files(with_bad(coco(TRAIN, OBJECTS))), "drop")
    content = found.content()["splits"]["train"]
    assert [annotation["id"] for annotation in content["annotations"]] == [10, 20]
    assert len(content["images"]) == 10
    assert found.counts() == {"n_boxes": 10, "n_ignored": 0, "n_bad_boxes": 8, "n_cut_boxes": 0}
    assert [bad.reason for bad in found.bad] == [reason for _, reason in BAD[:8]]
    assert {bad.source for bad in found.bad} == {"train.json"}
    json.dumps(found.content(), allow_nan=False)


# --- what does not fit ---------------------------------------------------------------------


def test_what_is_no_coco_file_is_refused(tmp_path: Path) -> None:
    assert "there is no train.json below" in refused(tmp_path / "a", {"images/0.png": photo(0)})
    assert "train.json: not valid JSON (it is cut" in refused(tmp_path / "b", {"train.json": b"{"})
    assert "train.json: not in COCO form" in refused(tmp_path / "c", {"train.json": [1, 2]})
    assert "'images' is not a list of objects" in refused(tmp_path / "d", {"train.json": {"images": [1]}})
    assert "there are no images in it" in refused(tmp_path / "e", {"train.json": {"images": []}})
    two = {"a/train.json": coco([], []), "b/train.json": coco([], [])}
    assert "a/train.json and b/train.json could both be the annotations of train" in refused(tmp_path / "f", two)
    named = {"train": "train.json", "val": "valid.json"}
    assert "there is no valid.json below" in refused(tmp_path / "g", files(), annotations=named)
    assert "names no file to train on" in refused(tmp_path / "h", files(), annotations={"val": "val.json"})


def edited(key: str, place: int, **changes: Any) -> dict[str, Any]:
    train = coco(TRAIN, OBJECTS)
    train[key][place] |= changes
    return files(train)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (edited("annotations", 1, category_id=2), "annotation 20 is of the unknown category 2 (known: 3 dog, 1 cat)"),
        (edited("annotations", 1, image_id=77), "annotation 20 is of image 77, which is not in the file"),
        (edited("annotations", 1, id=10), "the annotation id 10 is there twice"),
        (edited("annotations", 1, id=[1]), "the id of annotation 2 is [1]; it must be a whole number or a text"),
        (edited("images", 1, id=0), "the image id 0 is there twice"),
        (edited("images", 1, width="wide"), "the width of image 1 is 'wide'; it must be a whole number of pixels"),
        (edited("images", 1, height=-30), "the height of image 1 is -30; it must be a whole number of pixels"),
        (edited("images", 1, height=30.5), "the height of image 1 is 30.5; it must be a whole number of pixels"),
        (edited("images", 1, height=float("nan")), "the height of image 1 is nan; it must be a whole number of pixels"),
        (edited("images", 1, id=None), "the id of image 2 is missing; it must be a whole number or a text"),
        (edited("images", 1, id=2**64), "the id of image 2 is 18446744073709551616; it must be a whole number or a"),
        (edited("images", 1, id=float("inf")), "the id of image 2 is inf; it must be a whole number or a text"),
        (edited("images", 1, file_name=7), "the file_name of image 1 is 7; it must be a path"),
        (edited("images", 1, file_name=None), "image 1 has no file_name; name its file"),
        (
            edited("annotations", 1, image_id=None),
            "the image_id of annotation 20 is missing; it must be a whole number",
        ),
        (edited("annotations", 1, image_id=1.5), "the image_id of annotation 20 is 1.5; it must be a whole number"),
        (edited("annotations", 1, iscrowd="maybe"), "the iscrowd of annotation 20 is 'maybe'; it must be 0 or 1"),
        (edited("annotations", 1, difficult=3), "the difficult of annotation 20 is 3; it must be 0 or 1"),
        (edited("annotations", 1, truncated=[]), "the truncated of annotation 20 is []; it must be 0 or 1"),
        (edited("annotations", 1, ignore="no idea"), "the ignore of annotation 20 is 'no idea'; it must be 0 or 1"),
        (edited("categories", 1, name=["cat"]), "the name of category 1 is ['cat']; it must be a text"),
        (edited("categories", 1, name="\ud800"), "holds half a character; rename it"),
        (edited("images", 1, width=30, height=40), "1 of 10 images have another size than it says"),
        (edited("categories", 1, id=3), "the category id 3 is there twice"),
        (edited("categories", 1, name="dog"), "category 1 is 'cat', and 'dog' in another file"),
        (edited("categories", 1, name="cow"), "category 1 is 'cat', and 'cow' in another file"),
        (files(coco(TRAIN, [])), "there are no annotations in it; only a test set may go without"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(tmp_path: Path, given: dict[str, Any], sentence: str) -> None:
    said = refused(tmp_path, given)
    assert sentence in said and "json" in said and "\n" not in said


def test_missing_images_are_counted(tmp_path: Path) -> None:
    given = files()
    given["train.json"]["images"][3]["file_name"] = "gone.png"
    given["train.json"]["images"][5]["file_name"] = "val/05.png"
    said = refused(tmp_path, given)
    assert "train.json: 2 of 10 images are not among the data set's files, first 'gone.png'" in said


def test_an_image_of_two_splits_is_refused(tmp_path: Path) -> None:
    given = files()
    given["test.json"]["images"][1]["file_name"] = "train/01.png"
    assert "test.json: images/train/01.png is an image of test, and already one of train" in refused(tmp_path, given)


def test_other_classes_than_the_files_have_are_refused(tmp_path: Path) -> None:
    assert checked(tmp_path, files(), classes=("dog", "cat")).index().classes == ("cat", "dog")
    assert "classes are dog, emu, and the annotation files have" in refused(tmp_path, files(), classes=("dog", "emu"))


def test_a_picture_that_was_turned_before_it_was_annotated_keeps_its_sides(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = BytesIO()
    Image.new("RGB", (30, 40)).save(buffer, "PNG", exif=exif)
    found = checked(tmp_path, files() | {"images/train/00.png": buffer.getvalue()})
    assert found.content()["splits"]["train"]["images"][0]["width"] == 40


def test_sizes_that_are_not_said_are_measured(tmp_path: Path) -> None:
    given = files()
    for image in given["train.json"]["images"]:
        del image["width"], image["height"]
    found = checked(tmp_path, given).content()["splits"]["train"]["images"]
    assert {(image["width"], image["height"]) for image in found} == {(40, 30)}
