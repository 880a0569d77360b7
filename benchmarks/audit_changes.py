"""What people do to photographs, as a table: kind and strength of a change, and the function that makes it.

A function takes an RGB image and what it may draw from, and returns the changed image. What a change hides, places and
adds is drawn at random; its strength is fixed.
"""

import io
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps


class Draw(NamedTuple):
    """What a change draws from."""

    random: np.random.Generator
    another: Image.Image  # a photograph of something else


Change = Callable[[Image.Image, Draw], Image.Image]
Ground = Literal["white", "black", "blurred"]

TURNED = tuple(Image.Transpose)  # the seven flips, quarter turns and transposes
WORDS = "a photograph of flowers, seen by chance on a walk"
ASPECT = 1.25  # of a crop, to that of its picture, at most
SMALL = Image.Resampling.BICUBIC
WIDTHS = (0.05, 0.1, 0.2)  # of a border
PARTS = {"half": 0.5, "quarter": 0.25}  # of a collage


def crop(image: Image.Image, draw: Draw, *, area: float, aspect: float = ASPECT) -> Image.Image:
    """A random part of the picture that holds `area` of it."""
    widest = min(aspect, 1 / area)
    stretch = float(np.exp(draw.random.uniform(-1, 1) * np.log(widest))) ** 0.5
    width, height = (min(1.0, area**0.5 * by) for by in (stretch, 1 / stretch))
    w, h = round(image.width * width), round(image.height * height)
    left, top = (int(draw.random.integers(0, room + 1)) for room in (image.width - w, image.height - h))
    return image.crop((left, top, left + w, top + h))


def border(image: Image.Image, draw: Draw, *, width: float, ground: Ground) -> Image.Image:
    """A frame whose width at each side is `width` of the picture's."""
    right, down = round(image.width * width), round(image.height * width)
    size = image.width + 2 * right, image.height + 2 * down
    if ground == "blurred":
        framed = image.resize(size, SMALL).filter(ImageFilter.GaussianBlur(max(size) / 25))
    else:
        framed = Image.new("RGB", size, ground)
    framed.paste(image, (right, down))
    return framed


