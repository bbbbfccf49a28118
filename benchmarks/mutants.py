"""Mutants: changed sources of Python modules (Cosmic Ray's operators) and of templates (a list by hand)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# One or two replacements for each operator of Python: the nearest wrong ones. All pairs would be ten times as many
# mutants that the same tests kill.
_REPLACED = {
    "BinaryOperator": (
        "Add_Sub Sub_Add Mul_Add Mul_Div Div_Mul FloorDiv_Div FloorDiv_Mul Mod_FloorDiv Pow_Mul RShift_LShift "
        "LShift_RShift BitOr_BitAnd BitAnd_BitOr"
    ),
    "ComparisonOperator": "Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is",
    "UnaryOperator": "USub_UAdd Delete_Not Delete_Invert",
}
OPERATORS = (
    "NumberReplacer",
    "AddNot",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ZeroIterationForLoop",
    *(f"Replace{kind}_{pair}" for kind, pairs in _REPLACED.items() for pair in pairs.split()),
)


@dataclass(frozen=True, order=True)
class Mutant:
    """``source`` instead of what is in ``module`` (a path from the root). Templates: only ``before`` is replaced.

    ``before`` and ``after`` show the change; ``reason`` says why nothing can notice it, where that is known.
    """

    module: str
    line: int
    before: str
    after: str
    source: str
    tests: tuple[str, ...] = ()
    reason: str | None = None

    @classmethod
    def none(cls, module: str, source: str) -> Mutant:
        """The module as it is."""
        return cls(module, 0, "", "", source)

    @property
    def is_template(self) -> bool:
        return self.module.startswith("templates/")

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {_one_line(self.before)}  ->  {_one_line(self.after)}"


def python_mutants(path: Path, module: str) -> list[Mutant]:
    """Every change that the operators make, one of each kind of text (``_meaning``)."""
    source = path.read_text()
    meaning = _meaning(source)
    found: dict[str, Mutant] = {}
    for name in OPERATORS:
        operator: Operator = get_operator(f"core/{name}")()
        for changed in _changed_sources(source, operator):
            if changed not in found and _meaning(changed) != meaning:
                found[changed] = _described(module, source, changed)
    return sorted(found.values())


def template_mutants(root: Path) -> Iterator[Mutant]:
    """Those of ``mutation_templates.toml``. Raises ValueError where a template no longer holds the text to change."""
    for entry in _read_toml("mutation_templates.toml")["mutant"]:
        path = root / "templates" / entry["file"]
        source = path.read_text()
        if source.count(entry["before"]) != 1:
            raise ValueError(
                f"{path}: {entry['before']!r} stands there {source.count(entry['before'])} times, not once"
            )
        yield Mutant(
            f"templates/{entry['file']}",
            source[: source.index(entry["before"])].count("\n") + 1,
            entry["before"],
            entry["after"],
            source.replace(entry["before"], entry["after"]),
            tuple(entry["tests"]),
            entry.get("reason"),
        )


def _changed_sources(source: str, operator: Operator) -> Iterator[str]:
    occurrence = 0
    while (changed := mutate_code(source, operator, occurrence)) is not None:
        yield changed
        occurrence += 1


@cache
def reasons() -> dict[tuple[str, str, str | None], str]:
    """Why nobody can notice a change: by module, line and changed line (None: any change of the line)."""
    entries = _read_toml("mutation_reasons.toml").get("reason", [])
    return {(entry["module"], entry["before"], entry.get("after")): entry["why"] for entry in entries}


def _described(module: str, source: str, changed: str) -> Mutant:
    old, new = source.splitlines(), changed.splitlines()
    first = next((i for i, (left, right) in enumerate(zip(old, new, strict=False)) if left != right), len(new) - 1)
    before, after = old[first].strip(), new[first].strip()
    known = reasons()
    reason = known.get((module, before, after), known.get((module, before, None)))
    return Mutant(module, first + 1, before, after, changed, reason=reason)


def _meaning(source: str) -> str:
    """What tests are for: the syntax tree without what mypy checks (annotations and their imports, ``frozen``) and
    without ``strict`` of zip, which only says that lengths agree where they do; the text where it is no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.test = ast.Constant(None)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("dataclass", "zip"):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in ("frozen", "strict")]
    return ast.dump(tree)


def _read_toml(name: str) -> dict[str, Any]:  # its own file; a wrong field fails at once
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _one_line(text: str) -> str:
    return " ".join(text.split())
