"""The command line in this process, as a script sees it: exit code, standard output, standard error."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass

from aebert.cli.main import main


@dataclass(frozen=True)
class Finished:
    """What `aebert` left behind. ``json`` reads standard output, which must hold one JSON object and nothing else.

    ``waited_s``: of its time, what it was kept from running by other processes, where that is known.
    """

    exit_code: int
    stdout: str
    stderr: str
    waited_s: float = 0.0

    @property
    def json(self) -> dict[str, object]:
        document = json.loads(self.stdout)
        assert isinstance(document, dict)
        return document


def aebert(*arguments: object) -> Finished:
    """``aebert`` with ``arguments``, which become text."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Finished(code, out.getvalue(), err.getvalue())
