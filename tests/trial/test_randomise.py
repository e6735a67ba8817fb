import numpy as np
import pytest

from euthymia.errors import UserError
from euthymia.trial.randomise import allocate


def rng(seed=1):
    return np.random.default_rng(seed)


def test_every_block_holds_the_ratio():
    arm = allocate(60, (2, 1, 1), rng(), block=12).reshape(5, 12)
    assert all(np.bincount(b, minlength=3).tolist() == [6, 3, 3] for b in arm)


def test_the_last_block_may_be_cut_off():
    arm = allocate(7, (1, 1), rng(), block=4)
    assert len(arm) == 7
    assert arm[:4].sum() == 2


def test_blocks_differ_in_their_order():
    arm = allocate(400, (1, 1), rng(), block=4).reshape(100, 4)
    assert len(np.unique(arm, axis=0)) == 6, "all 4 choose 2 orders of a block occur"


def test_orders_of_a_block_are_equally_likely():
    arm = allocate(24_000, (1, 1), rng(), block=4).reshape(-1, 4)
    counts = np.unique(arm, axis=0, return_counts=True)[1]
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(6000 * (1 / 6) * (5 / 6))


def test_strata_are_balanced_on_their_own():
    strata = rng(2).integers(0, 3, 200)
    arm = allocate(200, (1, 1), rng(), block=4, strata=strata)
    for s in range(3):
        assert abs(2 * arm[strata == s].sum() - (strata == s).sum()) <= 2


def test_simple_allocation_keeps_the_ratio_on_average():
    arm = allocate(30_000, (2, 1), rng(), method="simple")
    assert abs(arm.mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / 30_000)


def test_simple_allocation_forgets_the_patient_before():
    arm = allocate(30_000, (1, 1), rng(), method="simple")
    assert abs((arm[1:] == arm[:-1]).mean() - 0.5) < 4 * 0.5 / np.sqrt(30_000)


@pytest.mark.parametrize("options", [{}, {"method": "simple"}, {"strata": np.arange(20) % 2}])
def test_the_generator_decides_everything(options):
    first, again, other = (allocate(20, (1, 1), rng(seed), **options) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("arguments", "options", "word"),
    [
        ((0, (1, 1)), {}, "n is 0"),
        ((10, (1,)), {}, "ratio"),
        ((10, (1, 0)), {}, "ratio"),
        ((10, (1, -1)), {}, "ratio"),
        ((10, (0.5, 0.5)), {}, "ratio"),
        ((10, (1, 1)), {"block": 3}, "block is 3"),
        ((10, (1, 1)), {"block": 0}, "block is 0"),
        ((10, (1, 1)), {"method": "urn"}, "method"),
        ((10, (1, 1)), {"method": "simple", "block": 4}, "block and strata"),
        ((10, (1, 1)), {"strata": np.zeros(9, int)}, "strata"),
        ((10, (1, 1)), {"strata": np.zeros(10)}, "strata"),
    ],
)
def test_what_cannot_be_allocated_is_refused(arguments, options, word):
    with pytest.raises(UserError, match=word):
        allocate(arguments[0], arguments[1], rng(), **options)
