"""The command line as a user meets it: what it prints, what it writes, and one sentence for everything that fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from euthymia import cli


def run(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of one command, run in this process."""
    arguments, sys.argv = sys.argv, ["euthymia", *words]
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = arguments
    out, err = capsys.readouterr()
    return code, out, err


QUICK = ("--patients", "40", "--weeks", "1")

REFUSED = {
    "calibrating on too few": (("calibrate", "-n", "3"), "at least 100 patients, got 3"),
    "calibrating with one chain": (("calibrate", "--chains", "1"), "at least 2 chains, got 1"),
    "a page where none can be": (("validate", "--page", "/dev/null/x"), "cannot write into /dev/null/x"),
    "unknown protocol": (("simulate", "ketamine-iv-sngle"), "ketamine-iv-single"),
    "no patients": (("simulate", "saline-iv", "--patients", "0"), "at least 1"),
    "too long": (("simulate", "saline-iv", "--weeks", "105"), "104"),
    "no time at all": (("simulate", "saline-iv", "--weeks", "0"), "above 0"),
    "weeks that are no number": (("simulate", "saline-iv", "--weeks", "nan"), "weeks"),
    "unknown variant": (("simulate", "saline-iv", "--variant", "norket=inert"), "norketamine"),
    "unknown choice of a variant": (("simulate", "saline-iv", "--variant", "norketamine=strong"), "'inert'"),
    "variant without a value": (("simulate", "saline-iv", "--variant", "norketamine"), "NAME=VALUE"),
    "unknown population": (("simulate", "saline-iv", "--population", "children"), "TRD"),
    "unknown comedication": (("simulate", "saline-iv", "--comedication", "aspirin"), "rifampicin"),
    "severe liver disease": (("simulate", "saline-iv", "--hepatic-impairment", "severe"), "not been studied"),
    "absorption that is no number": (("simulate", "ketamine-im", "--absorption", "intramuscular_rate=fast"), "number"),
    "negative absorption": (("simulate", "ketamine-im", "--absorption", "intramuscular_rate=-1"), "above 0"),
    "unknown absorption": (("simulate", "ketamine-im", "--absorption", "nose=1"), "intramuscular_rate"),
    "disposition of another drug": (
        ("simulate", "ketamine-iv-single", "--disposition", "intravenous=simons2022"),
        "esketamine only",
    ),
    "disposition for a route not used": (
        ("simulate", "spravato-trd-84", "--disposition", "intravenous=otto2021"),
        "no route of this course",
    ),
    "nothing found": (("evidence", "clearrance"), "clearance"),
    "no such file": (("protocols", "check", "missing.yaml"), "missing.yaml"),
    "no such protocol to export": (("protocols", "export", "spravato"), "spravato-trd-84"),
    "no such plan": (("protocols", "import", "missing.json"), "missing.json"),
    "a plan that is a protocol": (("protocols", "import", "README.md"), "not JSON"),
    "unknown protocol to explain": (("protocols", "explain", "spravato"), "spravato-trd-84"),
    "a protocol explained where none can be": (
        ("protocols", "explain", "lithium", "--out", "/dev/null/x"),
        "cannot write into /dev/null/x",
    ),
    "a page that is none": (("protocols", "diff", "lithium", "valproate", "--out", "x.txt"), "ends in .html"),
    "a page of changes where none can be": (
        ("protocols", "diff", "lithium", "valproate", "--out", "/dev/null/y.html"),
        "cannot write",
    ),
    "unknown protocol to compare": (("protocols", "diff", "lithium", "valproat"), "valproate"),
    "a difference in too few patients": (
        ("protocols", "diff", "ketamine-iv-trd", "ketamine-im", "--simulate", "3"),
        "whole number from 10 to 20,000",
    ),
    "a difference between other patients": (
        ("protocols", "diff", "ketamine-iv-trd", "spravato-mdsi", "--simulate", "10"),
        "virtual population",
    ),
    "a difference without visits": (
        ("protocols", "diff", "sertraline", "escitalopram", "--simulate", "10"),
        "no visits at which its rules decide",
    ),
    "a new protocol without a name": (("protocols", "new", "My Clinic"), "small letters"),
    "a new protocol by a name that is taken": (("protocols", "new", "lithium"), "name of its own"),
    "a new protocol from nowhere": (("protocols", "new", "mine", "--from", "spravato"), "spravato-trd-84"),
    "a new protocol from one that is no treatment": (
        ("protocols", "new", "mine", "--from", "ketamine-anaesthesia"),
        "contrast only",
    ),
    "a new protocol that is no YAML": (("protocols", "new", "mine", "--out", "mine.txt"), "ends in .yaml"),
    "a schema where a folder is": (("protocols", "schema", "--out", "/"), "folder"),
    "unknown protocol to show": (("protocols", "show", "spravato"), "spravato-trd-84"),
}


