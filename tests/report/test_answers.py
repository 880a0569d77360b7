"""Which test images a classifier had right, packed or not."""

from pathlib import Path

import numpy as np
import pytest

from florilegium.core.errors import UserError
from florilegium.report.answers import Answers, pack, read_answers


def test_classes_are_texts_and_the_order_is_that_of_names(tmp_path: Path) -> None:
    """A class called NA, and numbers with zeros before them, are what they are called."""
    text = "image,target,prediction,probability\nb/10.png,NA,NA,1\nb/9.png,01,1,1\na/2.png,None,None,1\n"
    (tmp_path / "predictions.csv").write_text(text)
    answers = read_answers(tmp_path)
    assert answers.right.tolist() == [True, True, False]
    assert answers.by_class == {"NA": (1, 1), "01": (1, 0), "None": (1, 1)}
    pack(answers, tmp_path / "hits.json")
    (tmp_path / "predictions.csv").unlink()
    packed = read_answers(tmp_path)
    assert packed.images == answers.images and packed.right.tolist() == answers.right.tolist()
    assert packed.by_class == answers.by_class


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 340])
def test_any_number_of_images_is_packed(tmp_path: Path, n: int) -> None:
    right = np.random.default_rng(n).random(n) < 0.5
    pack(Answers("names", right, {}), tmp_path / "hits.json")
    assert read_answers(tmp_path).right.tolist() == right.tolist()


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "{}", '{"images": "a", "n": 9, "right": "/w=="}'),
        '{"images": "a", "n": 0, "right": "", "by_class": [1]}',
        '{"images": "a", "n": 0, "right": "", "reliability": [1]}',
    ],
)
def test_cut_bits_are_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "hits.json").write_text(content)
    with pytest.raises(UserError, match=r"hits.json: is cut, or no record of which images were right"):
        read_answers(tmp_path)
    (tmp_path / "hits.json").unlink()
    with pytest.raises(UserError, match=r"hits.json: there is no such file, nor predictions.csv"):
        read_answers(tmp_path)
