"""PASCAL VOC detection archives: an XML file an image, and lists of the images of each split.

Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010. Below `VOCdevkit/VOC<year>` are
`Annotations/<image>.xml`, `JPEGImages/<image>.jpg` and `ImageSets/Main/{train,val,test}.txt`. Corners are
counted from 1 and inclusive, so that a box from 1 to 1 is one pixel wide.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError, unknown
from florilegium.data.annotated import Annotated, Annotation, Part, Picture, refuse_doubles, refuse_repeated
from florilegium.data.decode import measured
from florilegium.data.labels import SPLITS

LIST = re.compile(r"(?P<base>(?:.*/)?VOC\d{4})/ImageSets/Main/(?P<split>train|val|test)\.txt")
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class _File(NamedTuple):
    """The content of one XML file."""

    size: tuple[int, int] | None  # width and height that it states
    objects: list[tuple[str, list[float], dict[str, int]]]  # class, box and flags of each


def read_voc(dataset: Dataset, root: Path, paths: Sequence[str]) -> Annotated:
    """The objects of the classes of `dataset` (all when it names none), with ids from 1 in that order.

    Images without any of them are left out. The sides are those of the image files: the XML files of some
    years are wrong about a few. An image's id is its name read as a number, which is the same in any part
    of the archives.

    Raises:
        UserError: there are no lists of images, an image or XML file of a list is absent, an XML file
            cannot be read, or no object is of one of the classes.
    """
    lists = [match for path in paths if (match := LIST.fullmatch(path))]
    if not any(match["split"] == "train" for match in lists):
        absent = f"there is no VOC<year>/ImageSets/Main/train.txt below {root}"
        raise UserError(f"{dataset.title}: {absent}; fetch the archive of training and validation images")
    files: dict[str, dict[str, _File]] = {split: {} for split in SPLITS}
    present = set(paths)
    for match in lists:
        lines = (root / match[0]).read_text(encoding="utf-8").splitlines()
        for name in (line.split()[0] for line in lines if line.strip()):
            source = f"{match['base']}/Annotations/{name}.xml"
            image = f"{match['base']}/JPEGImages/{name}.jpg"
            for path in (source, image):
                if path not in present:
                    raise UserError(f"{match[0]}: names {name}, and there is no {path}; fetch it again")
            files[match["split"]][image] = _read(root / source, source)
    classes = _classes(dataset, files)
    parts = {split: _part(root, of_split, classes) for split, of_split in files.items() if of_split}
    refuse_doubles(parts)
    return Annotated({number: name for name, number in classes.items()}, parts, "official")


def _classes(dataset: Dataset, files: dict[str, dict[str, _File]]) -> dict[str, int]:
    """Category id by class."""
    named = {name for split in files.values() for file in split.values() for name, _, _ in file.objects}
    for name in dataset.classes:
        if name not in named:
            raise unknown("class", name, named, f"{dataset.title}: classes")
    return {name: number for number, name in enumerate(dataset.classes or sorted(named), start=1)}


def _part(root: Path, files: dict[str, _File], classes: dict[str, int]) -> Part:
    pictures: list[Picture] = []
    annotations: list[Annotation] = []
    for image, file in sorted(files.items()):
        chosen = [(classes[name], box, flags) for name, box, flags in file.objects if name in classes]
        if not chosen:
            continue
        size = measured(root / image) or file.size or (None, None)
        source = image.replace("/JPEGImages/", "/Annotations/").removesuffix(".jpg") + ".xml"
        digits = Path(image).stem.replace("_", "")
        if not digits.isdecimal():
            raise UserError(f"{image}: is not named by numbers, as the images of PASCAL VOC are; rename it")
        pictures.append(Picture(int(digits), image, *size, source))
        for category, box, flags in chosen:
            annotations.append(Annotation(len(annotations) + 1, int(digits), category, box, extra=flags))
    refuse_repeated("image", (picture.id for picture in pictures), "PASCAL VOC")
    return Part(tuple(pictures), tuple(annotations))


class _Plain(ElementTree.TreeBuilder):
    """Builds no tree of a document that declares anything: entities could grow without end, or read files."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError("it declares a document type, which no annotation needs")


def _read(path: Path, where: str) -> _File:
    try:
        tree = ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_Plain()))
        sides = [tree.findtext(f"size/{key}", "").strip() for key in ("width", "height")]
        size = (int(sides[0]), int(sides[1])) if all(side.isdecimal() for side in sides) else None
        return _File(size, [_object(element) for element in tree.findall("object")])
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{where}: not a VOC annotation ({error}); fetch the archive again") from None


def _object(tree: ElementTree.Element) -> tuple[str, list[float], dict[str, int]]:
    left, top, right, bottom = (float(_text(tree, f"bndbox/{corner}")) for corner in CORNERS)
    flags = {key: int(tree.findtext(key, "0").strip() == "1") for key in ("difficult", "truncated")}
    return _text(tree, "name"), [left - 1, top - 1, right - left + 1, bottom - top + 1], flags


def _text(tree: ElementTree.Element, path: str) -> str:
    text = tree.findtext(path)
    if text is None:
        raise ValueError(f"an object has no {path}")
    return text.strip()
