"""The arithmetic that suits the machine: mixed precision where the hardware multiplies in it."""

from __future__ import annotations

import torch

from aebert.finetuning.settings import Precision, PrecisionChoice
from aebert.support.cpu_bfloat16 import bfloat16_features
from aebert.support.errors import AebertError


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
    return "bf16" if bfloat16_features() else "fp32"
