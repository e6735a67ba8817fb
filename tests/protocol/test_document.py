"""The schema: what is required, what is allowed, and how a fault is reported."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from euthymia import protocol
from euthymia.errors import UserError

REQUIRED = ["title", "version", "status", "indication", "population", "sources", "design", "drug", "measure"]


def test_the_example_is_sound(document) -> None:
    assert document.load().protocol == "example"


@pytest.mark.parametrize("key", REQUIRED)
def test_a_required_key_left_out_is_named(key: str, refusal: Callable[..., str]) -> None:
    assert f"`{key}`: this key is required and missing" in refusal(**{key: None})


def test_design_has_no_default(refusal: Callable[..., str]) -> None:
    said = refusal(design="{expectancy: open label}")
    assert "`design > setting`" in said
    assert "`design > sites`" in said


def test_a_fault_names_file_line_path_and_what_is_allowed(document, refusal: Callable[..., str]) -> None:
    said = refusal(drug="{compound: ketamin, route: intravenous, dose: 0.5 mg/kg, over: 40 min}")
    assert said.startswith(f"example.yaml, line {document.line('drug')}: `drug > compound`: ")
    assert "'racemic ketamine'" in said


def test_an_unknown_key_suggests_the_nearest(refusal: Callable[..., str]) -> None:
    said = refusal(phases="[{name: one, doses: 1, evry: 1 week}]")
    assert "`phases[1] > evry`: unknown key; did you mean `every`?" in said


def test_several_faults_are_listed_together_in_line_order(refusal: Callable[..., str]) -> None:
    said = refusal(version="one", drug="none", measure="[{scale: mood, every: 1 week}]").splitlines()
    lines = [int(row.split("line ")[1].split(":")[0]) for row in said]
    assert len(said) >= 2
    assert lines == sorted(lines)


@pytest.mark.parametrize("place", ["home", "at home", "take-home", "unsupervised", "telehealth"])
@pytest.mark.parametrize("status", ["catalogue", "research only", "contrast"])
def test_a_setting_outside_supervised_care_is_always_refused(
    place: str, status: str, refusal: Callable[..., str]
) -> None:
    said = refusal(status=status, design=f"{{expectancy: open label, setting: {place}, sites: one}}")
    assert "outside supervised care and is refused in every protocol" in said


@pytest.mark.parametrize(
    ("phases", "reason"),
    [
        ("[{name: one, doses: 2}]", "`every` is needed"),
        ("[{name: one, doses: 2, every: twice weekly}]", "is not a number with a unit"),
        ("[{name: one, doses: 2, every: 0 days}]", "longer than zero"),
        ("[{name: one, doses: 2, until: week 3, every: 1 week}]", "not both"),
        ("[{name: one, doses: 0, every: 1 week}]", "greater than or equal to 1"),
        ("[{name: one, doses: some, every: 1 week}]", "is not a whole number"),
        ("[{name: one, until: day 3, every: 1 week}]", 'allowed: "week N"'),
        ("[{name: one, every: 1 week}, {name: two, every: 1 week}]", "only the last phase may be open"),
        ("[{name: one, doses: 1}, {name: one, every: 1 week}]", "two phases are called"),
        ("[{name: one, doses: 2, every: 1 week, widen to: 2 weeks}]", "`widen to` and `while` go together"),
        ("[{name: one, doses: 2, every: 1 week, dose by session: [0.1 mg/kg, 0.2 mg/kg, 0.3 mg/kg]}]", "lists 3 doses"),
        ("[{name: one, doses: 1, starts: week 3}]", "the first phase starts on the first day"),
        ("[]", "needs `phases`"),
    ],
)
def test_phases_that_make_no_sense_are_refused(phases: str, reason: str, refusal: Callable[..., str]) -> None:
    assert reason in refusal(phases=phases)


@pytest.mark.parametrize(
    ("drug", "reason"),
    [
        ("{compound: racemic ketamine, route: intravenous, over: 40 min}", "needs a `dose`"),
        ("{compound: racemic ketamine, route: intravenous, dose: 0.5 mg/kg}", "needs `over`"),
        ("{compound: racemic ketamine, route: subcutaneous, dose: 0.5 mg/kg, over: 40 min}", "not to subcutaneous"),
        ("{compound: saline, route: intravenous, dose: 5 mg, over: 40 min}", "has no dose"),
        ("{compound: racemic ketamine, route: sublingual, dose: 10 mg, never above: 5 mg}", "caps a dose by weight"),
        ("none", "this phase gives no drug"),
    ],
)
def test_a_drug_must_be_complete(drug: str, reason: str, refusal: Callable[..., str]) -> None:
    assert reason in refusal(drug=drug, status="research only")


def adjust(**changes: str) -> str:
    """An `adjust` rule as YAML, with keys (underscores for spaces) changed or, when empty, left out."""
    keys = {"rule": "A-1", "source": "a source", "verified": "yes", "after_dose": "3", "dose_to": "0.75 mg/kg"}
    keys = {**keys, "when": "response", **changes}
    return "[{" + ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in keys.items() if value) + "}]"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"when": "{mood: above 3}"}, "not a measure"),
        ({"when": "{SBP: above 3 %}"}, "is a percentage"),
        ({"when": "{SBP: over 140 mmHg}"}, "not a comparison"),
        ({"when": "better"}, "not a state of the illness"),
        ({"source": "another"}, "not the id of a source"),
        ({"verified": "maybe"}, "not one of the words"),
        ({"rule": ""}, "required and missing"),
        ({"verified": ""}, "required and missing"),
        ({"rule": "S-1"}, "given twice"),
        ({"dose_to": "7.5 mg/kg"}, "no status allows it"),
    ],
)
def test_a_rule_must_be_sourced_and_within_the_closed_lists(
    changes: dict[str, str], reason: str, refusal: Callable[..., str]
) -> None:
    assert reason in refusal(adjust=adjust(**changes))


def test_rules_are_kept_as_structured_conditions(document) -> None:
    rule = adjust(when="{MADRS improvement: below 25 %, SBP: at most 140 mmHg}")
    kept = document.load(adjust=rule).adjust[0]
    assert [(c.measure, c.comparison, c.value.value) for c in kept.when] == [
        ("MADRS improvement", "below", 25.0),
        ("SBP", "at most", 140.0),
    ]


def test_a_requirement_is_kept_as_a_comparison(document) -> None:
    row = "{rule: E-1, measure: failed antidepressant trials, at least: 2 trials, source: a source, verified: yes}"
    limit = document.load(eligibility=f"{{require: [{row}]}}").eligibility.require[0].limit
    assert (limit.comparison, limit.value.value) == ("at least", 2.0)


def test_a_decision_must_name_a_phase_that_exists(refusal: Callable[..., str]) -> None:
    rule = "{rule: X-1, source: a source, verified: yes, at: end of taper, stop when: no response}"
    assert "there is no phase `taper`" in refusal(decide=f"[{rule}]")


def test_alongside_treatments_must_not_overlap(refusal: Callable[..., str]) -> None:
    rows = (
        "[{agent: sertraline, dose: 50 mg/day, source: a source, verified: yes},"
        " {agent: sertraline, dose: 100 mg/day, start: 1 week, source: a source, verified: yes}]"
    )
    assert "given twice at the same time" in refusal(alongside=rows)


def test_a_protocol_cannot_be_changed(document) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        document.load().title = "another"


def test_equal_documents_have_equal_fingerprints(document) -> None:
    spaced = document.text.replace("dose: 0.5 mg/kg", "dose:   '0.5  mg/kg'")
    assert protocol.fingerprint(protocol.loads(spaced)) == protocol.fingerprint(document.load())


def test_another_dose_is_another_fingerprint(document) -> None:
    other = document.load(drug="{compound: racemic ketamine, route: intravenous, dose: 0.4 mg/kg, over: 40 min}")
    assert protocol.fingerprint(other) != protocol.fingerprint(document.load())


def test_the_canonical_form_is_itself_a_document(document) -> None:
    written = protocol.canonical_json(document.load())
    assert protocol.loads(written) == document.load()


def test_check_lists_faults_and_finds_none_in_a_sound_file(document, tmp_path: Path) -> None:
    sound, faulty = tmp_path / "sound.yaml", tmp_path / "faulty.yaml"
    sound.write_text(document.text)
    faulty.write_text(document.with_lines(version="1", population="all"))
    assert protocol.check(sound) == []
    assert [row.split(": ")[0] for row in protocol.check(faulty)] == ["faulty.yaml, line 3", "faulty.yaml, line 6"]


def test_check_reports_broken_yaml_too(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    assert len(protocol.check(broken)) == 1


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UserError, match="ketamine-iv-single"):
        protocol.load("ketamin-iv-singel")


@pytest.mark.parametrize("path", ["nowhere/x.yaml", "", "\0", "a" * 5000, "/"])
def test_a_path_that_cannot_be_read_is_a_user_error(path: str) -> None:
    with pytest.raises(UserError):
        protocol.load(path)


def test_a_file_that_is_no_text_is_a_user_error(tmp_path: Path) -> None:
    binary = tmp_path / "x.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="UTF-8"):
        protocol.load(binary)
