"""The function that decides on a session: every rule of every protocol, and what must hold whatever the chart says."""

from dataclasses import fields, replace

import numpy as np
import pytest
from charts import WELL, cases, meeting, missing, sound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from euthymia.errors import UserError
from euthymia.protocol import Protocol, catalogue, load, loads, schedule, words
from euthymia.protocol.chart import Chart, Place
from euthymia.protocol.decide import (
    END,
    FIRED,
    GIVE,
    GO_ON,
    HOLD,
    MISSING,
    PAUSE,
    QUIET,
    STOP,
    Decision,
    decide,
    during,
    leave,
)

PROTOCOLS = tuple(p for p in map(load, catalogue()) if p.phases)
ALL_CASES = [pytest.param(p, *case, id=f"{p.name}-{case[0].rule}") for p in PROTOCOLS for case in cases(p)]


def plan(d: Decision) -> tuple:
    """What a decision means for the patient, due follow-ups included."""
    due = tuple(sorted(rule for rule, x in d.said.items() if x != QUIET))
    return int(d.action), str(d.dose), float(d.next_h), due


@pytest.mark.parametrize("protocol, rule, good, speaking, unknown", ALL_CASES)
def test_every_rule_is_quiet_speaks_and_says_what_it_does_not_know(protocol, rule, good, speaking, unknown):
    quiet, spoke, missed = (decide(protocol, chart) for chart in (good, speaking, unknown))
    assert quiet.said[rule.rule] == QUIET
    assert spoke.said[rule.rule] == FIRED
    assert missed.said[rule.rule] == MISSING
    assert plan(spoke) != plan(quiet)
    holds = spoke.action > quiet.action
    assert missed.action != GIVE or not holds  # what is not known is never a pass


def test_no_rule_that_bears_on_a_session_is_left_out():
    for protocol in PROTOCOLS:
        decided = set(decide(protocol, sound()).said)
        session = {r.rule for r in protocol.session.stop} | {r.rule for r in protocol.session.observe}
        session |= {protocol.session.discharge.rule} if protocol.session.discharge else set()
        told = {r.rule for r in protocol.warnings}
        told |= {r.rule for r in protocol.safeguards if r.safeguard == "lowest effective frequency"}
        assert {rule.rule for _, rule in protocol.rules()} == (decided - {"weight"}) | session | told


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_without_rules_that_speak_the_calendar_is_followed(protocol: Protocol):
    calm = protocol.model_copy(
        update={
            "decide": (),
            "adjust": (),
            "phases": tuple(p.model_copy(update={"widen_to": None, "while_": None}) for p in protocol.phases),
        }
    )
    horizon_h = 52 * 168.0
    planned = [(a.time_h, a.dose_mg or a.dose_mg_per_kg or 0.0) for a in schedule(calm, horizon_h).administrations]
    place, walked = Place(), []
    while place.time_h < horizon_h:
        found = decide(calm, sound(place))
        assert found.action == GIVE
        walked.append((float(place.time_h), float(found.dose)))
        place = found.place
    assert walked == planned


# --- against the calendar, which knows nothing of decisions ----------------------------------------------------------


@st.composite
def phases(draw) -> str:
    """Phases of all shapes, as they are written in a document."""
    written, week = [], 0
    count = draw(st.integers(1, 4))
    for k in range(count):
        gaps = draw(st.lists(st.integers(1, 10), min_size=1, max_size=3))
        if draw(st.integers(0, 4)) == 0:  # a single dose has no rhythm
            written.append(f"{{name: p{k}, doses: 1}}")
            continue
        parts = [f"name: p{k}", "every: [" + ", ".join(f"{gap} days" for gap in gaps) + "]"]
        if draw(st.booleans()) and k:
            week += draw(st.integers(0, 3))
            parts.append(f"starts: week {max(week, 1)}")
        ends = draw(st.sampled_from(("doses", "until", "open"))) if k == count - 1 else draw(
            st.sampled_from(("doses", "until"))
        )  # fmt: skip
        if ends == "doses":
            parts.append(f"doses: {draw(st.integers(1, 6))}")
        if ends == "until":
            week = max(week, 1) + draw(st.integers(0, 3))
            parts.append(f"until: week {week}")
        doses = draw(st.lists(st.sampled_from((0.2, 0.3, 0.4, 0.5)), max_size=3))
        if doses and (ends != "doses" or len(doses) <= int(parts[-1].split()[-1])):
            parts.append("dose by session: [" + ", ".join(f"{dose} mg/kg" for dose in doses) + "]")
        written.append("{" + ", ".join(parts) + "}")
    return "[" + ", ".join(written) + "]"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(phases=phases())
