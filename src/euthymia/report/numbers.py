"""Numbers as people read them."""

from decimal import Decimal

LEAST = 0.001
"""Of a number nearer to 0 than that, nothing more is told."""


def decimal(x: float, digits: int) -> str:
    """A number with so many decimals; never -0."""
    text = f"{x:.{digits}f}"
    return text[1:] if float(text) == 0 and text.startswith("-") else text


def positive(x: float, digits: int, thousands: str = "") -> str:
    """As `decimal`; where that would read as 0 and it is more, below the least that can be shown. thousands: "," sets
    them apart."""
    small = x > 0 and float(decimal(x, digits)) == 0
    return f"below {10.0**-digits:g}" if small else f"{x:{thousands}.{digits}f}"


def readable(x: float) -> str:
    """A number that is rounded already: 0.42, 0, below 0.001."""
    if 0 < abs(x) < LEAST:
        return f"below {LEAST:g}" if x > 0 else f"above -{LEAST:g}"
    return f"{x:g}"


def in_full(x: float) -> str:
    """A parameter in full, to six digits: 0.00001, and not 1e-05."""
    return format(Decimal(f"{x:g}"), "f")


def span(low: float, high: float) -> str:
    """Both ends of an interval as `readable`, once where they read alike."""
    return " to ".join(dict.fromkeys((readable(low), readable(high))))


def plural(n: int, one: str) -> str:
    """A count with its noun."""
    return f"{n:,} {one}{'' if n == 1 else 's'}"
