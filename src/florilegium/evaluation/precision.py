"""Arithmetic in the precision that a recipe names."""

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context in which a forward pass multiplies in `precision`; of no effect for fp32."""
    return torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")
