"""Numbers that somebody wrote as text, and the form in which YAML reads them as numbers."""

import re

import yaml


def number_form(text: str, *, whole: bool = False) -> str | None:
    """A number that somebody wrote as text, in a form that YAML reads as that number; None for no number.

    `1e4` is 1.0e+4, `0,5` is 0.5, `50%` is 0.5, `1/3` is 0.3333333333333333 and `1,000` is 1000.

    Args:
        whole: a whole number is wanted, so that `1e4` is 10000.
    """
    written = text.strip().strip("'\"").replace("−", "-")
    value = _number(written)
    if value is None or abs(value) > 1e300 or (whole and not value.is_integer()):
        return None
    if whole or (value.is_integer() and not re.search("[eE.]", written)):
        return str(int(value))
    scientific = re.fullmatch(r"([-+]?)([0-9]*)(?:\.([0-9]*))?[eE]([-+]?)([0-9]+)", written)
    if scientific:
        sign, digits, decimals, exponent_sign, exponent = scientific.groups()
        return f"{sign}{digits or 0}.{decimals or 0}e{exponent_sign or '+'}{exponent}"
    return str(yaml.safe_dump(value)).removesuffix("\n...\n").strip()


def _number(written: str) -> float | None:
    """The number that a text stands for, as people write numbers; None for other text."""
    if re.fullmatch(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", written):
        written = written.replace(",", "")
    elif re.fullmatch(r"[-+]?[0-9]*,[0-9]+", written):
        written = written.replace(",", ".")
    divided = re.fullmatch(r"([-+]?[0-9.]+) ?(/|%) ?([0-9.]*)", written)
    power = re.fullmatch(r"(?:([-+]?[0-9.]+) ?[*x×·] ?)?10(?:\^|\*\*)([-+]?[0-9]{1,3})", written)
    try:
        if divided and (divided[2] == "/") == bool(divided[3]):
            return float(divided[1]) / (float(divided[3]) if divided[3] else 100)
        if power:
            return float(f"{power[1] or 1}e{power[2]}")
        if re.fullmatch(r"0[oO][0-7]+", written):
            return float(int(written, 8))
        value = float(written)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if value - value == 0 else None
