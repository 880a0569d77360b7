"""How pictures are read, by every stage and command alike."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from florilegium.config.base import Strict
from florilegium.config.words import shown
from florilegium.core.errors import nearest

WHITE = "#ffffff"
HOW = "write a name such as white, or '#rrggbb' in quotes"


def colour(value: Any) -> str:
    """A colour as #rrggbb in lower case, from that, from #rgb, or from a name of CSS; raises ValueError."""
    if not isinstance(value, str):
        found = "null, as YAML reads what follows a #," if value is None else shown(value)
        raise ValueError(f"{found} is no colour; {HOW}")
    text = value.strip().lower()
    if re.fullmatch("#[0-9a-f]{6}", text):
        return text
    if re.fullmatch("#[0-9a-f]{3}", text):
        return "#" + "".join(2 * digit for digit in text[1:])
    from PIL import ImageColor  # imported here, since the workflow reads its configuration each time that it starts

    if text not in ImageColor.colormap:
        raise ValueError(f"{shown(value)} is no colour{nearest(text, ImageColor.colormap)}; {HOW}")
    return "#" + bytes(ImageColor.getrgb(text)).hex()


Colour = Annotated[str, BeforeValidator(colour)]


class Pictures(Strict):
    """What the reader of pictures leaves open."""

    ground: Colour = Field(WHITE, description="colour behind transparent pictures: a name, or '#rrggbb'")
    max_megapixels: float = Field(
        250.0, gt=0, allow_inf_nan=False, description="largest picture that is read, in millions of pixels"
    )

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The ground as red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.ground[1:])
        return red, green, blue


DEFAULT = Pictures()
