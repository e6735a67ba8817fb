"""What a search found, in sentences, and its numbers in words."""

from pathlib import Path
from shlex import quote

import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.design.aims import MEASURES
from euthymia.design.find import Design
from euthymia.design.next_trial import NextTrial, scored, shows_in
from euthymia.design.patient import beyond_population, known
from euthymia.design.space import counted
from euthymia.design.worlds import BACKGROUND_LEVEL, DRUG_LEVEL, believed
from euthymia.report.numbers import decimal, plural, positive

TELLING = 0.05
"""Share of what perfect knowledge is worth, below which no single number is named."""
SIMULATED = 500
"""Virtual patients in whom the regimen is followed again."""
TRIED_PATIENTS, FEWEST_TRIALS, MOST_TRIALS = 500_000, 20, 1000
"""In all trials of a kind together, so that their power is known in minutes; and how many trials."""
OF_WORLDS = (
    "90 %: the {parameters}, and how clinics differ from each other; not the structure of the model, nor the assumed "
    "hazards of pressure and misuse"
)
CLOSE = 0.9
"""Below this probability to be the best, the page says first that the choice is open."""
WORTH_NAMING = 0.05
"""Probability to be the best below which a rival is not named."""


def answer(found: Design) -> list[str]:
    """The result in a few sentences, each a paragraph."""
    aim, table = found.asked.aim, found.table()
    assert found.chosen and found.choice.verdict
    row = table.row(found.chosen.number, named=True)
    said = [_best(found, row)]
    if row["best"] < CLOSE:
        said.insert(0, f"The choice is open: {_rivals(found, table)}.")
    if found.like:
        said.append(
            "This is a forecast for people like this, who differ in all that the covariates do not tell; it is none "
            "for the person, whom nobody has observed under any of these regimens: a clinician decides."
        )
    said.append(_against_usual(found, table))
    if found.asked.limits:
        kept = "; ".join(f'"{limit.text}"' for limit in found.asked.limits)
        said.append(f"It keeps {kept}. A limit on a chance is kept only where it holds with 95 % certainty.")
    if found.worth and found.worth[0].worth > TELLING * found.perfect > 0:
        first = found.worth[0]
        said.append(
            f"What would most change the choice if it were known: {named(first.parameter)}, worth "
            f"{amount(first.worth, aim.measure)} on average; knowing everything would be worth "
            f"{amount(found.perfect, aim.measure)}."
            + (f" It shows in {shown}." if (shown := shows_in(first.parameter)) else "")
        )
    said += [_where_bad(found), the_trial(found), *_in_whom(found)]
    if found.prices:
        said.append(
            f"Cost is {found.prices}, in the currency of these prices, not discounted; nothing else is counted."
        )
    if outside := beyond(found):
        said.append(f"Extrapolation: {'; '.join(outside)}. What holds there is the model's own.")
    return [x for x in said if x]


def _best(found: Design, row: dict) -> str:
    """The regimen that was found, and what it does."""
    aim, of, number = found.asked.aim, found.protocol.name, len(found.space.regimens)
    whom = f" in people like one patient ({found.like})" if found.like else ""
    over, does = f"over {_weeks(found.weeks)}{whom}", with_range(row, aim.measure)
    if number == 1:
        return f"Of {of} there is one regimen, {found.chosen}, and no choice to make: {aim.measure} {over}, {does}."
    return (
        f"Of {counted(number)} of {of}, {found.chosen} gives the {'most' if aim.better == 'more' else 'least'} "
        f"{aim.measure} {over}: {does}. It is the best of those compared with probability {chance(row['best'])}; "
        f"choosing it costs {cost(row['regret'], aim.measure)} on average against knowing which is best."
    )


