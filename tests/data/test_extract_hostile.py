"""Archives with absurd names, headers and sizes: each ends in one sentence, in a fixed amount of memory."""

import bz2
import errno
import gzip
import io
import lzma
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from florilegium.core.errors import UserError
from florilegium.core.files import replacing
from florilegium.data.extract import Limits, extract, is_archive
from tests.helpers import extract_program
from tests.helpers.data import tar, zipped

BLOCK = 512
LARGEST = 32 << 20  # bytes of memory above what the imports take


def header(name: bytes, kind: bytes = b"0", size: int = 0) -> bytes:
    """A block of a tar that says what follows."""
    fields = (name, b"0000644", b"0000000", b"0000000", b"%011o" % size, b"0" * 11, b" " * 8, kind, b"", b"ustar\x0000")
    block = bytearray(struct.pack("100s8s8s8s12s12s8sc100s8s", *fields).ljust(BLOCK, b"\0"))
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def record(key: bytes, value: bytes) -> bytes:
    """A value of an extended header; it begins with its own length."""
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length = len(b"%d" % length) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def extended(content: bytes, kind: bytes = b"x") -> bytes:
    return header(b"pax", kind, len(content)) + padded(content)


def refusal(archive: Path, limits: Limits | None = None) -> str:
    """The sentence that an archive ends in; nothing of it stays."""
    target = archive.parent / "out"
    with pytest.raises(UserError) as caught, replacing(target) as folder:
        extract(archive, folder, limits)
    assert [path for path in archive.parent.iterdir() if path != archive] == []
    sentence = str(caught.value)
    assert sentence.startswith(f"{archive}: ") and len(sentence.splitlines()) == 1 and "\0" not in sentence
    assert len(sentence) < 500 + len(str(archive))
    return sentence


# Names

LONG = {
    "x" * 300 + ".jpg": "a name of more than 255 bytes",
    "a/" + "ü" * 130 + "/1.jpg": "a name of more than 255 bytes",
    "x" * 5000: "a name of more than 255 bytes",
    "/".join(["d"] * 1900) + "/1.jpg": "in more than 100 folders",
    "/".join(["long-name-of-a-folder" * 10] * 30) + "/1.jpg": "cannot be written (File name too long)",
}


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", LONG, ids=lambda name: f"{len(name)} letters")
def test_names_that_no_disk_takes(tmp_path: Path, kind: str, name: str) -> None:
    archive = (zipped if kind == "zip" else tar)(tmp_path / f"x.{kind}", {name: b"1"})
    assert LONG[name] in refusal(archive)


