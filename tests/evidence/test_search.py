"""Search: the useful rows first, every word honoured, help when nothing matches."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia import evidence
from euthymia.errors import UserError


def test_clearance_gives_clearances_first():
    hits = evidence.search("clearance")
    assert hits[0].table == "model"
    assert all(hit.quantity.lower().startswith("clearance") for hit in hits[:8])


def test_every_word_counts():
    rows = {row.id: row for row in (*evidence.model_parameters(), *evidence.literature(), *evidence.rules())}
    for hit in evidence.search("clearance norketamine"):
        assert hit.missing == ()
        said = " ".join(str(value) for value in vars(rows[hit.id]).values()).lower()
        assert "clearance" in said
        assert re.search(r"nor(es)?ketamine|\bnk\b", said)


def test_words_in_any_order_and_case_find_the_same():
    assert set(evidence.search("Oral BIOAVAILABILITY")) == set(evidence.search("bioavailability oral"))


def test_more_words_never_find_more():
    assert len(evidence.search("bioavailability oral")) <= len(evidence.search("bioavailability"))


def test_a_word_that_matches_nothing_is_named_as_missing():
    hits = evidence.search("clearance zebrafish")
    assert {hit.missing for hit in hits} == {("zebrafish",)}
    assert {hit.id for hit in hits} == {hit.id for hit in evidence.search("clearance")}


def test_short_forms_of_the_field_are_understood():
    assert evidence.search("IM bioavailability")[0].quantity == "intramuscular bioavailability"
    assert any("noresketamine" in hit.population for hit in evidence.search("norketamine clearance"))


def test_a_study_is_found_with_and_without_its_hyphen():
    assert evidence.search("TRANSFORM-2 response")[0].population.startswith("TRANSFORM2")


def test_an_id_finds_its_row():
    for row in (*evidence.model_parameters(), *evidence.rules(), *evidence.linking()):
        assert evidence.search(row.id)[0].id == row.id


def test_all_tables_are_searched():
    assert {hit.table for hit in evidence.search("ketamine")} >= {"model", "literature", "plasma", "outcomes", "rules"}
    assert "linking" in {hit.table for hit in evidence.search("PHQ-9 MADRS")}


def test_a_hit_prints_value_unit_source_and_how_it_was_seen():
    for id, how in (
        ("receptor.ketamine_half_occupancy", "verified"),
        ("otto2021.clearance", "seen second-hand"),  # read in a transcription
        ("absorption.intramuscular_bioavailability", "NOT verified"),
    ):
        hit = evidence.search(id)[0]
        assert all(part in str(hit) for part in (hit.value, hit.unit, hit.source, how))


def test_what_was_not_verified_says_so():
    for hit in evidence.search("APA-3"):
        assert hit.verified != "no" or "NOT verified" in str(hit)


def test_an_assumed_number_says_so():
    assumed = next(row for row in evidence.model_parameters() if row.kind == "assumed")
    assert "ASSUMED" in str(evidence.search(assumed.id)[0])


def test_a_misspelling_is_answered_with_the_nearest_word():
    with pytest.raises(UserError, match=r"nothing in the evidence matches 'clearence'; nearest words: clearance"):
        evidence.search("clearence")


@pytest.mark.parametrize("nothing", ["", "   ", "--", "()"])
def test_an_empty_search_asks_for_a_word(nothing):
    with pytest.raises(UserError, match="say what to search"):
        evidence.search(nothing)


@given(st.text(max_size=40))
def test_no_search_fails_but_in_one_sentence(text):
    try:
        hits = evidence.search(text)
    except UserError as refused:
        assert "evidence" in str(refused)
    else:
        assert hits
        assert len({len(hit.missing) for hit in hits}) == 1
