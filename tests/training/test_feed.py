"""Batches that are gathered ahead of the step are those that it asks for."""

import threading
import time
from pathlib import Path

import numpy as np
import torch

from florilegium.data import load
from florilegium.data.load import Images, Splits
from florilegium.data.stored import ArrayFile, Stored
from florilegium.training.feed import AHEAD, Feed, feed_of
from tests.helpers import training
from tests.helpers.training import CPU

BATCHES = [torch.tensor([n]) for n in range(8)]


def test_batches_are_made_while_a_step_is_done_and_no_more_than_that():
    made: list[int] = []
    feed = Feed(lambda index: made.append(int(index)) or int(index), ahead=True)
    for step, index in enumerate(BATCHES):
        feed.expect(BATCHES, step)
        assert feed(index) == step
        deadline = time.monotonic() + 10
        while len(made) < min(len(BATCHES), step + AHEAD + 1) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert made == list(range(min(len(BATCHES), step + AHEAD + 1)))


def test_a_batch_may_be_asked_for_again_and_a_step_left_out():
    feed = Feed(int, ahead=True)
    feed.expect(BATCHES, 0)
    assert [feed(BATCHES[0]), feed(BATCHES[0]), feed(BATCHES[1])] == [0, 0, 1]  # as when memory ran out
    others = [index + 100 for index in BATCHES]
    feed.expect(others, 3)  # as after a divergence
    assert [feed(others[3]), feed(BATCHES[5]), feed(others[4])] == [103, 5, 104]


def test_a_fault_is_raised_where_the_batch_is_asked_for():
    feed = Feed(lambda index: 1 // int(index), ahead=True)
    feed.expect(BATCHES, 0)
    try:
        feed(BATCHES[0])
    except ZeroDivisionError:
        pass
    else:
        raise AssertionError
    assert feed(BATCHES[1]) == 1


def test_images_in_memory_need_no_thread():
    feed, before = feed_of(training.images(20), CPU), threading.active_count()
    feed.expect([torch.arange(3)], 0)
    assert threading.active_count() == before
    pixels, labels = feed(torch.tensor([5, 2]))
    assert torch.equal(pixels, training.images(20).pixels[[5, 2]]) and labels.tolist() == [2, 2]


def in_file(images: Images, path: Path) -> Images:
    np.save(path, images.pixels.numpy())
    return Images(Stored([(ArrayFile(path), torch.arange(len(images)))]), images.labels, images.names)


def test_a_training_from_files_ends_in_the_bits_of_one_from_memory(tmp_path):
    data = training.splits()
    stored = Splits(*(in_file(getattr(data, part), tmp_path / f"{part}.npy") for part in load.PARTS), data.classes)
    changes = {"mixup": 0.2, "random_erasing": 0.5, "swa_start": 0.5, "select": "last", "accumulate": 2}
    found = [training.train(tmp_path / name, data=of, **changes) for name, of in (("a", data), ("b", stored))]
    assert found[0].history == found[1].history
    assert training.same_bits(found[0].last_state, found[1].last_state)
