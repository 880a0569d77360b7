"""The keys of how pictures are read."""

import pytest

from florilegium.config.base import parse
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError


@pytest.mark.parametrize(
    ("written", "ground", "rgb"),
    [
        ("white", "#ffffff", (255, 255, 255)),
        ("Navy", "#000080", (0, 0, 128)),
        ("navy", "#000080", (0, 0, 128)),
        ("#0af", "#00aaff", (0, 170, 255)),
        ("#00AAFF", "#00aaff", (0, 170, 255)),
        (" black ", "#000000", (0, 0, 0)),
    ],
)
def test_one_colour_has_one_form_however_it_is_written(written: str, ground: str, rgb: tuple[int, int, int]) -> None:
    for _ in range(2):
        pictures = parse(Pictures, {"ground": written}, "config.yaml: pictures")
        assert (pictures.ground, pictures.rgb) == (ground, rgb)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"ground": "whitte"}, "ground: whitte is no colour, did you mean 'white'.; write a name such as white"),
        ({"ground": "transparent"}, "transparent is no colour"),
        ({"ground": "#ffff"}, "'#ffff' is no colour"),
        ({"ground": "rgb(1, 2, 3)"}, r"rgb\(1, 2, 3\) is no colour"),
        (
            {"ground": None},
            "null, as YAML reads what follows a #, is no colour; write a name such as white, or '#rrggbb' in quotes",
        ),
        ({"ground": 0}, "0 is no colour"),
        ({"ground": [255, 255, 255]}, r"\[255, 255, 255\] is no colour"),
        ({"grund": "white"}, "unknown key 'grund', did you mean 'ground'"),
        ({"max_megapixels": 0}, "max_megapixels"),
        ({"max_megapixels": -1}, "max_megapixels"),
        ({"max_megapixels": float("inf")}, "max_megapixels"),
        ({"max_megapixels": float("nan")}, "max_megapixels"),
        ({"max_megapixels": "250"}, "max_megapixels"),
        ({"max_megapixels": True}, "max_megapixels"),
        ({"max_megapixels": None}, "max_megapixels"),
    ],
)
def test_a_mistake_is_one_sentence(keys: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        parse(Pictures, keys, "config.yaml: pictures")
    assert str(caught.value).startswith("config.yaml: pictures") and "\n" not in str(caught.value)
