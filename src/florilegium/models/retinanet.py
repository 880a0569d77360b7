"""RetinaNet on a residual network (Lin et al. 2017, "Focal Loss for Dense Object Detection").

The topology is the study's: P6 comes from C5 and P7 from P6, each head has four convolutions of its own, and the
box head predicts one box for all classes. torchvision's detector takes P6 from P5.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from florilegium.config.data import Model
from florilegium.core.errors import UserError
from florilegium.data.augment import InputConfig
from florilegium.models.anchors import anchors_of
from florilegium.models.norms import NORMS
from florilegium.models.residual import Norm, Residual
from florilegium.models.retinanet_arguments import Arguments, arguments_of, depth_of

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class RetinaNet(nn.Module):
    """Images (B, 3, H, W) to class logits and deltas of each anchor; H and W are multiples of 32."""

    def __init__(self, depth: int, n_classes: int, arguments: Arguments) -> None:
        super().__init__()
        self.arguments, self.n_classes = arguments, n_classes
        norm: Norm = NORMS[arguments.norm]
        everywhere = norm if arguments.norm == "gn" else None
        width, per_cell = arguments.pyramid_width, arguments.anchors.per_cell
        self.backbone = Residual(depth, norm, arguments.blocks, arguments.widths, arguments.stem)
        last = LastLevelP6P7(self.backbone.channels[-1], width)
        last.use_P5 = False
        self.pyramid = FeaturePyramidNetwork(self.backbone.channels, width, last, norm_layer=everywhere)
        self.class_head = Head(width, arguments.head_layers, per_cell, n_classes, everywhere)
        self.box_head = Head(width, arguments.head_layers, per_cell, 4, everywhere)
        self.reset()

    def reset(self) -> None:
        """Initialise the weights as the study did, and every anchor's probability to the prior."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                outputs = module.out_channels * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, std=math.sqrt(2 / outputs))
        prior = self.arguments.prior
        for head, bias in ((self.class_head, -math.log((1 - prior) / prior)), (self.box_head, 0.0)):
            nn.init.zeros_(head.answer.weight)
            nn.init.constant_(head.answer.bias, bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (B, A, C) and deltas (B, A, 4), in the order of `anchors`."""
        maps = self.backbone(images)
        levels = self.pyramid(OrderedDict(zip("345", maps, strict=True))).values()
        return (
            torch.cat([self.class_head(level) for level in levels], dim=1),
            torch.cat([self.box_head(level) for level in levels], dim=1),
        )

    def anchors(self, images: Tensor) -> Tensor:
        """The anchors (A, 4) of images of that shape, on their device."""
        return anchors_of(self.arguments.anchors, *images.shape[-2:], images.device)


class Head(nn.Module):
    """Maps (B, F, H, W) to predictions (B, H W K, n) for K anchors per cell; all levels share it."""

    def __init__(self, width: int, layers: int, per_cell: int, n: int, norm: Norm | None) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(Conv2dNormActivation(width, width, 3, norm_layer=norm) for _ in range(layers))
        )
        self.answer = nn.Conv2d(width, per_cell * n, 3, padding=1)
        self.n = n

    def forward(self, level: Tensor) -> Tensor:
        answers = self.answer(self.layers(level))  # (B, K n, H, W)
        return answers.permute(0, 2, 3, 1).reshape(len(level), -1, self.n)


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> RetinaNet:
    """The network with random weights; raises `UserError` for arguments that it does not take."""
    for key, rate in (("drop_path", drop_path), ("dropout", dropout)):
        if rate:
            raise UserError(f"recipe.{key}: {model.name} takes no such argument; take it out")
    return RetinaNet(depth_of(model), n_classes, arguments_of(model))


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """ImageNet's mean and deviation; the size is nominal, since a detector takes images of any size."""
    return InputConfig(size=608, mean=MEAN, std=STD, interpolation="bilinear"), False
