"""One name for equal facts, on every machine."""

from __future__ import annotations

import hashlib
import json


def json_digest(facts: object) -> str:
    """SHA-256 (hex) over JSON-able ``facts``, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def bytes_digest(content: bytes) -> str:
    """SHA-256 (hex) of ``content``."""
    return hashlib.sha256(content).hexdigest()
