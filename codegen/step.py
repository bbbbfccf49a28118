"""The generate step on folders: subnet (or model) directory -> project directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aebert.design.board import Board, load_board
from aebert.design.board_fit import expected_clock_mhz
from aebert.design.default_sizes import GivenSizes
from aebert.design.design import Design
from aebert.design.design_file import read_design_file
from aebert.design.subnet_config import config_for_subnet
from aebert.models import load_encoder
from aebert.models.calibration_text import calibration_texts
from aebert.models.encoder import Encoder
from aebert.models.host_model import load_host_model
from aebert.models.text import Text
from aebert.pruning.subnet import SUBNET_FILE, read_subnet
from aebert.pruning.zero_patterns import Pattern, parse_pattern
from aebert.support.errors import AebertError
from aebert.support.output_directory import check_replaceable
from aebert.support.progress import Progress, no_progress
from codegen.build_plan import KIND, MARKER
from codegen.generate_project import GeneratedProject, generate_project


@dataclass(frozen=True)
class DesignChoice:
    """What is fixed of a design; the rest is chosen for the board and the subnet.

    ``max_length``: longest sequence in tokens. ``design_file``: all sizes, as 'aebert explore -o' writes them.
    """

    sizes: GivenSizes = field(default_factory=GivenSizes)
    max_length: int | None = None
    design_file: Path | None = None
    clock_mhz: float | None = None
    compute_units: int | None = None


def generate(
    subnet: Path | str,
    output: Path | str,
    *,
    board: Board | Path | str,
    choice: DesignChoice | None = None,
    texts: Sequence[Text] | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> GeneratedProject:
    """Quantise the subnet (or plain model) directory ``subnet`` and write its accelerator as the folder ``output``.

    ``board``: a name, a TOML file, or what `load_board` returned. ``texts`` calibrate the scales [default: three
    quarters of the text that ships]. ``force`` replaces a project that is there already.

    Raises AebertError when the design does not fit the board or the encoder not the design, and for an ``output`` that
    is not free.
    """
    source, directory = Path(subnet), Path(output)
    check_replaceable(directory, MARKER, KIND, force)
    loaded_board = board if isinstance(board, Board) else load_board(board)
    encoder, pattern = _read(source)
    design = choose_design(encoder, pattern, loaded_board, choice or DesignChoice())
    calibration = list(texts) if texts is not None else calibration_texts()
    generated = generate_project(encoder, load_host_model(source), design, calibration, progress)
    progress("write", 0, 1)
    generated.plan.extract(directory, force=force)
    progress("write", 1, 1)
    return generated


def choose_design(encoder: Encoder, pattern: Pattern | None, board: Board, choice: DesignChoice) -> Design:
    """The design for ``encoder`` on ``board``. Raises AebertError for a choice that contradicts itself."""
    if choice.design_file is None:
        units = choice.compute_units or 1
        config = config_for_subnet(board, encoder.shape, pattern, choice.max_length, choice.sizes, units)
        return Design(config, board, choice.clock_mhz or expected_clock_mhz(config, board, units), units)
    if choice.sizes != GivenSizes() or choice.max_length is not None:
        raise AebertError("--config: holds the sizes already; leave the size options out")
    found = read_design_file(choice.design_file)
    if load_board(found.board).name != board.name:
        raise AebertError(f"{choice.design_file}: field 'board' is {found.board}, not {board.name}; explore that board")
    return Design(found.config, board, choice.clock_mhz or found.clock_mhz, choice.compute_units or found.compute_units)


def _read(directory: Path) -> tuple[Encoder, Pattern | None]:
    """The encoder of a subnet or of a plain model directory; the pattern only of a subnet."""
    if not (directory / SUBNET_FILE).is_file():
        return load_encoder(directory), None
    subnet = read_subnet(directory)
    return subnet.encoder, parse_pattern(subnet.record.pattern)