@pytest.mark.parametrize("words, hint", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_done_is_one_sentence_with_what_is_allowed(capsys, tmp_path, words, hint):
    folder = tmp_path / "out"
    extra = ("--out", str(folder)) if words[0] == "simulate" else ()
    code, out, err = run(capsys, *words, *extra)
    assert code == 2
    assert hint in err
    assert "Traceback" not in err + out
    assert not list(folder.rglob("*.parquet")) and not (folder / "index.html").exists()


def test_help_names_every_command(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(word in out for word in ("simulate", "demo", "protocols", "evidence", "validate", "clinician"))


def test_help_loads_no_heavy_library():
    script = "import sys; from euthymia import cli; sys.argv = ['euthymia', '--help']\n"
    script += "try: cli.main()\nexcept SystemExit: pass\n"
    script += "heavy = {'jax', 'polars', 'altair', 'xarray', 'pint', 'pydantic'}\n"
    script += "print('HEAVY', sorted(heavy & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


def test_protocols_lists_the_catalogue(capsys):
    from euthymia.protocol import catalogue

    code, out, _ = run(capsys, "protocols")
    assert code == 0
    assert all(name in out for name in catalogue())


def test_protocols_show_speaks_plainly(capsys):
    code, out, _ = run(capsys, "protocols", "show", "spravato-trd-84")
    assert code == 0
    assert "84 mg" in out and "clinician" in out


def test_protocols_explain_writes_page_and_pdf(capsys, tmp_path, document):
    file, out = tmp_path / "mine.yaml", tmp_path / "new"
    file.write_text(document.text)
    code, said, _ = run(capsys, "protocols", "explain", str(file), "--out", str(out))
    assert code == 0 and str(out / "example.pdf") in said
    assert {place.name for place in out.iterdir()} == {"example.html", "example.pdf"}


def test_protocols_explain_writes_nothing_of_a_faulty_document(capsys, tmp_path, document):
    file = tmp_path / "faulty.yaml"
    file.write_text(document.with_lines(version="1"))
    code, _, err = run(capsys, "protocols", "explain", str(file), "--out", str(tmp_path / "never"))
    assert code == 2 and "faulty.yaml, line 3" in err
    assert not (tmp_path / "never").exists()


def test_protocols_diff_tells_the_changes_and_writes_them(capsys, tmp_path):
    page = tmp_path / "new" / "d.html"
    code, out, _ = run(capsys, "protocols", "diff", "spravato-trd-56", "spravato-trd-84", "--out", str(page))
    assert code == 0 and "drug, dose: 56 mg -> 84 mg" in out and str(page) in out
    assert "56 mg" in page.read_text(encoding="utf-8")


def test_protocols_diff_of_one_with_itself_says_so(capsys):
    code, out, _ = run(capsys, "protocols", "diff", "lithium", "lithium")
    assert code == 0 and "say the same" in out


def test_protocols_diff_says_in_virtual_patients_for_whom_it_matters(capsys, tmp_path):
    page = tmp_path / "d.html"
    both = ("protocols", "diff", "ketamine-iv-0.2", "ketamine-iv-1.0")
    code, out, _ = run(capsys, *both, "--simulate", "10", "--weeks", "1", "--out", str(page))
    assert code == 0 and "virtual patients" in out and "A clinician decides." in " ".join(out.split())
    assert "In virtual patients" in page.read_text(encoding="utf-8")


def test_protocols_new_starts_a_sound_document_and_never_overwrites(capsys, tmp_path):
    file = tmp_path / "sub" / "mine.yaml"
    words = ("protocols", "new", "mine", "--from", "spravato-trd-84", "--out", str(file))
    assert run(capsys, *words)[0] == 0
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=protocol.schema.json\n")
    assert "status: research only\n" in text and "version: 0.1.0\n" in text and "protocol: mine\n" in text
    assert json.loads((file.parent / "protocol.schema.json").read_text(encoding="utf-8"))["title"] == "Protocol"
    assert run(capsys, "protocols", "check", str(file))[0] == 0
    file.write_text("mine")
    code, _, err = run(capsys, *words)
    assert code == 2 and "not overwritten" in err and file.read_text() == "mine"


def test_protocols_schema_is_printed_and_written(capsys, tmp_path):
    code, out, _ = run(capsys, "protocols", "schema")
    assert code == 0
    run(capsys, "protocols", "schema", "--out", str(tmp_path / "s.json"))
    assert (tmp_path / "s.json").read_text(encoding="utf-8") == out
    assert json.loads(out)["$schema"].startswith("https://json-schema.org")


def test_protocols_check_names_the_line(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("protocol: mine\ntitle: Mine\ncolour: blue\n", encoding="utf-8")
    code, _, err = run(capsys, "protocols", "check", str(file))
    assert code == 2
    assert "line 3" in err


def test_a_protocol_goes_to_fhir_and_back(capsys, tmp_path):
    import json

    from euthymia.protocol import load

    plan, document = tmp_path / "plan.json", tmp_path / "back.yaml"
    code, out, _ = run(capsys, "protocols", "export", "spravato-trd-84")
    assert code == 0
    assert json.loads(out)["resourceType"] == "PlanDefinition"
    assert run(capsys, "protocols", "export", "spravato-trd-84", "--out", str(plan))[0] == 0
    assert plan.read_text(encoding="utf-8") == out
    code, out, _ = run(capsys, "protocols", "import", str(plan))
    assert code == 0
    assert run(capsys, "protocols", "import", str(plan), "--out", str(document))[0] == 0
    assert document.read_text(encoding="utf-8") == out
    assert load(document) == load("spravato-trd-84")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b'{"resourceType": "CarePlan"}', b"[" * 100_000, b"x" * 1_100_000]
)
def test_a_plan_that_cannot_be_read_leaves_no_file(capsys, tmp_path, content):
    plan, document = tmp_path / "plan.json", tmp_path / "back.yaml"
    plan.write_bytes(content)
    code, out, err = run(capsys, "protocols", "import", str(plan), "--out", str(document))
    assert code == 2
    assert err.startswith("Error: ") and err.count("\n") == 1
    assert "Traceback" not in err + out
    assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]