def test_any_phases_are_walked_as_the_calendar_has_them(document, phases):
    horizon_h = 40 * 168.0
    try:
        protocol = loads(document.with_lines(phases=phases, safeguards="[]", status="research only"), "example.yaml")
    except UserError:  # phases that make no sense are refused elsewhere
        return
    planned = schedule(protocol, horizon_h).administrations
    place, walked = Place(), []
    while place.time_h < horizon_h:
        found = decide(protocol, sound(place))
        walked.append((float(place.time_h), float(found.dose), protocol.phases[int(found.phase)].name))
        after = found.place
        assert float(after.since_h) == float(found.next_h) and float(after.before_h) == float(place.time_h)
        assert int(after.given) == len(walked) and np.isnan(after.dose)
        moved = int(after.phase) != int(found.phase)
        assert int(after.ended) == (int(found.phase) if moved or np.isinf(found.next_h) else -1)
        assert np.isinf(found.next_h) or int(after.number) == (1 if moved else int(place.number) + 1)
        place = after
    assert walked == [(a.time_h, a.dose_mg_per_kg, a.phase) for a in planned]


# --- whatever the chart says ------------------------------------------------------------------------------------------


def random_chart(rng: np.random.Generator, n: int, protocol: Protocol) -> Chart:
    """Charts of all kinds of people, with holes."""

    def holes(x: np.ndarray) -> np.ndarray:
        return np.where(rng.random(n) < 0.03, np.nan, x)

    measures = {name: holes(x + rng.normal(0, 0.2 * abs(x) + 1, n)) for name, x in WELL.items()}
    phases = len(protocol.phases)
    phase = rng.integers(0, phases, n).astype(float)
    given = rng.integers(0, 9, n).astype(float)
    return Chart(
        measures=measures,
        before={name: holes(x + rng.normal(0, 10, n)) for name, x in measures.items()},
        conditions={c: holes((rng.random(n) < 0.01).astype(float)) for c in words.CONDITIONS},
        checks_h={
            c: holes(np.where(rng.random(n) < 0.02, np.inf, rng.exponential(3, n)))
            for c in (*words.BEFORE_CHECKS, *words.SAFEGUARDS)
        },
        signed={rule.rule: (rng.random(n) < 0.5).astype(float) for _, rule in protocol.rules()},
        responded=(rng.random(n) < 0.5).astype(float),
        place=Place(
            phase=phase,
            number=rng.integers(1, 10, n).astype(float),
            given=given,
            time_h=rng.integers(0, 5000, n).astype(float),
            since_h=np.where(given > 0, rng.integers(1, 1000, n), np.inf),
            before_h=rng.integers(-500, 5000, n).astype(float),
            ended=rng.integers(-1, phases, n).astype(float),
            dose=np.where(rng.random(n) < 0.7, np.nan, 0.6),
            again=rng.integers(0, 3, n).astype(float),
            held=rng.integers(0, 9, n).astype(float),
        ),
    )


def one(chart: Chart, k: int) -> Chart:
    """The chart of patient k alone."""

    def of(values):
        return {name: float(x[k]) for name, x in values.items()}

    place = Place(*(float(getattr(chart.place, f.name)[k]) for f in fields(Place)))
    return Chart(
        of(chart.measures),
        of(chart.before),
        of(chart.conditions),
        of(chart.checks_h),
        of(chart.signed),
        float(chart.responded[k]),
        place,
    )


def flat(d: Decision) -> list:
    of_place = [getattr(d.place, f.name) for f in fields(Place)]
    return [d.action, d.dose, d.dose_mg, d.phase, d.next_h, *of_place, *(d.said[k] for k in sorted(d.said))]


