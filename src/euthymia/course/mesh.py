"""The time mesh: fine after every change of input, coarse in the tail, with a break at every event and observation.

A change of input excites every mode at once; after that each dies away at its own rate, so steps that grow with the
time since the change resolve fast and slow modes alike. Steps take few distinct lengths, so that exponentials are
tabulated once per patient.
"""

from typing import NamedTuple

import numpy as np

# A step lasts a share of the time since the input began, up to one hour after it; later, steps are set by what still
# moves: (until this many hours after an input began, step in h). A higher level divides every step.
STEPS_PER_OCTAVE = 3
LATE_STEPS = ((2.0, 1 / 4), (4.0, 2 / 5), (8.0, 4 / 5), (24.0, 1.6), (48.0, 24 / 7), (96.0, 6.0), (np.inf, 12.0))
# The first zone after a beginning is cut into equal steps. It, and the restart after an end, shrink with the fastest
# rate of the system; an injection rises much faster than either.
FIRST_ZONE_H, AFTER_END_H, AT_RATE_PER_H = 1 / 48, 0.1, 8.0
INJECTION_H, INJECTION_ZONE_H = 0.1, 1 / 960
CLOSE_H = 1e-7  # times nearer than this (0.4 ms) are one
BEGINS, ENDS, OBSERVES = 2, 1, 0


class Mesh(NamedTuple):
    """Steps of a course. Segment i runs from `breaks_h[i]` to `breaks_h[i + 1]` over steps `first[i]` to `last[i]`
    (exclusive); step k has length `lengths[h_class[k]]`."""

    breaks_h: np.ndarray
    first: np.ndarray
    last: np.ndarray
    h_class: np.ndarray
    lengths: np.ndarray


def merge_times(*groups: np.ndarray) -> np.ndarray:
    """Sorted times of all groups, those within CLOSE_H of each other merged into one."""
    times = np.sort(np.concatenate([np.asarray(g, float).ravel() for g in groups]))
    return times[np.concatenate([[True], np.diff(times) > CLOSE_H])]


def _zone(since: float, first: float) -> tuple[float, float]:
    """End of the zone that `since` hours after a beginning falls into, and its step."""
    if since < first - CLOSE_H:
        return first, first / STEPS_PER_OCTAVE
    if since < 1 - CLOSE_H:
        start = first * 2 ** np.floor(np.log2((since + CLOSE_H) / first))
        return min(2 * start, 1.0), start / STEPS_PER_OCTAVE
    return next(((until, step) for until, step in LATE_STEPS if since < until - CLOSE_H), LATE_STEPS[-1])


def build_mesh(breaks_h: np.ndarray, kind: np.ndarray, level: float = 1.0, rate_per_h: float = AT_RATE_PER_H) -> Mesh:
    """Mesh over sorted `breaks_h` (the first is the start, the last the end).

    kind: for each break BEGINS (an input begins), ENDS (one ends) or OBSERVES (neither); rate_per_h: the fastest rate
    of the linear system in a typical patient.
    """
    shrink = min(1.0, AT_RATE_PER_H / rate_per_h)
    origin, first_zone = -np.inf, FIRST_ZONE_H * shrink
    ends = breaks_h[kind == ENDS]
    lengths: list[float] = []
    first, last = [], []
    for start, stop, what in zip(breaks_h[:-1], breaks_h[1:], kind[:-1], strict=True):
        if what == BEGINS:
            origin = start
            after = np.searchsorted(ends, start)
            short = after < len(ends) and ends[after] - start < INJECTION_H
            first_zone = min(INJECTION_ZONE_H if short else FIRST_ZONE_H, FIRST_ZONE_H * shrink)
        elif what == ENDS:
            origin = max(origin, start - AFTER_END_H * shrink)
        first.append(len(lengths))
        t = float(start)
        while t < stop - CLOSE_H:
            since = t - origin
            until, step = _zone(since, first_zone)
            zone_end = min(float(stop), origin + until) if np.isfinite(origin) else float(stop)
            count = max(1, int(np.ceil((zone_end - t) / step * level - 1e-6)))
            lengths += [round((zone_end - t) / count, 9)] * count
            t = zone_end
        last.append(len(lengths))
    distinct, h_class = np.unique(np.array(lengths), return_inverse=True)
    return Mesh(np.asarray(breaks_h, float), np.array(first), np.array(last), h_class, distinct)
