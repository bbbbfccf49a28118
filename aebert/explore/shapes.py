"""Encoder sizes spelled on the command line: a well-known name, or ``layers=12,hidden=768,heads=12,ffn=3072``."""

from __future__ import annotations

from dataclasses import replace

from aebert.models.encoder import EncoderShape
from aebert.support.errors import AebertError
from aebert.support.input_files import quoted
from aebert.support.whole_number import whole_number

_BERT_BASE = EncoderShape(layers=12, hidden=768, heads=12, ffn=3072, epsilon=1e-12, max_positions=512)

# As in the models' config.json on the Hugging Face hub.
NAMED_SHAPES = {
    "bert-base": _BERT_BASE,
    "bert-large": replace(_BERT_BASE, layers=24, hidden=1024, heads=16, ffn=4096),
    "distilbert": replace(_BERT_BASE, layers=6),
    "minilm-l6": replace(_BERT_BASE, layers=6, hidden=384, ffn=1536),
    "minilm-l12": replace(_BERT_BASE, hidden=384, ffn=1536),
    "electra-small": replace(_BERT_BASE, hidden=256, heads=4, ffn=1024),
    "bert-tiny": replace(_BERT_BASE, layers=2, hidden=128, heads=2, ffn=512),
}
_FIELDS = ("layers", "hidden", "heads", "ffn")
_LIMIT = 1 << 16


def parse_shape(text: str) -> EncoderShape:
    """Raises AebertError naming the field that is missing, unknown, repeated or impossible."""
    if text.lower() in NAMED_SHAPES:
        return NAMED_SHAPES[text.lower()]
    if "=" not in text:
        raise AebertError(
            f"{quoted(text)}: no such folder, and no known shape; there are {', '.join(NAMED_SHAPES)}, or give "
            "layers=12,hidden=768,heads=12,ffn=3072"
        )
    values: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in _FIELDS or name in values:
            raise AebertError(
                f"shape {quoted(text)}: field {name!r} is {'repeated' if name in values else 'not known'}; "
                f"give each of {', '.join(_FIELDS)} once"
            )
        number = whole_number(value)
        if number is None or not 1 <= number <= _LIMIT:
            raise AebertError(f"shape {quoted(text)}: {name} = {quoted(value)} must be a whole number in 1..{_LIMIT}")
        values[name] = number
    missing = [name for name in _FIELDS if name not in values]
    if missing:
        raise AebertError(f"shape {quoted(text)}: {missing[0]} is missing; give each of {', '.join(_FIELDS)} once")
    if values["hidden"] % values["heads"]:
        raise AebertError(
            f"shape {quoted(text)}: hidden = {values['hidden']} must be a multiple of heads = {values['heads']}"
        )
    layers, hidden, heads, ffn = (values[name] for name in _FIELDS)
    return replace(_BERT_BASE, layers=layers, hidden=hidden, heads=heads, ffn=ffn)
