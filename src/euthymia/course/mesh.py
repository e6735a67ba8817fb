"""The time mesh: fine after every change of input, coarse in the tail, with a break at every event and observation.

A change of input excites every mode at once; after that each dies away at its own rate, so steps that grow with the
time since the change resolve fast and slow modes alike. Steps take few distinct lengths, so that exponentials are
tabulated once per patient.
"""

from typing import NamedTuple

import numpy as np

# (until this many hours after an input began, step in h) at level 1; a higher level divides every step
STEPS = (
    (1 / 24, 1 / 72),
    (1 / 6, 1 / 32),
    (2 / 3, 1 / 14),
    (1.0, 1 / 12),
    (2.0, 1 / 5),
    (4.0, 1 / 2),
    (24.0, 1.0),
    (48.0, 2.0),
    (96.0, 4.0),
    (168.0, 6.0),
    (np.inf, 12.0),
)
AFTER_END_H = 0.1  # the end of an input is a gentler change: the mesh restarts from here
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


def build_mesh(breaks_h: np.ndarray, kind: np.ndarray, level: float = 1.0) -> Mesh:
    """Mesh over sorted `breaks_h` (the first is the start, the last the end).

    kind: for each break BEGINS (an input begins), ENDS (one ends) or OBSERVES (neither).
    """
    origin = -np.inf
    lengths: list[float] = []
    first, last = [], []
    for start, stop, what in zip(breaks_h[:-1], breaks_h[1:], kind[:-1], strict=True):
        if what == BEGINS:
            origin = start
        elif what == ENDS:
            origin = max(origin, start - AFTER_END_H)
        first.append(len(lengths))
        t = float(start)
        while t < stop - CLOSE_H:
            since = t - origin
            until, step = next(((u, s) for u, s in STEPS if since < u - CLOSE_H), STEPS[-1])
            zone_end = min(float(stop), origin + until) if np.isfinite(origin) else float(stop)
            count = max(1, int(np.ceil((zone_end - t) / step * level - 1e-6)))
            lengths += [round((zone_end - t) / count, 9)] * count
            t = zone_end
        last.append(len(lengths))
    distinct, h_class = np.unique(np.array(lengths), return_inverse=True)
    return Mesh(np.asarray(breaks_h, float), np.array(first), np.array(last), h_class, distinct)