def caption(image: Image.Image, draw: Draw, *, height: float, inside: bool) -> Image.Image:
    """A line of words: over the picture, or on a white bar below it of `height` of the picture's height."""
    bar = round(image.height * height)
    size = image.width, image.height + (0 if inside else bar)
    written = Image.new("RGB", size, "white")
    written.paste(image)
    at = image.height - 2 * bar if inside else image.height
    font = ImageFont.load_default(max(6, 0.6 * bar))
    ImageDraw.Draw(written).text((bar // 3, at + bar // 6), WORDS, fill="yellow" if inside else "black", font=font)
    return written


def logo(image: Image.Image, draw: Draw, *, width: float) -> Image.Image:
    """A round mark in a random corner."""
    marked, side = image.copy(), round(min(image.size) * width)
    left, top = (int(draw.random.integers(2)) * (room - side) for room in image.size)
    pen = ImageDraw.Draw(marked)
    pen.ellipse((left, top, left + side, top + side), fill=(200, 30, 30), outline="white", width=max(1, side // 12))
    pen.rectangle((left + side // 3, top + side // 3, left + 2 * side // 3, top + 2 * side // 3), fill="white")
    return marked


def curve(image: Image.Image, draw: Draw, *, exponent: float) -> Image.Image:
    """Gamma."""
    return image.point([round(255 * (level / 255) ** exponent) for level in range(256)] * 3)


def enhance(image: Image.Image, draw: Draw, *, of: type[ImageEnhance._Enhance], by: float) -> Image.Image:
    return of(image).enhance(by)


def hue(image: Image.Image, draw: Draw, *, turn: float) -> Image.Image:
    """All hues turned by `turn` of the circle."""
    h, s, v = image.convert("HSV").split()
    return Image.merge("HSV", (h.point([(level + round(256 * turn)) % 256 for level in range(256)]), s, v)).convert(
        "RGB"
    )


def jpeg(image: Image.Image, draw: Draw, *, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def resize(image: Image.Image, draw: Draw, *, to: float) -> Image.Image:
    return image.resize((max(1, round(image.width * to)), max(1, round(image.height * to))), SMALL)


def blur(image: Image.Image, draw: Draw, *, radius: float) -> Image.Image:
    """Gaussian; `radius` in hundredths of the picture's longer side."""
    return image.filter(ImageFilter.GaussianBlur(radius * max(image.size) / 100))


def noise(image: Image.Image, draw: Draw, *, sigma: float) -> Image.Image:
    """Gaussian, each pixel and channel by itself; `sigma` in grey levels."""
    pixels = np.asarray(image, np.float32)
    return Image.fromarray((pixels + draw.random.normal(0, sigma, pixels.shape)).clip(0, 255).astype(np.uint8))


def rotate(image: Image.Image, draw: Draw, *, degrees: float, cut: bool) -> Image.Image:
    """Turned about its middle, either way; with black corners, or cut to the part without (of the same shape)."""
    turned = image.rotate(degrees * draw.random.choice([-1, 1]), SMALL, expand=not cut)
    if not cut:
        return turned
    w, h = image.size
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    inside = min(w / (w * cosine + h * sine), h / (w * sine + h * cosine))
    left, top = w * (1 - inside) / 2, h * (1 - inside) / 2
    return turned.crop((round(left), round(top), round(w - left), round(h - top)))


def turn(image: Image.Image, draw: Draw) -> Image.Image:
    """One of the seven flips and quarter turns."""
    return image.transpose(TURNED[draw.random.integers(len(TURNED))])


def stretch(image: Image.Image, draw: Draw, *, by: float) -> Image.Image:
    """The ratio of the sides changed by the factor `by`, either way."""
    ratio = by ** (0.5 * draw.random.choice([-1, 1]))
    return image.resize((round(image.width * ratio), round(image.height / ratio)), SMALL)


def square(image: Image.Image, draw: Draw) -> Image.Image:
    """Pressed into a square of 224 pixels."""
    return image.resize((224, 224), SMALL)


def perspective(image: Image.Image, draw: Draw, *, shift: float) -> Image.Image:
    """Seen from the side: each corner moves inwards by up to `shift` of the sides."""
    w, h = image.size
    moves = draw.random.uniform(0, shift, (4, 2)) * (w, h)
    corners = np.array([(0, 0), (0, h), (w, h), (w, 0)]) + moves * [(1, 1), (1, -1), (-1, -1), (-1, 1)]
    return image.transform(image.size, Image.Transform.QUAD, tuple(corners.ravel()), SMALL)


def collage(image: Image.Image, draw: Draw, *, share: float) -> Image.Image:
    """Pasted into another photograph, of which it covers `share`."""
    whole = ImageOps.fit(draw.another, image.size, SMALL)
    small = resize(image, draw, to=share**0.5)
    room = [outer - inner for outer, inner in zip(image.size, small.size, strict=True)]
    whole.paste(small, tuple(int(draw.random.integers(0, free + 1)) for free in room))
    return whole


def several(image: Image.Image, draw: Draw, *, changes: tuple[Change, ...]) -> Image.Image:
    """One change after the other."""
    for change in changes:
        image = change(image, draw)
    return image


def chain(*changes: Change) -> Change:
    return partial(several, changes=changes)


def plain(function: Callable[[Image.Image], Image.Image]) -> Change:
    """A change that draws nothing."""
    return lambda image, draw: function(image)


GREY = plain(lambda image: ImageOps.grayscale(image).convert("RGB"))
CHANGES: dict[str, dict[str, Change]] = {
    "copy": {"re-encoded": partial(jpeg, quality=90)},
    "crop": {f"{area:.0%} of the area": partial(crop, area=area) for area in (0.9, 0.75, 0.6, 0.5)},
    **{
        f"{ground} border": {f"{width:.0%} a side": partial(border, width=width, ground=ground) for width in WIDTHS}
        for ground in ("white", "black", "blurred")
    },
    "caption below": {f"{h:.0%} of the height": partial(caption, height=h, inside=False) for h in (0.1, 0.2)},
    "writing over it": {f"{h:.0%} of the height": partial(caption, height=h, inside=True) for h in (0.1, 0.2)},
    "logo": {f"{width:.0%} of the side": partial(logo, width=width) for width in (0.15, 0.3)},
    "grey": {"all": GREY},
    "gamma": {f"{exponent:g}": partial(curve, exponent=exponent) for exponent in (0.5, 0.7, 1.5, 2)},
    **{
        name: {f"times {by:g}": partial(enhance, of=of, by=by) for by in strengths}
        for name, of, strengths in (
            ("brightness", ImageEnhance.Brightness, (0.6, 1.5)),
            ("contrast", ImageEnhance.Contrast, (0.5, 1.7)),
            ("saturation", ImageEnhance.Color, (0.3, 2)),
        )
    },
    "hue": {f"{360 * part:.0f}° of the circle": partial(hue, turn=part) for part in (1 / 12, 1 / 4, 1 / 2)},
    "inverted": {"all": plain(ImageOps.invert)},
    "JPEG": {f"quality {quality}": partial(jpeg, quality=quality) for quality in (30, 10)},
    "resized": {f"to {to:g} of the side": partial(resize, to=to) for to in (0.5, 0.25)},
    "blur": {f"sigma {radius:g} % of the side": partial(blur, radius=radius) for radius in (0.5, 1)},
    "noise": {f"sigma {sigma} of 255": partial(noise, sigma=sigma) for sigma in (10, 25)},
    "rotated, cut inside": {f"{by}°": partial(rotate, degrees=by, cut=True) for by in (5, 15, 45)},
    "rotated, black corners": {f"{by}°": partial(rotate, degrees=by, cut=False) for by in (5, 15, 45)},
    "flip or quarter turn": {"whole": turn, "and crop to 60 %": chain(partial(crop, area=0.6), turn)},
    "stretched": {
        **{f"sides {by:g}": partial(stretch, by=by) for by in (1.2, 1.5)},
        "crop of 75 % to a square": chain(partial(crop, area=0.75), square),
    },
    "perspective": {f"corners up to {shift:.0%}": partial(perspective, shift=shift) for shift in (0.05, 0.1)},
    "zoom": {"1.3": partial(crop, area=1 / 1.3**2, aspect=1)},
    "collage": {f"a {part} of another photograph": partial(collage, share=share) for part, share in PARTS.items()},
    "together": {
        "crop 60 %, flip, JPEG 30": chain(partial(crop, area=0.6), turn, partial(jpeg, quality=30)),
        "and gamma 1.5": chain(partial(crop, area=0.6), turn, partial(curve, exponent=1.5), partial(jpeg, quality=30)),
        "border 10 %, grey, 5°": chain(
            GREY, partial(border, width=0.1, ground="white"), partial(rotate, degrees=5, cut=False)
        ),
        "crop 75 %, half size, logo": chain(
            partial(crop, area=0.75), partial(resize, to=0.5), partial(logo, width=0.15)
        ),
    },
}
