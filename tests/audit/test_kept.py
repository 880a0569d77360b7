"""What is kept of pictures: nothing is made twice, nothing is lost, and nothing that is damaged is believed."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.audit import keeping, kept, reading
from florilegium.audit.hashing import Hashes
from florilegium.audit.keeping import Appender, publish
from florilegium.audit.kept import load
from florilegium.audit.points import describe
from florilegium.audit.reading import hash_images
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError
from florilegium.core.outputs import HASHES
from florilegium.data.decode import decode
from tests.helpers.audit import picture, write

NAMES = [f"{'ab'[seed % 2]}/é {seed:02}.png" for seed in range(12)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reading, "CHUNK", 3)
    for module in (kept, keeping):
        monkeypatch.setattr(module, "BLOCK", 5)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "set", {name: picture(seed, (60, 50)) for seed, name in enumerate(NAMES)})
    return tmp_path / "set"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pictures that were decoded, in order."""
    names: list[str] = []

    def noted(path: Path, pictures: Pictures) -> Image.Image:
        names.append("/".join(path.parts[-2:]))
        return decode(path, pictures)

    monkeypatch.setattr(reading, "decode", noted)
    return names


def hashed(root: Path, names: list[str] = NAMES, folder: str = "kept", **options: object) -> Hashes:
    found, rows, _ = hash_images(root, names, Path(folder), **{"crops": True, **options})
    return found.hashes(rows)


def contents(hashes: Hashes) -> list[object]:
    """All that is kept of each picture."""
    points = [hashes.points[row] for row in range(len(hashes))]
    found = [hashes.images.tolist(), hashes.hash.tolist(), hashes.reliable.tolist(), hashes.side.tolist()]
    return [*found, hashes.thumb[:].tobytes(), [(one.place.tobytes(), one.descriptor.tobytes()) for one in points]]


def test_what_is_kept_of_a_picture(root: Path) -> None:
    write(root, {"tiny.png": picture(1, (40, 60))})
    hashes = hashed(root, [*reversed(NAMES), "tiny.png"])
    assert hashes.images.tolist() == [*sorted(NAMES), "tiny.png"]
    assert hashes.side.tolist() == [[60, 50]] * len(NAMES) + [[40, 60]]
    points = [describe(decode(root / name)) for name in hashes.images]
    assert min(map(len, points[:-1])) > 2 and not len(points[-1]), "a small picture has none"
    for row, expected in enumerate(points):
        assert (hashes.points[row].place == expected.place).all()
        assert (hashes.points[row].descriptor == expected.descriptor).all()
    some = np.array([7, 8, 2, 12])
    owner, together = hashes.take(some).points.gather(np.arange(4))
    assert owner.tolist() == [k for k, row in enumerate(some) for _ in range(len(points[row]))]
    assert (together.descriptor == np.concatenate([points[row].descriptor for row in some])).all()
    assert (hashes.take(some).thumb[1:3] == hashes.thumb[:][[8, 2]]).all()


def touched(path: Path) -> None:
    os.utime(path, (1, 1))


def replaced(path: Path) -> None:
    """Another picture of the same size in bytes and the same time."""
    before = path.stat()
    path.rename(path.with_name("gone"))
    write(path.parent, {"other.bmp": picture(99, (60, 50))})
    content = (path.parent / "other.bmp").read_bytes()
    path.write_bytes(content[: before.st_size] + bytes(max(0, before.st_size - len(content))))
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("change", [touched, replaced])
def test_only_what_is_new_or_changed_is_read(root: Path, reads: list[str], change: Callable[[Path], None]) -> None:
    picture(3, (60, 50)).save(root / NAMES[3], format="BMP")
    hashed(root, NAMES[:10])
    assert reads == sorted(NAMES[:10])
    reads.clear()
    hashed(root, NAMES[:10])
    assert not reads
    change(root / NAMES[3])
    again = hashed(root)
    assert reads == sorted([NAMES[3], *NAMES[10:]])
    assert contents(again) == contents(hashed(root, folder="fresh"))


def test_local_features_are_made_when_they_are_first_asked_for(root: Path, reads: list[str]) -> None:
    plain = hashed(root, crops=False)
    assert not plain.points.count.any() and not Path("kept/points.bin").stat().st_size
    whole = hashed(root)
    assert reads == sorted(NAMES) * 2
    assert contents(whole) == contents(hashed(root, folder="fresh"))
    reads.clear()
    hashed(root, crops=False)
    assert not reads


def test_published_bytes_tell_the_pictures_and_nothing_of_how_they_came(root: Path) -> None:
    """Neither the order in which they came, nor those that are gone, nor times, nor processes."""
    found, rows, _ = hash_images(root, NAMES, Path("straight"), crops=True, workers=2)
    publish(found, rows, Path("one"))
    write(root, {"c/gone.png": picture(50), NAMES[4]: picture(51)})
    for names in (NAMES[4:8], [*NAMES[:6], "c/gone.png"]):
        hash_images(root, names, Path("winding"), crops=True)
    write(root, {NAMES[4]: picture(4, (60, 50))})
    found, rows, _ = hash_images(root, NAMES, Path("winding"), crops=True)
    publish(found, rows, Path("two"))
    for name in HASHES:
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    assert contents(load(Path("two"), Pictures(), crops=True, root=root)) == contents(hashed(root, folder="fresh"))
    assert not any(Path("winding").parent.glob(".*")), "nothing is left of the old files"


