"""A killed run goes on where it was, and nobody else's state is trained on."""

import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from florilegium.core.errors import UserError
from florilegium.training import loop, state
from florilegium.training.state import StateFolder
from tests.helpers.training import same_bits, splits, train

EVERYTHING = {
    "epochs": 4,
    "ema": 0.9,
    "schedule": "plateau",
    "plateau_patience": 0,
    "gamma": 0.5,
    "mixup": 0.4,
    "cutmix": 1.0,
    "random_erasing": 0.5,
    "clip_norm": 1.0,
    "accumulate": 2,
    "label_smoothing": 0.1,
}
STEPS = 4  # an epoch, of 26 images in batches of 8


class Killed(Exception):
    """What a test stops a run with."""


def train_with_kills(folder: Path, monkeypatch: pytest.MonkeyPatch, kills: list[int], **changes: object):
    """Train, dying in front of each of the steps `kills`, which are counted over the whole run."""
    waiting = list(kills)
    seed_step = loop.seed_step

    def dying(seed: int, epoch: int, step: int) -> None:
        if waiting and epoch * STEPS + step == waiting[0]:
            waiting.pop(0)
            raise Killed
        seed_step(seed, epoch, step)

    monkeypatch.setattr(loop, "seed_step", dying)
    for _ in kills:
        with pytest.raises(Killed):
            train(folder, **changes)
    return train(folder, **changes)


