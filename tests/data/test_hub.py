"""Files of the Hugging Face Hub."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import constants

from florilegium.config.weights import HubFile
from florilegium.data.download import Unavailable
from florilegium.data.hub import from_hub
from tests.helpers.hub import COMMIT, Hub, serving, stands_in

NET = HubFile(repository="timm/net")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with one repository, in place of the one in the network."""
    with serving() as server:
        server.files["timm/net/model.safetensors"] = b"weights"
        stands_in(server, monkeypatch, tmp_path / "cache")
        yield server


def test_a_file_is_cached_where_the_hubs_own_tools_look_and_its_commit_is_known(hub: Hub, tmp_path: Path):
    verified = from_hub(NET)
    assert verified.path == tmp_path / f"cache/models--timm--net/snapshots/{COMMIT}/model.safetensors"
    assert verified.path.read_bytes() == b"weights"
    assert verified.revision == COMMIT
    assert verified.place == f"{hub.address}/timm/net/resolve/{COMMIT}/model.safetensors"  # the one that answered


def test_without_a_network_the_cache_is_enough(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    first = from_hub(NET)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.asked.clear()
    assert from_hub(NET) == first
    with pytest.raises(Unavailable, match=r"^timm/other on the Hugging Face Hub, revision main: there is no answer"):
        from_hub(HubFile(repository="timm/other"))
    assert not hub.asked


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2)  # what came of a chunk is lost
    hub.cut = 5
    assert from_hub(NET).path.read_bytes() == b"weights"
    assert len(hub.asked) == 3  # for its place, and twice for a part


def test_a_file_that_was_damaged_in_the_cache_is_downloaded_again(hub: Hub):
    blob = from_hub(NET).path.resolve()
    blob.write_bytes(b"weightz")
    assert from_hub(NET).path.read_bytes() == b"weights"


def test_without_the_network_a_damaged_file_is_told_as_such(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    from_hub(NET).path.resolve().write_bytes(b"weightz")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable, match=r"model\.safetensors: its sha256 is .*, and .* was expected$"):
        from_hub(NET)


def test_a_file_with_another_checksum_is_refused(hub: Hub):
    right, wrong = sha256(b"weights").hexdigest(), "0" * 64
    assert from_hub(NET.model_copy(update={"sha256": right})).path.read_bytes() == b"weights"
    with pytest.raises(Unavailable, match=f"model.safetensors: its sha256 is {right}, and {wrong} was expected"):
        from_hub(NET.model_copy(update={"sha256": wrong}))


def test_an_older_repository_has_its_weights_under_another_name(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    hub.files = {"timm/net/pytorch_model.bin": b"older"}
    assert from_hub(NET).path.read_bytes() == b"older"
    with monkeypatch.context() as without_network:
        without_network.setattr(constants, "HF_HUB_OFFLINE", True)
        assert from_hub(NET).path.read_bytes() == b"older"
    hub.files = {"timm/none/README.md": b"no weights"}
    with pytest.raises(Unavailable, match=r"the repository has no model\.safetensors"):
        from_hub(HubFile(repository="timm/none"))
