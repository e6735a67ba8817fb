"""Doses within bounds, sessions that do not overlap, care that is supervised."""

import csv
from collections.abc import Callable
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.errors import UserError
from euthymia.protocol import loads, words
from euthymia.protocol.bounds import table

ONE = "[{name: one, doses: 1}]"


def drug(compound: str, route: str, dose: str, over: str = "") -> str:
    return f"{{compound: {compound}, route: {route}, dose: {dose}{', over: ' + over if over else ''}}}"


ACCEPTED = [
    ("catalogue", "racemic ketamine", "intravenous", "0.75 mg/kg", "40 min"),
    ("research only", "racemic ketamine", "intravenous", "1.0 mg/kg", "40 min"),
    ("contrast", "racemic ketamine", "intravenous", "2 mg/kg", "1 min"),
    ("catalogue", "racemic ketamine", "intravenous", "30 mg", "40 min"),
    ("contrast", "racemic ketamine", "intramuscular", "10 mg/kg", ""),
    ("research only", "racemic ketamine", "oral prolonged release", "240 mg", ""),
    ("contrast", "esketamine", "intranasal device", "112 mg", ""),
]
REFUSED = [
    ("catalogue", "racemic ketamine", "intravenous", "0.8 mg/kg", "40 min", "KET-8"),
    ("catalogue", "racemic ketamine", "intravenous", "1.0 mg/kg", "40 min", "research only"),
    ("catalogue", "racemic ketamine", "intravenous", "2 mg/kg", "1 min", "contrast"),
    ("research only", "racemic ketamine", "intravenous", "1.0 mg/kg", "1 min", "too fast"),
    ("catalogue", "racemic ketamine", "intravenous", "0.75 mg/kg", "10 min", "too fast"),
    ("contrast", "racemic ketamine", "intravenous", "5 mg/kg", "1 min", "no status allows it"),
    ("contrast", "racemic ketamine", "intravenous", "2 mg/kg", "1 s", "too fast"),
    ("catalogue", "racemic ketamine", "intravenous", "70 mg", "40 min", "at 45 kg"),
    ("catalogue", "racemic ketamine", "intravenous", "0.5 mg/kg", "5 h", "longer than"),
    ("catalogue", "racemic ketamine", "intravenous", "0.5 mg/kg", "0 min", "above zero"),
    ("catalogue", "racemic ketamine", "intramuscular", "6.5 mg/kg", "", "contrast"),
    ("catalogue", "racemic ketamine", "oral prolonged release", "240 mg", "", "no published dose"),
    ("research only", "racemic ketamine", "intranasal device", "56 mg", "", "no published dose"),
    ("catalogue", "esketamine", "intranasal device", "112 mg", "", "R2-DOSE-3"),
    ("research only", "esketamine", "intranasal device", "112 mg", "", "R2-DOSE-3"),
    ("catalogue", "esketamine", "intranasal device", "60 mg", "", "whole number of devices"),
    ("catalogue", "esketamine", "intranasal device", "0.5 mg/kg", "", "whole number of devices"),
    ("catalogue", "racemic ketamine", "intravenous", "0 mg/kg", "40 min", "above zero"),
    ("catalogue", "racemic ketamine", "intravenous", "-0.5 mg/kg", "40 min", "above zero"),
    ("catalogue", "racemic ketamine", "intravenous", "nan mg/kg", "40 min", "not a number"),
]


@pytest.mark.parametrize(("status", "compound", "route", "dose", "over"), ACCEPTED)
def test_a_published_dose_is_accepted(document, status: str, compound: str, route: str, dose: str, over: str) -> None:
    assert document.load(status=status, drug=drug(compound, route, dose, over), phases=ONE).status == status


@pytest.mark.parametrize(("status", "compound", "route", "dose", "over", "reason"), REFUSED)
def test_an_absurd_dose_is_refused(
    refusal: Callable[..., str], status: str, compound: str, route: str, dose: str, over: str, reason: str
) -> None:
    said = refusal(status=status, drug=drug(compound, route, dose, over), phases=ONE)
    assert "`drug > " in said
    assert reason in said


@given(st.floats(1.0, 1e6, allow_nan=False), st.floats(0.1, 100.0))
def test_no_treatment_reaches_the_anaesthetic_range(mg_per_kg: float, minutes: float) -> None:
    """From 1 mg/kg by vein the label's anaesthetic range begins (rule KET-7)."""
    from importlib.resources import files

    text = (files("euthymia.protocol") / "catalogue" / "ketamine-iv-single.yaml").read_text("utf-8")
    changed = text.replace("dose: 0.5 mg/kg, over: 40 min", f"dose: {mg_per_kg:.6f} mg/kg, over: {minutes:.6f} min")
    assert changed != text
    with pytest.raises(UserError, match="more than a `catalogue` protocol may order"):
        loads(changed)


