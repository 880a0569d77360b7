"""PASCAL VOC: archives of exactly the official layout, and XML files that are not to be trusted."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.data.annotations import check
from florilegium.data.layouts import recognise
from florilegium.data.voc import read_voc
from florilegium.stages import annotations, fetch
from tests.helpers.annotated import photo, tagged
from tests.helpers.data import dataset, encoded, tar
from tests.helpers.stages import run_stage

HEAD = """<annotation>
\t<folder>VOC2007</folder>
\t<filename>{name}.jpg</filename>
\t<source><database>The VOC2007 Database</database><image>flickr</image></source>
\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>
\t<segmented>0</segmented>
"""
OBJECT = """\t<object>
\t\t<name>{name}</name>
\t\t<pose>Left</pose>
\t\t<truncated>{truncated}</truncated>
\t\t<difficult>{difficult}</difficult>
\t\t<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>
{more}\t</object>
"""
# As in the archive of 2012: a part of an object has a name and a box of its own.
PART = "\t\t<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>\n"


def scene(name: str, *objects: dict[str, Any], size: tuple[int, int] = (50, 40)) -> bytes:
    usual = {"truncated": 0, "difficult": 0, "box": (1, 1, 50, 40), "more": ""}
    text = HEAD.format(name=name, width=size[0], height=size[1])
    return (text + "".join(OBJECT.format(**usual | o) for o in objects) + "</annotation>\n").encode()


def names_in(*splits: dict[str, bytes]) -> bytes:
    return "".join(f"{name}\n" for scenes in splits for name in scenes).encode()


def archive(year: str, splits: dict[str, dict[str, bytes]], base: str = "VOCdevkit/") -> dict[str, bytes]:
    """The files of an official archive: lists a split, of both at once and a class, XML files, pictures and
    segmentations."""
    root = f"{base}VOC{year}"
    files = {f"{root}/ImageSets/Main/{'trainval' if 'train' in splits else 'test'}.txt": names_in(*splits.values())}
    for split, scenes in splits.items():
        lines = files[f"{root}/ImageSets/Main/{split}.txt"] = names_in(scenes)
        files[f"{root}/ImageSets/Main/cat_{split}.txt"] = lines.replace(b"\n", b"  1\n")
        files[f"{root}/ImageSets/Layout/{split}.txt"] = files[f"{root}/ImageSets/Segmentation/{split}.txt"] = b""
        for name, content in scenes.items():
            files[f"{root}/Annotations/{name}.xml"] = content
            jpeg = Image.new("RGB", (50, 40), (int(name[-2:]) * 20, 90, 200))
            files[f"{root}/JPEGImages/{name}.jpg"] = encoded(jpeg, "JPEG")
            files[f"{root}/SegmentationClass/{name}.png"] = photo(0)
    return files


TRAINVAL_2007 = archive(
    "2007",
    {
        "train": {
            "000005": scene(
                "000005",
                {"name": "chair", "box": (5, 5, 9, 9)},
                {"name": "bird", "box": (3, 4, 10, 20), "truncated": 1},
                {"name": "cat", "box": (11, 12, 30.5, 40)},
            ),
            "000007": scene("000007", {"name": "person"}),
        },
        "val": {"000009": scene("000009", {"name": "dog", "difficult": 1}, {"name": "car"}, {"name": "bus"})},
    },
)
TEST_2007 = archive("2007", {"test": {"000001": scene("000001", {"name": "bus"})}})
TRAINVAL_2012 = archive(
    "2012",
    {
        "train": {"2008_000002": scene("2008_000002", {"name": "dog", "more": PART}, size=(500, 375))},
        "val": {"2008_000003": scene("2008_000003", {"name": "car"}), "2008_000004": scene("2008_000004")},
    },
)
# A picture of an earlier year, which the archive of 2012 segments and puts into no split.
TRAINVAL_2012 |= {
    "VOCdevkit/VOC2012/Annotations/2007_000027.xml": scene("2007_000027", {"name": "cat"}),
    "VOCdevkit/VOC2012/JPEGImages/2007_000027.jpg": encoded(Image.new("RGB", (50, 40)), "JPEG"),
    "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt": b"2007_000027\n",
}


def test_the_official_archives_from_files_to_annotations(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    voc5 = dataset(project, "voc5").model_dump(mode="json", exclude_none=True)
    contents = (TRAINVAL_2007, TEST_2007, TRAINVAL_2012)
    local = {
        file["file"]: {"path": str(tar(tmp_path / file["file"], content, "w"))}
        for file, content in zip(voc5["files"], contents, strict=True)
    }
    folder = tmp_path / "resources" / "voc5"
    override = {"mirrors": [], "files": local}
    files, out = folder / "files.json", folder / "annotations.json"
    run_stage(monkeypatch, fetch, {"dataset": voc5, "override": override}, "--name", "voc5", "--out", files)
    run_stage(monkeypatch, annotations, {"dataset": voc5, "bad_boxes": "stop"}, "--files", files, "--out", out)
    content = read_json(out)
    assert content["categories"] == [
        {"id": i, "name": name} for i, name in enumerate(("cat", "dog", "bus", "car", "bird"), start=1)
    ]
    found = content["splits"]
    assert [[image["id"] for image in found[split]["images"]] for split in ("train", "val", "test")] == [
        *([5, 2008000002], [9, 2008000003], [1])
    ]
    bird, cat, dog = found["train"]["annotations"]
    assert (bird["category_id"], bird["bbox"], bird["truncated"]) == (5, [2, 3, 8, 17], 1)
    assert (cat["category_id"], cat["bbox"], cat["iscrowd"]) == (1, [10, 11, 20.5, 29], 0)
    assert (dog["image_id"], dog["bbox"], dog["difficult"]) == (2008000002, [0, 0, 50, 40], 0)
    assert [a["iscrowd"] for a in found["val"]["annotations"]] == [1, 0, 0, 0]
    assert {(i["width"], i["height"]) for part in found.values() for i in part["images"]} == {(50, 40)}
    summary = read_json(folder / "images.json")
    assert (summary["n_images"], summary["n_ignored"], summary["split_origin"]) == (5, 1, "official")
    rows = (folder / "images.csv").read_text().splitlines()
    assert "VOCdevkit/VOC2007/JPEGImages/000005.jpg,cat,train" in rows
    receipt = read_json(folder / "annotations.receipt.json")
    assert {Path(name).name for name in receipt["outputs"]} == {
        *("annotations.json", "images.csv", "images.json", "bad_boxes.csv")
    }


def unpacked(folder: Path, *contents: dict[str, bytes]) -> list[str]:
    for name, data in {k: v for content in contents for k, v in content.items()}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def voc(folder: Path, **values: Any) -> Dataset:
    return Dataset(title="voc", layout="voc", folder=str(folder), **values)


def test_all_classes_are_kept_when_none_is_named(tmp_path: Path) -> None:
    paths = unpacked(tmp_path, TRAINVAL_2007)
    found = read_voc(voc(tmp_path), tmp_path, paths)
    assert list(found.categories.values()) == ["bird", "bus", "car", "cat", "chair", "dog", "person"]
    assert len(found.parts["train"].pictures) == 2 and "test" not in found.parts


def test_difficult_objects_may_be_kept(tmp_path: Path) -> None:
    paths = unpacked(tmp_path, TRAINVAL_2007, TEST_2007)
    kept = check(voc(tmp_path, difficult="keep"), tmp_path, paths, "stop")
    assert kept.counts()["n_ignored"] == 0


def test_the_pictures_of_the_archive_are_those_that_are_audited(tmp_path: Path) -> None:
    paths = [*TRAINVAL_2007, *TRAINVAL_2012]
    assert recognise("voc", tmp_path, paths) == sorted(path for path in paths if path.endswith(".jpg"))


def refused(folder: Path, contents: dict[str, bytes], **values: Any) -> str:
    with pytest.raises(UserError) as caught:
        read_voc(voc(folder, **values), folder, unpacked(folder, contents))
    return str(caught.value)


def test_what_is_absent_is_named(tmp_path: Path) -> None:
    assert "there is no VOC<year>/ImageSets/Main/train.txt" in refused(tmp_path / "a", TEST_2007)
    for number, lost in enumerate(("Annotations/000007.xml", "JPEGImages/000007.jpg")):
        rest = {name: data for name, data in TRAINVAL_2007.items() if not name.endswith(lost)}
        assert f"train.txt: names 000007, and there is no VOCdevkit/VOC2007/{lost}" in refused(
            tmp_path / str(number), rest
        )
    assert "unknown class 'bat', did you mean 'cat'?" in refused(tmp_path / "c", TRAINVAL_2007, classes=("dog", "bat"))


ENTITIES = b"""<?xml version="1.0"?>
<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>
"""
FOREIGN = ENTITIES.replace(b'<!ENTITY a "aaaaaaaaaa">', b'<!ENTITY a SYSTEM "file:///etc/hostname">')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ENTITIES, "declares a document type"),
        (FOREIGN, "declares a document type"),
        (ENTITIES.decode().encode("utf-16"), "declares a document type"),
        (b"<annotation><object>", "no element found"),
        (b"", "no element found"),
        (b"<annotation><object><name>cat</name></object></annotation>", "an object has no bndbox/xmin"),
        (
            scene("000007", {"name": "cat", "box": ("left", 1, 2, 3)}),
            "the xmin of an object is 'left', which is no number",
        ),
        (scene("000007", {"name": "cat"}).decode().encode("utf-16"), None),
    ],
)
def test_xml_that_is_no_annotation_is_refused(tmp_path: Path, content: bytes, reason: str | None) -> None:
    given = TRAINVAL_2007 | {"VOCdevkit/VOC2007/Annotations/000007.xml": content}
    if reason is None:
        assert read_voc(voc(tmp_path), tmp_path, unpacked(tmp_path, given)).parts["train"].pictures
        return
    said = refused(tmp_path, given)
    assert "Annotations/000007.xml: not a VOC annotation (" in said and reason in said


def test_corners_that_are_no_box_are_bad_boxes(tmp_path: Path) -> None:
    given = TRAINVAL_2007 | TEST_2007
    given["VOCdevkit/VOC2007/Annotations/000007.xml"] = scene("000007", {"name": "cat", "box": (9, 9, 4, 20)})
    paths = unpacked(tmp_path, given)
    with pytest.raises(UserError, match=r"Annotations/000007.xml: the box .* is inverted"):
        check(voc(tmp_path), tmp_path, paths, "stop")
    given["VOCdevkit/VOC2007/Annotations/000007.xml"] = scene("000007", {"name": "cat", "box": ("nan", 9, 4, 20)})
    found = check(voc(tmp_path), tmp_path, unpacked(tmp_path, given), "drop")
    assert [(bad.source, bad.reason) for bad in found.bad] == [
        ("VOCdevkit/VOC2007/Annotations/000007.xml", "not finite")
    ]


# --- forms of one's own ---------------------------------------------------------------------


def own_folder(folder: Path, content: bytes, image: str = "a photo (1).png", base: str = "") -> dict[str, Any]:
    """The content of `annotations.json` for a folder of four images without lists; the first has this XML."""
    names = [image, *(f"{n}.png" for n in range(3))]
    files = {f"{base}JPEGImages/{name}": photo(n, (50, 40)) for n, name in enumerate(names)}
    files |= {f"{base}Annotations/{Path(name).stem}.xml": scene("x", {"name": "cat"}) for name in names}
    files[f"{base}Annotations/{Path(image).stem}.xml"] = content
    return check(voc(folder), folder, unpacked(folder, files), "stop").content()


def first_object(content: dict[str, Any], image: str = "a photo (1).png") -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Class, annotation and image of the one object of an image, in whatever split it came."""
    classes = {category["id"]: category["name"] for category in content["categories"]}
    for part in content["splits"].values():
        for of in part["images"]:
            if of["file_name"].endswith(image):
                found = next(a for a in part["annotations"] if a["image_id"] == of["id"])
                return classes[found["category_id"]], found, of
    raise AssertionError(image)


