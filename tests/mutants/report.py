"""The report of a mutation run: python report.py SESSION.sqlite ... writes survivors.md beside itself.

Each survivor must be judged in `judged.csv` (file, line as it stands, mutated line, why it cannot matter); one that is
not stands in the report as open.
"""

import csv
import sqlite3
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
MUTANTS = """select s.job_id, s.module_path, s.start_pos_row, s.operator_name, r.test_outcome, r.diff
from mutation_specs s left join work_results r on r.job_id = s.job_id"""


def lines_of(diff: str) -> tuple[str, str]:
    """The line as it stands and as it was mutated."""
    changed = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    before, after = ([line[1:].strip() for line in changed if line[0] == sign] for sign in "-+")
    return " ".join(before), " ".join(after)


def main(sessions: list[str]) -> None:
    judged = {}
    if (HERE / "judged.csv").exists():
        with (HERE / "judged.csv").open(encoding="utf-8") as stream:
            judged = {(r["file"], r["line"], r["mutated"]): r["why"] for r in csv.DictReader(stream)}
    found = {}  # a session may have run a part of the mutants alone
    for session in sessions:
        for job, *mutant in sqlite3.connect(session).execute(MUTANTS):
            if job not in found or mutant[3]:
                found[job] = mutant
    outcomes = Counter(str(m[3]).split(".")[-1].lower() if m[3] else "not run" for m in found.values())
    rows = []
    for path, row, operator, outcome, diff in found.values():
        if outcome and "SURVIVED" in str(outcome).upper():
            before, after = lines_of(diff)
            why = judged.get((Path(path).name, before, after), "**open**")
            rows.append((Path(path).name, row, operator.split("/")[-1], before, after, why))
    rows.sort()
    counts = ", ".join(f"{n} {what}" for what, n in sorted(outcomes.items()))
    head = f"{sum(outcomes.values())} mutants: {counts}. Every one ran; a run past its time counts as killed."
    text = ["# Mutants of what decides on a session", "", head, ""]
    text += ["| file | line | operator | as it stands | mutated | why it cannot matter |", "|---|---|---|---|---|---|"]
    escaped = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    text += [f"| {f} | {n} | {op} | `{a}` | `{b}` | {why} |" for f, n, op, a, b, why in escaped]
    (HERE / "survivors.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    print(f"{counts}; {sum(why == '**open**' for *_, why in rows)} survivors are open")


if __name__ == "__main__":
    main(sys.argv[1:])