def test_a_dose_of_one_session_or_phase_is_bounded_too(refusal: Callable[..., str]) -> None:
    said = refusal(phases="[{name: one, doses: 2, every: 1 week, dose by session: [0.5 mg/kg, 3 mg/kg]}]")
    assert "`phases[1] > dose by session[2]`" in said
    assert "`phases[1] > dose`" in refusal(phases="[{name: one, doses: 2, every: 1 week, dose: 3 mg/kg}]")


def test_a_drug_of_one_phase_is_bounded_too(refusal: Callable[..., str]) -> None:
    oral = drug("racemic ketamine", "oral solution", "90 mg/kg")
    assert "`phases[1] > drug > dose`" in refusal(phases=f"[{{name: one, doses: 1, drug: {oral}}}]")


@pytest.mark.parametrize(
    ("every", "reason"),
    [("30 min", "ONE-A-DAY"), ("12 h", "ONE-A-DAY"), ("1 day", "within 7 days"), ("36 h", "within 7 days")],
)
def test_sessions_too_close_are_refused(refusal: Callable[..., str], every: str, reason: str) -> None:
    assert reason in refusal(phases=f"[{{name: one, doses: 9, every: {every}}}]")


def test_a_phase_that_starts_on_top_of_another_is_refused(refusal: Callable[..., str]) -> None:
    phases = "[{name: one, doses: 2, every: [7.5 days, 1 h]}, {name: two, doses: 1}]"
    assert "overlap" in refusal(phases=phases)


def test_the_documents_own_minimum_interval_is_kept(refusal: Callable[..., str]) -> None:
    row = "{rule: S-2, safeguard: minimum interval between sessions, at least: 4 days, source: a source, verified: yes}"
    whole = "{rule: S-1, safeguard: supervised administration only, source: a source, verified: yes}"
    assert "96 h this protocol states" in refusal(safeguards=f"[{whole}, {row}]")


def test_a_treatment_without_supervision_is_refused(document, refusal: Callable[..., str]) -> None:
    assert "supervised administration only" in refusal(safeguards="[]")
    assert document.load(safeguards="[]", status="research only").safeguards == ()


def test_a_treatment_without_a_discharge_rule_is_refused(refusal: Callable[..., str]) -> None:
    assert "`discharge`" in refusal(session="{}")


def test_two_hours_are_the_least_stay_after_the_nasal_spray(refusal: Callable[..., str]) -> None:
    short = "{rule: D-1, no earlier than: 1 h, all of: [clinically stable], source: a source, verified: yes}"
    said = refusal(session=f"{{discharge: {short}}}", drug=drug("esketamine", "intranasal device", "56 mg"), phases=ONE)
    assert "ESK-MON-3" in said


def test_an_oral_dose_above_the_published_one_is_refused(refusal: Callable[..., str]) -> None:
    rows = "[{agent: sertraline, dose: 900 mg/day, source: a source, verified: yes}]"
    assert "more than 200 mg/day" in refusal(alongside=rows)


def test_every_bound_has_a_source_and_a_reason() -> None:
    assert all(row.source and row.why for row in table())
    assert len({row.rule for row in table()}) == len(table())


def test_a_wider_status_never_narrows_a_dose() -> None:
    rank = words.STATUSES.index
    doses = [row for row in table() if row.limit in ("dose by weight at most", "dose at most")]
    for row in doses:
        for other in doses:
            same = (row.limit, row.compound, row.route) == (other.limit, other.compound, other.route)
            if same and rank(other.status) > rank(row.status):
                assert other.value > row.value


def test_an_assumed_bound_states_its_range_and_lies_in_it() -> None:
    rows = list(csv.DictReader((files("euthymia.protocol") / "bounds.csv").read_text("utf-8").splitlines()))
    assumed = [row for row in rows if row["verified"] == "assumed"]
    assert assumed
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in assumed)


def test_an_adjusted_dose_is_in_the_unit_of_the_dose_it_stands_in_for(refusal: Callable[..., str]) -> None:
    """Else 20 mg beside 0.5 mg/kg would be given as 20 mg/kg."""
    rule = "[{rule: A-1, when: response, dose to: %s, source: a source, verified: yes}]"
    assert "give it in mg/kg" in refusal(adjust=rule % "20 mg")
    own = "[{name: induction, doses: 8, every: 3 days, dose: 35 mg}]"
    assert "0.25 mg/kg cannot stand in for 35 mg of induction" in refusal(adjust=rule % "0.25 mg/kg", phases=own)


def test_the_doses_of_a_phase_have_one_unit(refusal: Callable[..., str]) -> None:
    mixed = "[{name: induction, doses: 8, every: 3 days, dose by session: [0.5 mg/kg, 35 mg]}]"
    assert "35 mg beside doses in mg/kg: a phase has doses in one unit" in refusal(phases=mixed)
