"""The names of the generators, apart from them, so that checking a configuration costs no torch."""

NAMES = frozenset({"diffusion_unet", "acgan"})


def names() -> frozenset[str]:
    return NAMES
