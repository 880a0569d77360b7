"""Residual networks without a classifier, from torchvision's blocks (He et al. 2016).

Their state dicts have torchvision's and timm's keys, so that classifiers of both can initialise them.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
Norm = Callable[[int], nn.Module]


class Residual(nn.Module):
    """Images (B, 3, H, W) to the maps of the last three stages, at strides 8, 16 and 32."""

    def __init__(
        self,
        depth: int,
        norm: Norm,
        blocks: Sequence[int] | None,
        widths: Sequence[int],
        stem: int | None = None,
    ) -> None:
        """`widths` are the planes of the four stages; the stem has `stem` planes, by default those of the first
        stage. `blocks` replaces the depth's own numbers of blocks per stage."""
        super().__init__()
        kind = BasicBlock if depth < 50 else Bottleneck
        stem = stem or widths[0]
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        ends = [stem, *(width * kind.expansion for width in widths)]
        stages = zip(pairwise(ends), widths, blocks or BLOCKS[depth], strict=True)
        for number, ((start, _), width, count) in enumerate(stages, start=1):
            stride = 1 if number == 1 else 2
            setattr(self, f"layer{number}", _stage(kind, start, width, count, stride, norm))
        self.channels = ends[2:]

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        c3 = self.layer2(self.layer1(x))
        c4 = self.layer3(c3)
        return [c3, c4, self.layer4(c4)]


def _stage(
    kind: type[BasicBlock] | type[Bottleneck], start: int, width: int, count: int, stride: int, norm: Norm
) -> nn.Sequential:
    end = width * kind.expansion
    shortcut = None
    if stride != 1 or start != end:
        shortcut = nn.Sequential(nn.Conv2d(start, end, 1, stride=stride, bias=False), norm(end))
    first = kind(start, width, stride=stride, downsample=shortcut, norm_layer=norm)
    rest = (kind(end, width, norm_layer=norm) for _ in range(count - 1))
    return nn.Sequential(first, *rest)
