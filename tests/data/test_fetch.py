"""Fetching, of data sets and of weights alike: places in order, resumed downloads, checksums, and what a bad
answer gets."""

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from florilegium.config.datasets import Dataset, DatasetOverride, LocalFile, RemoteFile, Rendering
from florilegium.config.weights import Weights, WeightsOverride
from florilegium.core.errors import UserError
from florilegium.data import fetch as fetching
from florilegium.data.fetch import fetch
from florilegium.models import catalogue
from tests.helpers.data import Site, own, picture, serving, tar

BODY = bytes(range(256)) * 9000  # 2.3 MB
MD5, SHA256 = hashlib.md5(BODY).hexdigest(), hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as running:
        running.files["a.bin"] = BODY
        yield running


def remote(*urls: str, **values: object) -> RemoteFile:
    return RemoteFile(file="a.bin", urls=urls, **({"md5": MD5} | values))


def of_a_data_set(file: RemoteFile, folder: Path, override: DatasetOverride) -> Path | None:
    name = folder.name
    verified = fetching.obtain(f"a.bin of {name}", f"datasets.{name}", file, override, folder)
    return verified and verified.path


def of_weights(file: RemoteFile, folder: Path, override: DatasetOverride) -> Path:
    weights = Weights(model="resnet18", source=file, n_classes=2)
    own = WeightsOverride.model_validate(override.model_dump())
    return catalogue.obtain(folder.name, weights, folder.parent, own).path


class Source:
    """A kind of thing that is fetched, named as the folder of its downloads is."""

    def __init__(self, key: str, obtain: Callable[[RemoteFile, Path, DatasetOverride], Path | None]) -> None:
        self.key, self.obtain = key, obtain

    def get(self, file: RemoteFile, folder: Path, **override: object) -> Path:
        path = self.obtain(file, folder, DatasetOverride(**override))
        assert path is not None
        return path

    def refused(self, file: RemoteFile, folder: Path, **override: object) -> str:
        with pytest.raises(UserError) as caught:
            self.obtain(file, folder, DatasetOverride(**override))
        return str(caught.value)


@pytest.fixture(params=[("datasets", of_a_data_set), ("weights", of_weights)], ids=["data set", "weights"])
def source(request: pytest.FixtureRequest) -> Source:
    return Source(*request.param)


@pytest.mark.parametrize("checksum", [{"md5": MD5}, {"md5": None, "sha256": SHA256}], ids=["md5", "sha256"])
def test_an_interrupted_download_goes_on_where_it_was(
    source: Source, site: Site, tmp_path: Path, checksum: dict[str, str | None]
) -> None:
    (tmp_path / "a.bin.part").write_bytes(BODY[:1_000_000])
    file = remote(f"{site.address}/a.bin", **checksum)
    assert source.get(file, tmp_path).read_bytes() == BODY
    assert site.asked == [("a.bin", "bytes=1000000-")]
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_server_without_ranges_starts_anew(source: Source, site: Site, tmp_path: Path) -> None:
    site.ranges = False
    (tmp_path / "a.bin.part").write_bytes(BODY[:1_000_000])
    assert source.get(remote(f"{site.address}/a.bin"), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * (len(BODY) + 1)], ids=["of another file", "too long"])
def test_a_part_that_does_not_fit_is_given_up(source: Source, site: Site, tmp_path: Path, part: bytes) -> None:
    (tmp_path / "a.bin.part").write_bytes(part)
    assert source.get(remote(f"{site.address}/a.bin"), tmp_path).read_bytes() == BODY


