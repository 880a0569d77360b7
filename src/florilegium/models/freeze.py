"""Parameters that do not train, by module or by number of blocks.

`freeze_blocks` means what `frozen_stages` means in mmpretrain, on which study 1 was built: for a
vision transformer the first k blocks with the embeddings before them, and the final norm only when
all blocks are frozen; for TinyViT the first k stages alone; for a residual network the stem and the
first k stages. In `freeze`, the word `backbone` names everything but the classifier, which leaves a linear probe
(all heads of a network with several), unless a module has that name. Frozen BatchNorm layers keep their running
statistics as well, while drop-path stays active in the frozen blocks of a transformer.
"""

import re
from collections.abc import Sequence

from torch import nn

from florilegium.config.training_recipe import TrainingRecipe
from florilegium.core.errors import UserError, unknown
from florilegium.models.heads import heads_of

Part = nn.Module | nn.Parameter
BACKBONE = "backbone"


def freeze(network: nn.Module, recipe: TrainingRecipe) -> None:
    """Set `requires_grad` to False for the parts that `recipe.freeze` and `recipe.freeze_blocks` name.

    Raises:
        UserError: an unknown name, more blocks than there are, a network whose order of blocks is
            not known, or nothing left to train.
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
            chosen += _backbone(network)
        else:
            raise unknown("module", name, [*parts, BACKBONE], "recipe.freeze")
    return chosen


def _backbone(network: nn.Module) -> list[nn.Parameter]:
    """Every parameter outside the heads."""
    heads = heads_of(network, f"recipe.freeze: {BACKBONE}")
    in_heads = {id(parameter) for head in heads for parameter in head.parameters()}
    return [parameter for parameter in network.parameters() if id(parameter) not in in_heads]


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
    if hasattr(network, "patch_embed") and hasattr(network, "blocks"):  # vision transformers
        tokens = ("cls_token", "dist_token", "reg_token", "pos_embed")
        return (
            _present(network, "patch_embed", *tokens, "norm_pre"),
            [*network.blocks],
            _present(network, "norm"),
        )
    if hasattr(network, "patch_embed") and hasattr(network, "stages"):  # TinyViT
        return [], [*network.stages], []
    raise UserError(
        f"recipe.freeze_blocks: the order of blocks in {type(network).__name__} is not known; "
        "name its modules in recipe.freeze instead"
    )


def _present(network: nn.Module, *names: str) -> list[Part]:
    return [part for name in names if (part := getattr(network, name, None)) is not None]
