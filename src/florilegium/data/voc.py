"""Data sets in the form of PASCAL VOC: an XML file an image, and lists of the images of each split.

Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010. Below `VOCdevkit/VOC<year>` are
`Annotations/<image>.xml`, `JPEGImages/<image>.jpg` and `ImageSets/Main/{train,val,test}.txt`. Corners are
counted from 1 and inclusive, so that a box from 1 to 1 is one pixel wide. A folder of one's own may be called
otherwise, hold other kinds of images, and go without lists: all its images are then to train on.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError, unknown
from florilegium.core.system import say
from florilegium.data.annotated import Annotated, Annotation, Part, Picture, refuse_doubles
from florilegium.data.frames import frame_of
from florilegium.data.json_files import flag, whole, worded
from florilegium.data.labels import SPLITS
from florilegium.data.layouts import recognise
from florilegium.data.splits import split_called

LIST = re.compile(r"(?P<base>(?:.*/)?)ImageSets/Main/(?P<name>[A-Za-z]+)\.txt")
XML = re.compile(r"(?P<base>(?:.*/)?)Annotations/(?P<name>[^/]+)\.xml", re.IGNORECASE)
IMAGES = "JPEGImages"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
UNSPECIFIED = "unspecified"  # of a flag that nobody has looked at
DECLARED = re.compile(r"^\s*<\?xml[^>]*encoding\s*=\s*[\"']([\w.:-]+)[\"']")


class _File(NamedTuple):
    """The content of one XML file."""

    size: tuple[int, int] | None  # width and height that it states
    objects: list[tuple[str, list[float], dict[str, int]]]  # class, box and flags of each
    source: str  # its path


def read_voc(dataset: Dataset, root: Path, paths: Sequence[str]) -> Annotated:
    """The objects of the classes of `dataset` (all when it names none), with ids from 1 in that order.

    Images without any of them are left out. The sides are those of the image files: the XML files of some
    years are wrong about a few. An image's id is its name read as a number, which is the same in any part
    of the archives; where a name is none, images are numbered in their order.

    Raises:
        UserError: there are neither lists of images nor XML files, an image or XML file of a list is absent, an XML
            file cannot be read, or no object is of one of the classes.
    """
    title = dataset.title or str(root)
    xml = {(match["base"], match["name"]): path for path in paths if (match := XML.fullmatch(path))}
    images = _images(title, root, paths)
    members, origin = _members(title, root, paths, xml)
    files: dict[str, dict[str, _File]] = {split: {} for split in SPLITS}
    for split, source, base, name in members:
        for folder, suffix, of in (("Annotations", "xml", xml), (IMAGES, "jpg", images)):
            if (base, name) not in of:
                absent = f"{base}{folder}/{name}.{suffix}"
                raise UserError(f"{source}: names {name}, and there is no {absent}; fetch it again")
        path = xml[base, name]
        files[split][images[base, name]] = _read(root / path, path)
    classes = _classes(dataset, title, files)
    ids = _ids(image for of_split in files.values() for image in of_split)
    parts = {split: _part(root, of_split, classes, ids) for split, of_split in files.items() if of_split}
    refuse_doubles(parts)
    if left_out := len(images) - sum(len(part.pictures) for part in parts.values()):
        why = "have no object of its classes, no XML file or no split, and are left out"
        say(f"{title}: {left_out} of {len(images)} images {why}")
    return Annotated({number: name for name, number in classes.items()}, parts, origin)


def _images(title: str, root: Path, paths: Sequence[str]) -> dict[tuple[str, str], str]:
    """The path of each image by its base folder and name."""
    images: dict[tuple[str, str], str] = {}
    for path in recognise("voc", root, paths):
        base = path[: path.rindex(f"{IMAGES}/")]
        other = images.setdefault((base, PurePosixPath(path).stem), path)
        if other != path:
            raise UserError(f"{title}: {other} and {path} could both be the image of one XML file; keep one")
    return images


def _members(
    title: str, root: Path, paths: Sequence[str], xml: Mapping[tuple[str, str], str]
) -> tuple[list[tuple[str, str, str, str]], str]:
    """Split, list, folder and name of each image; and the origin of the splits."""
    found = ((path, match) for path in paths if (match := LIST.fullmatch(path)))
    lists = [(path, match["base"], split) for path, match in found if (split := split_called(match["name"]))]
    if not lists and xml:
        return [("train", path, *key) for key, path in sorted(xml.items())], "annotation files"
    if not any(split == "train" for _, _, split in lists):
        absent = f"there is no VOC<year>/ImageSets/Main/train.txt below {root}"
        raise UserError(f"{title}: {absent}; fetch the archive of training and validation images")
    members = []
    for path, base, split in lists:
        for line in _lines(root / path, path):
            name = line.strip() if (base, line.strip()) in xml else line.split()[0]
            members.append((split, path, base, name))
    if not any(split == "train" for split, *_ in members):
        empty = ", ".join(path for path, _, split in lists if split == "train")
        raise UserError(f"{title}: {empty}: there is no image in it to train on; list some, or leave ImageSets out")
    return members, "official"


def _lines(path: Path, where: str) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise UserError(f"{where}: is not written in UTF-8; save it so") from None


def _classes(dataset: Dataset, title: str, files: dict[str, dict[str, _File]]) -> dict[str, int]:
    """Category id by class."""
    named = {name for split in files.values() for file in split.values() for name, _, _ in file.objects}
    for name in dataset.classes:
        if name not in named:
            raise unknown("class", name, named, f"{title}: classes")
    return {name: number for number, name in enumerate(dataset.classes or sorted(named), start=1)}


def _ids(images: Iterator[str]) -> dict[str, int]:
    """An id for each image: the digits of its name, or its place where those of some are none or alike."""
    names = sorted(images)
    digits = [PurePosixPath(image).stem.replace("_", "") for image in names]
    numbers = [int(text) for text in digits if text.isdecimal() and len(text) < 19]
    if len(set(numbers)) < len(names):
        numbers = list(range(1, len(names) + 1))
    return dict(zip(names, numbers, strict=True))


def _part(root: Path, files: dict[str, _File], classes: dict[str, int], ids: Mapping[str, int]) -> Part:
    pictures: list[Picture] = []
    annotations: list[Annotation] = []
    for image, file in sorted(files.items()):
        chosen = [(classes[name], box, flags) for name, box, flags in file.objects if name in classes]
        if not chosen:
            continue
        pictures.append(Picture(ids[image], image, *_size(root / image, file.size), file.source))
        for category, box, flags in chosen:
            annotations.append(Annotation(len(annotations) + 1, ids[image], category, box, extra=flags))
    return Part(tuple(pictures), tuple(annotations))


def _size(image: Path, stated: tuple[int, int] | None) -> tuple[int | None, int | None]:
    """The size that an XML file states, unless it is wrong."""
    frame = frame_of(image)
    right = stated is not None and (frame is None or stated in (frame.stored, frame.upright))
    return stated if right and stated is not None else (None, None)


# One XML file


class _Plain(ElementTree.TreeBuilder):
    """Builds no tree of a document that declares anything: entities could grow without end, or read files."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError("it declares a document type, which no annotation needs")


