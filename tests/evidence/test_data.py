"""The data files as they are: complete, traceable, and free of what a stranger could not follow."""

import dataclasses
import re
from collections import defaultdict

import pytest

from euthymia import evidence
from euthymia.errors import UserError

EVERY_SET = ("calibration", "validation", "context")
TABLES = {
    "model": evidence.model_parameters,
    "literature": evidence.literature,
    "plasma": evidence.plasma,
    "outcomes": lambda: evidence.outcomes(set=EVERY_SET),
    "rules": evidence.rules,
    "linking": evidence.linking,
    "adequacy": evidence.adequacy,
}

URL = re.compile(r"https?://\S+")
MACHINE_PATH = re.compile(r"(^|[\s(\"'=])/[A-Za-z][\w.-]*/\w|~/|\.\./|\b[A-Za-z]:\\|file://")
COLLECTORS_OWN = re.compile(
    r"\b(sibling|helper|this session|in store|stored (page|text|file))\b"
    r"|\b(pk|mechanism|outcomes|protocols|clinic|model|scale)\w*\.(md|csv)\b",
    re.I,
)


def texts(row) -> list[str]:
    values = (getattr(row, field.name) for field in dataclasses.fields(row))
    return [URL.sub("", value) for value in values if isinstance(value, str)]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_rows(name):
    assert TABLES[name]()


@pytest.mark.parametrize("name", TABLES)
def test_no_row_names_a_path_of_a_machine(name):
    assert [row.id for row in TABLES[name]() if any(MACHINE_PATH.search(text) for text in texts(row))] == []


@pytest.mark.parametrize("name", TABLES)
def test_no_row_refers_to_what_only_its_collector_had(name):
    assert [row.id for row in TABLES[name]() if any(COLLECTORS_OWN.search(text) for text in texts(row))] == []


@pytest.mark.parametrize("path", ["/data/x", "see /var/a", "../elsewhere", "~/notes", "C:\\data", "file:///x"])
def test_the_path_pattern_finds_paths(path):
    assert MACHINE_PATH.search(path)


@pytest.mark.parametrize("name", TABLES)
def test_every_number_has_a_source_or_is_assumed_within_a_range(name):
    for row in TABLES[name]():
        assert row.source or (row.kind == "assumed" and row.low is not None and row.high is not None), row.id


@pytest.mark.parametrize("name", TABLES)
def test_what_was_recalled_is_not_called_verified(name):
    said = [
        row.id for row in TABLES[name]() if "recalled, not read" in row.source and row.verified not in ("no", False)
    ]
    assert said == []


@pytest.mark.parametrize("name", ["literature", "plasma", "linking"])
def test_a_transcription_is_called_second_hand(name):
    for row in TABLES[name]():
        if "SECONDARY" in row.where:
            assert row.verified in ("secondary", "no"), row.id


def test_a_set_of_outcomes_must_be_named():
    with pytest.raises(TypeError):
        evidence.outcomes()  # type: ignore[call-arg]


@pytest.mark.parametrize("wrong", ["training", (), ("calibration", "test")])
def test_an_unknown_set_is_refused(wrong):
    with pytest.raises(UserError, match="calibration, validation, context"):
        evidence.outcomes(set=wrong)


@pytest.mark.parametrize("name", EVERY_SET)
def test_a_set_holds_its_own_rows_only(name):
    rows = evidence.outcomes(set=name)
    assert rows
    assert {row.set for row in rows} == {name}


def test_sets_can_be_read_together_and_do_not_overlap():
    together = evidence.outcomes(set=EVERY_SET)
    assert len(together) == sum(len(evidence.outcomes(set=name)) for name in EVERY_SET)
    assert len({row.id for row in together}) == len(together)


def test_no_study_is_in_two_sets():
    sets = defaultdict(set)
    for row in evidence.outcomes(set=EVERY_SET):
        sets[row.study].add(row.set)
    assert {study: found for study, found in sets.items() if len(found) > 1} == {}


def test_rates_are_shares_of_a_hundred():
    for row in evidence.outcomes(set=EVERY_SET):
        if row.endpoint.startswith(("response_rate", "remission_rate")) and row.value_number is not None:
            assert row.unit.startswith("%"), row.id
            assert 0 <= row.value_number <= 100, row.id


def test_madrs_stays_on_its_scale():
    for row in evidence.outcomes(set=EVERY_SET):
        if row.endpoint in ("MADRS_baseline", "MADRS_score", "MADRS_change") and row.value_number is not None:
            assert -60 <= row.value_number <= 60, row.id


def test_times_become_hours():
    times = {(row.time, row.time_unit): row.time_h for row in evidence.outcomes(set=EVERY_SET)}
    assert times["24", "h"] == 24
    assert times["28", "d"] == 28 * 24
    assert times["8", "wk"] == 8 * 7 * 24
    assert all(hours is None for (time, _), hours in times.items() if not time or "-" in time)


def corrected(study: str, **where: str):
    found = [
        row
        for row in evidence.outcomes(set=EVERY_SET)
        if row.study == study and all(getattr(row, column) == value for column, value in where.items())
    ]
    assert found
    return found


def test_the_placebo_arm_of_aspire_2_has_113_patients():
    # The pooled safety population of ASPIRE-1 and -2 counts 114 on esketamine and 113 on placebo here.
    assert {row.n for row in corrected("ASPIRE2", arm="pbo+SOC")} == {113}


@pytest.mark.parametrize(("study", "arm"), [("TRANSFORM1", "esk84+AD"), ("TAKAHASHI2021_JAPAN", "esk84")])
def test_84_mg_arms_say_that_day_1_was_56_mg(study, arm):
    for row in corrected(study, arm=arm):
        if row.endpoint != "MADRS_baseline":
            assert "day 1 was 56 mg" in row.note, row.id
            assert "56 mg on day 1" in row.schedule, row.id


@pytest.mark.parametrize(("arm", "n"), [("resp_esk+AD", {62, 61}), ("resp_AD+pbo", {59, 58})])
def test_the_responders_of_sustain_1_are_counted(arm, n):
    assert {row.n for row in corrected("SUSTAIN1", arm=arm)} <= n


def test_a_published_level_is_told_from_a_published_prediction():
    kinds = {row.study: row.kind for row in evidence.plasma()}
    assert kinds["PEREZRUIXO2021"] == "model"
    assert kinds["CHONG2006"] == "observed"


def test_plasma_holds_plasma_levels_only():
    assert {row.unit for row in evidence.plasma()}.isdisjoint({"mmHg", "bpm", "%"})


def test_the_published_nasal_peaks_are_there():
    # The figures every implementation of the nasal model is held against (Perez-Ruixo 2021, Table 4).
    peaks = {
        (row.dose, row.quantity): row.value_number
        for row in evidence.plasma()
        if row.study == "PEREZRUIXO2021" and row.analyte == "esketamine" and row.population == "18-60 y Caucasian"
    }
    assert [peaks[dose, "Cmax"] for dose in ("28", "56", "84")] == [43.8, 72.5, 101.0]
