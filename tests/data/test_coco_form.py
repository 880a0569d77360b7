"""The forms in which converters write COCO files: each is read as the plain form is."""

import codecs
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from florilegium.core.errors import UserError
from florilegium.core.walk import walk
from florilegium.data.annotations import Checked, check, check_file, check_split
from florilegium.evaluation.submission import folder_of
from tests.helpers.annotated import coco, own_coco, photo, tagged, write

NAMES = [(n, f"{n:02d}.png") for n in range(1, 5)]
PLAIN = coco(NAMES, [(n, 1 + n % 2 * 2, [2, 3, 10 + n, 12.5]) for n in range(1, 5)])
Content = dict[str, Any]


def of_file(folder: Path, content: object, policy: str = "stop", **values: Any) -> Checked:
    """The one file `train.json` with pictures of 40 x 30 pixels, as `evaluate` reads it."""
    pictures = {name: photo(number) for number, name in NAMES}
    write(folder, {"train.json": content} | pictures)
    return check_file(own_coco(folder, **values), folder, "train.json", policy)


def content_of(folder: Path, content: object, **values: Any) -> Content:
    return of_file(folder, content, **values).content()


def changed(change: Callable[[Content], None]) -> Content:
    content = deepcopy(PLAIN)
    change(content)
    return content


def each(key: str, **forms: Callable[[Any], Any]) -> Content:
    """The plain file with each value of some keys in another form."""
    content = deepcopy(PLAIN)
    for entry in content[key]:
        entry.update({name: form(entry.get(name)) for name, form in forms.items()})
    return content


def without(key: str, *names: str) -> Content:
    content = deepcopy(PLAIN)
    content[key] = [{k: v for k, v in entry.items() if k not in names} for entry in content[key]]
    return content


def as_text(content: Any) -> Any:
    """All numbers as text."""
    if isinstance(content, dict):
        return {key: as_text(value) for key, value in content.items()}
    if isinstance(content, list):
        return [as_text(value) for value in content]
    return str(content)


SAME = {
    "BOM": codecs.BOM_UTF8 + json.dumps(PLAIN).encode(),
    "UTF-16": json.dumps(PLAIN).encode("utf-16"),
    "all numbers as text": as_text(PLAIN),
    "ids as fractions": each("annotations", id=float, image_id=float, category_id=float),
    "sizes as text": each("images", width=str, height=lambda side: f"{side}.0"),
    "no sizes": without("images", "width", "height"),
    "sizes null": each("images", width=lambda _: None, height=lambda _: None),
    "sizes 0": each("images", width=lambda _: 0, height=lambda _: "0"),
    "one size alone": each("images", width=lambda _: None),
    "no iscrowd": without("annotations", "iscrowd"),
    "iscrowd null": each("annotations", iscrowd=lambda _: None),
    "iscrowd as text": each("annotations", iscrowd=lambda _: "0"),
    "iscrowd false": each("annotations", iscrowd=lambda _: False),
    "iscrowd empty": each("annotations", iscrowd=lambda _: ""),
    "ignore as text": each("annotations", ignore=lambda _: "False"),
    "addresses in place of names, as LVIS has them": changed(
        lambda content: [
            image.update(coco_url=f"http://images.example.org/val2017/{image.pop('file_name')}")
            for image in content["images"]
        ]
    ),
    "area null": each("annotations", area=lambda _: None),
    "area empty": each("annotations", area=lambda _: ""),
    "area negative": each("annotations", area=lambda _: -5.0),
    "area NaN": each("annotations", area=lambda _: float("nan")),
    "area in words": each("annotations", area=lambda _: "large"),
    "a supercategory": each("categories", supercategory=lambda _: "animal"),
    "an unused category of the same name": changed(lambda c: c["categories"].insert(0, {"id": 0, "name": "cat"})),
    "backslashes": each("images", file_name=lambda name: f".\\{name}"),
    "an absolute path": each("images", file_name=lambda name: f"/home/somebody/pictures/{name}"),
    "further keys": PLAIN | {"info": None, "licenses": "none", "videos": [1]},
}