def test_a_protocol_is_not_written_where_none_can_be(capsys):
    code, _, err = run(capsys, "protocols", "export", "lithium", "--out", "/dev/null/plan.json")
    assert code == 2
    assert err.startswith("Error: cannot write /dev/null/plan.json") and err.count("\n") == 1


def test_evidence_prints_value_unit_and_source(capsys):
    code, out, _ = run(capsys, "evidence", "otto2021.clearance")
    assert code == 0
    assert "95.2" in out and "L/h" in out and "Otto 2021" in out


def test_simulate_under_rules_tells_what_they_did_and_writes_the_ledger(capsys, tmp_path):
    code, said, _ = run(
        capsys, "simulate", "ketamine-iv-trd", "--rules", "--patients", "40", "--weeks", "5", "--story", "3",
        "--out", str(tmp_path),
    )  # fmt: skip
    assert code == 0 and "Rules that spoke" in said and "Patient 3, ketamine-iv-trd" in said
    assert (tmp_path / "index.html").exists()
    ledger = pl.read_csv(tmp_path / "ketamine-iv-trd" / "ledger.csv")
    assert ledger["patient"].n_unique() == 40


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ketamine-iv-trd", "--story", "3"), "give --rules too"),
        (("ketamine-iv-trd", "--rules", "--compare", "sertraline"), "--compare cannot be combined with --rules"),
        (("escitalopram", "--rules"), "no visits at which its rules decide"),
        (("ketamine-iv-trd", "--rules", "--weeks", "1.05"), "weeks must be whole days"),
        (("ketamine-iv-trd", "--rules", "--weeks", "1", "--patients", "3", "--story", "9"), "there is no patient 9"),
    ],
)
def test_what_cannot_be_simulated_under_rules_is_one_sentence(capsys, tmp_path, words, said):
    code, _, wrong = run(capsys, "simulate", *words, "--out", str(tmp_path / "new"))
    assert code == 2 and said in wrong and wrong.count("\n") == 1
    assert not list((tmp_path / "new").rglob("*"))


