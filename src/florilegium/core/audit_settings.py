"""When two images are called the same picture."""

from pydantic import Field

from florilegium.core.strict import Count, NotNegative, Strict


class Audit(Strict):
    """When two images are called the same picture."""

    radius: Count = Field(
        10, description="largest Hamming distance of two 64-bit pHashes; distances are even"
    )
    pixel_threshold: NotNegative = Field(
        0.02, description="largest mean squared difference of the 32 x 32 RGB thumbnails in [0, 1]"
    )
    contrast_share: NotNegative = Field(
        0.35, description="largest share of that difference in the summed variance of both thumbnails"
    )
    dihedral: bool = Field(True, description="look for the eight flips and rotations")
