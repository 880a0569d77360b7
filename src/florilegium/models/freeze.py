"""Freezing parts of a network, and training the heads behind a frozen backbone alone."""

import hashlib
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from florilegium.config.recipes import TrainingRecipe
from florilegium.core.errors import UserError, unknown

Part = nn.Module | nn.Parameter
BACKBONE = "backbone"
VIT_BLOCKS = ("blocks", "blocks_token_only", "cls_attn_blocks")  # the last two are class attention, of CaiT and of XCiT


def freeze(network: nn.Module, recipe: TrainingRecipe) -> None:
    """Set `requires_grad` to False for the parts that `recipe.freeze` and `recipe.freeze_blocks` name. Raises
    `UserError` for an unknown name, more blocks than there are, a network whose order of blocks is not known, and where
    nothing is left to train.
    """
    for part in (*_named(network, recipe.freeze), *_first_blocks(network, recipe.freeze_blocks)):
        part.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UserError("recipe.freeze, recipe.freeze_blocks: no parameter is left to train; freeze less")


def train_mode(network: nn.Module) -> None:
    """Call `network.train()`, but leave frozen layers with running statistics in evaluation mode."""
    network.train()
    for module in network.modules():
        parameters = [*module.parameters(recurse=False)]
        frozen = parameters and not any(parameter.requires_grad for parameter in parameters)
        if frozen and getattr(module, "track_running_stats", False):
            module.eval()


def _named(network: nn.Module, names: Sequence[str]) -> list[Part]:
    parts: dict[str, Part] = dict(network.named_modules()) | dict(network.named_parameters())
    del parts[""]
    chosen: list[Part] = []
    for name in names:
        if name in parts:  # a detector has a module of the name `backbone`
            chosen.append(parts[name])
        elif name == BACKBONE:
            heads = heads_of(network, f"recipe.freeze: {BACKBONE}")
            in_heads = {id(parameter) for head in heads for parameter in head.parameters()}
            chosen += [parameter for parameter in network.parameters() if id(parameter) not in in_heads]
        else:
            raise unknown("module", name, [*parts, BACKBONE], "recipe.freeze")
    return chosen


def _first_blocks(network: nn.Module, count: int) -> list[Part]:
    if count == 0:
        return []
    before, blocks, after = _order(network)
    if count > len(blocks):
        raise UserError(
            f"recipe.freeze_blocks = {count}: {type(network).__name__} has {len(blocks)} blocks; "
            f"give at most {len(blocks)}"
        )
    return [*before, *blocks[:count], *(after if count == len(blocks) else ())]


def _order(network: nn.Module) -> tuple[list[Part], list[nn.Module], list[Part]]:
    """The parts that freeze with the first block, the blocks, and the parts that freeze with the last one."""
    if hasattr(network, "layer1"):  # residual networks
        stages = [child for name, child in network.named_children() if re.fullmatch(r"layer[1-9]", name)]
        return _present(network, "conv1", "bn1", "layer0"), stages, []
    if hasattr(network, "conv_stem") and hasattr(network, "blocks"):  # EfficientNets, with seven stages
        return _present(network, "conv_stem", "bn1"), _inside(network, "blocks"), _present(network, "conv_head", "bn2")
    if hasattr(network, "patch_embed") and hasattr(network, "blocks"):  # vision transformers
        first = ("patch_embed", "cls_token", "dist_token", "reg_token", "pos_embed", "norm_pre")
        blocks = [block for name in VIT_BLOCKS if hasattr(network, name) for block in _inside(network, name)]
        return _present(network, *first), blocks, _present(network, "norm")
    if hasattr(network, "patch_embed") and hasattr(network, "stages"):  # TinyViT
        return [], _inside(network, "stages"), []
    raise UserError(
        f"recipe.freeze_blocks: the order of blocks in {type(network).__name__} is not known; "
        "name its modules in recipe.freeze instead"
    )


def _inside(network: nn.Module, name: str) -> list[nn.Module]:
    return [*network.get_submodule(name).children()]


def _present(network: nn.Module, *names: str) -> list[Part]:
    return [part for name in names if (part := getattr(network, name, None)) is not None]


def classifiers(network: nn.Module) -> tuple[nn.Module, ...]:
    """The classifiers of a network, one or several, from its `get_classifier`, which all networks of timm have; none
    without that method."""
    heads: nn.Module | tuple[nn.Module, ...] = getattr(network, "get_classifier", tuple)()
    return tuple(heads) if isinstance(heads, tuple) else (heads,)


def heads_of(network: nn.Module, where: str) -> tuple[nn.Module, ...]:
    """Its `classifiers`. Raises `UserError` that starts with `where`, the key that needs them, if there are none."""
    if not (heads := classifiers(network)):
        raise UserError(
            f"{where}: the head of {type(network).__name__} is not known; freeze its other modules by name instead"
        )
    return heads


def digest_before(heads: tuple[nn.Module, ...], network: nn.Module) -> str:
    """SHA-256 over the names and values of the state of `network` without `heads`."""
    own = {id(tensor) for head in heads for tensor in head.state_dict(keep_vars=True).values()}
    hasher = hashlib.sha256()
    for name, tensor in sorted(network.state_dict(keep_vars=True).items()):
        if id(tensor) not in own:
            hasher.update(name.encode())
            hasher.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return hasher.hexdigest()


class Heads(nn.Module):
    """The heads of a network alone: from the features before each, (B, H, F), to logits (B, n_classes).

    They are the network's own modules, so that training them trains the network. As in the whole network,
    training returns the logits of each head that trains, and evaluation their mean over all heads.
    """

    def __init__(self, heads: tuple[nn.Module, ...]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.trained = [any(p.requires_grad for p in head.parameters()) for head in heads]

    def forward(self, features: Tensor) -> Tensor | tuple[Tensor, ...]:
        logits = [head(features[:, i]) for i, head in enumerate(self.heads)]
        if not self.training:
            return torch.stack(logits).mean(0)
        training = tuple(own for own, trains in zip(logits, self.trained, strict=True) if trains)
        return training if len(training) > 1 else training[0]
