"""Stages whose results, state and log lie on a disk that is full: one sentence, whatever was being written."""

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from florilegium.audit import keeping, kept, reading
from florilegium.core.diagnosis import mendable
from florilegium.core.errors import run_main
from florilegium.core.files import atomic, digest, is_leftover, write_json, write_text
from florilegium.core.outputs import HASHES
from florilegium.core.tables import write_frame
from florilegium.generation.sheets import save_picture
from florilegium.models import registry
from florilegium.models.weights import save
from florilegium.stages import hash, train
from tests.helpers.audit import picture as audited
from tests.helpers.audit import write
from tests.helpers.stages import pack_here, run_stage
from tests.helpers.training import CONFIG, network

PAGE = 4096
SIZE = 1 << 20
SPEC = {
    "data": {"dataset": "tiny", "storage_size": 8},
    "model": {"name": "tiny"},
    "recipe": {"epochs": 2, "batch_size": 8, "lr": 0.1, "image_size": 8},
}
BITS = ("metrics.json", "history.csv", "predictions.csv", "checkpoint.safetensors")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    if os.name != "posix" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: not the administrator, or inside a container")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with packed images, and a tiny network in place of those of the registry."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (45, 8, 8, 3), np.uint8)
    pack_here(pixels, [i % 3 for i in range(45)], [f"{i:02d}.png" for i in range(45)])
    monkeypatch.setattr(registry, "input_config", lambda *_: CONFIG)
    monkeypatch.setattr(registry, "build", lambda *_, **__: network(seed=torch.initial_seed() % 1000))
    return tmp_path


def ended(monkeypatch: pytest.MonkeyPatch, stage: ModuleType, spec: object, folder: Path, *options: object) -> int:
    """The exit code of a stage whose results and state lie in `folder`."""
    program = SimpleNamespace(__name__=stage.__name__, main=partial(run_main, stage.main))
    with pytest.raises(SystemExit) as end:
        run_stage(monkeypatch, program, spec, *options, "--out", folder / "out", "--state", folder / "state")
    return end.value.code


def trained(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    options = ["--pixels", "pixels8.npy", "--images", "images.csv", "--seeds", "0", "--device", "cpu"]
    return ended(monkeypatch, train, SPEC, folder, *options)


def hashed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    spec = {"layout": "folders", "corrupt": "stop", "pictures": {}, "crops": True}
    return ended(monkeypatch, hash, spec, folder, "--files", "files.json")


def leave(disk: Path, pages: int) -> None:
    """Fill the disk but for some pages."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(bytes(free - pages * PAGE))


def refused(disk: Path, attempt: Callable[[], int], capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """The file that the sentence of each try names, on a disk with a page more each time, until one fits."""
    for pages in range(40):
        leave(disk, pages)
        capsys.readouterr()
        if not (code := attempt()):
            break
        *_, last = capsys.readouterr().err.splitlines()
        said = re.fullmatch(rf"error: no space left on the disk while writing {disk}/(\S+); free some and .*", last)
        assert code == 2 and said, last
        yield said[1]


def test_a_training_says_it_in_one_sentence_and_ends_in_the_same_bits_once_there_is_space(
    disk: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Each try has a page more, so that one after another the lock, the state and the results do not fit."""
    assert trained(monkeypatch, here) == 0
    unwritten = set()
    for name in refused(disk, partial(trained, monkeypatch, disk), capsys):
        unwritten.add(name)
        assert not [path for path in disk.rglob("*") if is_leftover(path.name)]
    assert len(unwritten) >= 3 and "state/seed0/state.pt" in unwritten
    results = [folder / "out" / "seed0" for folder in (here, disk)]
    assert [digest(results[0] / name) for name in BITS] == [digest(results[1] / name) for name in BITS]


def test_hashing_says_it_in_one_sentence_and_keeps_what_it_has(
    disk: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    names = write(here / "set", {f"rose/{seed}.png": audited(seed, (64, 64)) for seed in range(8)})
    write_json(here / "files.json", {"root": "set", "files": [{"path": name} for name in names]})
    monkeypatch.setattr(reading, "CHUNK", 2)
    monkeypatch.setattr(keeping, "COMMIT_EVERY", 0.0)
    assert hashed(monkeypatch, here) == 0
    for folder in ("out", "state"):
        shutil.rmtree(disk / folder, ignore_errors=True)
    unwritten, counts = set(), [0]
    for name in refused(disk, partial(hashed, monkeypatch, disk), capsys):
        unwritten.add(name)
        rows = disk / "state/rows.bin"
        counts.append(rows.stat().st_size // kept.ROW.itemsize if rows.exists() else 0)
    assert {"state/thumbs.bin", "state/rows.bin"} < unwritten
    assert counts == sorted(counts) and len(set(counts)) > 2, "what was kept stays"
    for name in HASHES:
        assert (disk / "out" / name).read_bytes() == (here / "out" / name).read_bytes()


def tensors(path: Path) -> None:
    save({"weight": torch.rand(100_000)}, path)


def arrays(path: Path) -> None:
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.random.default_rng(0).random(100_000))


def archive(path: Path) -> None:
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, noise=np.random.default_rng(0).random(100_000))


def state(path: Path) -> None:
    with atomic(path) as temporary, open(temporary, "wb") as file:
        torch.save({"weight": torch.rand(100_000)}, file)


def picture(path: Path) -> None:
    save_picture(Image.effect_noise((400, 400), 90).convert("RGB"), path)


def plot(path: Path) -> None:
    with atomic(path) as temporary:
        fig = Figure()
        fig.add_subplot().imshow(np.random.default_rng(0).random((400, 400)), interpolation="nearest")
        fig.savefig(temporary, format="png", dpi=200)


def table(path: Path) -> None:
    write_frame(path, pd.DataFrame({"noise": np.random.default_rng(0).random(50_000)}))


def text(path: Path) -> None:
    write_text(path, "text " * 50_000)


TELLING = [tensors, archive, state, picture, plot, table, text]
WRITERS = [*TELLING, arrays]  # numpy drops the system's reason


@pytest.mark.parametrize("pages", [0, 1, 5])
@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_every_library_says_it_with_the_file(write: Callable[[Path], None], pages: int, disk: Path):
    path = disk / "written"
    leave(disk, pages)
    with pytest.raises(OSError) as caught:
        write(path)
    sentence = mendable(caught.value)
    assert sentence and sentence.startswith(f"no space left on the disk while writing {path};")
    assert not [path for path in disk.iterdir() if path.name.startswith((".", "written"))]


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize(
    "write", [write for write in WRITERS if write is not arrays], ids=lambda write: write.__name__
)  # numpy drops the reason
def test_a_file_over_the_users_limit_is_named(write: Callable[[Path], None], tmp_path: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, before[1]))
    try:
        with pytest.raises(Exception) as caught:
            write(tmp_path / "written")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    sentence = mendable(caught.value)
    assert sentence and sentence.startswith(f"{tmp_path / 'written'}: the file is larger than")
    assert not list(tmp_path.iterdir())