TEXT = scene("x", {"name": "Blüte", "box": (3, 4, 10, 20)}).decode()


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + TEXT).encode("utf-16"),
        ('<?xml version="1.0" encoding="utf-8"?>' + TEXT).encode(),
        ("<?xml version='1.0' encoding='ISO-8859-1'?>" + TEXT).encode("latin-1"),
        ('<?xml version="1.0" encoding="windows-1252"?>' + TEXT).encode("cp1252"),
        ('<?xml version="1.0" encoding="GB18030"?>' + TEXT).encode("gb18030"),
    ],
)
def test_xml_in_any_encoding_is_read(tmp_path: Path, content: bytes) -> None:
    name, annotation, image = first_object(own_folder(tmp_path, content))
    assert (name, annotation["bbox"]) == ("Blüte", [2, 3, 8, 17])
    assert (image["width"], image["height"]) == (50, 40)


@pytest.mark.parametrize("base", ["", "VOC2007/", "my set/"])
def test_a_folder_without_lists_is_read_and_split(tmp_path: Path, base: str) -> None:
    content = own_folder(tmp_path, TEXT.encode(), base=base)
    assert [len(content["splits"][split]["images"]) for split in ("train", "val", "test")] == [2, 1, 1]
    ids = sorted(image["id"] for part in content["splits"].values() for image in part["images"])
    assert ids == [1, 2, 3, 4]


