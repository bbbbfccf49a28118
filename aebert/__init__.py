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
    from aebert.design.board import Board, board_names, load_board
    from aebert.design.design import Design
    from aebert.design.hardware_config import HardwareConfig
    from aebert.explore.step import Exploration
    from aebert.finetuning.step import finetune
    from aebert.models.encoder import Encoder, EncoderShape
    from aebert.models.load import load_encoder
    from aebert.numerics.quantised import QuantisedEncoder
    from aebert.pruning.prune import PrunedEncoder, prune_encoder
    from aebert.pruning.step import prune
    from aebert.pruning.subnet import Subnet, SubnetRecord, read_subnet, write_subnet
    from aebert.pruning.zero_patterns import Pattern, parse_pattern
    from aebert.quantisation.quantise import quantise
    from aebert.search.options import SearchOptions
    from aebert.search.run.rounds import Search, SearchResult, SearchSettings
    from aebert.support.errors import AebertError
    from aebert.tasks.load import load_task
    from aebert.tasks.task import TaskData
    from codegen.generate_project import GeneratedProject, generate_project
    from codegen.project import Project, load_project
    from codegen.step import DesignChoice, choose_design, generate
    from host.measure import Measurement, measure
    from host.runtime import AcceleratedModel, load
    from host.verify.ladder import Verification
    from host.verify.step import verify

# Where each name lives. `codegen` and `host` stand above this package: nothing of them is imported before it is used.
_HOMES = {
    "AcceleratedModel": "host.runtime",
    "AebertError": "aebert.support.errors",
    "Board": "aebert.design.board",
    "Design": "aebert.design.design",
    "DesignChoice": "codegen.step",
    "Encoder": "aebert.models.encoder",
    "EncoderShape": "aebert.models.encoder",
    "Exploration": "aebert.explore.step",
    "GeneratedProject": "codegen.generate_project",
    "HardwareConfig": "aebert.design.hardware_config",
    "Measurement": "host.measure",
    "Pattern": "aebert.pruning.zero_patterns",
    "Project": "codegen.project",
    "PrunedEncoder": "aebert.pruning.prune",
    "QuantisedEncoder": "aebert.numerics.quantised",
    "Search": "aebert.search.run.rounds",
    "SearchOptions": "aebert.search.options",
    "SearchResult": "aebert.search.run.rounds",
    "SearchSettings": "aebert.search.run.rounds",
    "Subnet": "aebert.pruning.subnet",
    "SubnetRecord": "aebert.pruning.subnet",
    "TaskData": "aebert.tasks.task",
    "Verification": "host.verify.ladder",
    "board_names": "aebert.design.board",
    "choose_design": "codegen.step",
    "finetune": "aebert.finetuning.step",
    "generate": "codegen.step",
    "generate_project": "codegen.generate_project",
    "load": "host.runtime",
    "load_board": "aebert.design.board",
    "load_encoder": "aebert.models.load",
    "load_project": "codegen.project",
    "load_task": "aebert.tasks.load",
    "measure": "host.measure",
    "parse_pattern": "aebert.pruning.zero_patterns",
    "prune": "aebert.pruning.step",
    "prune_encoder": "aebert.pruning.prune",
    "quantise": "aebert.quantisation.quantise",
    "read_subnet": "aebert.pruning.subnet",
    "verify": "host.verify.step",
    "write_subnet": "aebert.pruning.subnet",
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
    "SearchOptions",
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