@pytest.mark.parametrize("form", SAME)
def test_every_form_is_read_as_the_plain_one(tmp_path: Path, form: str) -> None:
    assert content_of(tmp_path / "a", SAME[form]) == content_of(tmp_path / "b", PLAIN)


@pytest.mark.parametrize(
    ("flag", "ignored"), [("1", True), (True, True), (1.0, True), ("true", True), ("0", False), (None, False)]
)
@pytest.mark.parametrize("name", ["iscrowd", "difficult", "ignore"])
def test_a_flag_is_one_in_any_form(tmp_path: Path, name: str, flag: object, ignored: bool) -> None:
    checked = of_file(tmp_path, each("annotations", **{name: lambda _: flag}))
    assert checked.counts()["n_ignored"] == (4 if ignored else 0)
    kept = of_file(tmp_path, each("annotations", **{name: lambda _: flag}), difficult="keep")
    assert kept.counts()["n_ignored"] == (4 if ignored and name == "iscrowd" else 0)


def test_an_area_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_file(tmp_path, SAME["area in words"])
    said = "4 objects have an area that is none (first 'large', annotation 10); it is that of their boxes"
    assert said in capsys.readouterr().out
    of_file(tmp_path, SAME["area null"])
    assert capsys.readouterr().out == ""


def test_texts_that_are_no_numbers_are_numbered_as_ids(tmp_path: Path) -> None:
    texts = changed(
        lambda c: (
            [image.update(id=f"img_{image['id']}") for image in c["images"]],
            [category.update(id=category["name"]) for category in c["categories"]],
            [
                a.update(
                    id=f"{a['id']:x}-b", image_id=f"img_{a['image_id']}", category_id=["cat", "dog"][a["image_id"] % 2]
                )
                for a in c["annotations"]
            ],
        )
    )
    found, plain = content_of(tmp_path / "a", texts), content_of(tmp_path / "b", PLAIN)
    assert found["splits"]["test"]["images"] == plain["splits"]["test"]["images"]
    assert found["categories"] == [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    assert [a["image_id"] for a in found["splits"]["test"]["annotations"]] == [1, 2, 3, 4]
    assert [a["bbox"] for a in found["splits"]["test"]["annotations"]] == [
        a["bbox"] for a in plain["splits"]["test"]["annotations"]
    ]


def test_ids_of_both_kinds_do_not_clash(tmp_path: Path) -> None:
    mixed = changed(lambda c: (c["images"][0].update(id="a"), c["annotations"][0].update(image_id="a")))
    assert [image["id"] for image in content_of(tmp_path, mixed)["splits"]["test"]["images"]] == [5, 2, 3, 4]


def test_annotations_without_ids_are_numbered(tmp_path: Path) -> None:
    for content, ids in (
        (without("annotations", "id"), [1, 2, 3, 4]),
        (changed(lambda c: c["annotations"][1].pop("id")), [10, 41, 30, 40]),
        (each("annotations", id=lambda _: None), [1, 2, 3, 4]),
    ):
        found = content_of(tmp_path, content)["splits"]["test"]["annotations"]
        assert [annotation["id"] for annotation in found] == ids


def test_categories_may_stand_in_the_training_file_alone(tmp_path: Path) -> None:
    pictures = {f"{split}/{name}": photo(10 * n) for n, split in enumerate(("train", "val")) for _, name in NAMES}
    paths = write(tmp_path, {"train.json": PLAIN, "val.json": without_categories(), **pictures})
    found = check(own_coco(tmp_path), tmp_path, paths, "stop").content()
    assert len(found["splits"]["val"]["annotations"]) == 4
    with pytest.raises(UserError, match=r"of the unknown category 3 \(the file has no list of categories\)"):
        of_file(tmp_path, without_categories())


def without_categories() -> Content:
    return {key: value for key, value in PLAIN.items() if key != "categories"}


def test_a_category_without_a_name_is_called_by_its_id(tmp_path: Path) -> None:
    content = content_of(tmp_path, each("categories", name=lambda _: None))
    assert content["categories"] == [{"id": 1, "name": "1"}, {"id": 3, "name": "3"}]


def test_two_used_categories_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.json: two categories are called 'dog', one is 3; rename one"):
        of_file(tmp_path, each("categories", name=lambda _: "dog"))


def test_an_object_without_a_box_has_that_of_its_outline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outlines = [
        [[5, 4, 20, 4, 20, 14.5, 5, 14.5]],
        {"size": [30, 40], "counts": [5 * 30 + 4, 10, 20, 10, 1200 - 5 * 30 - 44]},  # two columns of ten
        [[1, 1, 5, 1, 5, 5], [8, 8, 9, 8, 9, 12]],
    ]
    content = without("annotations", "bbox")
    content["annotations"] = content["annotations"][:3]
    for annotation, outline in zip(content["annotations"], outlines, strict=True):
        annotation["segmentation"] = outline
    content["annotations"][1] |= {"iscrowd": 1, "bbox": None}
    content["annotations"][2] |= {"bbox": []}
    checked = of_file(tmp_path, content)
    assert [a["bbox"] for a in checked.content()["splits"]["test"]["annotations"]] == [
        *([5, 4, 15, 10.5], [5, 4, 2, 10], [1, 1, 8, 11])
    ]
    assert checked.counts()["n_ignored"] == 1
    assert "3 objects have no bbox; it is the box around their segmentation" in capsys.readouterr().out


@pytest.mark.parametrize("segmentation", [None, [], [[]], [[1, 2]], {"counts": "x", "size": [0, 0]}, "none"])
def test_an_object_without_box_and_outline_is_a_bad_box(tmp_path: Path, segmentation: object) -> None:
    content = without("annotations", "bbox")
    content["annotations"][2]["segmentation"] = segmentation
    with pytest.raises(UserError, match=r"the box None of annotation 10 .* and 4 boxes are bad in all"):
        of_file(tmp_path, content)
    assert of_file(tmp_path, content, "drop").counts()["n_bad_boxes"] == 4


def test_a_box_is_kept_where_there_is_an_outline_too(tmp_path: Path) -> None:
    content = each("annotations", segmentation=lambda _: [[0, 0, 40, 0, 40, 30]])
    assert content_of(tmp_path / "a", content) == content_of(tmp_path / "b", PLAIN)


def test_most_boxes_over_the_edges_may_be_corners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "of 4 boxes reach over the edges of their images, and are cut there\n"
    of_file(tmp_path / "a", changed(lambda content: content["annotations"][0].update(bbox=[30, 2, 20, 9])))
    assert capsys.readouterr().out == f"1 {said}"
    of_file(tmp_path / "b", each("annotations", bbox=lambda box: [30, 20, 30 + box[2], 20 + box[3]]))
    assert capsys.readouterr().out.startswith(f"4 {said}most boxes do so: COCO's are x, y, width, height and not")


def test_many_categories_take_no_long_time(tmp_path: Path) -> None:
    """Quadratic code took 26 seconds for as many."""
    many = PLAIN | {"categories": [{"id": n, "name": f"kind {n}"} for n in range(1, 20_001)]}
    started = process_time()
    content = content_of(tmp_path, many)
    assert process_time() - started < 3
    assert content["categories"] == [{"id": 1, "name": "kind 1"}, {"id": 3, "name": "kind 3"}]
    many["annotations"] = [PLAIN["annotations"][0] | {"category_id": 0}]
    with pytest.raises(UserError, match=r"unknown category 0 \(known: 1 kind 1, .* and 19,980 more\)$"):
        of_file(tmp_path, many)


# Layouts


def parts() -> dict[str, Content]:
    """Two files of two images each, of other pictures."""
    first, second = deepcopy(PLAIN), deepcopy(PLAIN)
    for part, kept in ((first, (1, 2)), (second, (3, 4))):
        part["images"] = [image for image in part["images"] if image["id"] in kept]
        part["annotations"] = [a for a in part["annotations"] if a["image_id"] in kept]
    return {"train": first, "val": second}


def in_layout(folder: Path, annotations: str, images: str) -> None:
    files = {annotations.format(split): content for split, content in parts().items()}
    for split, content in parts().items():
        files |= {f"{images.format(split)}/{i['file_name']}": photo(i["id"]) for i in content["images"]}
    write(folder, files)


LAYOUTS = {
    "COCO": ("annotations/instances_{}2017.json", "{}2017"),
    "MMDetection": ("annotations/{}.json", "images/{}"),
    "Roboflow": ("{}/_annotations.coco.json", "{}"),
    "one folder of images": ("{}.json", "images"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_known_layouts_are_taken_as_they_are(tmp_path: Path, layout: str) -> None:
    """The split of a folder, and the file."""
    annotations, images = LAYOUTS[layout]
    in_layout(tmp_path, annotations, images)
    paths, own = walk(tmp_path).files, own_coco(tmp_path)
    expected = [f"{images.format('val')}/{name}" for name in ("03.png", "04.png")]
    val = check_split(own, tmp_path, paths, "val", "stop").content()["splits"]["val"]
    assert [image["file_name"] for image in val["images"]] == expected
    file = check_file(own, tmp_path, annotations.format("val"), "stop").content()["splits"]["test"]
    assert file == val


def test_a_split_without_a_file_is_that_part_of_train_which_training_leaves_out(tmp_path: Path) -> None:
    paths = write(tmp_path, {"train.json": PLAIN, **{name: photo(number) for number, name in NAMES}})
    own = own_coco(tmp_path)
    for split in ("train", "val", "test"):
        of_training = check(own, tmp_path, paths, "stop").content()["splits"][split]
        assert check_split(own, tmp_path, paths, split, "stop").content()["splits"][split] == of_training


@pytest.mark.parametrize("count", [1, 2])
def test_a_file_of_one_or_two_images_needs_no_splits(tmp_path: Path, count: int) -> None:
    few = changed(lambda c: c.update(images=c["images"][:count], annotations=c["annotations"][:count]))
    assert len(content_of(tmp_path, few)["splits"]["test"]["images"]) == count
    paths = write(tmp_path, {"train.json": few})
    with pytest.raises(UserError, match=f"own: {count} images to train on are too few to take val and test from them"):
        check(own_coco(tmp_path), tmp_path, paths, "stop")


@pytest.mark.parametrize("folder", ["annotations", "Annotations", "labels/test"])
def test_a_file_in_a_folder_of_annotations_has_its_images_beside_it(tmp_path: Path, folder: str) -> None:
    write(tmp_path, {f"{folder}/all.json": PLAIN, **{f"images/{name}": photo(number) for number, name in NAMES}})
    assert folder_of(tmp_path / folder / "all.json") == tmp_path
    content = check_file(own_coco(tmp_path), tmp_path, f"{folder}/all.json", "stop").content()
    assert content["splits"]["test"]["images"][0]["file_name"] == "images/01.png"


def test_a_name_that_is_a_path_is_that_file_whatever_else_is_there(tmp_path: Path) -> None:
    """As pycocotools' users join folder and name; other files of that name, and whole disks, are not looked at."""
    write(tmp_path, {f"copies/{name}": photo(9) for _, name in NAMES} | {"labels.json": PLAIN})
    content = content_of(tmp_path, PLAIN)
    assert [image["file_name"] for image in content["splits"]["test"]["images"]] == [name for _, name in NAMES]


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    paths = write(tmp_path, {"val.json": PLAIN, **{name: photo(number) for number, name in NAMES}})
    with pytest.raises(UserError, match="no annotation file of the split test below it; it has val; give another"):
        check_split(own_coco(tmp_path), tmp_path, paths, "test", "stop")
    nameless = own_coco(tmp_path).model_copy(update={"title": ""})
    with pytest.raises(UserError, match=rf"^{tmp_path}: there is no train\.json below .* \(1 JSON files: val\.json\)"):
        check(nameless, tmp_path, paths, "stop")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([{"image_id": 1}], "it holds a list, as a file of results does"),
        ({"shapes": [], "imagePath": "01.png"}, "it is labelme's file of one image"),
        ({"annotations": []}, "it has no list of images"),
        (7, "it has no list of images"),
        ({"images": {"1": {}}}, "'images' is not a list of objects"),
        ({"images": None}, "there are no images in it"),
        ({**PLAIN, "categories": ["dog", "cat"]}, "'categories' is not a list of objects"),
        ({**PLAIN, "annotations": {"1": 2}}, "'annotations' is not a list of objects"),
        ({**PLAIN, "annotations": [{"image_id": 1, "segments_info": []}]}, "it holds COCO's panoptic segmentation"),
        ({**PLAIN, "annotations": [{"id": 1, "image_id": 1, "caption": "a dog"}]}, "it holds COCO's captions"),
        (
            {**PLAIN, "images": [*PLAIN["images"], PLAIN["images"][0] | {"id": 9}]},
            "01.png is there twice, the second time as image 9; name it once",
        ),
    ],
)
def test_what_is_in_another_form_is_said(tmp_path: Path, content: object, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        of_file(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path}/train.json: ") and sentence in str(caught.value)


# Turned photographs


def turned(folder: Path, size: tuple[int, int] | None, drawn_on: str | None, orientation: int = 6) -> Content:
    """Two photographs of 40 x 30 stored pixels; the box is the red square of the stored pixels."""
    names = [(n, f"{n}.jpg") for n in (1, 2)]
    content = coco(names, [(n, 1, [4, 6, 10, 8]) for n, _ in names], size or (1, 1))
    if size is None:
        content = {**content, "images": [{"id": n, "file_name": name} for n, name in names]}
    files = {name: tagged((40, 30), [4, 6, 10, 8], orientation, "JPEG") for _, name in names}
    write(folder, {"train.json": content, **files})
    return check_file(own_coco(folder, drawn_on=drawn_on), folder, "train.json", "stop").content()["splits"]["test"]


@pytest.mark.parametrize(
    ("size", "drawn_on", "box"),
    [
        ((30, 40), None, [4, 6, 10, 8]),
        ((40, 30), None, [4, 6, 10, 8]),
        (None, None, [4, 6, 10, 8]),
        ((40, 30), "upright", [4, 6, 10, 8]),
        ((40, 30), "stored", [30 - 6 - 8, 4, 8, 10]),
        (None, "stored", [30 - 6 - 8, 4, 8, 10]),
        ((30, 40), "stored", [4, 6, 10, 8]),
    ],
)
def test_boxes_belong_to_the_upright_picture(
    tmp_path: Path, size: tuple[int, int] | None, drawn_on: str | None, box: list[float]
) -> None:
    part = turned(tmp_path, size, drawn_on)
    assert {(image["width"], image["height"]) for image in part["images"]} == {(30, 40)}
    assert [annotation["bbox"] for annotation in part["annotations"]] == [box, box]


def test_sizes_that_leave_it_open_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turned(tmp_path, (40, 30), None)
    said = capsys.readouterr().out
    assert "train.json: 2 of 2 images are turned by their EXIF tag, and have the sizes of the stored pixels" in said
    assert "drawn_on: stored" in said
    turned(tmp_path, (40, 30), "stored")
    assert "the boxes of 2 of 2 images belong to the stored pixels" in capsys.readouterr().out
    for size in ((30, 40), None):
        turned(tmp_path, size, None)
        assert capsys.readouterr().out == ""
