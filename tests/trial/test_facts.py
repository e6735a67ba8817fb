"""What any model of ketamine must show is asked of endpoints that exist, in the order they were published."""

from itertools import pairwise

from euthymia.trial.document import catalogue
from euthymia.trial.facts import facts, shown
from euthymia.trial.observed import observed
from euthymia.trial.validation import validate


def test_every_fact_rests_on_endpoints_of_the_catalogue_and_its_order_is_the_published_one():
    published = {o.ids: o.value for t in catalogue() for e in t.endpoints for o in [observed(e, t.set)]}
    for fact in facts():
        assert {(id,) for id in fact.shown_by} <= set(published)
        assert set(fact.rising) <= set(fact.shown_by)
        assert all(published[low,] < published[high,] for low, high in pairwise(fact.rising))


def test_a_fact_is_shown_only_where_all_its_endpoints_are_predicted():
    names = ("ibrahim-2012", "shiroma-2014")
    rows = validate([t for t in catalogue() if t.trial in names], patients=100).rows
    assert [one.fact for one in shown(rows)] == ["The effect of one dose fades within days to two weeks"]


def test_whether_predictions_rise_is_said():
    trial = next(t for t in catalogue() if t.trial == "su-2017")
    rows = validate([trial], patients=100).rows
    fact = next(f for f in facts() if "su2017.saline.response_rate.5d" in f.rising)
    others = tuple(rows[0]._replace(evidence=id) for id in fact.shown_by if id not in fact.rising)
    by_id = {r.evidence: r for r in rows}
    for values, answer in (((1.0, 2.0, 3.0), True), ((1.0, 3.0, 2.0), False)):
        given = [by_id[id]._replace(predicted=v) for id, v in zip(fact.rising, values, strict=True)]
        (found,) = shown([*given, *others])
        assert found.in_order is answer
