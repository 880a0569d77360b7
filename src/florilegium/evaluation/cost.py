"""The cost of a network: parameters, multiply-accumulates and memory."""

import sys

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from florilegium.models.freeze import heads_of


def size(network: nn.Module, height: int, width: int) -> dict[str, int]:
    """Parameters, trainable parameters, and the multiply-accumulates of one image's forward pass; and, to compare
    with sizes that others publish, the bytes of buffers that are not saved and the parameters per class of the heads.

    Convolutions and matrix products are counted, those of attention included; normalisation, activations and biases
    are not, as usual. The pass runs on torch's meta device, so it computes nothing and works for a network on any
    device. Leaves `network` in evaluation mode.
    """
    network.eval()
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    shapes = {name: tensor.detach().to("meta") for name, tensor in state.items()}
    image = torch.empty(1, 3, height, width, device="meta")
    inputs = getattr(network, "example", lambda image: (image,))(image)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        functional_call(network, shapes, inputs)
    saved = network.state_dict().keys()  # the other buffers follow from the network's shape
    unsaved = [buffer for name, buffer in network.named_buffers() if name not in saved]
    return {
        "params": sum(p.numel() for p in network.parameters()),
        "params_trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "macs": counter.get_total_flops() // 2,
        "buffer_bytes": sum(buffer.numel() * buffer.element_size() for buffer in unsaved),
        **_per_class(network),
    }


def _per_class(network: nn.Module) -> dict[str, int]:
    """The parameters that one more class would add, if the heads are known and linear."""
    if not hasattr(network, "get_classifier"):
        return {}
    linear = [head for head in heads_of(network, "") if isinstance(head, nn.Linear)]
    each = sum(head.in_features + (head.bias is not None) for head in linear)
    return {"params_per_class": each} if each else {}


def peak_memory_bytes(device: torch.device) -> int:
    """The peak memory of this process: on CUDA torch's allocations on the device, on MPS the driver's present
    allocation, on a CPU the resident set of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, KiB elsewhere
