"""A project: subnet and design in, a folder out that can be built, verified and run; and back."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aebert.design.design import Design
from aebert.numerics.integers import NUMERICS_VERSION
from aebert.numerics.quantised import QuantisedEncoder
from aebert.quantisation.error_sources import FILE_NAME as ERROR_SOURCES_FILE
from aebert.quantisation.storage import load_quantised, save_quantised
from aebert.support.errors import AebertError
from aebert.support.input_files import files_inside, read_input
from codegen.build_plan import BuildPlan, content_digest
from codegen.golden_vectors import memory_files
from codegen.manifest import TOP, Manifest, read_manifest, register_map
from codegen.memory_image import MemoryImage, stored_memory_image
from codegen.placement import place_compute_units
from codegen.project_folder import MANIFEST_FILE
from codegen.project_sources import ProjectSources, check_build_files, trusted_sources
from codegen.project_text import project_files
from codegen.render import kernel_files

MEMORY_FOLDER = "memory"
MODEL_FOLDER = "model"
QUANTISED_FOLDER = "quantised"
MEMORY_BUFFERS = ("weights", "indices", "parameters")


def plan_project(
    design: Design,
    quantised: QuantisedEncoder,
    image: MemoryImage,
    golden: Mapping[str, bytes],
    depths: Mapping[str, int],
    error_sources: str,
    subnet_directory: Path,
) -> BuildPlan:
    """The whole project in memory, deterministic to the byte; the subnet's own files are copied when it is written.

    ``golden`` holds the golden vectors, relative name -> content, ``depths`` the words that they need at each port;
    ``error_sources`` is the text of error_sources.json.
    """
    texts = {
        **kernel_files(design.config, design.buffers),
        **project_files(design.config, design.board, design.clock_mhz, design.compute_units, depths),
    }
    files: dict[str, bytes | Path] = {name: text.encode() for name, text in texts.items()}
    files.update(memory_files(image))
    files.update(golden)
    files.update(_quantised_files(quantised))
    files[f"{QUANTISED_FOLDER}/{ERROR_SOURCES_FILE}"] = error_sources.encode()
    files.update(
        {
            f"{MODEL_FOLDER}/{path.relative_to(subnet_directory).as_posix()}": path
            for path in files_inside(subnet_directory)
        }
    )
    plan = BuildPlan(files)
    manifest = Manifest(
        toolkit_version=version("aebert"),
        numerics_version=NUMERICS_VERSION,
        top=TOP,
        board=design.board.name,
        part=design.board.part,
        flow=design.board.flow,
        platform=design.board.platform,
        clock_mhz=design.clock_mhz,
        compute_units=design.compute_units,
        config=design.config,
        shape=quantised.shape,
        design_digest=design.digest,
        subnet_digest=quantised.subnet_digest,
        quantised_digest=quantised.digest,
        counts=image.counts,
        registers=register_map(),
        banks=dict(place_compute_units(design.config, design.board, design.compute_units)[0].banks),
        files=plan.file_digests(),
    )
    return plan.with_file(MANIFEST_FILE, manifest.to_json().encode())


def _quantised_files(quantised: QuantisedEncoder) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="aebert-") as scratch:
        folder = Path(scratch) / QUANTISED_FOLDER
        save_quantised(quantised, folder)
        return {f"{QUANTISED_FOLDER}/{path.name}": path.read_bytes() for path in folder.iterdir()}


@dataclass(frozen=True)
class Project:
    """A project that was read from its folder.

    ``trust_changes``: its sources may be compiled although they are not what was generated.
    """

    directory: Path
    manifest: Manifest
    quantised: QuantisedEncoder
    image: MemoryImage
    trust_changes: bool = False

    def sources(self) -> ProjectSources:
        """What may be compiled. Raises AebertError for what is not as generated, unless ``trust_changes``."""
        return trusted_sources(self.directory, self.manifest.files, self.trust_changes)

    def build_files(self) -> tuple[str, ...]:
        """What vendor tools run beside the sources and is not as generated. Raises AebertError as `sources`."""
        self.sources()
        return check_build_files(self.directory, self.manifest.files, self.trust_changes)

    @property
    def trusted_changes(self) -> tuple[str, ...]:
        """The sources that are not as generated and are compiled all the same."""
        return self.sources().changed if self.trust_changes else ()

    @property
    def model_directory(self) -> Path:
        """The subnet as a Hugging Face directory: embeddings, pooler, head and tokenizer for the host."""
        return self.directory / MODEL_FOLDER

    def changed_files(self) -> list[str]:
        """Files that are not what was generated, or are missing."""
        return [
            name
            for name, digest in self.manifest.files.items()
            if not (self.directory / name).is_file() or content_digest(self.directory / name) != digest
        ]


def load_project(directory: Path | str, *, trust_changes: bool = False) -> Project:
    """``trust_changes`` as in `Project`.

    Raises AebertError when the folder is no project, or when a part of it that is needed is missing or damaged.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    quantised = load_quantised(directory / QUANTISED_FOLDER)
    if quantised.digest != manifest.quantised_digest:
        raise AebertError(
            f"{directory / QUANTISED_FOLDER}: of another subnet than the manifest; generate the project again"
        )
    weights, indices, parameters = (_read_buffer(directory, name, manifest) for name in MEMORY_BUFFERS)
    image = stored_memory_image(weights, indices, parameters, manifest.counts, quantised, manifest.config)
    return Project(directory, manifest, quantised, image, trust_changes)


def _read_buffer(directory: Path, name: str, manifest: Manifest) -> npt.NDArray[np.uint8]:
    path = directory / MEMORY_FOLDER / f"{name}.bin"
    content = np.frombuffer(read_input(path, remedy="generate the project again"), np.uint8)
    if len(content) == 0 or len(content) % manifest.config.word_bytes:
        raise AebertError(f"{path}: {len(content)} bytes are not whole memory words; generate the project again")
    return content
