"""The detectors' names, which cost no torch to know."""

DEPTHS = (18, 34, 50, 101, 152)


def names() -> frozenset[str]:
    return frozenset(f"retinanet_resnet{depth}" for depth in DEPTHS)
