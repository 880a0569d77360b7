"""ResNets for 32-pixel images: the first convolution is 3 x 3 with stride 1, without pooling before the stages
(He et al. 2016, section 4.2; torchvision's networks with the changes of study 4).

Parameters have torchvision's and timm's names, so that ImageNet weights fit except `conv1.weight` and `fc.*`,
which the recipe then names in `allow_missing` and `allow_unexpected`.
"""

from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.core.errors import UserError
from florilegium.data.augment import InputConfig
from florilegium.models.cifar_names import PLAIN, Arguments, arguments_of
from florilegium.models.residual import Residual

SIDE = 32
HALF = (0.5, 0.5, 0.5)


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The network with random weights; raises `UserError` for an argument or a rate that it does not take."""
    arguments = arguments_of(model)
    no_drop_path(model, drop_path)
    return CifarResNet(PLAIN[model.name], arguments, n_classes, dropout)


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """The input of study 4: pixels in [-1, 1], of any size."""
    return InputConfig(SIDE, HALF, HALF, "bilinear"), False


def no_drop_path(model: Model, drop_path: float) -> None:
    if drop_path:
        raise UserError(f"recipe.drop_path: {model.name} takes no such rate; take it out")


class CifarStages(Residual):
    """Images (B, 3, S, S) to the last stage's map (B, C, S / 8, S / 8)."""

    def __init__(self, depth: int, arguments: Arguments) -> None:
        super().__init__(depth, nn.BatchNorm2d, arguments.blocks, arguments.widths)
        self.conv1 = nn.Conv2d(3, arguments.widths[0], 3, padding=1, bias=False)
        self.maxpool = nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, by the number of outputs
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def last_map(self, images: Tensor) -> Tensor:
        return Residual.forward(self, images)[-1]


class CifarResNet(CifarStages):
    """Images (B, 3, S, S) to logits (B, n_classes)."""

    def __init__(self, depth: int, arguments: Arguments, n_classes: int, dropout: float) -> None:
        super().__init__(depth, arguments)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(self.channels[-1], n_classes)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]
        pooled = self.last_map(images).mean((2, 3))  # (B, C)
        logits: Tensor = self.fc(self.drop(pooled))
        return logits

    def get_classifier(self) -> nn.Module:
        return self.fc
