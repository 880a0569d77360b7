"""Rows that stay in their files are those of the arrays, however they are asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from florilegium.core.errors import UserError
from florilegium.data import stored
from florilegium.data.crops import at_side
from florilegium.data.stored import ArrayFile, Stored, joined

HOST = torch.device("cpu")


def saved(path: Path, *shape: int, dtype: type = np.uint8) -> tuple[ArrayFile, torch.Tensor]:
    """A file of random numbers, and these."""
    array = np.random.default_rng(len(shape)).integers(0, 256, shape).astype(dtype)
    np.save(path, array)
    return ArrayFile(path), torch.from_numpy(array)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((40, 8, 8, 3), np.uint8), ((40, 64, 64, 3), np.uint8), ((40, 2, 5), np.float32)]
)
def test_any_rows_are_those_of_the_array(tmp_path, monkeypatch, shape, dtype):
    monkeypatch.setattr(stored, "PIECE", 1000)  # of which all rows take several
    monkeypatch.setattr(stored, "LET_GO", 10)
    file, array = saved(tmp_path / "a.npy", *shape, dtype=dtype)
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:30]
    rows, array = Stored([(file, chosen)]), array[chosen]
    assert (len(rows), rows.shape, rows.dtype, rows.nbytes) == (30, array.shape, array.dtype, array.nbytes)
    for index in (torch.tensor([29, 3, 4, 5, 3, 0]), torch.arange(30).flip(0), torch.tensor([], dtype=torch.int64)):
        assert torch.equal(rows[index], array[index])
    for part in (slice(0, 7), slice(25, 40), slice(30, 35), slice(None)):
        assert torch.equal(rows[part], array[part])
    assert torch.equal(rows.to(HOST), array)
    out = torch.empty_like(array[:4])
    assert rows.take(torch.tensor([1, 0, 9, 8]), out) is out and torch.equal(out, array[[1, 0, 9, 8]])


@pytest.mark.parametrize("in_memory", [True, False])
def test_images_of_another_side_follow(tmp_path, in_memory):
    file, array = saved(tmp_path / "real.npy", 10, 8, 8, 3)
    generated, samples = saved(tmp_path / "samples.npy", 5, 12, 12, 3)
    rows = joined(array if in_memory else Stored([(file, torch.arange(10))]), generated, torch.tensor([4, 1]))
    expected = torch.cat([array, at_side(samples[[4, 1]], 8)])
    index = torch.tensor([11, 0, 10, 9])
    assert len(rows) == 12 and torch.equal(rows[index], expected[index]) and torch.equal(rows[8:], expected[8:])


def test_nothing_is_read_but_the_rows(tmp_path):
    """A sparse file of a million images, 196 GB, has no place in memory."""
    path = tmp_path / "sparse.npy"
    with open(path, "wb") as file:
        form = {"descr": "|u1", "fortran_order": False, "shape": (1_000_000, 256, 256, 3)}
        np.lib.format.write_array_header_1_0(file, form)
        start = file.tell()
        file.truncate(start + 1_000_000 * 256 * 256 * 3)
        file.seek(start + 999_999 * 256 * 256 * 3)
        file.write(b"\x07")
    rows = Stored([(ArrayFile(path), torch.arange(1_000_000))])
    assert rows[torch.tensor([999_999, 3])][:, 0, 0, 0].tolist() == [7, 0]


@pytest.mark.parametrize("side", [8, 64])
def test_a_file_that_is_cut_is_named(tmp_path, side):
    file, array = saved(tmp_path / "a.npy", 40, side, side, 3)
    rows = Stored([(file, torch.arange(40))])
    assert torch.equal(rows[30:], array[30:])
    with open(tmp_path / "a.npy", "rb+") as cut:
        cut.truncate(array.nbytes // 2)
    with pytest.raises(UserError, match=r"a\.npy: was cut while it was read"):
        rows[30:]
