"""AE-BERT: from a Hugging Face encoder to a pruned, verified FPGA accelerator.

The steps of the command line on folders, each returning what it wrote:

Examples:
    >>> import aebert
    >>> subnet = aebert.prune("model", "subnet", ratio=0.5, pattern="vector:4x1", compensate=True)
    >>> round(subnet.record.overall_ratio, 3)
    0.5
    >>> generated = aebert.generate("subnet", "project", board="pynq-z2")
    >>> aebert.verify("project").passed
    True
    >>> project = aebert.load_project("project")
    >>> aebert.measure(project, "emulator", lengths=[32], warm_up=1, repeats=1).source
    'emulated'
    >>> with aebert.load("project", device="emulator") as model:
    ...     embeddings = model.embeddings(["A sentence.", "Another one."])
    >>> len(embeddings)
    2

The same steps in memory, for one's own combinations, are `load_encoder`, `prune_encoder`, `quantise`, `choose_design`
and `generate_project`; what they pass on are `Encoder`, `PrunedEncoder`, `QuantisedEncoder`, `Design` and
`GeneratedProject`. Names are imported when they are first used: ``import aebert`` loads neither torch nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aebert.boards import Board, board_names, load_board
    from aebert.design.config import HardwareConfig
    from aebert.design.design import Design
    from aebert.encoder import Encoder, EncoderShape
    from aebert.errors import AebertError
    from aebert.explore.explore import Exploration
    from aebert.finetuning.finetune import finetune
    from aebert.models.load import load_encoder
    from aebert.prune_model import prune
    from aebert.pruning.patterns import Pattern, parse_pattern
    from aebert.pruning.prune import PrunedEncoder, prune_encoder
    from aebert.quantisation.quantise import quantise
    from aebert.quantised import QuantisedEncoder
    from aebert.search.search import Search, SearchResult, SearchSettings
    from aebert.subnet import Subnet, SubnetRecord, read_subnet, write_subnet
    from aebert.tasks.load import load_task
    from aebert.tasks.task import TaskData
    from codegen.generate import GeneratedProject, generate_project
    from codegen.generate_from_folder import DesignChoice, choose_design, generate
    from codegen.project import Project, load_project
    from host.measure import Measurement, measure
    from host.runtime import AcceleratedModel, load
    from host.verify.folder import verify
    from host.verify.ladder import Verification

# Where each name lives. `codegen` and `host` stand above this package: nothing of them is imported before it is used.
_HOMES = {
    "AcceleratedModel": "host.runtime",
    "AebertError": "aebert.errors",
    "Board": "aebert.boards",
    "Design": "aebert.design.design",
    "DesignChoice": "codegen.generate_from_folder",
    "Encoder": "aebert.encoder",
    "EncoderShape": "aebert.encoder",
    "Exploration": "aebert.explore.explore",
    "GeneratedProject": "codegen.generate",
    "HardwareConfig": "aebert.design.config",
    "Measurement": "host.measure",
    "Pattern": "aebert.pruning.patterns",
    "Project": "codegen.project",
    "PrunedEncoder": "aebert.pruning.prune",
    "QuantisedEncoder": "aebert.quantised",
    "Search": "aebert.search.search",
    "SearchResult": "aebert.search.search",
    "SearchSettings": "aebert.search.search",
    "Subnet": "aebert.subnet",
    "SubnetRecord": "aebert.subnet",
    "TaskData": "aebert.tasks.task",
    "Verification": "host.verify.ladder",
    "board_names": "aebert.boards",
    "choose_design": "codegen.generate_from_folder",
    "finetune": "aebert.finetuning.finetune",
    "generate": "codegen.generate_from_folder",
    "generate_project": "codegen.generate",
    "load": "host.runtime",
    "load_board": "aebert.boards",
    "load_encoder": "aebert.models.load",
    "load_project": "codegen.project",
    "load_task": "aebert.tasks.load",
    "measure": "host.measure",
    "parse_pattern": "aebert.pruning.patterns",
    "prune": "aebert.prune_model",
    "prune_encoder": "aebert.pruning.prune",
    "quantise": "aebert.quantisation.quantise",
    "read_subnet": "aebert.subnet",
    "verify": "host.verify.folder",
    "write_subnet": "aebert.subnet",
}

__all__ = [
    "AcceleratedModel",
    "AebertError",
    "Board",
    "Design",
    "DesignChoice",
    "Encoder",
    "EncoderShape",
    "Exploration",
    "GeneratedProject",
    "HardwareConfig",
    "Measurement",
    "Pattern",
    "Project",
    "PrunedEncoder",
    "QuantisedEncoder",
    "Search",
    "SearchResult",
    "SearchSettings",
    "Subnet",
    "SubnetRecord",
    "TaskData",
    "Verification",
    "board_names",
    "choose_design",
    "finetune",
    "generate",
    "generate_project",
    "load",
    "load_board",
    "load_encoder",
    "load_project",
    "load_task",
    "measure",
    "parse_pattern",
    "prune",
    "prune_encoder",
    "quantise",
    "read_subnet",
    "verify",
    "write_subnet",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'aebert' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
