"""Which classes a classifier mistakes for which, and the images that are shown of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from florilegium.figures.classifier import choose, coded, confusion, most_confused
from tests.helpers import report
from tests.helpers.figures import margin, material


def test_of_200_classes_the_pairs_confused_most_are_named_in_words(tmp_path: Path) -> None:
    codes = report.class_names(200)
    of = report.entry("net", seeds=[0], dataset="words200")
    report.write_run(tmp_path / "runs", of, 0, accuracy=0.5, n_test=600, n_classes=200)
    found = replace(
        material(tmp_path / "runs", report.study([of])),
        classes={"words200": codes},
        words={"words200": {codes[0]: "goldfish, Carassius auratus", codes[1]: "fire_salamander"}},
    )
    assert found.called("words200")[:3] == ["goldfish", "fire salamander", "colts foot"]
    assert margin(report.saved(found, "confusion", tmp_path / "pairs.png")) == 255
    with Image.open(tmp_path / "pairs.png") as picture:
        assert picture.height < 1400


@pytest.mark.parametrize(
    "names",
    [
        ["1", "10", "102", "2"],
        ["01", "1", "1.0", "1e0"],
        ["NA", "None", "nan", "null"],
        ["True", "false", "inf", "-"],
        ["$\\foo$", "$a$", "a,b", "{x}"],
    ],
)
def test_classes_called_like_numbers_or_like_nothing_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    monkeypatch.setattr(report, "CLASSES", names)
    of = report.entry("net", seeds=[0], dataset="odd")
    report.write_run(tmp_path / "runs", of, 0, accuracy=0.75, n_test=40, n_classes=4)
    found = replace(material(tmp_path / "runs", report.study([of])), classes={"odd": names}, words={})
    (run,) = found.finished(found.study.entries[0])
    counts = confusion([coded(run.predictions(), names)], 4)
    assert (counts.sum(), counts.trace()) == (40, 30)
    assert run.answers.right.sum() == 30 and run.answers.by_class.keys() == set(names)
    report.saved(found, "confusion", tmp_path / "matrix.png")


def test_most_confused_is_by_share_of_the_true_class() -> None:
    counts = np.array([[90, 10, 0], [4, 6, 0], [0, 0, 5]])
    assert most_confused(counts, 5) == [(1, 0), (0, 1)]


def test_confusion_counts_targets_by_row() -> None:
    table = pd.DataFrame({"target": [0, 0, 1], "prediction": [0, 1, 1]})
    assert confusion([table, table], 2).tolist() == [[2, 2], [0, 2]]


def test_predictions_may_name_their_classes() -> None:
    table = pd.DataFrame({"target": ["tulip"], "prediction": ["daisy"]})
    assert coded(table, ["daisy", "tulip"]).to_numpy().tolist() == [[1, 0]]


def test_samples_are_spread_over_right_ones_the_least_sure_and_the_surest_errors() -> None:
    predictions = pd.DataFrame(
        {
            "image": list("abcdef"),
            "target": [0, 1, 2, 3, 0, 1],
            "prediction": [0, 1, 2, 3, 1, 0],
            "probability": [0.9, 0.8, 0.7, 0.6, 0.5, 0.95],
        }
    )
    right, unsure, wrong = choose(predictions, 2)
    assert list(right["image"]) == ["a", "d"] and list(unsure["image"]) == ["e", "d"]
    assert list(wrong["image"]) == ["f", "e"]
