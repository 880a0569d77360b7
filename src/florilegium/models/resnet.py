"""Residual networks: the stages that detectors and small classifiers share, and the classifier of small images."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from florilegium.config.data import Model
from florilegium.data.augment import InputConfig
from florilegium.models.arguments import CIFAR_RESNETS, HALF, CifarArguments, cifar_arguments, refuse_rates

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
Norm = Callable[[int], nn.Module]


class Trunk(nn.Module):
    """The stem and the four stages of a residual network."""

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self, depth: int, norm: Norm, blocks: Sequence[int] | None, widths: Sequence[int], stem: int | None = None
    ) -> None:
        """`widths` are the planes of the four stages; the stem has `stem` planes, by default those of the first
        stage. `blocks` replaces the depth's own numbers of blocks per stage."""
        super().__init__()
        kind = BasicBlock if depth < 50 else Bottleneck
        stem = stem or widths[0]
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
        ends = [stem, *(width * kind.expansion for width in widths)]
        stages = zip(pairwise(ends), widths, blocks or BLOCKS[depth], strict=True)
        for number, ((start, end), width, count) in enumerate(stages, start=1):
            stride = 1 if number == 1 else 2
            shortcut = None
            if stride != 1 or start != end:
                shortcut = nn.Sequential(nn.Conv2d(start, end, 1, stride=stride, bias=False), norm(end))
            first = kind(start, width, stride=stride, downsample=shortcut, norm_layer=norm)
            rest = (kind(end, width, norm_layer=norm) for _ in range(count - 1))
            setattr(self, f"layer{number}", nn.Sequential(first, *rest))
        self.channels = ends[2:]

    def maps(self, images: Tensor) -> list[Tensor]:
        """What the last three stages make of images (B, 3, H, W)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        c3 = self.layer2(self.layer1(x))
        c4 = self.layer3(c3)
        return [c3, c4, self.layer4(c4)]


class ResNetStages(Trunk):
    """Images (B, 3, H, W) to the maps of the last three stages, at strides 8, 16 and 32."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.maps(images)


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The classifier with random weights; raises `UserError` for an argument or a rate that it does not take."""
    arguments = cifar_arguments(model)
    refuse_rates(model, drop_path=drop_path)
    return CifarResNet(CIFAR_RESNETS[model.name], arguments, n_classes, dropout)


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """The input of study 4: 32 pixels in [-1, 1], or any other number."""
    return InputConfig(32, HALF, HALF, "bilinear"), False


class CifarStages(Trunk):
    """Images (B, 3, S, S) to the last stage's map (B, C, S / 8, S / 8)."""

    def __init__(self, depth: int, arguments: CifarArguments) -> None:
        super().__init__(depth, nn.BatchNorm2d, arguments.blocks, arguments.widths)
        self.conv1 = nn.Conv2d(3, arguments.widths[0], 3, padding=1, bias=False)
        self.maxpool = nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, by the number of outputs
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def last_map(self, images: Tensor) -> Tensor:
        return self.maps(images)[-1]


class CifarResNet(CifarStages):
    """Images (B, 3, S, S) to logits (B, n_classes)."""

    def __init__(self, depth: int, arguments: CifarArguments, n_classes: int, dropout: float) -> None:
        super().__init__(depth, arguments)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(self.channels[-1], n_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.drop(self.last_map(images).mean((2, 3))))

    def get_classifier(self) -> nn.Module:
        return self.fc
