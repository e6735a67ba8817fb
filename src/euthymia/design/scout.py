"""Spaces too large to compare one by one: a first look at some regimens, each chosen by what was seen so far.

Optuna proposes generations of regimens (NSGA-II: the aim and every burden at once, limits as constraints), which are
followed in the same virtual patients under a few draws; what nothing beats, and what does most for the aim, is then
compared in full like any space. What was never looked at may be better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from euthymia.design.aims import MEASURES
from euthymia.design.knobs import checked, document_of, with_values
from euthymia.design.search import Asked, Race, missed
from euthymia.design.space import MOST, Regimen, Space, axes_of, counted
from euthymia.errors import UserError
from euthymia.protocol import Protocol
from euthymia.protocol.loader import fingerprint

GENERATION = 40
"""Regimens that are proposed at once."""
KEPT = 60
"""That are compared in full at most."""
LEAST = 2 * GENERATION
"""Fewer looks learn nothing from each other."""

Follow = Callable[[Sequence[Protocol], int], Race]
"""Follows some protocols under a few draws; told which generation it is, so that what is finished can be kept."""


def scout(protocol: Protocol, vary: Sequence[str], looks: int, asked: Asked, follow: Follow, seed: int) -> Space:
    """The regimens of a space worth comparing in full, after a look at so many. The same for any number of workers.

    Raises UserError: as `space`, where the looks are too few or as many as the space has regimens, or where Optuna is
    not installed.
    """
    axes = axes_of(protocol, vary)
    size = prod(len(values) for _, values in axes)
    if not LEAST <= looks <= MOST:
        raise UserError(f"looks must be between {LEAST} and {MOST:,}, got {looks}.")
    if looks >= size:
        raise UserError(f"the space has {counted(size)}, so that {looks:,} looks need no scout; leave it out.")
    study, document = _study(asked, seed), document_of(protocol)
    made: dict[tuple[str, ...], Protocol | str] = {}
    seen: dict[str, tuple[Regimen, list[float], list[float]]] = {}  # by protocol: two ways to write one are one
    done = generation = 0
    while done < looks:
        proposed = []
        for _ in range(min(GENERATION, looks - done)):
            trial = study.ask()
            values = tuple(trial.suggest_categorical(knob.name, list(choices)) for knob, choices in axes)
            if values not in made:
                made[values] = _made(document, axes, values)
            proposed.append((trial, values, made[values]))
        new = {fingerprint(p): (v, p) for _, v, p in proposed if isinstance(p, Protocol) and fingerprint(p) not in seen}
        if new:
            race = follow([p for _, p in new.values()], generation)
            for k, (key, (values, p)) in enumerate(new.items()):
                chosen = {knob.name: value for (knob, _), value in zip(axes, values, strict=True)}
                seen[key] = Regimen(len(seen), chosen, p), *_told(race, k)
        for trial, _, p in proposed:
            if isinstance(p, str):
                study.tell(trial, state=_failed())
                continue
            _, qualities, broken = seen[fingerprint(p)]
            for k, by in enumerate(broken):
                trial.set_constraint(f"limit {k}", by)
            study.tell(trial, qualities)
        done, generation = done + len(proposed), generation + 1
    if not seen:
        raise UserError(f"none of {looks:,} regimens looked at is allowed; the first is refused because {_first(made)}")
    regimens = tuple(r._replace(number=k) for k, r in enumerate(_best(seen.values())))
    refused = [
        ({knob.name: value for (knob, _), value in zip(axes, values, strict=True)}, why)
        for values, why in made.items()
        if isinstance(why, str)
    ]
    return Space(regimens, tuple(refused))


def _study(asked: Asked, seed: int) -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError('a scout needs Optuna, which is not installed: pip install "euthymia[scout]".') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    more = optuna.study.StudyDirection.MAXIMIZE
    sampler = optuna.samplers.NSGAIISampler(population_size=GENERATION, seed=seed)
    return optuna.create_study(directions=[more] * (1 + len(asked.burdens)), sampler=sampler)


def _failed() -> Any:
    import optuna

    return optuna.trial.TrialState.FAIL


def _made(document: dict[str, Any], axes: Sequence[Any], values: tuple[str, ...]) -> Protocol | str:
    """The protocol with these values, or why it may not be."""
    try:
        return checked(with_values(document, zip((knob for knob, _ in axes), values, strict=True)))
    except UserError as error:
        return str(error)


def _told(race: Race, regimen: int) -> tuple[list[float], list[float]]:
    """The aim and the burdens of a regimen, more being better; and by how much of itself each limit is missed."""
    asked = race.asked

    def quality(measure: str) -> float:
        sign = 1.0 if MEASURES[measure].better == "more" else -1.0
        return sign * float(race.of(measure, [regimen]).mean())

    broken = [missed(race.of(x.measure, [regimen])[0], x) for x in asked.limits]
    return [quality(m) for m in (asked.aim.measure, *asked.burdens)], broken


def _best(seen: Any) -> list[Regimen]:
    """What keeps the limits and nothing beats, the best in the aim first; then those next in the aim."""
    from euthymia.design.decision import front

    rows = sorted(seen, key=lambda row: (max((0.0, *row[2])), -row[1][0]))
    on_front = front(np.array([[-max((0.0, *broken)), *qualities] for _, qualities, broken in rows]))
    ordered = [row[0] for row, on in zip(rows, on_front, strict=True) if on]
    ordered += [row[0] for row, on in zip(rows, on_front, strict=True) if not on]
    return ordered[:KEPT]


def _first(made: dict[tuple[str, ...], Protocol | str]) -> str:
    return str(next(iter(made.values())))
