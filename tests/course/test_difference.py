"""For whom a change of a protocol matters: the same virtual patients under both documents."""

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from euthymia.course.difference import (
    HEAD,
    Difference,
    Effect,
    difference,
    effect_rows,
    group_head,
    group_rows,
    said,
    with_half,
    with_interval,
)
from euthymia.errors import UserError
from euthymia.patient import draw
from euthymia.protocol import Protocol, load, loads
from euthymia.protocol.rules import AdjustRule

N, WEEKS, SEED = 60, 4, 5
YOUNG = AdjustRule.model_validate(
    {"rule": "A-9", "source": "own", "verified": "no", "from dose": 1, "when": {"age": "below 40 years"}}
    | {"dose to": "0.2 mg/kg"}
)


def protocol(document, **lines: str) -> Protocol:
    return loads(document.with_lines(status="research only", **lines), "example.yaml")


@pytest.fixture(scope="module")
def young() -> Difference:
    """Less for people below 40 years, and nothing else."""
    before, after = (load("ketamine-iv-trd").model_copy(update={"adjust": rules}) for rules in ((), (YOUNG,)))
    told: list[tuple[int, int]] = []
    found = difference(before, after, N, WEEKS, SEED, progress=lambda *at: told.append(at))
    assert told[-1] == (2 * N, 2 * N) and all(a <= b for (a, _), (b, _) in pairwise(told))
    return found


def test_a_protocol_does_not_differ_from_itself(document):
    found = difference(protocol(document), protocol(document, title="Another title"), N, WEEKS, SEED)
    assert not found.differs.any()
    assert all((e.differs, e.change, e.low, e.high) == (0, 0.0, 0.0, 0.0) for e in found.effects())
    text = said(found)
    assert text.startswith(f"In none of {N} virtual patients does the course differ, over 4 weeks.")
    assert HEAD[1] not in text and "A clinician decides." in " ".join(text.split())


def test_it_matters_exactly_for_those_whom_the_change_touches(young):
    age = np.asarray(young.people.age_y)
    given = young.before.ledger.filter(pl.col("action") == "give")["patient"].unique()
    np.testing.assert_array_equal(young.differs, (age < 40) & np.isin(np.arange(N), given))
    groups = {group.name: group for group in young.groups()}
    assert groups["below 40 years"].patients == (age < 40).sum()
    assert groups["below 40 years"].differs == young.differs.sum() > 0
    assert all(groups[name].differs == 0 for name in ("40 to 54 years", "55 years and over"))


def test_patients_are_the_same_before_and_after(young):
    others = ~young.differs
    for name in ("MADRS", "MADRS untreated"):
        before, after = young.before.values[name], young.after.values[name]
        np.testing.assert_allclose(after[others], before[others], rtol=0, atol=1e-9)


def test_effects_are_those_of_the_ledgers(young):
    found = {e.outcome: e for e in young.effects()}

    def per_patient(course, column: str) -> np.ndarray:
        given = course.ledger.filter(pl.col("action") == "give")
        summed = dict(given.group_by("patient").agg(pl.col(column).sum()).iter_rows())
        return np.array([summed.get(p, 0.0) for p in range(N)])

    before, after = (per_patient(course, "dose mg") for course in (young.before, young.after))
    e = found["cumulative ketamine"]
    assert e.change == pytest.approx((after - before).mean()) and e.change < 0
    half = 1.96 * (after - before).std(ddof=1) / math.sqrt(N)
    assert (e.low, e.high) == pytest.approx((e.change - half, e.change + half))
    assert e.differs == (after != before).sum()
    held = young.after.ledger.filter(pl.col("action") == "hold")
    assert found["visits held"].after == pytest.approx(len(held) / N)
    entry, score = np.asarray(young.people.baseline_madrs), young.after.values["MADRS"][:, -1]
    assert found["response at the end"].after == pytest.approx(100 * (score <= entry / 2).mean())
    assert found["remission at the end"].after == pytest.approx(100 * (score <= 12).mean())


def test_groups_of_a_kind_hold_everybody_once(young):
    sizes = {group.name: group.patients for group in young.groups()}
    for word in ("year", "at the start", "failed trial"):
        assert sum(n for name, n in sizes.items() if word in name) == N


def test_it_is_said_in_words_with_its_caveat(young):
    text = " ".join(said(young).split())
    touched = int(young.differs.sum())
    assert text.startswith(f"In {touched} of {N} virtual patients")
    assert "only which virtual patients were drawn" in text and "A clinician decides." in text
    assert {len(row) for row in effect_rows(young)} == {len(HEAD)}
    assert {len(row) for row in group_rows(young)} == {len(group_head(young))}
    assert max(map(len, said(young).splitlines())) <= 120


@pytest.mark.parametrize(
    ("change", "low", "high", "long", "short"),
    [
        (-1.5, -2.0, -1.0, "-1.50 (-2.00 to -1.00)", "-1.50 ± 0.50"),
        (120.4, 100.4, 140.4, "+120 (+100 to +140)", "+120 ± 20.0"),
        (-0.001, -0.5, 0.5, "0.00 (-0.50 to +0.50)", "0.00 ± 0.50"),
        (2.0, math.nan, math.nan, "+2.00", "+2.00"),
    ],
)
def test_a_difference_is_written_with_its_interval(change, low, high, long, short):
    e = Effect("x", "points", 2, 1, 0.0, change, change, low, high)
    assert with_interval(e) == long and with_half(e) == short


@pytest.mark.parametrize("patients", [9, 0, -5, 20_001, 12.5, True, "many"])
def test_too_few_or_too_many_patients_are_refused(document, patients):
    with pytest.raises(UserError, match="a whole number from 10 to 20,000"):
        difference(protocol(document), protocol(document), patients)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("ketamine-iv-trd", "spravato-mdsi", "the virtual population TRD and spravato-mdsi for MDD"),
        ("escitalopram", "sertraline", "gives no drug in sessions"),
    ],
)
def test_what_cannot_be_followed_by_the_same_patients_is_one_sentence(before, after, said):
    with pytest.raises(UserError) as caught:
        difference(load(before), load(after), 10, 1)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_seed_draws_the_patients(young):
    np.testing.assert_array_equal(np.asarray(young.people.age_y), np.asarray(draw("TRD", N, SEED).age_y))