LIST = "ImageSets/Main/train.txt"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"JPEGImages/1.jpg": photo(9)}, "JPEGImages/1.jpg and JPEGImages/1.png could both be the image of one XML"),
        ({LIST: b"\n \n"}, f"{LIST}: there is no image in it to train on"),
        ({LIST: b"1\n3\n"}, f"{LIST}: names 3, and there is no Annotations/3.xml"),
    ],
)
def test_a_folder_that_leaves_open_what_is_meant_is_refused(tmp_path: Path, more: dict, sentence: str) -> None:
    files = {f"JPEGImages/{n}.png": photo(n, (50, 40)) for n in range(3)}
    files |= {f"Annotations/{n}.xml": scene(str(n), {"name": "cat"}) for n in range(3)}
    assert sentence in refused(tmp_path, files | more)


def test_images_that_are_left_out_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One has no object, one no XML file."""
    files = {f"JPEGImages/{n}.png": photo(n, (50, 40)) for n in range(5)}
    files |= {f"Annotations/{n}.xml": scene(str(n), *[{"name": "cat"}] * (n > 0)) for n in range(4)}
    found = read_voc(voc(tmp_path), tmp_path, unpacked(tmp_path, files))
    assert [Path(picture.path).stem for picture in found.parts["train"].pictures] == ["1", "2", "3"]
    assert "2 of 5 images have no object of its classes, no XML file or no split" in capsys.readouterr().out


def test_names_with_spaces_stand_in_lists(tmp_path: Path) -> None:
    files = TRAINVAL_2007 | {
        "VOCdevkit/VOC2007/ImageSets/Main/valid.txt": b"\xef\xbb\xbfa b  \n\nc d  1\r\n",
        **{f"VOCdevkit/VOC2007/JPEGImages/{name}.jpg": photo(n, (50, 40)) for n, name in enumerate(("a b", "c"))},
        **{f"VOCdevkit/VOC2007/Annotations/{name}.xml": scene(name, {"name": "cat"}) for name in ("a b", "c")},
    }
    del files["VOCdevkit/VOC2007/ImageSets/Main/val.txt"]
    found = read_voc(voc(tmp_path), tmp_path, unpacked(tmp_path, files))
    assert [Path(picture.path).name for picture in found.parts["val"].pictures] == ["a b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("old", "new", "flags"),
    [
        ("<difficult>0</difficult>", "", (0, 0)),
        ("<difficult>0</difficult>", "<difficult/>", (0, 0)),
        ("<difficult>0</difficult>", "<difficult>Unspecified</difficult>", (0, 0)),
        ("<difficult>0</difficult>", "<difficult> 1 </difficult>", (1, 0)),
        ("<truncated>0</truncated>", "<truncated>true</truncated>", (0, 1)),
        ("<truncated>0</truncated>", "<truncated>1.0</truncated>", (0, 1)),
        ("<xmin>3</xmin>", "<xmin>3.0</xmin>", (0, 0)),
        ("<size><width>50</width><height>40</height><depth>3</depth></size>", "", (0, 0)),
        ("<width>50</width><height>40</height>", "<width>0</width><height>0</height>", (0, 0)),
        ("<width>50</width>", "<width>wide</width>", (0, 0)),
        ("<width>50</width>", "<width>77</width>", (0, 0)),
    ],
)
def test_what_tools_leave_out_or_write_otherwise(tmp_path: Path, old: str, new: str, flags: tuple[int, int]) -> None:
    assert old in TEXT
    _, annotation, image = first_object(own_folder(tmp_path, TEXT.replace(old, new).encode()))
    assert (annotation["difficult"], annotation["truncated"]) == flags
    assert annotation["bbox"] == [2, 3, 8, 17] and (image["width"], image["height"]) == (50, 40)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (TEXT.replace("<difficult>0", "<difficult>maybe").encode(), "'difficult' of an object is 'maybe'"),
        (TEXT.replace("<ymax>20</ymax>", "").encode(), "an object has no bndbox/ymax"),
        (TEXT.replace("<name>Blüte</name>", "").encode(), "an object has no name"),
        (TEXT.replace("Blüte", " ").encode(), "an object has no name"),
        (b"<html><body/></html>", "its outermost element is 'html'"),
        (TEXT.encode("latin-1"), "invalid token"),
        (('<?xml version="1.0" encoding="klingon"?>' + TEXT).encode(), "unknown encoding: klingon"),
        (('<?xml version="1.0" encoding="ascii"?>' + TEXT).encode(), "codec can't decode"),
    ],
)
def test_each_fault_of_an_own_file_is_one_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        own_folder(tmp_path, content)
    said = str(caught.value)
    assert (
        said.startswith("Annotations/a photo (1).xml: not a VOC annotation (") and reason in said and "\n" not in said
    )


def test_turned_photographs_are_seen_upright(tmp_path: Path) -> None:
    """The square is at (4, 6) of the stored pixels; corners count from 1."""
    for drawn_on, corners, expected in (
        (None, (27, 5, 34, 14), [26, 4, 8, 10]),
        ("stored", (5, 7, 14, 14), [26, 4, 8, 10]),
    ):
        files = {f"JPEGImages/{n}.jpg": tagged((50, 40), [4, 6, 10, 8], 6, "JPEG") for n in range(4)}
        xml = scene("x", {"name": "cat", "box": corners}, size=(50, 40) if drawn_on else (40, 50))
        folder = tmp_path / str(drawn_on)
        paths = unpacked(folder, files | {f"Annotations/{n}.xml": xml for n in range(4)})
        content = check(voc(folder, drawn_on=drawn_on), folder, paths, "stop").content()
        _, annotation, image = first_object(content, "0.jpg")
        assert annotation["bbox"] == expected and (image["width"], image["height"]) == (40, 50)