def test_rows_of_pictures_that_are_gone_go_when_they_are_the_most(root: Path, reads: list[str]) -> None:
    hashed(root)
    size = Path("kept/thumbs.bin").stat().st_size
    hashed(root, NAMES[:6])
    assert Path("kept/thumbs.bin").stat().st_size == size
    few = hashed(root, NAMES[:5])
    assert Path("kept/thumbs.bin").stat().st_size == size * 5 // 12
    assert len(reads) == 12 and contents(few) == contents(hashed(root, NAMES[:5], "fresh"))


def test_whenever_it_is_killed_the_next_start_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    """The folder is copied, as a kill would leave it, in the middle of each write, with half of the data written."""
    written, states = Appender._write, []

    def snapshot(self: Appender, name: str, data: bytes) -> None:
        copy = Path(f"killed{len(states)}")
        shutil.copytree(self.folder, copy)
        with open(copy / name, "ab") as file:
            file.write(data[: len(data) // 2])
        states.append((copy, self.committed))
        written(self, name, data)

    monkeypatch.setattr(keeping, "COMMIT_EVERY", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Appender, "_write", snapshot)
        expected = contents(hashed(root))
    assert len(states) == 5 * 4 and {committed for _, committed in states} == {0, 3, 6, 9}
    for folder, committed in states:
        reads.clear()
        assert contents(hashed(root, folder=str(folder))) == expected
        assert len(reads) <= len(NAMES) - committed, "what was committed is not read again"


def shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def spoilt(path: Path) -> None:
    """A byte in the middle is another."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def text(path: Path) -> None:
    path.write_text("no numbers " * 10_000)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [shortened, lengthened, spoilt, text, emptied, Path.unlink])
@pytest.mark.parametrize("name", [*HASHES, "seen.bin"])
def test_what_is_damaged_is_not_believed(root: Path, name: str, damage: Callable[[Path], None]) -> None:
    found, rows, _ = hash_images(root, NAMES, Path("kept"), crops=True)
    expected = contents(found.hashes(rows))
    publish(found, rows, Path("hashes"))
    if name in HASHES:
        Path(shutil.copy(Path("hashes", name), "copy")).replace(Path("hashes", name))  # no link any more
        damage(Path("hashes", name))
        with pytest.raises(UserError, match=r"hashes: its hashes (are|cannot).* stage dedup_hash makes it again"):
            load(Path("hashes"), Pictures(), root=root)
    damage(Path("kept", name))
    assert contents(hashed(root)) == expected
    assert contents(hashed(root)) == expected


def test_a_folder_of_another_version_or_reading_is_made_anew(root: Path, reads: list[str]) -> None:
    found, rows, _ = hash_images(root, NAMES, Path("kept"))
    publish(found, rows, Path("hashes"))
    with pytest.raises(UserError, match=r"hashes: its hashes are without local features, which audit\.crops needs"):
        load(Path("hashes"), Pictures(), crops=True)
    form = json.loads(Path("hashes/form.json").read_text())
    Path("hashes/form.json").write_text(json.dumps(form | {"version": 0}))
    with pytest.raises(UserError, match="hashes: its hashes are of version 0, not of 1; delete this folder"):
        load(Path("hashes"), Pictures())
    Path("kept/form.json").write_text(json.dumps({"version": 0, "pictures": form["pictures"]}))
    hashed(root)
    hashed(root, pictures=Pictures(ground="black"))
    assert len(reads) == 3 * len(NAMES)


def test_pictures_that_changed_since_are_named(root: Path) -> None:
    found, rows, _ = hash_images(root, NAMES, Path("kept"))
    publish(found, rows, Path("hashes"))
    (root / NAMES[5]).unlink()
    assert len(load(Path("hashes"), Pictures(), root=root)) == len(NAMES), "one that is gone is not missed"
    write(root, {NAMES[2]: picture(2, (300, 300))})
    with pytest.raises(UserError, match=f"hashes: 1 pictures have changed since .{NAMES[2]}.; delete this folder"):
        load(Path("hashes"), Pictures(), root=root)


def test_a_folder_of_something_else_is_left_alone(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    with pytest.raises(UserError, match=r"set/a: holds what no audit has written \(é 00.png, .* and 3 more\)"):
        hashed(root, folder=str(root / "a"))
    assert before == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_pictures_that_cannot_be_read_stop_it_and_cost_nothing_else(root: Path, reads: list[str]) -> None:
    (root / NAMES[0]).write_text("<html>")
    with pytest.raises(UserError, match="1 of 12 images cannot be decoded"):
        hashed(root)
    write(root, {NAMES[0]: picture(0, (60, 50))})
    reads.clear()
    assert len(hashed(root)) == len(NAMES) and reads == [NAMES[0]]