def what_now(found: Design, folder: str | Path = "") -> list[tuple[str, str]]:
    """What can be done with the regimen found: each in words, and the command for it as it stands. folder: where the
    files lie, as seen from where commands are given."""
    texts = found.documents()

    def file(end: str) -> str | None:
        name = next((name for name in texts if name.endswith(f"-{end}.yaml")), None)
        return name and quote(str(Path(folder) / name))

    mine, usual, trial = file("found"), file("usual"), file("trial")
    simulated = quote(str(Path(folder) / "simulated"))
    made = [
        (
            "Follow it under its rules",
            f"euthymia simulate {mine} --rules --patients {SIMULATED} --weeks {found.weeks} --out {simulated}",
        )
    ]
    if usual:
        made.append(
            (
                "See what it changes in the usual regimen, and in the same virtual patients",
                f"euthymia protocols diff {usual} {mine} --simulate {SIMULATED} --weeks {found.weeks}",
            )
        )
    if trial and found.next_trial:
        against = found.next_trial.rival
        often = max(FEWEST_TRIALS, min(MOST_TRIALS, TRIED_PATIENTS // found.next_trial.patients))
        made += [
            (f"Try it against the {against} in one virtual trial", f"euthymia trial run {trial}"),
            (f"How often such a trial would tell, from {often}", f"euthymia trial power {trial} --replicates {often}"),
        ]
    return made


def _weeks(number: int) -> str:
    return f"{number} weeks" if number != 1 else "a week"


def of_worlds(found: Design) -> str:
    """What intervals over worlds hold."""
    assumed = ", or assumed where trials do not tell" if believed(found.illness) else ""
    return OF_WORLDS.format(parameters=f"calibrated parameters{assumed}")


def beyond(found: Design) -> tuple[str, ...]:
    """What of the chosen regimen, and of whom it is for, no data support."""
    assert found.chosen
    people = beyond_population(known(found.like), found.provenance.population) if found.like else ()
    return (*people, *(x.says for x in found.beyond[found.chosen.number]))


def the_trial(found: Design) -> str:
    """The trial that would tell."""
    trial = found.next_trial
    if trial is None:
        return ""
    unit = "points" if trial.endpoint == "change" else "%"
    seen = " against ".join(f"{decimal(x, 1)} {unit}" for x in trial.expected)
    size = (
        f"even {trial.patients:,} patients would be too few for a difference so small"
        if trial.capped
        else f"with {trial.patients:,} patients it would find a difference so large in four trials of five"
    )
    usual = "the usual one" if trial.rival == "usual regimen" else "the runner-up"
    measure = found.asked.aim.measure
    if not scored(measure, found.illness):
        measured, known = "what it does to the illness, which the aim does not tell", ""
    else:
        measured, known = "the difference itself", _worth_of(found, trial)
    seen += " of days" if measure == "days in response" else ""
    return (
        f"A trial of it against {usual} ({trial.against}) would measure {measured}: {trial.endpoint} at "
        f"week {trial.week}, {seen} in this search; {size}. {known}"
    ).rstrip()


def _worth_of(found: Design, trial: NextTrial) -> str:
    return (
        f"To know that difference exactly would be worth {amount(trial.worth, found.asked.aim.measure)} on average."
        if trial.worth > 0
        else f"In none of {found.draws} worlds is the other better, so that it would test the model, not the choice."
    )


def _where_bad(found: Design) -> str:
    """Whether the choice holds where things go badly, in a sentence; none where nothing else is on the front."""
    if len(found.robustness) < 2:
        return ""
    assert found.chosen
    others = {}
    for where, by in (("in clinics where the drug does little", "little"), ("in bad worlds", "bad")):
        best = max(found.robustness, key=lambda r: found.asked.aim.sign * getattr(r, by))
        others[where] = None if best.regimen == found.chosen.number else found.space.regimens[best.regimen]
    if not any(others.values()):
        return f"Of those on the front it is also the best {' and '.join(others)}."
    said = (f"{where} {other or 'it'} does best" for where, other in others.items())
    return f"Of those on the front, {', and '.join(said)}."


def _in_whom(found: Design) -> list[str]:
    """What subgroups tell, in a sentence."""
    groups = [g for g in found.subgroups if g.best is not None]
    if not groups:
        return []
    other = [g for g in groups if g.differs]
    if not other:
        return [f"In none of {plural(len(groups), 'subgroup')} is another regimen distinguishably better."]
    named = "; ".join(f"{g.name}: {found.space.regimens[g.best or 0]}" for g in other)
    of = plural(len(groups), "subgroup")
    return [f"Of {of}, another regimen is better in {len(other)} ({named}); chance alone finds some."]


def _rivals(found: Design, table: pl.DataFrame) -> str:
    best = table.sort("best", descending=True).head(4).filter(pl.col("best") >= WORTH_NAMING)
    parts = [f"{found.space.regimens[r['regimen']]} {r['best']:.2f}" for r in best.iter_rows(named=True)]
    if len(parts) == 1:
        return f"the probability to be the best is {parts[0]}, and of no other as much as {WORTH_NAMING}"
    return f"probabilities to be the best are {'; '.join(parts)}"


def _against_usual(found: Design, table: pl.DataFrame) -> str:
    assert found.chosen
    if found.usual is None:
        return "The protocol as it stands is not among the regimens; add its own values to --vary to have it compared."
    if found.usual == found.chosen.number:
        best = ": of those compared, the usual regimen is itself the best" if len(found.space.regimens) > 1 else ""
        return f"That is the protocol as it stands{best}."
    mine, usual = (table.row(k, named=True) for k in (found.chosen.number, found.usual))
    stands = f"the protocol as it stands ({found.space.regimens[found.usual]})"
    if found.usual in found.race.out:
        return f"{stands[0].upper()}{stands[1:]} left the race: {why_out(found, found.race.out[found.usual])}."
    measure = found.asked.aim.measure
    apart = found.race.means(measure, [found.chosen.number, found.usual])
    low, high = (amount(x, measure, sign=True) for x in np.quantile(apart[0] - apart[1], (0.05, 0.95)))
    more = amount(mine[measure] - usual[measure], measure, sign=True)
    first = f"{measure} {more} (90 % over worlds {low} to {high})"
    costs = (_changed(b, mine[b] - usual[b]) for b in found.asked.burdens)
    return f"Against {stands}: {'; '.join((first, *costs))}."


def named(parameter: str) -> str:
    """A parameter in words."""
    if parameter in (DRUG_LEVEL, BACKGROUND_LEVEL):
        return f"the clinic's own {parameter}"
    row = evidence.parameter(parameter)
    return f"{parameter} ({row.note})" if getattr(row, "note", "") else parameter


def digits(x: float, measure: str) -> int:
    """Behind the point; of episodes, which are few a year, more."""
    return 2 if MEASURES[measure].unit == "episodes" else 0 if abs(x) >= 100 else 1


def amount(x: float, measure: str, sign: bool = False) -> str:
    """A number with its unit; sign: with a plus too."""
    unit = MEASURES[measure].unit
    text = (decimal if sign else positive)(x, digits(x, measure))
    return f"{'+' if sign and not text.startswith('-') else ''}{text} {unit}".rstrip()


def cost(regret: float, measure: str) -> str:
    """What a choice costs on average, with its unit, never said to be nothing."""
    least = 10.0 ** -digits(0, measure)
    return amount(regret, measure) if regret >= least / 2 else f"below {amount(least, measure)}"


def chance(probability: float) -> str:
    """A probability to be the best, never said to be certain or nothing."""
    return "below 0.01" if probability < 0.005 else "over 0.99" if probability >= 0.995 else f"{probability:.2f}"


def _changed(measure: str, by: float) -> str:
    text = amount(by, measure, sign=True)
    return text if text.endswith(f" {measure}") else f"{measure} {text}"


def titled(measure: str) -> str:
    """A measure with its unit, where its name does not say it."""
    unit = MEASURES[measure].unit
    return measure if unit in measure else f"{measure}, {unit}"


def with_range(row: dict, measure: str) -> str:
    low, high = (decimal(row[f"{measure} {end}"], digits(row[measure], measure)) for end in ("low", "high"))
    return f"{amount(row[measure], measure)} ({low} to {high})"


def why_out(found: Design, why: str | None) -> str:
    if why and why.startswith("beaten by regimen "):
        return f"beaten by {found.space.regimens[int(why.rsplit(' ', 1)[1])]}"
    return why or ""
