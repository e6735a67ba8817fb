"""The model's own numbers by name, and model parts filled with them."""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

from euthymia.errors import UserError
from euthymia.evidence.load import model_parameters
from euthymia.evidence.tables import Parameter

Part = TypeVar("Part")

_ASSUMED: ContextVar[Mapping[str, Any]] = ContextVar("assumed", default=MappingProxyType({}))


@lru_cache
def _by_id() -> dict[str, Parameter]:
    return {row.id: row for row in model_parameters()}


def parameter(id: str) -> Parameter:
    """The model parameter `id`, for example ``"otto2021.clearance"``. Raises UserError if there is none."""
    try:
        return _by_id()[id]
    except KeyError:
        raise UserError(f"the evidence has no model parameter {id!r}{_nearest(id)}") from None


def value(id: str) -> float:
    """The number of model parameter `id`, in the unit of its row. Raises UserError if there is none."""
    row = parameter(id)
    return _ASSUMED.get().get(id, row.value)


def assumed(*of: str) -> dict[str, Any]:
    """What is assumed here in place of the evidence, by id; of: how ids begin, by default all."""
    return {id: x for id, x in sorted(_ASSUMED.get().items()) if id.startswith(of or "")}


@contextmanager
def assume(values: Mapping[str, Any]) -> Iterator[None]:
    """Within the block, `value` and `fill` give these numbers (or traced arrays) for the parameters they name.

    For fitting, for draws of uncertain parameters, and around `simulate` and `follow_rules`, which hand the numbers on
    to their threads. Threads started otherwise know nothing of the block, and code compiled inside keeps what it was
    compiled with.
    Raises UserError for a parameter the evidence lacks.
    """
    for id in values:
        parameter(id)
    token = _ASSUMED.set({**_ASSUMED.get(), **values})
    try:
        yield
    finally:
        _ASSUMED.reset(token)


def fill(cls: type[Part], prefix: str, **given: object) -> Part:
    """An instance of the dataclass (or equinox Module) `cls` with its numbers from the evidence.

    Each field of `cls` that is not `given` takes the model parameter ``{prefix}.{field}``; a default of the
    field is never used, so that no number enters the model without a row.
    Raises UserError if a row is missing, or if `given` names a field that `cls` does not have.
    """
    names = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise UserError(f"{cls.__name__} has no field {unknown[0]!r}; it has {', '.join(names)}")
    missing = [f"{prefix}.{name}" for name in names if name not in given and f"{prefix}.{name}" not in _by_id()]
    if missing:
        raise UserError(
            f"{cls.__name__} needs model parameters that the evidence lacks: {', '.join(missing)}{_nearest(missing[0])}"
        )
    return cls(**{name: given[name] if name in given else value(f"{prefix}.{name}") for name in names})


def _nearest(id: str) -> str:
    from difflib import get_close_matches  # only on the way to an error

    near = get_close_matches(id, list(_by_id()), n=3)
    return f"; nearest: {', '.join(near)}" if near else ""