def test_simulate_prints_the_table_and_writes_report_and_data(capsys, tmp_path):
    code, out, err = run(
        capsys, "simulate", "ketamine-iv-single", "--compare", "sertraline", *QUICK, "--out", str(tmp_path / "out")
    )
    assert code == 0, err
    for word in ("response", "remission", "occupancy", "dissociation", "systolic", "cumulative", "clinician decides"):
        assert word in out
    assert (tmp_path / "out" / "index.html").stat().st_size > 100_000
    for name in ("ketamine-iv-single", "sertraline"):
        assert {p.name for p in (tmp_path / "out" / name).iterdir()} == {
            "course.parquet",
            "outcomes.csv",
            "summary.csv",
            "provenance.json",
        }


def test_a_planned_trial_says_what_guidelines_say_against_it(capsys, tmp_path):
    _, out, _ = run(capsys, "trial", "run", "ketamine-before-exposure", "--out", str(tmp_path))
    assert "Warning, ketamine and exposure: the VA/DoD guideline" in out
    assert "extrapolation: that ketamine helps exposure therapy is known from rats alone." in out
    assert "Warning, saline and exposure" not in out


def test_a_planned_trial_writes_its_page_beside_its_data(capsys, tmp_path):
    code, out, err = run(capsys, "trial", "run", "ketamine-crossover", "--out", str(tmp_path))
    assert code == 0, err
    page = tmp_path / "index.html"
    assert f"Page:  {page}" in out and "ketamine against saline" in page.read_text(encoding="utf-8")
    assert (tmp_path / "endpoints.csv").exists() and "clinician decides" in out


def test_arterial_levels_are_flagged(capsys, tmp_path):
    words = ("simulate", "esketamine-iv", *QUICK, "--disposition", "intravenous=simons2022")
    code, out, _ = run(capsys, *words, "--out", str(tmp_path))
    assert code == 0
    assert "ARTERIAL" in out


def test_stored_parts_of_another_run_are_refused(capsys, tmp_path):
    words = ("simulate", "saline-iv", *QUICK, "--store", "--out", str(tmp_path))
    assert run(capsys, *words)[0] == 0
    code, _, err = run(capsys, *words, "--seed", "2")
    assert code == 2
    assert "another run" in err


def test_an_unwritable_folder_is_refused_before_any_work(capsys, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, out, err = run(capsys, "simulate", "saline-iv", *QUICK, "--out", str(tmp_path / "file" / "below"))
    assert code == 2
    assert "cannot write" in err and not out


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 200 kB."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs the right to mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_leaves_no_half_written_file(capsys, small_disk):
    code, _, err = run(capsys, "simulate", "saline-iv", *QUICK, "--out", str(small_disk))
    assert code == 2
    assert "disk is full" in err and "Traceback" not in err
    assert [p for p in small_disk.rglob("*") if p.is_file()] == []


def test_interrupting_says_so_and_leaves_no_half_written_file(tmp_path):
    words = ["simulate", "ketamine-iv-maintenance", "--patients", "50000", "--weeks", "26", "--store"]
    code = "from euthymia.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = tmp_path / "ketamine-iv-maintenance"
    deadline = time.monotonic() + 120
    while not list(folder.glob("outcomes-*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in err and "Traceback" not in err
    assert not [p for p in Path(folder).iterdir() if p.name.endswith(".part")]