def _read(path: Path, where: str) -> _File:
    try:
        parser = ElementTree.XMLParser(target=_Plain())
        tree = ElementTree.fromstring(_decoded(path.read_bytes()), parser)
        if tree.tag != "annotation":
            raise ValueError(f"its outermost element is {worded(tree.tag)}, not 'annotation'")
        sides = [whole(tree.findtext(f"size/{key}")) or 0 for key in ("width", "height")]
        size = (sides[0], sides[1]) if min(sides) > 0 else None
        return _File(size, [_object(element) for element in tree.findall("object")], where)
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise UserError(f"{where}: not a VOC annotation ({error}); mend it, or fetch the archive again") from None


def _decoded(content: bytes) -> str | bytes:
    """The text of an XML file in any encoding that it names, or else in UTF-8 or UTF-16."""
    text = content.decode(json.detect_encoding(content), "replace")
    declared = DECLARED.match(text)
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:4]:
        return text
    return content.decode(declared[1]) if declared and not declared[1].lower().startswith("utf") else content


def _object(tree: ElementTree.Element) -> tuple[str, list[float], dict[str, int]]:
    left, top, right, bottom = (_corner(tree, corner) for corner in CORNERS)
    flags = {key: _flag(tree, key) for key in ("difficult", "truncated")}
    return _text(tree, "name"), [left - 1, top - 1, right - left + 1, bottom - top + 1], flags


def _corner(tree: ElementTree.Element, corner: str) -> float:
    text = _text(tree, f"bndbox/{corner}")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"the {corner} of an object is {worded(text)}, which is no number") from None


def _flag(tree: ElementTree.Element, key: str) -> int:
    text = tree.findtext(key) or ""
    found = False if text.strip().lower() == UNSPECIFIED else flag(text)
    if found is None:
        raise ValueError(f"'{key}' of an object is {worded(text.strip())}; it must be 0 or 1")
    return int(found)


def _text(tree: ElementTree.Element, path: str) -> str:
    text = (tree.findtext(path) or "").strip()
    if not text:
        raise ValueError(f"an object has no {path}")
    return text
