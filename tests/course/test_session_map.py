"""Sessions as maps, against the engine that runs through every hour of them."""

from dataclasses import replace

import numpy as np
import pytest

from euthymia import evidence
from euthymia.course.between import template
from euthymia.course.session_map import WHOLE_GAP_D, Store, after, mapped
from euthymia.course.simulate import prepare, simulate_schedule
from euthymia.course.variants import Variants
from euthymia.patient import draw
from euthymia.protocol import load, schedule

PEOPLE = draw("TRD", 60, seed=5)
N = len(PEOPLE)
DOSES = (0.25, 0.5, 1.0)
IV = load("ketamine-iv-1.0")


def stored(values: dict[str, float] | None = None) -> tuple[Store, int]:
    """Of ketamine into a vein, and how many entries a dose has."""
    session, days = template(IV, schedule(IV, 168.0), np.zeros(1))
    _, setting, timing = prepare(session, days, Variants())
    return Store(setting, timing, PEOPLE, values or {}), len(setting.entries)


def of_dose(store: tuple[Store, int], dose: float, gap_d: int = WHOLE_GAP_D):
    """The map of a dose (mg/kg) after a gap."""
    maps, entries = store
    number = maps.number(np.tile(dose * np.asarray(PEOPLE.weight_kg), (entries, 1)), gap_d)
    return maps.of(number, np.arange(N))


@pytest.fixture(scope="module")
def intravenous():
    return stored()


def walked(store: tuple[Store, int], doses: list[float], gaps_d: list[int]) -> np.ndarray:
    """What drives the score after each gap, [sessions, patients], from maps."""
    state, found, last = np.zeros((5, N)), [], WHOLE_GAP_D
    for dose, gap in zip(doses, gaps_d, strict=True):
        session = of_dose(store, dose, last)
        ahead = mapped(session.synapses, session.others, state)
        state = after(ahead, store[0].fading, np.arange(N), np.full(N, gap))
        found.append(evidence.value("depression.functional_weight") * state[0] + state[1] + state[2])
        last = gap
    return np.array(found)


def simulated(doses: list[float], gaps_d: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The same from the engine, and the MADRS then."""
    planned, ends = schedule(IV, 168.0), np.cumsum(gaps_d)
    sessions = tuple(
        replace(planned.administrations[0], time_h=24.0 * (end - gap), dose_mg=None, dose_mg_per_kg=dose)
        for dose, gap, end in zip(doses, gaps_d, ends, strict=True)
    )
    course = replace(planned, administrations=sessions, horizon_h=24.0 * ends[-1])
    values, _ = simulate_schedule(course, PEOPLE, 24.0 * np.array([0, *ends]), Variants())
    plastic = evidence.value("depression.functional_weight") * values["functional"] + values["labile"]
    return (plastic + values["consolidated"]).T[1:], values["MADRS"].T[1:]


@pytest.mark.parametrize(("gap", "points"), [(1, 0.1), (2, 0.01), (4, 0.01), (28, 0.001)])
def test_any_spacing_is_walked_as_the_engine_walks_it(intravenous, gap, points):
    doses, gaps = [0.5] * 10, [gap] * 10
    off, madrs = apart(intravenous, doses, gaps)
    assert (madrs * off).max() < points


def test_doses_and_spacings_may_change_on_the_way(intravenous):
    rng = np.random.default_rng(3)
    doses, gaps = rng.choice(DOSES, 12).tolist(), rng.choice([2, 3, 4, 7, 14], 12).tolist()
    off, madrs = apart(intravenous, doses, gaps)
    assert (madrs * off).max() < 0.25 and (madrs * off).mean() < 0.02  # a rating is in whole points


def apart(store: tuple[Store, int], doses: list[float], gaps_d: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Relative difference of the scores that the two give, and the scores."""
    expected, madrs = simulated(doses, gaps_d)
    found = walked(store, doses, gaps_d)
    return np.expm1(evidence.value("depression.gain") * np.abs(found - expected)), madrs


def test_the_peaks_of_a_session_are_those_of_the_engine(intravenous):
    planned = schedule(IV, 168.0)
    one = replace(planned, administrations=(replace(planned.administrations[0], dose_mg_per_kg=0.5),))
    _, sessions = simulate_schedule(one, PEOPLE, np.array([0.0, 24.0]), Variants())
    found = of_dose(intravenous, 0.5).peaks["occupancy"]
    np.testing.assert_allclose(found, sessions["peak occupancy"][:, 0], rtol=1e-12)


def test_parameters_may_be_those_of_a_draw(intravenous):
    draws = {"synapses.growth_rate": 0.12, "bdnf.half_life": 3.0}
    usual, other = of_dose(intravenous, 0.5), of_dose(stored(draws), 0.5)
    with evidence.assume(draws):
        expected = of_dose(stored(draws), 0.5)
    np.testing.assert_array_equal(other.synapses, expected.synapses)
    assert (other.synapses[0, 0, 2] > 1.1 * usual.synapses[0, 0, 2]).all()  # more labile synapses a day later


def test_patients_may_differ_in_parameters_and_be_asked_for_one_after_the_other(intravenous):
    gain = np.repeat([0.06, 0.12], [N - 20, 20])
    store = stored({"synapses.growth_rate": gain})
    maps, number = store[0], store[0].number(np.tile(0.5 * np.asarray(PEOPLE.weight_kg), (store[1], 1)), 2)
    few = maps.of(number, np.array([3, N - 1]))
    assert few.known.sum() == 2
    every = maps.of(number, np.arange(N)).synapses
    low, high = (of_dose(stored({"synapses.growth_rate": x}), 0.5, 2).synapses for x in (0.06, 0.12))
    np.testing.assert_allclose(every, np.where(gain < 0.1, low, high), rtol=1e-6)
