"""Which images an experiment sees."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from florilegium.config.data import DataUse
from florilegium.core.errors import UserError
from florilegium.data import load
from florilegium.data.labels import carve
from florilegium.data.load import Images, fits, held_out, load_splits, resident

PER_CLASS = 10


@pytest.fixture
def packed(tmp_path: Path) -> dict[str, Path]:
    """Thirty images of three classes; the value of all of an image's pixels is its number."""
    names = [f"{c}/{i}.jpg" for c in "abc" for i in range(PER_CLASS)]
    pixels = np.arange(len(names), dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    np.save(tmp_path / "pixels4.npy", pixels)
    pd.DataFrame({"image": names}).to_csv(tmp_path / "pixels4.csv", index=False)
    splits = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    table = pd.DataFrame({"image": names, "class": [n[0] for n in names], "split": splits * 3})
    table.to_csv(tmp_path / "images.csv", index=False)
    (tmp_path / "images.json").write_text(json.dumps({"classes": ["c", "a", "b"]}))
    return {"pixels": tmp_path / "pixels4.npy", "images": tmp_path / "images.csv"}


def write_dropped(path: Path, *names: str) -> Path:
    pd.DataFrame({"image": names, "reason": "shows a test image"}).to_csv(path, index=False)
    return path


def use(**changes: object) -> DataUse:
    return DataUse.model_validate({"dataset": "some", "storage_size": 4} | changes)


def all_rows_are_right(images: Images) -> bool:
    numbers = ["abc".index(n[0]) * PER_CLASS + int(n[2:-4]) for n in images.names]
    return (
        images.pixels[:][:, 0, 0, 0].tolist() == numbers
        and images.labels.tolist() == ["cab".index(n[0]) for n in images.names]
        and images.pixels.shape[1:] == (4, 4, 3)
    )


def test_the_splits_of_the_table(packed):
    found = load_splits(use(), **packed)
    assert [len(found.train), len(found.val), len(found.test)] == [18, 6, 6]
    assert found.classes == ("c", "a", "b")
    assert all(all_rows_are_right(part) for part in (found.train, found.val, found.test))


def test_a_study_that_chose_on_its_test_images_is_repeated_so(packed):
    found = load_splits(use(train=["train", "val"], val=[], choose_on_test=True), **packed)
    assert found.val is found.test and found.validated_on_test
    assert len(found.train) == 24


def test_several_splits_may_be_joined_and_validation_left_out(packed):
    found = load_splits(use(train=["train", "val"], val=[]), **packed)
    assert len(found.train) == 24
    assert found.val is None


def test_cleaned_by_hash_the_parts_of_a_picture_stay(packed, tmp_path):
    table = tmp_path / "dropped.csv"
    table.write_text("image,reason,verdict\na/0.jpg,x,same_picture\na/1.jpg,x,crop\n")
    every, hashed, clean = (
        set(load_splits(use(clean=["other"], **by), **packed, dropped=dropped).train.names)
        for by, dropped in (({}, []), ({"clean_by": "hash"}, [table]), ({}, [table]))
    )
    assert every - hashed == {"a/0.jpg"} and every - clean == {"a/0.jpg", "a/1.jpg"}


def test_dropped_images_leave_training_and_validation_but_never_the_test(packed, tmp_path):
    one = write_dropped(tmp_path / "one.csv", "a/0.jpg", "a/6.jpg")
    two = write_dropped(tmp_path / "two.csv", "b/1.jpg", "a/9.jpg")
    found = load_splits(use(), **packed, dropped=[one, two])
    assert "a/0.jpg" not in found.train.names
    assert "b/1.jpg" not in found.train.names
    assert "a/6.jpg" not in found.val.names
    assert "a/9.jpg" in found.test.names


def test_images_without_pixels_are_left_out(packed):
    listed = packed["pixels"].with_suffix(".csv")
    table = pd.read_csv(listed)
    np.save(packed["pixels"], np.load(packed["pixels"])[1:])
    table[1:].to_csv(listed, index=False)
    found = load_splits(use(), **packed)
    assert "a/0.jpg" not in found.train.names
    assert all_rows_are_right(found.train)


def test_a_part_held_out_is_stratified_disjoint_and_the_same_for_everyone(packed):
    whole = use(train=["train", "val", "test"], holdout=0.2)
    found, again = load_splits(whole, **packed), load_splits(whole, **packed)
    assert found.val is found.test and found.validated_on_test
    assert found.test.names == again.test.names
    assert sorted(n[0] for n in found.test.names) == ["a", "a", "b", "b", "c", "c"]
    assert set(found.train.names) | set(found.test.names) == {f"{c}/{i}.jpg" for c in "abc" for i in range(10)}
    assert not set(found.train.names) & set(found.test.names)
    assert all_rows_are_right(found.test)


def test_dropping_an_image_leaves_the_others_where_they_were(packed, tmp_path):
    whole = use(train=["train", "val", "test"], holdout=0.2)
    leaky = load_splits(whole, **packed)
    gone = [leaky.train.names[0], leaky.train.names[1]]
    clean = load_splits(whole, **packed, dropped=[write_dropped(tmp_path / "d.csv", *gone)])
    assert clean.test.names == leaky.test.names
    assert set(leaky.train.names) - set(clean.train.names) == set(gone)


def test_an_image_with_a_double_is_not_held_out(packed, tmp_path):
    whole = use(train=["train", "val", "test"], holdout=0.2)
    first = load_splits(whole, **packed).test.names
    pairs = pd.DataFrame(
        {"image_a": [first[0], first[2]], "image_b": ["b/0.jpg", "b/1.jpg"], "verdict": ["same_picture", "different"]}
    )
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    found = load_splits(whole, **packed, pairs=tmp_path / "pairs.csv")
    assert first[0] not in found.test.names
    assert "b/0.jpg" not in found.test.names
    assert first[2] in found.test.names
    assert len(found.test) == 6


def test_a_class_too_small_to_divide(packed, tmp_path):
    gone = write_dropped(tmp_path / "d.csv", *(f"b/{i}.jpg" for i in range(9)))
    with pytest.raises(UserError, match=r"images\.csv: class 'b' has 1 image\(s\), too few to hold out"):
        load_splits(use(train=["train", "val", "test"], holdout=0.2), **packed, dropped=[gone])


def test_an_empty_split_is_named(packed):
    table = pd.read_csv(packed["images"])
    table[table["split"] != "test"].to_csv(packed["images"], index=False)
    with pytest.raises(UserError, match=r"no image is left to test on; data\.test names the splits: test"):
        load_splits(use(), **packed)


def test_draws_are_the_same_for_ever():
    """Written down once: another hash, key or order would make other splits of data that people have."""
    labels = {f"x/{c}/{c}{i:02}.jpg": c for c in "ab" for i in range(9)}
    splits = carve(labels, {"val": 0.2, "test": 0.3}, where="here")
    drawn = {split: " ".join(sorted(i[4:7] for i in splits if splits[i] == split)) for split in ("val", "test")}
    assert drawn == {"val": "a00 a05 b02 b05", "test": "a01 a03 a04 b00 b01 b03"}
    table = pd.DataFrame({"image": list(labels), "class": list(labels.values())})
    held = held_out(table, 0.3, {"x/a/a00.jpg"})
    assert " ".join(sorted(image[4:7] for image in held)) == "a01 a03 a05 b00 b04 b08"


def test_pixels_fit_if_they_take_half_of_the_free_memory_at_most(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (200, 400))
    monkeypatch.setattr(load, "free_memory", lambda: 202)
    pixels = [torch.zeros(60, dtype=torch.uint8), torch.zeros(40, dtype=torch.uint8)]
    more = [*pixels, torch.zeros(1, dtype=torch.uint8)]
    assert fits(pixels, torch.device("cuda")) and not fits(more, torch.device("cuda"))
    assert fits(more, torch.device("cpu")) and not fits([*more, more[-1]], torch.device("cpu"))


def test_images_are_resident_if_all_of_them_fit_for_each_process(packed, monkeypatch):
    on_test = load_splits(use(train=["train", "val"], val=[], choose_on_test=True), **packed)
    monkeypatch.setattr(load, "free_memory", lambda: 2 * 2 * 30 * 4 * 4 * 3)
    for splits in (load_splits(use(), **packed), on_test):
        assert resident(splits, 3) is splits
        found = resident(splits, 2)
        for name in ("train", "val", "test"):
            ours, theirs = getattr(found, name), getattr(splits, name)
            assert isinstance(ours.pixels, torch.Tensor) and torch.equal(ours.pixels, theirs.pixels[:])
            assert ours.names == theirs.names and ours.labels is theirs.labels
    assert found.val is found.test  # which is not kept twice
