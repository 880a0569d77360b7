"""Which files are pictures, the same for audit, training, prediction and evaluation: by the suffixes of their names, or
else by their first bytes. Nothing is decoded here.

Three kinds of files matter: pictures that `decode` reads, those in formats that it cannot read (`unreadable_kind`), and
all else. Only formats of raster pictures are read: documents, vector graphics, films and measurements, some of which
Pillow knows too, are not, since drawing them starts other programs or needs a range of values that no file states.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import splitext
from typing import TextIO

from florilegium.core.names import shown
from florilegium.core.walk import told, walk

# The formats that are read, as Pillow calls them; some are not in all of its versions. Each has a signature, so that a
# file is read whatever it is called. MPO opens as JPEG, and APNG as PNG.
FREQUENT = ("JPEG", "PNG", "GIF", "BMP", "PPM")
RARE = (
    *("TIFF", "WEBP", "AVIF", "JPEG2000", "ICO", "CUR", "ICNS", "PSD", "QOI", "DDS", "SGI", "SUN", "PCX", "DCX"),
    *("FLI", "MSP", "PIXAR", "BLP", "FTEX", "GBR", "XBM", "XPM"),
)
# Formats without one, which are read only where the suffix names them.
NAMED = {"TGA": (".tga", ".icb", ".vda", ".vst"), "PCD": (".pcd",), "DIB": (".dib",)}
# Suffixes of pictures. Those that other programs use as well (.pcd: clouds of points, .gbr: circuit boards, .vst:
# drawings, .rgb, .bw, .msp, .ras ...) are not among them: there, the first bytes decide.
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".webp", ".avif", ".avifs", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c"),
    *(".jpc", ".ico", ".cur", ".icns", ".psd", ".qoi", ".dds", ".tga", ".sgi", ".pcx", ".dcx", ".blp", ".xbm", ".xpm"),
}
RAW = "camera raw"
# Kinds of pictures that cannot be read, by suffix.
UNREADABLE = {
    "HEIC": (".heic", ".heif", ".hif", ".heics", ".heifs"),
    "JPEG XL": (".jxl",),
    RAW: (
        *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef"),
        *(".srw", ".x3f", ".3fr", ".fff", ".iiq", ".mrw", ".dcr", ".kdc", ".erf", ".mef", ".mos", ".rwl", ".raw"),
    ),
    "JPEG XR": (".jxr", ".wdp", ".hdp"),
    "vector graphics": (".svg", ".svgz", ".eps", ".ps", ".ai", ".wmf", ".emf", ".cdr"),
    "PDF": (".pdf",),
    "DjVu": (".djvu", ".djv"),
    "high dynamic range": (".exr",),
    "PAM": (".pam",),
    "DICOM": (".dcm", ".dicom"),
    "FITS": (".fits",),
    "layers of a drawing program": (".xcf", ".psb", ".kra", ".ora"),
}
UNREADABLE_SUFFIXES = {suffix: kind for kind, suffixes in UNREADABLE.items() for suffix in suffixes}

HEAD = 2056  # bytes at the start that tell every format
AVIF = {b"avif", b"avis"}  # brands of ISO's media files
HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
SIGNATURES = re.compile(
    rb"""\xff\xd8\xff                                          # JPEG, MPO
    | \x89PNG\r\n\x1a\n | GIF8[79]a | RIFF....WEBP
    | II[*+]\0 | II\0[*] | MM\0[*+] | MM[*]\0                  # TIFF, BigTIFF
    | \0\0\0\x0cjP\x20\x20\r\n\x87\n | \xff\x4f\xff\x51          # JPEG 2000
    | P[14]\s+(\#|\d+\s+\d+\s) | P[2356]\s+(\#|\d+\s+\d+\s+\d+\s) | Pf\s+\d+\s+\d+\s
    | 8BPS\0\x01 | qoif | DDS\x20\x7c\0\0\0 | icns
    | \0\0[\1\2]\0[^\0]\0...\0                                 # ICO, CUR: with the entry of the first picture
    | \x59\xa6\x6a\x95 | \x01\xda[\0\1][\1\2]\0[\1-\3]        # Sun raster, SGI
    | \x0a[\0\2\3\5][\0\1][\1\2\4\x08] | \xb1\x68\xde\x3a     # PCX, DCX
    | ....[\x11\x12]\xaf........[\0\3]\0 | DanM | LinS | \x80\xe8\0\0 | BLP[12] | FTEX\0
    | \0\0\0[\x14-\xff]\0\0\0\2................GIMP | /\*\x20XPM\x20\*/
    | \s*\#define[ \t]+\S+_width[ \t]+\d+\s+\#define[ \t]+\S+_height[ \t]+\d+
    """,
    re.VERBOSE | re.DOTALL,
)
OTHER_SIGNATURES = {
    "JPEG XL": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", re.DOTALL),
    "DICOM": re.compile(rb".{128}DICM", re.DOTALL),
    "FITS": re.compile(rb"SIMPLE  ="),
    "high dynamic range": re.compile(rb"\x76\x2f\x31\x01|#\?RADIANCE|#\?RGBE|PF\s+\d"),
    "PAM": re.compile(rb"P7\s+(\#|WIDTH)"),
    "vector graphics": re.compile(
        rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg\b|%!PS-Adobe", re.DOTALL
    ),
}
BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # sizes in bytes


def is_image(path: Path | str) -> bool:
    """True for a file, not a hidden one, whose suffix is that of a picture that `decode` reads; see `looks_like_image`
    for files with another suffix, or without one."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def looks_like_image(path: Path) -> bool:
    """True for a file, not a hidden one, that `decode` reads: by its suffix, or else by its first bytes.

    A file that cannot be opened is none, nor is a camera's raw picture, which starts as a TIFF does. A JPEG that is
    called `.heic`, as telephones send them, is one.
    """
    if path.name.startswith(".") or path.suffix.lower() in UNREADABLE[RAW]:
        return False
    return is_image(path) or content_is_image(head(path), path.suffix.lower())


def unreadable_kind(path: Path) -> str | None:
    """The kind of picture that the file is and that cannot be read here, such as "HEIC": by its suffix, or else by its
    first bytes; else None."""
    kind = UNREADABLE_SUFFIXES.get(path.suffix.lower())
    return kind or (None if is_image(path) else unreadable_content(head(path)))


def head(path: Path) -> bytes:
    """The first bytes of a file; none of a folder, a pipe, or a file that cannot be opened."""
    try:
        if not path.is_file():
            return b""
        with open(path, "rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):  # ValueError for a NUL in the name
        return b""


def content_is_image(start: bytes, suffix: str = "") -> bool:
    """True if a file that starts so is a picture that `decode` reads; `suffix` decides in the formats NAMED."""
    if SIGNATURES.match(start) or _brands(start) & AVIF:
        return True
    return _is_bitmap(start) or (suffix in NAMED["TGA"] and _is_targa(start)) or start[2048:2052] == b"PCD_"


def unreadable_content(start: bytes) -> str | None:
    """The kind of picture that a file that starts so is, where it cannot be read; else None."""
    brands = _brands(start)
    if brands & HEIF and not brands & AVIF:
        return "HEIC"
    return next((kind for kind, pattern in OTHER_SIGNATURES.items() if pattern.match(start)), None)


def _brands(start: bytes) -> set[bytes]:
    """The brands of a file in the form of ISO's media files, as HEIC and AVIF are."""
    if start[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(start[:4], "big"), len(start))
    return {start[8:12], *(start[at : at + 4] for at in range(16, end, 4))}


def _is_bitmap(start: bytes) -> bool:
    """BMP: two letters alone say little, so the size of the header that follows counts, too."""
    return start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in BITMAP_HEADERS


def _is_targa(start: bytes) -> bool:
    """TGA has no signature: its fields must hold values that it knows."""
    if len(start) <= 18:
        return False
    palette, kind, bits = start[1], start[2], start[16]
    return palette in (0, 1) and kind in (1, 2, 3, 9, 10, 11) and bits in (1, 8, 15, 16, 24, 32)


# The pictures below a folder


@dataclass(frozen=True)
class Found:
    """What was found below a folder."""

    images: list[str]
    """Paths of pictures in the folder, sorted."""
    left_out: dict[str, list[str]]
    """Paths of all else by the reason why it was left out, such as ".txt" or "hidden"."""


def pictures_below(root: Path) -> Found:
    """The pictures below `root`; raises UserError as `walk` does."""
    walked = walk(root)
    found = sorted_out(root, walked.files)
    return Found(found.images, walked.left_out | found.left_out)


def sorted_out(root: Path, paths: Iterable[str]) -> Found:
    """Which of `paths`, files below `root`, are pictures."""
    images: list[str] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        if splitext(path)[1].lower() in SUFFIXES or looks_like_image(root / path):
            images.append(path)
        else:
            kind = unreadable_kind(root / path)
            why = f"{kind} that cannot be read here" if kind else splitext(path)[1].lower() or "without a suffix"
            left_out[why].append(path)
    return Found(images, dict(left_out))


def say_left_out(root: Path, left_out: Mapping[str, Sequence[str]], to: TextIO | None = None) -> None:
    """Print a line that counts and names what was left out below `root`, if anything was."""
    if line := told(left_out):
        print(shown(f"{root}: {line}"), file=to or sys.stdout, flush=True)
