"""One's own methods: found by name among the entry points of installed packages, or given as objects.

A package offers a method under one of the groups of ``GROUPS``, e.g. in its pyproject.toml::

    [project.entry-points."aebert.saliencies"]
    spread = "mine:spread"

See docs/own_methods.md for what each kind of method has to do.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from aebert.support.errors import AebertError

Kind = Literal["saliency", "sampler", "pattern", "objective", "cost model"]
GROUPS: dict[Kind, str] = {
    "saliency": "aebert.saliencies",
    "sampler": "aebert.samplers",
    "pattern": "aebert.patterns",
    "objective": "aebert.objectives",
    "cost model": "aebert.cost_models",
}


def offered(kind: Kind) -> tuple[str, ...]:
    """The names of the methods of this kind that installed packages offer."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUPS[kind])}))


def find_method(kind: Kind, name: str, own: tuple[str, ...]) -> object:
    """The method that is offered as ``name``. ``own``: the names that are this toolkit's, for the message.

    Raises AebertError for a name that no package offers or that two offer, and for a package that cannot be imported.
    """
    entries = tuple(entry_points(group=GROUPS[kind], name=name))
    if not entries:
        known = ", ".join((*own, *offered(kind)))
        raise AebertError(f"{kind} {name!r} is not known; choose {known}")
    if len({entry.value for entry in entries}) > 1:
        raise AebertError(f"{kind} {name!r}: several packages offer it ({_origins(entries)}); uninstall all but one")
    return _load(entries[0])


@lru_cache(maxsize=64)
def _load(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:  # noqa: BLE001 - someone else's module, which may fail in any way
        raise AebertError(
            f"{entry.group} {entry.name!r}: {entry.value} cannot be loaded ({type(error).__name__}: {error}); "
            "correct or uninstall the package that offers it"
        ) from None


def method_name(method: object) -> str:
    """What records call a method: its name, or where an object of one's own was defined."""
    if isinstance(method, str):
        return method
    named = method if hasattr(method, "__qualname__") else type(method)
    return f"{named.__module__}.{named.__qualname__}"


def _origins(entries: tuple[EntryPoint, ...]) -> str:
    return ", ".join(sorted(f"{entry.value} of {entry.dist.name if entry.dist else 'a package'}" for entry in entries))