def test_a_patient_alone_is_decided_on_as_among_ten_thousand():
    each = -(-10_000 // len(PROTOCOLS))
    for number, protocol in enumerate(PROTOCOLS):
        chart = random_chart(np.random.default_rng(number), each, protocol)
        together = [np.broadcast_to(x, each) for x in flat(decide(protocol, chart))]
        for k in range(each):
            alone = flat(decide(protocol, one(chart, k)))
            np.testing.assert_array_equal([float(x) for x in alone], [float(x[k]) for x in together])


some_protocol = st.sampled_from(PROTOCOLS)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=100, deadline=None)
@given(some_protocol, seeds, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(protocol, seed, random):
    def shuffled(items):
        return tuple(random.sample(items, len(items)))

    other = protocol.model_copy(
        update={
            "eligibility": protocol.eligibility.model_copy(
                update={k: shuffled(getattr(protocol.eligibility, k)) for k in ("require", "exclude")}
            ),
            "session": protocol.session.model_copy(update={"before": shuffled(protocol.session.before)}),
            **{k: shuffled(getattr(protocol, k)) for k in ("adjust", "decide", "safeguards")},
        }
    )
    chart = random_chart(np.random.default_rng(seed), 50, protocol)
    for a, b in zip(flat(decide(protocol, chart)), flat(decide(other, chart)), strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=100, deadline=None)
@given(some_protocol, seeds)
def test_worse_data_never_turn_a_hold_into_a_dose(protocol, seed):
    rng = np.random.default_rng(seed)
    n = 200
    chart = random_chart(rng, n, protocol)
    worse = dict(chart.measures)
    for name in ("SBP", "DBP", "YMRS", "ASRM", "daily lorazepam equivalent"):
        worse[name] = worse[name] + rng.exponential(20, n)
    after = replace(
        chart,
        measures=worse,
        # who one is makes nothing worse: known, it lowers a dose that was held while it was not
        conditions={
            c: x if c == "Japanese ancestry" else np.where(rng.random(n) < 0.2, 1.0, x)
            for c, x in chart.conditions.items()
        },
        checks_h={c: x + rng.exponential(50, n) for c, x in chart.checks_h.items()},
    )
    before, now = decide(protocol, chart), decide(protocol, after)
    assert not ((before.action != GIVE) & (now.action == GIVE)).any()


@settings(max_examples=100, deadline=None)
@given(some_protocol, seeds)
def test_losing_data_never_turns_a_hold_into_a_dose(protocol, seed):
    rng = np.random.default_rng(seed)
    chart = random_chart(rng, 200, protocol)

    def lost(values):
        return {name: np.where(rng.random(200) < 0.3, np.nan, x) for name, x in values.items()}

    after = replace(
        chart,
        **{k: lost(getattr(chart, k)) for k in ("measures", "before", "conditions", "checks_h", "signed")},
    )
    before, now = decide(protocol, chart), decide(protocol, after)
    assert not ((before.action != GIVE) & (now.action == GIVE)).any()


@settings(max_examples=100, deadline=None)
@given(some_protocol, seeds)
def test_losing_data_of_whom_a_ceiling_is_for_never_raises_a_dose(protocol, seed):
    chart = random_chart(np.random.default_rng(seed), 200, protocol)
    rules = [rule for rule in protocol.adjust if rule.from_dose]
    asked = {c.measure for rule in rules for c in rule.when or ()} | {rule.condition for rule in rules}

    def lost(values):
        return {name: np.full(200, np.nan) if name in asked else x for name, x in values.items()}

    after = replace(chart, measures=lost(chart.measures), conditions=lost(chart.conditions))
    before, now = decide(protocol, chart), decide(protocol, after)
    both = (before.action == GIVE) & (now.action == GIVE)
    assert (now.dose_mg[both] == before.dose_mg[both]).all()
    assert not ((before.action != GIVE) & (now.action == GIVE)).any()


@settings(max_examples=100, deadline=None)
@given(some_protocol, seeds)
def test_a_ceiling_never_raises_a_dose(protocol, seed):
    chart = random_chart(np.random.default_rng(seed), 200, protocol)
    without = protocol.model_copy(update={"adjust": tuple(rule for rule in protocol.adjust if not rule.from_dose)})
    free, under = decide(without, chart), decide(protocol, chart)
    both = (free.action == GIVE) & (under.action == GIVE)
    assert (under.dose_mg[both] <= free.dose_mg[both]).all()
    assert (under.action >= free.action).all()


@settings(max_examples=100, deadline=None)
@given(some_protocol, seeds)
def test_a_dose_is_given_exactly_where_one_is_decided_and_never_above_the_cap(protocol, seed):
    d = decide(protocol, random_chart(np.random.default_rng(seed), 200, protocol))
    given_ = d.action == GIVE
    inert = np.array([protocol.drug_in(p).compound in words.INERT for p in protocol.phases])
    assert (np.isfinite(d.dose) == given_).all() and (np.isfinite(d.dose_mg) == given_).all()
    assert ((d.dose_mg > 0) == (given_ & ~inert[np.asarray(d.phase, int)])).all()
    caps = [p.never_above.value if (p := protocol.drug_in(phase)).never_above else np.inf for phase in protocol.phases]
    assert (np.nan_to_num(d.dose_mg) <= np.array(caps)[np.asarray(d.phase, int)]).all()
    next_h = np.broadcast_to(d.next_h, np.shape(d.action))
    assert np.isinf(next_h[d.action == STOP]).all() and (next_h[d.action == HOLD] > 0).all()


def test_an_empty_chart_gives_nothing():
    for protocol in PROTOCOLS:
        assert decide(protocol, Chart()).action != GIVE


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_a_course_moves_on_whatever_happens_in_it(protocol: Protocol):
    """Visit after visit of random charts: time passes, no session is given twice, and a phase begins again only from a
    later one."""
    n = 100
    rng = np.random.default_rng(7)
    place = Place(*(np.full(n, getattr(Place(), f.name), float) for f in fields(Place)))
    for _ in range(60):
        some = random_chart(rng, n, protocol)
        chart = replace(
            some, place=place, measures={k: np.nan_to_num(x, nan=WELL[k]) for k, x in some.measures.items()}
        )
        found = decide(protocol, chart)
        gives, holds, after = found.action == GIVE, found.action == HOLD, found.place
        goes_on = np.isfinite(found.next_h)
        begun = np.asarray(after.again) > place.again
        assert (np.asarray(found.next_h)[goes_on] > 0).all() and not goes_on[found.action == STOP].any()
        assert (np.asarray(after.given) - place.given == gives).all()
        assert (np.asarray(after.held) == np.where(gives, 0, place.held + holds)).all()
        assert (place.phase > np.asarray(found.phase))[begun].all()
        where, before = ((np.asarray(x.again), np.asarray(x.phase), np.asarray(x.number)) for x in (after, place))
        rank = [(1000 * a + p) * 1000 + k for a, p, k in (where, before)]
        assert (rank[0] > rank[1])[gives & goes_on].all() and (rank[0] >= rank[1])[holds & goes_on].all()
        place = Place(*(np.where(goes_on, getattr(after, f.name), getattr(place, f.name)) for f in fields(Place)))


# --- in the session, and leaving it -----------------------------------------------------------------------------------

STOPPING = [pytest.param(p, r, id=f"{p.name}-{r.rule}") for p in PROTOCOLS for r in p.session.stop]


@pytest.mark.parametrize("protocol, rule", STOPPING)
def test_every_rule_of_a_session_goes_on_ends_it_and_pauses_where_nothing_is_known(protocol, rule):
    found = [during(protocol, Chart(measures=WELL | x)) for x in ({}, meeting(rule.when), missing(rule.when))]
    assert [int(f.action) for f in found] == [GO_ON, END, PAUSE]
    assert [int(f.said[rule.rule]) for f in found] == [QUIET, FIRED, MISSING]


LEAVING = [
    pytest.param(p, c, id=f"{p.name}-{c}") for p in PROTOCOLS if p.session.discharge for c in p.session.discharge.all_of
]


@pytest.mark.parametrize("protocol, criterion", LEAVING)
def test_nobody_leaves_before_time_and_every_criterion(protocol, criterion):
    least_h = protocol.session.discharge.no_earlier_than.value
    ready = sound()
    assert leave(protocol, ready, least_h).may
    assert not leave(protocol, ready, least_h - 0.01).may
    assert not leave(protocol, ready, np.nan).may
    for age_h in (np.nan, np.inf, least_h + 1.0, -1.0):  # confirmed before the dose is not confirmed after it
        still = leave(protocol, replace(ready, checks_h={**ready.checks_h, criterion: age_h}), least_h)
        assert not still.may and still.open_[criterion]
