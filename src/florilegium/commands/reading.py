"""The options that several commands have: how pictures and their boxes are read, and where a table goes."""

import argparse
from pathlib import Path

from pydantic import ValidationError

from florilegium.config.pictures import DEFAULT, Pictures, colour


def add_ground(parser: argparse.ArgumentParser) -> None:
    text = "colour behind transparent pictures, a name or #rrggbb (white); give that of your trainings"
    parser.add_argument("--ground", type=_colour, default=DEFAULT.ground, metavar="COLOUR", help=text)


def add_limit(parser: argparse.ArgumentParser, default: float | None) -> None:
    """Add `--max-megapixels`; None leaves it to the receipt of a trained network."""
    usual = "that of its training" if default is None else f"{default:g}"
    text = f"largest picture that is read, in millions of pixels ({usual})"
    parser.add_argument("--max-megapixels", type=_megapixels, default=default, metavar="N", help=text)


def add_csv(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--csv", type=_file, metavar="OUT", help=f"write {what} to this file, too")


def add_drawn_on(parser: argparse.ArgumentParser) -> None:
    drawn_on = "what the boxes of photographs that an EXIF tag turns belong to, where the sizes do not tell (upright)"
    parser.add_argument("--drawn-on", choices=("upright", "stored"), help=drawn_on)


def _file(text: str) -> Path:
    if (path := Path(text)).is_dir():  # which else nobody would know before the work is done
        raise argparse.ArgumentTypeError(f"{text} is a folder, give a file")
    return path


def _colour(text: str) -> str:
    try:
        return colour(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _megapixels(text: str) -> float:
    try:
        return Pictures(max_megapixels=float(text)).max_megapixels
    except (ValueError, ValidationError):
        raise argparse.ArgumentTypeError(f"{text} is no number above 0") from None
