"""One file over a network that fails in the middle; how a data set or weights meet it is in test_fetch.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from florilegium.data import download as downloading
from tests.helpers.data import Site, leads_here, serving

BODY = bytes(range(256)) * 9000  # 2.3 MB
ADDRESS = "https://makers.example/a.bin"
PLACE = "makers.example/a.bin"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with serving() as running:
        leads_here(running, monkeypatch)
        running.files[PLACE] = BODY
        yield running


def test_a_network_that_is_away_for_a_while_is_waited_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it has given a part; a server that is busy at the first attempt is left for the next address."""
    waited: list[float] = []
    monkeypatch.setattr(downloading.time, "sleep", waited.append)
    site.cut[PLACE], site.busy = 2_000_000, 2
    assert not downloading.download(ADDRESS, tmp_path / "a.bin", resume=True)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [pause for pause in waited if pause] == [*downloading.PAUSES[1:3]]
    site.busy = 99
    (tmp_path / "b.part").write_bytes(BODY[:9])
    with pytest.raises(downloading.Unavailable, match="HTTP 503"):
        downloading.download(ADDRESS, tmp_path / "b", resume=True)
    assert site.busy == 98


def test_a_file_that_changes_meanwhile_comes_whole(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that was sent under another ETag is not joined to the rest of the new file."""
    site.cut[PLACE], site.version = 1_000_000, '"old"'

    def changed(_: str) -> None:
        site.files[PLACE], site.version = BODY[::-1], '"new"'
        site.cut.clear()

    monkeypatch.setattr(downloading, "say", changed)
    assert not downloading.download(ADDRESS, tmp_path / "a.bin", resume=False)
    assert (tmp_path / "a.bin").read_bytes() == BODY[::-1]
