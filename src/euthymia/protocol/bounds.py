"""The bounds a document must keep, read from `bounds.csv`: what, for whom, how much, why, and says who.

A bound belongs to the status from which it applies. Statuses widen in the order catalogue, research only,
contrast; a status without a row of its own keeps the narrower one's. A compound by a route that has no dose
bound at all for a status has no published dose there, and is refused.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from euthymia.errors import UserError
from euthymia.protocol import words

LIMITS = (
    "dose by weight at most",
    "dose at most",
    "daily dose at most",
    "infusion at least",
    "infusion at most",
    "stay at least",
    "interval at least",
    "sessions in 7 days at most",
    "whole devices of",
)

# Body weights at which a fixed dose is read as a dose by weight, and the reverse: the ends of the range one
# ketamine trial enrolled (NCT05803551: 45 to 115 kg), so that the lightest patient keeps the bound.
LIGHT_KG = 45.0
HEAVY_KG = 115.0


@dataclass(frozen=True)
class Bound:
    """One row of the table. `above` (mg/kg) restricts a bound to doses larger than that."""

    rule: str
    compound: str
    route: str
    limit: str
    status: str
    above: float | None
    value: float
    unit: str
    source: str
    verified: str
    why: str

    @property
    def hours(self) -> float:
        return self.value / 60 if self.unit == "min" else self.value

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        seen = "" if self.verified == "yes" else f", {'assumed' if self.verified == 'assumed' else 'not verified'}"
        return f"{self.value:g}{unit} (rule {self.rule}{seen}: {self.why})"


@cache
def table() -> tuple[Bound, ...]:
    """Every bound. Raises UserError for a row without a source, a reason or a known limit."""
    text = (files("euthymia.protocol") / "bounds.csv").read_text("utf-8")
    bounds = []
    for line, row in enumerate(csv.DictReader(text.splitlines()), start=2):
        assumed = row["verified"] == "assumed"
        if not row["source"] or not row["why"] or row["limit"] not in LIMITS or row["status"] not in words.STATUSES:
            raise UserError(f"bounds.csv, line {line}: every bound needs a source, a reason, a known limit and status.")
        if assumed and not (row["low"] and row["high"]):
            raise UserError(f"bounds.csv, line {line}: an assumed bound needs its range (low, high).")
        bounds.append(
            Bound(
                rule=row["rule"],
                compound=row["compound"],
                route=row["route"],
                limit=row["limit"],
                status=row["status"],
                above=float(row["above"]) if row["above"] else None,
                value=float(row["value"]),
                unit=row["unit"],
                source=row["source"],
                verified=row["verified"],
                why=row["why"],
            )
        )
    return tuple(bounds)


def bound(limit: str, status: str, compound: str, route: str, dose_mg_per_kg: float = 0.0) -> Bound | None:
    """The bound that applies: the widest status up to `status`, then the most specific compound and route."""
    rank = words.STATUSES.index
    rows = [
        row
        for row in table()
        if row.limit == limit
        and rank(row.status) <= rank(status)
        and row.compound in (compound, "any")
        and row.route in (route, "any")
    ]
    if not rows:
        return None
    widest = max(rank(row.status) for row in rows)
    rows = [row for row in rows if rank(row.status) == widest and (row.above is None or dose_mg_per_kg > row.above)]
    return max(rows, key=lambda row: (row.compound != "any", row.route != "any", row.above or 0.0), default=None)
