"""The heads of a network and the backbone before them: the two parts of a linear probe."""

import hashlib

import torch
from torch import Tensor, nn

from florilegium.core.errors import UserError


def heads_of(network: nn.Module, where: str) -> tuple[nn.Module, ...]:
    """The classifiers of a network, one or several, from its `get_classifier`, which all networks of timm have.

    Raises:
        UserError: the network has no such method; the sentence starts with `where`, the key that needs it.
    """
    if not hasattr(network, "get_classifier"):
        raise UserError(
            f"{where}: the head of {type(network).__name__} is not known; freeze its other modules by name instead"
        )
    heads = network.get_classifier()
    return tuple(heads) if isinstance(heads, tuple) else (heads,)


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
