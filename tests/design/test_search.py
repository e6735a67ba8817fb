"""The search on problems whose best regimen is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.course.store import Parts
from euthymia.design.aims import aim, limit
from euthymia.design.search import Asked, Part, breaks, choice, nearest, parts_of, search

PATIENTS, DRAWS, PART = 400, 10, 800
LEVELS = np.linspace(0.0, 1.0, 21)
"""Of a synthetic dose, 21 regimens."""
OWN = np.random.default_rng(1).normal(0.0, 30.0, PATIENTS)
DRAW = np.random.default_rng(2).normal(0.0, 10.0, DRAWS)


def evaluate(part: Part) -> dict[str, np.ndarray]:
    """Days in remission are highest at a dose of 0.6; pressure rises with the dose, above 180 in more and more."""
    rows, shape = slice(*part.patients), (len(part.regimens), len(part.draws), 1)
    dose = LEVELS[list(part.regimens)][:, None, None]
    noise = np.stack([np.random.default_rng(draw).normal(0, 5, PATIENTS)[rows] for draw in part.draws])
    return {
        "days in remission": 200 - 400 * (dose - 0.6) ** 2 + OWN[rows] + DRAW[list(part.draws), None] + noise,
        "highest SBP": 120 + 60 * dose + 0.4 * np.tile(OWN[rows], (*shape[:2], 1)),
        "cumulative ketamine": 1000 * dose + 0 * np.tile(OWN[rows], (*shape[:2], 1)),
    }


def searched(*limits: str, burdens: tuple[str, ...] = (), **more):
    asked = Asked(aim("days in remission", "more"), tuple(map(limit, limits)), burdens)
    return search(evaluate, len(LEVELS), DRAWS, PATIENTS, asked, part_patients=PART, **more)


def test_a_known_optimum_is_found():
    found = choice(searched())
    assert found.chosen is not None and pytest.approx(0.6) == LEVELS[found.chosen]
    assert found.verdict and found.verdict.best.max() > 0.9


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("cumulative ketamine at most 400 mg", 0.4),
        ("cumulative ketamine below 400 mg", 0.35),
        ("highest SBP at most 150 mmHg", 0.5),
    ],
)
def test_a_limit_that_binds_gives_the_best_that_keeps_it(text, best):
    found = choice(searched(text))
    assert found.chosen is not None and pytest.approx(best) == LEVELS[found.chosen]


def test_a_limit_on_a_chance_holds_in_a_fresh_population():
    text = "P(highest SBP above 180 mmHg) < 10 %"
    found = choice(searched(text))
    assert found.chosen is not None
    fresh = 120 + 60 * LEVELS[found.chosen] + 0.4 * np.random.default_rng(9).normal(0, 30, 100_000)
    assert (fresh > 180).mean() < 0.10
    higher = 120 + 60 * 0.75 + 0.4 * np.random.default_rng(9).normal(0, 30, 100_000)
    assert (higher > 180).mean() > 0.10  # the limit bites inside the space


def test_dropping_early_changes_neither_the_choice_nor_the_front():
    text, burdens = "cumulative ketamine at most 800 mg", ("cumulative ketamine",)
    raced = searched(text, burdens=burdens)
    whole = searched(text, burdens=burdens, stages=(DRAWS,))
    a, b = choice(raced), choice(whole)
    assert a.chosen == b.chosen
    assert a.left[a.front].tolist() == b.left[b.front].tolist()
    assert raced.followed < 0.8 * whole.followed  # four draws of ten are followed before anything is dropped


def test_the_front_trades_the_aim_against_the_burden():
    found = choice(searched(burdens=("cumulative ketamine",)))
    np.testing.assert_allclose(LEVELS[found.left[found.front]], LEVELS[LEVELS <= 0.6 + 1e-9])


def test_the_number_of_workers_changes_nothing():
    one, three = (searched(burdens=("cumulative ketamine",), workers=k) for k in (1, 3))
    assert one.out == three.out
    np.testing.assert_array_equal(one.values["days in remission"], three.values["days in remission"])


@given(
    regimens=st.integers(1, 130),
    draws=st.integers(1, 20),
    patients=st.integers(1, 20_000),
    most=st.sampled_from((800, 16_000)),
)
def test_parts_hold_everything_once_and_no_more_than_they_may(regimens, draws, patients, most):
    parts = list(parts_of(np.arange(regimens), range(draws), patients, most))
    assert sum(len(p.regimens) * len(p.draws) * (p.patients[1] - p.patients[0]) for p in parts) == (
        regimens * draws * patients
    )
    cells = {(k, j, p.patients) for p in parts for k in p.regimens for j in p.draws}
    assert len(cells) == sum(len(p.regimens) * len(p.draws) for p in parts)
    for part in parts:
        assert 0 < len(part.regimens) <= 50 and 0 < len(part.draws) * (part.patients[1] - part.patients[0]) <= most


def test_a_search_that_was_stopped_goes_on_where_it_was(tmp_path: Path):
    calls = []

    def counting(part: Part):
        if len(calls) == 2 and not (tmp_path / "again").exists():
            raise KeyboardInterrupt
        calls.append(part)
        return evaluate(part)

    asked = Asked(aim("days in remission", "more"))

    def once():
        parts = Parts(tmp_path / "run", {"what": "a test"}, ("values",))
        return search(counting, 21, DRAWS, PATIENTS, asked, part_patients=PART, parts=parts, workers=1)

    with pytest.raises(KeyboardInterrupt):
        once()
    (tmp_path / "again").touch()
    found = once()
    whole = searched()
    assert len(set(calls)) == len(calls) > 3  # nothing was computed twice
    np.testing.assert_array_equal(found.values["days in remission"], whole.values["days in remission"])


def test_where_nothing_keeps_the_limits_the_nearest_is_named():
    race = searched("cumulative ketamine at most 300 mg", "days in remission at least 195 days")
    assert choice(race).chosen is None
    found = nearest(race)
    assert found is not None and LEVELS[found[0]] == pytest.approx(0.45, abs=0.11)


@pytest.mark.parametrize(("share", "says"), [(0.0, "no"), (0.004, "no"), (0.0095, "perhaps"), (0.02, "surely")])
def test_a_chance_is_kept_only_where_the_patients_followed_show_it(share, says):
    x = np.zeros((3, 4000))
    x[:, : round(share * 4000)] = 200.0
    assert breaks(x, limit("P(highest SBP above 180 mmHg) < 1 %")) == says
