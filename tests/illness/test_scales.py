"""Rating scales: published pairs are met, nothing is offered beyond them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.errors import UserError
from euthymia.illness import scales

madrs = st.floats(0, 60)
linked = pytest.mark.parametrize("to", ["HAM-D17", "PHQ-9"])


@pytest.mark.parametrize(
    ("to", "points", "published"),
    [
        ("HAM-D17", [13, 26, 39, 52.5], [10, 20, 30, 40]),  # abstract, PMID 29031182 (52-53 printed for 40)
        ("PHQ-9", [1, 24, 48], [1, 15, 27]),  # abstract of the OPTIMUM linking
    ],
)
def test_published_pairs_are_met(to, points, published):
    np.testing.assert_allclose(scales.link(points, to=to), published, rtol=0, atol=1e-12)


@linked
def test_scores_between_pairs_lie_between_them(to):
    low, high = scales.covered(to)
    scores = np.linspace(low, high, 101)
    assert (np.diff(scales.link(scores, to=to)) > 0).all()


@linked
@given(data=st.data())
def test_between_two_pairs_the_link_is_straight(to, data):
    points = scales.linking(to).madrs
    i = data.draw(st.integers(0, len(points) - 2))
    a, b, t = points[i], points[i + 1], data.draw(st.floats(0, 1))
    inside = min(max(a + t * (b - a), a), b)
    ends = scales.link([a, b], to=to)
    assert scales.link(inside, to=to) == pytest.approx(ends[0] + (inside - a) / (b - a) * (ends[1] - ends[0]))


@linked
def test_the_shape_is_kept(to):
    assert scales.link(np.full((2, 3), 26.0), to=to).shape == (2, 3)


@linked
def test_outside_the_published_pairs_nothing_is_offered(to):
    low, high = scales.covered(to)
    for beyond in (low - 0.01, high + 0.01):
        with pytest.raises(UserError, match=rf"no published linking to {to} covers .* {low:g} to {high:g}"):
            scales.link([30.0, beyond], to=to)


def test_one_pair_is_no_scale():
    with pytest.raises(UserError, match=r"no published linking covers MADRS to 'QIDS-SR16': one pair only"):
        scales.link(20, to="QIDS-SR16")


def test_an_unknown_scale_names_those_there_are():
    with pytest.raises(UserError, match=r"'BDI-II'; there are HAM-D17, PHQ-9"):
        scales.covered("BDI-II")


@linked
def test_every_linking_carries_its_source_and_its_caution(to):
    linking = scales.linking(to)
    assert "http" in linking.source
    assert "single patients" in linking.caution


def test_the_unknown_version_of_the_hamd_is_said():
    assert "version" in scales.linking("HAM-D17").caution


@given(st.floats(1, 60), st.floats(0, 1))
def test_response_is_a_fall_by_half(baseline, share):
    assert scales.response(baseline * share, baseline=baseline) == (baseline * share <= baseline / 2)


def test_response_at_exactly_half():
    np.testing.assert_array_equal(scales.response([15, 15.1], baseline=[30, 30]), [True, False])


def test_response_from_nothing_is_not_defined():
    with pytest.raises(UserError, match="baseline of 0"):
        scales.response([0.0], baseline=[0.0])


@given(madrs)
def test_every_published_remission_cut_is_inclusive_and_nested(score):
    strict, lenient = sorted(scales.REMISSION.values())
    assert scales.remission([strict, lenient], at_most=strict).tolist() == [True, False]
    assert scales.remission(lenient, at_most=lenient)
    assert not scales.remission(score, at_most=strict) or scales.remission(score, at_most=lenient)


def test_a_remission_cut_must_be_named():
    with pytest.raises(TypeError):
        scales.remission([5.0])  # type: ignore[call-arg]


def test_a_remission_cut_must_be_on_the_scale():
    with pytest.raises(UserError, match="0 to 60"):
        scales.remission([5.0], at_most=61)


@pytest.mark.parametrize("bands", scales.BANDS)
def test_bands_cover_the_scale_in_order(bands):
    order = scales.BANDS[bands].names
    worst = [order.index(name) for name in scales.band(np.arange(0, 61), bands=bands)]
    assert worst == sorted(worst)
    assert set(worst) == set(range(len(order)))


@pytest.mark.parametrize(
    ("bands", "score", "name"),
    [("Kearns", 7, "recovered"), ("Kearns", 8, "mild"), ("Kearns", 30, "severe"), ("Kearns", 31, "very severe"),
     ("cliot", 6, "normal"), ("cliot", 19, "mild"), ("cliot", 34, "moderate"), ("cliot", 35, "severe")],
)  # fmt: skip
def test_bands_change_where_they_are_printed_to(bands, score, name):
    assert scales.band(score, bands=bands) == name


def test_a_score_between_points_keeps_the_lower_band():
    assert scales.band(7.9, bands="Kearns") == "recovered"


def test_unknown_bands_name_those_there_are():
    with pytest.raises(UserError, match="Kearns, cliot"):
        scales.band(10, bands="mine")


@pytest.mark.parametrize("score", [-0.1, 60.1, np.nan, np.inf])
def test_a_score_off_the_scale_is_refused(score):
    for use in (
        lambda: scales.link([20.0, score], to="PHQ-9"),
        lambda: scales.response([score], baseline=[30.0]),
        lambda: scales.response([10.0], baseline=[score]),
        lambda: scales.remission([score], at_most=12),
        lambda: scales.band([score], bands="Kearns"),
    ):
        with pytest.raises(UserError, match="0 to 60"):
            use()
