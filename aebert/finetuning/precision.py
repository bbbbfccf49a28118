"""The arithmetic that suits the machine: mixed precision where the hardware multiplies in it."""

from __future__ import annotations

import torch

from aebert.errors import AebertError
from aebert.finetuning.settings import Precision, PrecisionChoice

# Without one of these a CPU emulates bfloat16, which is slower than float32.
_CPU_BF16_FEATURES = ("avx512_bf16", "amx_bf16")


def choose_precision(choice: PrecisionChoice) -> Precision:
    """``choice``, or for ``auto`` bf16 where the GPU or CPU computes in it, fp16 on older GPUs, fp32 elsewhere.

    Raises AebertError for fp16 without a GPU.
    """
    on_gpu = torch.cuda.is_available()
    if choice == "fp16" and not on_gpu:
        raise AebertError("precision 'fp16' needs a GPU; use bf16 or fp32 here")
    if choice != "auto":
        return choice
    if on_gpu:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if any(capabilities.get(feature) for feature in _CPU_BF16_FEATURES) else "fp32"