def test_the_character_nul_in_a_name(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    archive.write_bytes(extended(record(b"path", b"a\0b.jpg")) + header(b"x") + bytes(2 * BLOCK))
    assert "NUL" in refusal(archive)


def test_a_zip_whose_name_goes_on_after_nul(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {"good.jpg_evil": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"good.jpg_evil", b"good.jpg\0evil"))
    assert "NUL" in refusal(archive)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_differ_in_their_case_are_two(tmp_path: Path, kind: str) -> None:
    archive = (zipped if kind == "zip" else tar)(tmp_path / "x", {"Rose/A.jpg": b"1", "rose/a.jpg": b"2"})
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out/Rose/A.jpg").read_bytes() == b"1" and (tmp_path / "out/rose/a.jpg").read_bytes() == b"2"


def test_names_in_other_encodings_stay_apart(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    parts = [header(name, size=1) + padded(name[:1]) for name in (b"\xe4.jpg", b"\xf6.jpg", "ß.jpg".encode())]
    archive.write_bytes(b"".join(parts) + bytes(2 * BLOCK))
    extract(archive, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ß.jpg", "ä.jpg", "ö.jpg"]


def test_a_zip_of_dos_and_one_of_windows(tmp_path: Path) -> None:
    """Names in code page 437, backslashes, and folders that end with one."""
    archive = zipped(tmp_path / "x.zip", {"b_ume_": b"", "b_ume_1.jpg": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"b_ume_", b"b\x84ume\\"))
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out/bäume/1.jpg").read_bytes() == b"1"


# Sizes and headers

GIBI = 1 << 30


def zeros(count: int) -> Iterator[bytes]:
    """So many zero bytes, packed by gzip, a mebibyte a part."""
    part = gzip.compress(bytes(1 << 20))
    yield from (part for _ in range(count >> 20))


def gzipped(path: Path, *parts: bytes | Iterator[bytes]) -> Path:
    """A tar of a megabyte or a few on the disk, of plain bytes and packed ones."""
    with open(path, "wb") as file:
        for part in parts:
            file.writelines([gzip.compress(part)] if isinstance(part, bytes) else part)
    assert path.stat().st_size < 4 << 20
    return path


def repeated(block: bytes, count: int) -> Iterator[bytes]:
    part = gzip.compress(block * (count // 64))
    yield from (part for _ in range(64))


def sparse(path: Path) -> Path:
    """A sparse file whose map says that it has half a thousand million parts."""
    values = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9"))
    start = (
        extended(b"".join(record(*value) for value in values))
        + header(b"x", size=GIBI)
        + (b"500000000\n" + b"1\n" * 251)
    )
    return gzipped(path, start, repeated(b"1\n" * (BLOCK // 2), GIBI // BLOCK))


def old_sparse(path: Path) -> Path:
    """The same in the older form, as blocks that each say that another follows."""
    first = bytearray(header(b"x", b"S"))
    first[482] = 1
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    more = (b"%011o\0" % 1 * 42).ljust(504, b"\0") + b"\1" + bytes(7)
    return gzipped(path, bytes(first), repeated(more, GIBI // BLOCK // 2))


HEADERS: dict[str, Callable[[Path], Path]] = {
    "long name": lambda path: gzipped(path, header(b"././@LongLink", b"L", GIBI), zeros(GIBI)),
    "long link": lambda path: gzipped(path, header(b"././@LongLink", b"K", GIBI), zeros(GIBI)),
    "extended": lambda path: gzipped(path, header(b"pax", b"x", GIBI), zeros(GIBI)),
    "global": lambda path: gzipped(path, header(b"pax", b"g", GIBI), zeros(GIBI)),
    "Solaris": lambda path: gzipped(path, header(b"pax", b"X", GIBI), zeros(GIBI)),
    "larger than any number": lambda path: gzipped(path, header(b"x", b"L", 0o77777777777), zeros(GIBI)),
    "header before header": lambda path: gzipped(
        path, repeated(header(b"x", b"L", 1 << 15) + bytes(1 << 15), GIBI >> 15)
    ),
    "digits": lambda path: gzipped(path, extended(b"1" * 60_000), header(b"x"), bytes(2 * BLOCK)),
    "values for all": lambda path: gzipped(
        path, *(extended(record(b"key%d" % n, b"x" * 900), b"g") + header(b"d%d" % n, b"5") for n in range(2000))
    ),
    "folders": lambda path: gzipped(path, repeated(header(b"d", b"5"), GIBI // BLOCK // 16)),
    "sparse": sparse,
    "old sparse": old_sparse,
    "behind the end": lambda path: gzipped(path, bytes(2 * BLOCK), zeros(GIBI)),
}

PROGRAM = Path(extract_program.__file__)


def measured(archive: Path, free: int) -> tuple[int, str]:
    """Peak of memory in bytes above what the imports take, and the sentence."""
    command = [sys.executable, PROGRAM, archive, archive.parent / "out", str(free)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    peak, _, sentence = done.stdout.partition(" ")
    return int(peak) * 1024, sentence


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_without_end_take_no_memory(tmp_path: Path, kind: str) -> None:
    peak, sentence = measured(HEADERS[kind](tmp_path / "x.tar.gz"), 1 << 25)
    assert "made to fill a disk or a memory" in sentence
    assert peak < LARGEST


@pytest.mark.parametrize(("share", "read"), [(0.9, False), (0.2, True)])
def test_the_table_of_a_zip_takes_a_small_part_of_it(tmp_path: Path, share: float, read: bool) -> None:
    """`zipfile` makes ten times the memory of the table; the first of its entries is never looked at here."""
    name, path = b"folder/picture.png", tmp_path / "x.zip"
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
    table = entry * ((18 << 20) // len(entry) if not read else 1000)
    with open(path, "wb") as file:
        start = file.truncate(file.seek(int(len(table) / share) - len(table)))
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1000, 1000, len(table), start, 0)
        file.write(table + end)
    peak, sentence = measured(path, 1 << 25)
    assert ("lie over each other" if read else "its table of contents takes more than 16777216 bytes") in sentence
    assert peak < LARGEST


def test_empty_members_are_counted_as_the_blocks_that_they_were(tmp_path: Path) -> None:
    parts = (gzip.compress(header(b"%04x" % number)) for number in range(1 << 12))
    _, sentence = measured(gzipped(tmp_path / "x.tar.gz", parts), 1 << 19)
    assert "it unpacks to more than 524288 bytes" in sentence
    assert len(list((tmp_path / "out").iterdir())) <= (1 << 19) // BLOCK


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_by_a_method_that_unpacks_at_once_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.bin", bytes(1 << 20))
    assert "in place of deflate" in refusal(path)


def test_an_encrypted_zip_names_the_way_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.jpg": b"1"})
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + place] |= 1
    path.write_bytes(content)
    assert "is encrypted; unpack it with its password" in refusal(path)


def test_members_of_a_zip_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    """As in the bombs that name one packed part again and again."""
    path = zipped(tmp_path / "x.zip", {"a.bin": bytes(1000), "b.bin": bytes(1000)})
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\1\2")
    content[second + 42 : second + 46] = bytes(4)
    path.write_bytes(content)
    assert "'a.bin' and 'b.bin' in it lie over each other" in refusal(path)


@pytest.mark.parametrize(("place", "value"), [(12, b"\xff\xff\xff\x7f"), (16, b"\xff\xff\xff\x7f"), (10, b"\xff\x7f")])
def test_a_zip_with_a_lying_table_is_a_sentence(tmp_path: Path, place: int, value: bytes) -> None:
    path = zipped(tmp_path / "x.zip", {"a.bin": bytes(1000)})
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\5\6")
    content[end + place : end + place + len(value)] = value
    path.write_bytes(content)
    try:
        extract(path, tmp_path / "out")
    except UserError as error:
        assert "damaged or truncated" in str(error)  # the count of members may lie, nothing depends on it


def test_a_large_zip_in_the_form_of_64_bits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.bin", "w", force_zip64=True) as file:
        file.write(b"content")
    extract(path, tmp_path / "out")
    assert (tmp_path / "out/a.bin").read_bytes() == b"content"


@pytest.mark.parametrize("size", [b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\xff" * 11 + b"\0"])
def test_sizes_beyond_any_number_and_below_zero(tmp_path: Path, size: bytes) -> None:
    block = bytearray(header(b"x"))
    block[124:136], block[148:156] = size, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = tmp_path / "x.tar"
    path.write_bytes(bytes(block) + bytes(4 * BLOCK))
    assert refusal(path)


@pytest.mark.skipif(not shutil.which("tar"), reason="needs a tar that writes sparse files")
@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_a_sparse_file_comes_out_whole(tmp_path: Path, form: str) -> None:
    with open(tmp_path / "s.bin", "wb") as file:
        for place in range(40):
            file.seek(place * 200_000)
            file.write(bytes([place + 1]) * 5000)
        file.truncate(9_000_000)
    command = ["tar", "-C", tmp_path, "-cS", f"--format={form}", "-f", tmp_path / "x.tar", "s.bin"]
    subprocess.run(command, check=True)
    extract(tmp_path / "x.tar", tmp_path / "out")
    assert (tmp_path / "out/s.bin").read_bytes() == (tmp_path / "s.bin").read_bytes()


def test_any_damage_is_one_sentence(tmp_path: Path) -> None:
    """Bytes of headers are changed at random; what can still be read is."""
    names = ["a/b.jpg", "x" * 150 + "/ü.jpg", "d/é.png"]
    zipfiles = zipped(tmp_path / "x", dict.fromkeys(names, b"q" * 300)).read_bytes()
    tars = tar(tmp_path / "x", dict.fromkeys(names, b"q" * 300), "w").read_bytes()
    random, faults = Random(0), 0
    for number in range(120):
        content = bytearray((zipfiles, tars)[number % 2])
        for _ in range(random.choice((1, 3, 20))):
            content[random.randrange(len(content))] = random.choice((0, 255, 128, ord("9"), random.randrange(256)))
        for block in range(0, len(content) - BLOCK, BLOCK):
            if content[block + 257 : block + 262] == b"ustar":
                content[block + 148 : block + 156] = b" " * 8
                content[block + 148 : block + 156] = b"%06o\0 " % sum(content[block : block + BLOCK])
        (tmp_path / "x").write_bytes(content)
        try:
            with replacing(tmp_path / "out") as folder:
                extract(tmp_path / "x", folder)
        except UserError as error:
            faults += 1
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 500 + len(str(tmp_path))
    assert faults > 40


# Other formats, and archives in archives


@pytest.mark.parametrize(
    ("name", "start", "said"),
    [
        ("x.rar", b"Rar!\x1a\x07\x01\0", "is a RAR archive"),
        ("x.zip", b"Rar!\x1a\x07\0", "is a RAR archive"),
        ("x.7z", b"7z\xbc\xaf\x27\x1c\0\4", "is a 7z archive"),
        ("x.tar.zst", b"\x28\xb5\x2f\xfd", "is a Zstandard archive"),
        ("x.tar.lz4", b"\x04\x22\x4d\x18", "is a LZ4 archive"),
        ("x.tar.Z", b"\x1f\x9d\x90", "is a compress (.Z) archive"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_the_way_out(tmp_path: Path, name: str, start: bytes, said: str):
    path = tmp_path / name
    path.write_bytes(start + bytes(1000))
    assert is_archive(name)  # or it would be copied as a picture is
    sentence = refusal(path)
    assert said in sentence and "unpack it and give the folder" in sentence


def test_the_older_form_of_xz_is_read(tmp_path: Path) -> None:
    inner = tar(tmp_path / "x.tar", {"a.jpg": b"1"}, "w").read_bytes()
    path = tmp_path / "x.tar.lzma"
    path.write_bytes(lzma.compress(inner, format=lzma.FORMAT_ALONE))
    extract(path, tmp_path / "out")
    assert (tmp_path / "out/a.jpg").read_bytes() == b"1"


def test_an_archive_inside_is_a_file_like_any_other(tmp_path: Path) -> None:
    """Not unpacked; and a tar that ends with a zip is a tar."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("secret.jpg", b"1")
    extract(tar(tmp_path / "x.tar", {"a.jpg": b"1", "inner.zip": inner.getvalue()}, "w"), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "inner.zip"]


def test_zeros_packed_by_bzip2_behind_the_end_are_not_read_for_ever(tmp_path: Path) -> None:
    part = bz2.compress(bytes(64 << 20))
    path = tmp_path / "x.tar.bz2"
    path.write_bytes(bz2.compress(bytes(2 * BLOCK)) + part * 1000)
    assert "made to fill a disk" in refusal(path, Limits(free=1 << 26, ratio=1))


# The disk


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO])
def test_a_fault_of_the_disk_is_not_called_one_of_the_archive(tmp_path: Path, monkeypatch, code: int) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise OSError(code, "the disk", "x.jpg")

    monkeypatch.setattr(tarfile.TarFile, "makefile", faulty)
    with pytest.raises(OSError, match="the disk"):
        extract(tar(tmp_path / "x.tgz", {"a.jpg": b"1"}), tmp_path / "out")
