"""A first look at a space too large to compare one by one."""

from collections.abc import Sequence

import numpy as np
import pytest

from euthymia.design.aims import aim, limit
from euthymia.design.scout import KEPT, LEAST, scout
from euthymia.design.search import Asked, Part, search
from euthymia.design.space import MOST
from euthymia.errors import UserError
from euthymia.protocol import Protocol, load

IV = load("ketamine-iv-maintenance")
VARY = ("dose=0.1..0.75 mg/kg in 40", "induction doses=2..12", "maintenance interval=2 days..3 weeks in 20")
ASKED = Asked(aim("days in remission", "more"), (limit("visits at most 40"),), ("cumulative ketamine",))


def numbers(protocol: Protocol) -> tuple[float, float, float]:
    """Dose (mg/kg), sessions of induction, and days between sessions of maintenance."""
    induction, maintenance = protocol.phases
    assert protocol.drug and protocol.drug.dose and maintenance.every
    return protocol.drug.dose.value, float(induction.doses or 0), maintenance.every[0].value / 24


def follow(protocols: Sequence[Protocol], _: int):
    """Most days in remission at 0.55 mg/kg, 8 sessions and the shortest spacing that 40 visits allow."""
    dose, sessions, gap = np.array([numbers(p) for p in protocols]).T

    def evaluate(part: Part) -> dict[str, np.ndarray]:
        some = list(part.regimens)
        shape = len(some), len(part.draws), part.patients[1] - part.patients[0]
        visits = sessions + 182 / gap
        days = 150 - 300 * (dose - 0.55) ** 2 - (sessions - 8) ** 2 + 0.5 * visits
        found = {"days in remission": days, "visits": visits, "cumulative ketamine": 80 * dose * visits}
        return {name: np.broadcast_to(x[some, None, None], shape) for name, x in found.items()}

    return search(evaluate, len(protocols), 4, 100, ASKED, workers=1)


def test_it_comes_near_a_known_optimum_in_a_small_part_of_the_space():
    found = scout(IV, VARY, 600, ASKED, follow, seed=1)
    values = np.array([numbers(r.protocol) for r in found.regimens])
    dose, sessions, gap = values.T
    keeps = sessions + 182 / gap <= 40
    days = np.where(keeps, 150 - 300 * (dose - 0.55) ** 2 - (sessions - 8) ** 2 + 0.5 * (sessions + 182 / gap), -np.inf)
    assert len(found.regimens) <= KEPT and days.argmax() == 0  # the best comes first
    assert days.max() > 170 - 4  # of a space in which the best has 170
    assert abs(dose[0] - 0.55) < 0.1 and abs(sessions[0] - 8) <= 1


def test_it_is_the_same_again():
    one, again = (scout(IV, VARY, LEAST, ASKED, follow, seed=2) for _ in range(2))
    assert [r.chosen for r in one.regimens] == [r.chosen for r in again.regimens]
    assert [r.number for r in one.regimens] == list(range(len(one.regimens)))


def test_what_is_two_ways_of_one_protocol_is_followed_once():
    asked = []

    def counting(protocols: Sequence[Protocol], generation: int):
        asked.extend(p.model_dump_json() for p in protocols)
        return follow(protocols, generation)

    more = ("ADJ-1=on, off", "ADJ-1 limit=10 %..60 % in 20", "induction doses=2..12", "dose=0.3..0.6 mg/kg in 10")
    scout(load("ketamine-iv-trd"), more, 400, ASKED, counting, seed=1)
    assert len(set(asked)) == len(asked)  # a rule that is off has no limit


@pytest.mark.parametrize(
    ("vary", "looks", "says"),
    [
        (VARY, LEAST - 1, f"looks must be between {LEAST} and {MOST:,}"),
        (("induction doses=2..12",), LEAST, "the space has 11 regimens"),
        ((), LEAST, "say what to vary"),
    ],
)
def test_what_needs_no_scout_or_none_can_answer_is_said(vary, looks, says):
    with pytest.raises(UserError, match=says):
        scout(IV, vary, looks, ASKED, follow, seed=1)
