"""AE-BERT: from a Hugging Face encoder to a pruned, verified FPGA accelerator.

``aebert.load`` runs a generated project; everything else is in the subpackages.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host.runtime import AcceleratedModel

__all__ = ["load"]


def load(project: Path | str, device: str = "emulator", *, guarded: bool = False) -> AcceleratedModel:
    """The model of a generated project with its encoder on ``device``; see `host.runtime.load`.

    ``device``: ``emulator``, ``pynq-emulator[:N]``, ``pynq[:N]``, ``xrt[:N]`` or ``remote:HOST``.
    """
    # `host` stands above this package: nothing here may import it on being imported. This is only the front door.
    from host import runtime

    return runtime.load(project, device, guarded=guarded)
