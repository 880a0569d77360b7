"""Parts of a whole, counted as a person would count them."""


def twelve_digits(number: float) -> float:
    """`number` without the noise of binary fractions, to be rounded or compared next.

    0.29 * 100 is 28.999999999999996, whose whole part is 28; to twelve digits it is 29.
    """
    return float(f"{number:.12g}")
