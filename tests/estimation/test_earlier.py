"""What a run says at its start: what is done, what runs, and how long it takes by receipts."""

import json
from pathlib import Path

import pytest

from florilegium.estimation.earlier import START, Job, announcement, duration, wall

RUN = "results/mini/flowers/scratch/corrected/seed{}/receipt.json"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def took(path: str, seconds: float) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps({"seconds": seconds}))


def train(*seeds: int) -> Job:
    return Job("train_seed0", tuple(RUN.format(seed) for seed in seeds))


def said(*due: Job, cores: int = 1) -> str:
    return announcement("mini", 3, due, cores=cores, gpus=1)


def test_without_receipts_it_says_so() -> None:
    assert (
        said(train(0))
        == "mini: 3 of 4 jobs are done; 1 to run (1 train); no receipt of an earlier run tells how long it takes"
    )


def test_a_job_takes_as_long_as_it_took_and_another_of_its_kind_the_mean() -> None:
    took(RUN.format(0), 600 - START)
    took(RUN.format(1), 1200 - START)
    assert "about 30 minutes, by the receipts" in said(train(0), train(1))
    assert "about 45 minutes" in said(train(0), train(1), train(2)), "600 + 1200 + 900 seconds"
    assert "about 22 minutes" in said(train(0), train(1), train(2), cores=2), "halved and rounded"
    assert "1 more that nobody has timed" in said(train(0), Job("pack_images", ("resources/a/pixels.npy",)))


def test_seeds_that_share_a_job_are_added() -> None:
    took(RUN.format(0), 100)
    took(RUN.format(1), 197)
    assert "about 5 minutes" in said(train(0, 1))


def test_what_was_never_run_here_takes_as_long_as_in_a_reference() -> None:
    took("results/reference/mini-two-cores/flowers/scratch/corrected/seed0/receipt.json", 7200 - START)
    took("results/reference/demo-two-cores/flowers/scratch/corrected/seed0/receipt.json", 60)
    assert "about 2 hours" in said(train(0))
    took(RUN.format(0), 60 - START)
    assert "about 60 seconds" in said(train(0)), "its own receipt tells more"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seconds": "long"}', "\x00"])
def test_a_broken_receipt_is_none(text: str) -> None:
    took(RUN.format(0), 1)
    Path(RUN.format(0)).write_text(text)
    assert "no receipt" in said(train(0))


def test_no_run_is_shorter_than_its_longest_job_or_than_its_gpus_allow() -> None:
    short, long = (Job("a", (name,)) for name in "sl")
    assert wall({short: 10, long: 97}, cores=8, gpus=1) == 97 + START
    on_gpu = {Job("a", (name,), takes_gpu=True): 100 - START for name in "abcd"}
    assert wall(on_gpu, cores=8, gpus=1) == 400 == 2 * wall(on_gpu, cores=8, gpus=2)


def test_the_most_frequent_kinds_are_named() -> None:
    rules = ["train_seed0"] * 3 + ["pack_images"] * 2 + ["a_b", "c_d", "e_f", "g_h"]
    assert "9 to run (3 train, 2 pack, 1 a, 1 c, 2 more)" in said(
        *(Job(rule, (f"{i}",)) for i, rule in enumerate(rules))
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (40, "40 seconds"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (3600, "60 minutes"),
        (5400, "2 hours"),
        (200000, "2 days"),
    ],
)
def test_a_time_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
