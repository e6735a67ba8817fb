"""The trial a search asks for, from races whose answer is known."""

import numpy as np
import pytest

from euthymia import evidence
from euthymia.design.aims import CURVES, ILLNESSES, aim
from euthymia.design.find import find
from euthymia.design.next_trial import next_trial, shows_in
from euthymia.design.search import Asked, Part, choice, search
from euthymia.design.space import space
from euthymia.design.worlds import BACKGROUND_LEVEL, DRUG_LEVEL, of_illness, worlds
from euthymia.protocol import load
from euthymia.trial.plan import load_plan
from euthymia.trial.run import power

IV = load("ketamine-iv-maintenance")
PATIENTS, DRAWS, WEEKS = 200, 8, 12
PEAK_DAY = 56
SCORE, REMISSION = (curve.name for curve in CURVES["depression"])


def asked_for(vary: str, gains: list[float], usual: int | None, measure: str = "days in remission"):
    """The trial after a race of regimens with these gains over 50 %, which differ most on day 56 and in half the worlds
    the other way round by the last of them."""
    regimens = space(IV, [vary])
    days = np.arange(7 * WEEKS + 1)
    bump = np.exp(-(((days - PEAK_DAY) / 20) ** 2))

    def evaluate(part: Part) -> dict[str, np.ndarray]:
        gain = np.array(gains)[list(part.regimens), None, None] + np.zeros((1, len(part.draws), 1))
        own = np.random.default_rng(1).normal(0, 6, PATIENTS)[slice(*part.patients)]
        curve = 50 + gain * bump
        aims = {"days in remission": 30 + gain + 0 * own, "mean MADRS": 20 - gain / 10 + own}
        return {measure: aims[measure], SCORE: 40 - curve / 4, REMISSION: curve}

    better = "less" if measure == "mean MADRS" else "more"
    curves = dict.fromkeys((SCORE, REMISSION), len(days))
    race = search(evaluate, len(gains), DRAWS, PATIENTS, Asked(aim(measure, better)), curves=curves)
    return next_trial(IV, regimens, race, choice(race), usual, WEEKS)


def test_the_winner_meets_the_usual_one_where_they_differ_most():
    trial = asked_for("dose=0.25, 0.5, 0.75 mg/kg", [0, 10, 25], usual=1)
    assert trial and trial.rival == "usual regimen" and str(trial.against) == "dose 0.5 mg/kg"
    assert (trial.endpoint, trial.week) == ("remission", PEAK_DAY // 7)
    assert trial.expected == pytest.approx((75, 60), abs=0.01)
    assert trial.worth == 0 and not trial.capped


def test_where_the_usual_one_wins_it_meets_the_runner_up():
    trial = asked_for("dose=0.25, 0.5, 0.75 mg/kg", [0, 25, 10], usual=1)
    assert trial and trial.rival == "runner-up" and str(trial.against) == "dose 0.75 mg/kg"


def test_the_size_gives_the_power_it_promises():
    trial = asked_for("dose=0.25, 0.5 mg/kg", [0, 20], usual=0)
    assert trial
    n, rng = trial.patients // 2, np.random.default_rng(1)
    a, b = (rng.binomial(n, p / 100, 20_000) / n for p in trial.expected)
    z = (a - b) / np.sqrt((a * (1 - a) + b * (1 - b)) / n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)


def test_a_score_as_the_aim_is_compared_by_its_change():
    trial = asked_for("dose=0.25, 0.5 mg/kg", [0, 20], usual=0, measure="mean MADRS")
    assert trial and trial.endpoint == "change" and trial.week == PEAK_DAY // 7
    assert trial.expected[0] - trial.expected[1] == pytest.approx(-20 / 4, abs=0.3)


def test_no_difference_gives_the_largest_trial_and_says_so(tmp_path):
    trial = asked_for("dose=0.25, 0.5 mg/kg", [0, 0.01], usual=0)
    assert trial and trial.capped
    file = tmp_path / "trial.yaml"
    file.write_text(trial.plan("as-large-as-can-be", IV, (IV.name, "ketamine-iv-apa"), "Asked for."))
    assert load_plan(file).patients == trial.patients


def test_regimens_that_differ_by_a_rule_alone_are_compared():
    trial = asked_for("CAN-2=on, off", [0, 10], usual=0)
    assert trial and str(trial.found) == "CAN-2 off" and trial.rival == "usual regimen"


def test_the_trial_finds_what_the_search_saw(tmp_path):
    """Without rules, where nobody stops for want of response, the difference would be twice as large."""
    asked = ["maintenance interval=3 days, 4 weeks"]
    found = find(IV, asked, maximise="remission at the end", weeks=10, patients=300, draws=8, workers=1)
    found.save(tmp_path)
    said = found.next_trial
    plan = load_plan(tmp_path / f"{IV.name}-trial.yaml")
    tried = power(plan, replicates=40).row(0, named=True)
    assert said and (tried["endpoint"], said.week) == ("remission at 10 weeks", 10)
    assert 100 * tried["estimate"] == pytest.approx(said.expected[0] - said.expected[1], abs=4)


@pytest.mark.parametrize("illness", ILLNESSES)
def test_every_parameter_of_an_illness_names_the_outcome_it_shows_in(illness):
    ids = [id for id in worlds(2, 1, illness)[0] if of_illness(id, illness)]
    assert len(ids) > 20 and evidence.parameter(ids[0])
    assert all(shows_in(id) for id in (*ids, DRUG_LEVEL, BACKGROUND_LEVEL))
    assert shows_in("depression.sd_gain") != shows_in("depression.gain") and shows_in("dissociation.slope") is None
