"""Less for some, from the first dose on: ceilings by a reading or a condition."""

from dataclasses import replace

import numpy as np
import pytest
from charts import LATER, sound, with_parts

from euthymia.errors import UserError
from euthymia.protocol import Protocol, load
from euthymia.protocol.chart import Place
from euthymia.protocol.decide import FIRED, GIVE, HOLD, MISSING, QUIET, decide
from euthymia.protocol.plain_words import sentence
from euthymia.report.flow import in_words

OLD = "{rule: A-1, from dose: 1, when: {age: at least 65 years}, dose to: 0.1 mg/kg, steps of: 0.1 mg/kg, %s}"
ANCESTRY = "{rule: A-2, from dose: 1, condition: Japanese ancestry, dose to: 0.2 mg/kg, %s}"
SEEN = "source: a source, verified: yes"


def doses(protocol: Protocol, sessions: int = 7, ancestry: float = 0.0, **measures: float) -> list[float]:
    """Of the first sessions, one after another."""
    place, found = Place(), []
    for _ in range(sessions):
        chart = sound(place, **measures)
        decided = decide(protocol, replace(chart, conditions={**chart.conditions, "Japanese ancestry": ancestry}))
        place = decided.place
        found.append(round(float(decided.dose), 9))
    return found


def test_a_ceiling_begins_at_the_first_dose_rises_in_steps_and_raises_nothing(document):
    protocol = with_parts(document, adjust=f"[{OLD % SEEN}]")
    assert doses(protocol, age=65.0) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5]
    assert doses(protocol, age=64.0) == [0.5] * 7


def test_a_ceiling_without_steps_stays(document):
    protocol = with_parts(document, adjust=f"[{ANCESTRY % SEEN}]")
    assert doses(protocol, ancestry=1.0) == [0.2] * 7
    assert doses(protocol, ancestry=0.0) == [0.5] * 7


def test_a_ceiling_may_begin_later(document):
    protocol = with_parts(document, adjust=f"[{(OLD % SEEN).replace('from dose: 1', 'from dose: 3')}]")
    assert doses(protocol, age=70.0) == [0.5, 0.5, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_under_two_ceilings_and_an_adjustment_the_lowest_dose_is_given(document):
    more = "{rule: A-3, after dose: 1, when: {SBP: below 200 mmHg}, dose to: 0.6 mg/kg, source: a source, verified: no}"
    rules = [OLD % SEEN, ANCESTRY % SEEN, more]
    for order in (rules, rules[::-1]):
        protocol = with_parts(document, adjust=f"[{', '.join(order)}]")
        assert doses(protocol, ancestry=1.0, age=70.0) == [0.1] + [0.2] * 6
        assert doses(protocol, age=70.0) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6]
        assert doses(protocol, age=40.0) == [0.5] + [0.6] * 6


@pytest.mark.parametrize(
    ("age", "ancestry", "action", "said"),
    [
        (40.0, 0.0, GIVE, (QUIET, QUIET)),
        (70.0, 0.0, GIVE, (FIRED, QUIET)),
        (np.nan, 0.0, HOLD, (MISSING, QUIET)),
        (40.0, np.nan, HOLD, (QUIET, MISSING)),
        (np.nan, 1.0, HOLD, (MISSING, FIRED)),  # 0.1 or 0.2: not known
        (70.0, np.nan, GIVE, (FIRED, QUIET)),  # 0.1 whatever the ancestry
    ],
)
def test_who_is_not_known_to_need_less_waits_where_it_matters(document, age, ancestry, action, said):
    protocol = with_parts(document, adjust=f"[{OLD % SEEN}, {ANCESTRY % SEEN}]")
    chart = sound(Place(), age=age)
    found = decide(protocol, replace(chart, conditions={**chart.conditions, "Japanese ancestry": ancestry}))
    assert (int(found.action), tuple(int(found.said[rule]) for rule in ("A-1", "A-2"))) == (action, said)
    late = sound(replace(LATER, given=6, number=7), age=np.nan)  # the ceiling is as high as the dose by then
    assert decide(with_parts(document, adjust=f"[{OLD % SEEN}]"), late).action == GIVE