@pytest.mark.parametrize("every_step", [True, False])
@pytest.mark.parametrize("changes", [EVERYTHING, {"epochs": 4, "optimizer": "adamw", "precision": "fp16"}])
def test_an_interrupted_run_ends_in_the_same_bits(tmp_path, monkeypatch, every_step, changes):
    whole = train(tmp_path / "whole", **changes)
    if every_step:
        monkeypatch.setattr(state, "SAVE_EVERY", 0.0)
    kills = sorted(random.Random(0).sample(range(1, 4 * STEPS), 3))
    pieces = train_with_kills(tmp_path / "pieces", monkeypatch, kills, **changes)
    assert same_bits(whole.last_state, pieces.last_state)
    assert same_bits(whole.selected_state, pieces.selected_state)
    assert whole.history == pieces.history
    assert whole.best_epoch == pieces.best_epoch
    assert pieces.resumed_from == (kills[-1] if every_step else kills[-1] // STEPS * STEPS)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, again = train(tmp_path), train(tmp_path)
    assert again.resumed_from == 3 * STEPS
    assert first.history == again.history
    assert first.seconds_per_epoch == again.seconds_per_epoch
    assert same_bits(first.selected_state, again.selected_state)


def test_a_diverged_run_is_not_taken_up_again(tmp_path):
    first, again = train(tmp_path, lr=1e30), train(tmp_path, lr=1e30)
    assert first.diverged_epoch == again.diverged_epoch == 1
    assert same_bits(first.last_state, again.last_state)


def test_a_state_of_another_fingerprint_is_set_aside(tmp_path, capsys):
    folder = tmp_path / "seed0"
    for fingerprint in ("one", "two", "three"):
        with StateFolder(folder, fingerprint) as state:
            assert state.load() is None
            state.save({"mark": fingerprint})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seed0", "seed0.lock", "seed0.stale-1", "seed0.stale-2"]
    assert "belongs to another configuration" in capsys.readouterr().out
    with StateFolder(folder, "three") as state:
        assert state.load()["mark"] == "three"


@pytest.mark.parametrize("damage", ["truncated", "empty", "no torch file", "no state"])
def test_a_damaged_state_is_set_aside_and_training_starts_anew(tmp_path, capsys, damage):
    whole = train(tmp_path)
    file = tmp_path / "seed0" / "state.pt"
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "no state":
        torch.save([1, 2], file)
    else:
        file.write_bytes(b"" if damage == "empty" else b"\x80\x02hello")
    again = train(tmp_path)
    assert "cannot be read" in capsys.readouterr().out
    assert (tmp_path / "seed0.stale-1" / "state.pt").exists()
    assert again.resumed_from is None
    assert same_bits(whole.last_state, again.last_state)


def test_a_pickle_of_anything_else_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    with StateFolder(tmp_path / "seed0", "f") as state:
        state.save({})
        torch.save({"fingerprint": "f", "x": Payload()}, state.file)
        assert state.load() is None
    assert not (tmp_path / "ran").exists()


def test_a_failed_save_keeps_the_state_before_it(tmp_path, monkeypatch):
    with StateFolder(tmp_path / "seed0", "f") as state:
        state.save({"mark": 1})

        def full(value, file):
            file.write(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(OSError) as caught:
            state.save({"mark": 2})
        assert caught.value.filename.endswith("state.pt")
        assert [p.name for p in state.folder.iterdir()] == ["state.pt"]
        assert state.load()["mark"] == 1


def test_a_disk_that_fills_up_loses_one_epoch_at_most(tmp_path, monkeypatch):
    whole = train(tmp_path / "whole")
    save, saves = torch.save, []

    def fills_up(value, file):
        saves.append(value)
        if len(saves) == 2:
            raise OSError(28, "No space left on device")
        save(value, file)

    monkeypatch.setattr(state, "SAVE_SHARE", math.inf)  # save after every epoch
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fills_up)
        with pytest.raises(OSError, match="No space left"):
            train(tmp_path / "pieces")
    pieces = train(tmp_path / "pieces")
    assert pieces.resumed_from == STEPS
    assert same_bits(whole.last_state, pieces.last_state)


def hold(folder: Path, held, release) -> None:
    with StateFolder(folder, "f"):
        held.set()
        release.wait(20)


def test_a_second_writer_stops_at_once_and_is_told_who_is_first(tmp_path):
    context = multiprocessing.get_context("fork" if os.name != "nt" else "spawn")
    held, release = context.Event(), context.Event()
    first = context.Process(target=hold, args=(tmp_path / "seed0", held, release))
    first.start()
    assert held.wait(20)
    with pytest.raises(UserError, match=rf"seed0: another process \(pid {first.pid}\) is training"):
        StateFolder(tmp_path / "seed0", "f").__enter__()
    release.set()
    first.join(20)
    with StateFolder(tmp_path / "seed0", "f") as state:
        assert state.load() is None


@pytest.mark.skipif(os.name == "nt", reason="forks")
def test_the_lock_of_a_killed_process_is_free_and_its_pid_is_replaced(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    first = context.Process(target=hold, args=(tmp_path / "seed0", held, context.Event()))
    first.start()
    assert held.wait(20)
    first.kill()
    first.join(20)
    assert (tmp_path / "seed0.pid").read_text() == str(first.pid)
    with StateFolder(tmp_path / "seed0", "f"):
        assert (tmp_path / "seed0.pid").read_text() == str(os.getpid())
    assert not (tmp_path / "seed0.pid").exists()


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(UserError):
        train(tmp_path, data=splits(val=0))
    assert train(tmp_path).history


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from florilegium.training import loop, state
from tests.helpers.training import train

def hanging(seed, epoch, step, seed_step=loop.seed_step):
    if (epoch, step) == (1, 2):
        print("here", flush=True)
        time.sleep(60)
    seed_step(seed, epoch, step)

loop.seed_step = hanging
state.SAVE_EVERY = 0.0
train(Path(sys.argv[2]), ema=0.9)
"""


def test_a_process_that_is_killed_goes_on_in_the_next_one(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parents[2]), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() not in ("here\n", ""):
            continue
        process.kill()
    assert process.returncode != 0
    pieces, whole = train(tmp_path, ema=0.9), train(tmp_path / "whole", ema=0.9)
    assert pieces.resumed_from == STEPS + 2
    assert pieces.history == whole.history
    assert same_bits(pieces.last_state, whole.last_state)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_saves_the_step_that_was_reached(tmp_path, monkeypatch, capsys, number):
    whole = train(tmp_path / "whole")
    seed_step = loop.seed_step

    def asking(seed: int, epoch: int, step: int) -> None:
        if (epoch, step) == (1, 2):
            signal.raise_signal(number)
        seed_step(seed, epoch, step)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "seed_step", asking)
        with pytest.raises(SystemExit) as stopped:
            train(tmp_path / "pieces")
    assert stopped.value.code == 128 + number
    assert "the same command goes on at epoch 2, step 4" in capsys.readouterr().out
    assert signal.getsignal(number) is before
    pieces = train(tmp_path / "pieces")
    assert pieces.resumed_from == STEPS + 3
    assert same_bits(whole.last_state, pieces.last_state)


def test_epochs_shorter_than_saving_are_not_all_saved(tmp_path, monkeypatch):
    saves = []
    save = StateFolder.save

    def slow(self, state):
        saves.append(len(state["progress"]["history"]))
        time.sleep(0.2)
        save(self, state)

    monkeypatch.setattr(StateFolder, "save", slow)
    train(tmp_path, epochs=10)
    assert saves[0] == 1
    assert saves[-1] == 10
    assert len(saves) < 6
