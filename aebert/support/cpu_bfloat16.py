"""Whether this machine's CPU multiplies in bfloat16; without such instructions it is emulated, slower than float32."""

from __future__ import annotations

_FEATURES = ("avx512_bf16", "amx_bf16")


def bfloat16_features() -> tuple[str, ...]:
    """The instruction sets for it that the CPU has, by the names that PyTorch gives them."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    return tuple(name for name in _FEATURES if capabilities.get(name))