def test_a_phase_with_a_drug_of_its_own_is_under_no_ceiling(document):
    own = "{name: b, every: 1 week, drug: {compound: esketamine, route: intranasal device, dose: 56 mg}}"
    protocol = with_parts(
        document, adjust=f"[{ANCESTRY % SEEN}]", phases=f"[{{name: a, doses: 1, every: 1 week}}, {own}]"
    )
    assert doses(protocol, 2, ancestry=1.0) == [0.2, 56.0]


def test_people_of_65_years_start_esketamine_at_28_mg():
    for name, expected in (("spravato-trd-84", [28, 56, 84, 84]), ("spravato-trd-56", [28, 56, 56, 56])):
        protocol, calm = load(name), {"MADRS improvement": 40.0, "MADRS": 20.0}
        assert doses(protocol, 4, age=65.0, **calm) == doses(protocol, 4, ancestry=1.0, **calm) == expected
        assert doses(protocol, 4, **calm)[0] == 56


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("from dose: 1, dose to: 0.1 mg/kg", "exactly one of `when`, `condition`"),
        ("from dose: 1, after dose: 1, when: response, dose to: 0.1 mg/kg", "`after dose` or `from dose`, not both"),
        ("condition: Japanese ancestry, dose to: 0.1 mg/kg", "`condition` belongs to a ceiling"),
        ("when: response, dose to: 0.1 mg/kg, steps of: 0.1 mg/kg", "`steps of` belongs to a ceiling"),
        ("from dose: 0, when: response, dose to: 0.1 mg/kg", "from dose"),
        ("from dose: 1, when: response, dose to: 0.1 mg/kg, steps of: 7 mg", "give both in one"),
        ("from dose: 1, when: response, dose to: 0.1 mg/kg, steps of: 0 mg/kg", "must be above zero"),
        ("from dose: 1, when: response, dose to: 7 mg", "give it in mg/kg"),
        ("from dose: 1, condition: an ancestry, dose to: 0.1 mg/kg", "Japanese ancestry"),
    ],
)
def test_a_ceiling_has_its_own_keys_and_no_other(document, written, said):
    with pytest.raises(UserError) as error:
        with_parts(document, adjust=f"[{{rule: X-1, {written}, {SEEN}}}]")
    assert said in str(error.value)


def test_a_ceiling_of_devices_rises_by_whole_devices(document):
    drug = "{compound: esketamine, route: intranasal device, dose: 84 mg}"
    rule = f"{{rule: X-1, from dose: 1, when: response, dose to: 28 mg, steps of: 14 mg, {SEEN}}}"
    with pytest.raises(UserError, match="whole number of devices"):
        with_parts(document, drug=drug, adjust=f"[{rule}]")


def test_a_ceiling_is_said_in_words_and_told_as_a_change(document):
    from euthymia.protocol import differences

    old, ancestry = with_parts(document, adjust=f"[{OLD % SEEN}, {ANCESTRY % SEEN}]").adjust
    assert sentence(old) == (
        "from the first dose on, when age at least 65 years: "
        "no more than 0.1 mg/kg at first, and 0.1 mg/kg more at each later session"
    )
    assert sentence(ancestry) == "from the first dose on, when Japanese ancestry: no more than 0.2 mg/kg"
    before, after = (
        with_parts(document, adjust=f"[{rule % SEEN}]") for rule in (OLD, OLD.replace("65 years", "75 years"))
    )
    (change,) = differences(before, after)
    assert (change.concerns, change.before, change.after) == (
        "the course",
        sentence(before.adjust[0]),
        sentence(after.adjust[0]),
    )
    text = " ".join(in_words(after))
    assert sentence(after.adjust[0]) in text


def test_a_ceiling_at_the_dose_that_is_due_asks_for_nothing(document):
    for most, action in ((0.4, HOLD), (0.5, GIVE), (0.6, GIVE)):
        who = "from dose: 1, when: {age: at least 65 years}"
        rule = f"{{rule: A-1, {who}, dose to: {most} mg/kg, source: a source, verified: yes}}"
        protocol = with_parts(document, adjust=f"[{rule}]")
        assert decide(protocol, sound(LATER, age=np.nan)).action == action