def test_without_a_checksum_no_two_halves_are_joined(source: Source, site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    assert source.get(remote(f"{site.address}/a.bin", md5=None), tmp_path).read_bytes() == BODY
    assert site.asked == [("a.bin", None)]


def test_a_whole_download_is_not_fetched_again_unless_it_is_wrong(source: Source, site: Site, tmp_path: Path) -> None:
    file = remote(f"{site.address}/a.bin")
    source.get(file, tmp_path)
    source.get(file, tmp_path)
    assert len(site.asked) == 1
    (tmp_path / "a.bin").write_bytes(b"rotten")
    assert source.get(file, tmp_path).read_bytes() == BODY
    assert len(site.asked) == 2


@pytest.mark.parametrize(("checksum", "version"), [(MD5, None), (None, '"1"')], ids=["a checksum", "an ETag"])
def test_a_connection_that_breaks_is_taken_up_again_where_it_was(
    source: Source, site: Site, tmp_path: Path, checksum: str | None, version: str | None
) -> None:
    site.cut["a.bin"], site.version = 1_000_000, version
    assert source.get(remote(f"{site.address}/a.bin", md5=checksum), tmp_path).read_bytes() == BODY
    assert site.asked == [("a.bin", None), ("a.bin", "bytes=1000000-"), ("a.bin", "bytes=2000000-")]


def test_a_wrong_file_over_a_connection_that_breaks_is_fetched_once(source: Source, site: Site, tmp_path: Path) -> None:
    site.cut["a.bin"] = 1_500_000
    assert "its md5 is" in source.refused(remote(f"{site.address}/a.bin", md5="0" * 32), tmp_path)
    assert len(site.asked) == 2


@pytest.mark.parametrize("version", [None, 'W/"1"'], ids=["no ETag", "a weak ETag"])
def test_without_checksum_and_version_a_broken_connection_is_an_error(
    source: Source, site: Site, tmp_path: Path, version: str | None
) -> None:
    site.cut["a.bin"], site.version = 1_000_000, version
    assert "truncated" in source.refused(remote(f"{site.address}/a.bin", md5=None), tmp_path)
    assert not (tmp_path / "a.bin").exists()


def test_an_address_that_sends_nothing_more_is_left_for_the_next(source: Source, site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(BODY[:1_500_000])
    site.files["other/a.bin"] = BODY
    site.cut["a.bin"] = 0
    file = remote(f"{site.address}/a.bin", f"{site.address}/other/a.bin")
    assert source.get(file, tmp_path).read_bytes() == BODY
    assert site.asked == [("a.bin", "bytes=1500000-"), ("other/a.bin", "bytes=1500000-")]


def test_a_server_without_ranges_that_breaks_off_is_not_asked_for_ever(
    source: Source, site: Site, tmp_path: Path
) -> None:
    site.cut["a.bin"], site.ranges = 1_500_000, False
    assert "truncated" in source.refused(remote(f"{site.address}/a.bin"), tmp_path)
    assert len(site.asked) == 2


def test_every_place_that_failed_is_named_with_what_it_gave(source: Source, site: Site, tmp_path: Path) -> None:
    site.pages["page/a.bin"] = b"\n <!DOCTYPE html><html>We have moved</html>"
    site.files["wrong/a.bin"] = b"wrong"
    urls = [f"{site.address}/{place}/a.bin" for place in ("page", "wrong", "absent")]
    sentence = source.refused(remote(*urls), tmp_path, mirrors=[str(tmp_path / "none")])
    assert f"{tmp_path}/none/a.bin: there is no such file" in sentence
    assert f"{urls[0]}: it is an HTML page in place of the file" in sentence
    assert f"{urls[1]}: its md5 is {hashlib.md5(b'wrong').hexdigest()}, and {MD5} was expected" in sentence
    assert f"{urls[2]}: HTTP 404" in sentence
    key = f"{source.key}.{tmp_path.name}"
    assert f"{key}.file" in sentence and f"{key}.mirrors" in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_page_a_404_and_a_wrong_file_are_passed_over_for_the_right_one(
    source: Source, site: Site, tmp_path: Path
) -> None:
    site.pages["page/a.bin"] = b"<html></html>"
    site.files["wrong/a.bin"] = b"wrong"
    urls = [f"{site.address}/{place}a.bin" for place in ("absent/", "page/", "wrong/", "")]
    assert source.get(remote(*urls), tmp_path).read_bytes() == BODY


def test_a_server_that_is_down_is_a_sentence(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as gone:
        pass
    assert "no answer" in source.refused(remote(f"{gone.address}/a.bin"), tmp_path)


@pytest.mark.parametrize("scheme", ["folder", "file"])
def test_mirrors_on_this_machine_come_before_the_network(
    source: Source, site: Site, tmp_path: Path, scheme: str
) -> None:
    copies = tmp_path / "my copies"
    copies.mkdir()
    (copies / "a.bin").write_bytes(BODY)
    mirror = str(copies) if scheme == "folder" else copies.as_uri()
    path = source.get(remote(f"{site.address}/a.bin"), tmp_path / "downloads", mirrors=[mirror])
    assert path == copies / "a.bin"
    assert site.asked == []


def test_a_local_file_stands_in_and_its_own_checksum_counts(source: Source, tmp_path: Path) -> None:
    mine = tmp_path / "mine.bin"
    mine.write_bytes(b"mine")
    assert source.get(remote(), tmp_path, files={"a.bin": LocalFile(path=str(mine))}) == mine
    sha = hashlib.sha256(b"mine").hexdigest()
    assert source.get(remote(), tmp_path, files={"a.bin": LocalFile(path=str(mine), sha256=sha)}) == mine
    sentence = source.refused(remote(), tmp_path, files={"a.bin": LocalFile(path=str(mine), sha256="0" * 64)})
    assert f"config.yaml: {source.key}.{tmp_path.name}.files.a.bin" in sentence and sha in sentence
    assert mine.read_bytes() == b"mine"


def test_a_download_without_a_checksum_is_checked_by_the_one_that_was_recorded(
    source: Source, site: Site, tmp_path: Path
) -> None:
    file = remote(f"{site.address}/a.bin", md5=None)
    source.get(file, tmp_path)
    assert source.get(file, tmp_path).read_bytes() == BODY
    assert len(site.asked) == 1
    (tmp_path / "a.bin").write_bytes(b"rotten")
    assert source.get(file, tmp_path).read_bytes() == BODY
    assert len(site.asked) == 2
    site.files["newer/a.bin"] = b"newer"
    assert source.get(remote(f"{site.address}/newer/a.bin", md5=None), tmp_path).read_bytes() == b"newer"


def test_only_an_optional_file_may_be_absent(tmp_path: Path) -> None:
    source = Source("datasets", of_a_data_set)
    assert source.obtain(remote(optional=True), tmp_path, DatasetOverride(files={"a.bin": "absent"})) is None
    assert "cannot be absent" in source.refused(remote(), tmp_path, files={"a.bin": "absent"})
    assert "files.a.bin: absent" in source.refused(remote(optional=True), tmp_path)


def test_weights_may_not_be_absent(tmp_path: Path) -> None:
    said = Source("weights", of_weights).refused(remote(optional=True), tmp_path, files={"a.bin": "absent"})
    assert "cannot be absent" in said


# --- whole data sets -----------------------------------------------------------------------


def published(archive: Path, **override: object) -> tuple[Dataset, DatasetOverride]:
    files = (RemoteFile(file="a.tgz"), RemoteFile(file="labels.txt"))
    labels = archive.with_name("labels.txt")
    labels.write_bytes(b"1 2 3")
    local = {"a.tgz": LocalFile(path=str(archive)), "labels.txt": LocalFile(path=str(labels))}
    return Dataset(title="t", layout="folders", files=files), DatasetOverride(files=local)


def test_files_are_listed_with_hashes_where_they_come_from_and_where_they_lie(tmp_path: Path) -> None:
    content = {"jpg/b.jpg": picture(), "jpg/a.jpg": picture((0, 0, 9))}
    archive = tar(tmp_path / "x.tar.xz", content, "w:xz")
    listing = fetch("t", *published(archive), root=tmp_path / "files", downloads=tmp_path / "d")
    assert [file["path"] for file in listing["files"]] == ["jpg/a.jpg", "jpg/b.jpg", "labels.txt"]
    for file in listing["files"]:
        stored = (Path(listing["root"]) / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(stored).hexdigest() and file["bytes"] == len(stored)
    first = listing["origin"][0]
    assert (first["file"], first["from"]) == ("a.tgz", archive.name)
    assert first["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("makers", "asked", "says"),
    [("right", None, True), ("other", None, False), (None, None, None), ("right", "right", True)],
)
def test_a_local_file_is_known_for_the_makers_own_or_another(
    tmp_path: Path, makers: str | None, asked: str | None, says: bool | None
) -> None:
    """Whoever brings a file needs no checksum, and what stands in for the published one is told all the same."""
    archive = tar(tmp_path / "x.tgz", {"jpg/a.jpg": picture()})
    sums = {"right": hashlib.md5(archive.read_bytes()).hexdigest(), "other": "0" * 32, None: None}
    source = Dataset(title="t", layout="folders", files=(RemoteFile(file="a.tgz", md5=sums[makers]),))
    override = DatasetOverride(files={"a.tgz": LocalFile(path=str(archive), md5=sums[asked])})
    listing = fetch("t", source, override, root=tmp_path / "files", downloads=tmp_path / "d")
    assert [origin["published"] for origin in listing["origin"]] == [says]


def test_a_mirror_holds_the_makers_own_file(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tgz", {"jpg/a.jpg": picture()})
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    source = Dataset(title="t", layout="folders", files=(RemoteFile(file="a.tgz", md5=md5),))
    override = DatasetOverride(mirrors=(str(tmp_path),))
    listing = fetch("t", source, override, root=tmp_path / "files", downloads=tmp_path / "d")
    assert listing["origin"][0]["published"] is True


def test_a_bad_archive_or_a_full_disk_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tar(tmp_path / "x.tgz", {"jpg/a.jpg": picture()})
    root = tmp_path / "files"
    fetch("t", *published(good), root=root, downloads=tmp_path / "d")
    bad = tmp_path / "bad.tgz"
    bad.write_bytes(good.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"bad\.tgz: damaged or truncated"):
        fetch("t", *published(bad), root=root, downloads=tmp_path / "d")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        fetch("t", *published(good), root=root, downloads=tmp_path / "d")
    assert sorted(p.name for p in root.rglob("*")) == ["a.jpg", "jpg", "labels.txt"]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_full_disk_in_a_download_is_not_blamed_on_the_server(
    source: Source, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        source.get(remote(f"{site.address}/a.bin"), tmp_path)
    assert not (tmp_path / "a.bin").exists()


def test_a_folder_of_ones_own_is_used_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.jpg").write_bytes(picture())
    before = sorted(tmp_path.rglob("*"))
    listing = fetch("t", own(tmp_path), None, root=tmp_path / "files", downloads=tmp_path / "d")
    assert listing["root"] == tmp_path.as_posix()
    assert [file["path"] for file in listing["files"]] == ["cat/1.jpg"]
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(UserError, match="no such folder"):
        fetch("t", own(tmp_path / "none"), None, root=tmp_path, downloads=tmp_path)


def test_what_is_rendered_is_not_fetched(tmp_path: Path) -> None:
    drawn = Dataset(title="t", layout="folders", rendered=Rendering(scene="flowers17"))
    with pytest.raises(UserError, match="rendered by the project"):
        fetch("t", drawn, None, root=tmp_path / "files", downloads=tmp_path)
