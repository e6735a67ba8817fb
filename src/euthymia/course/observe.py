"""When to look: the default observation times of a course."""

from collections.abc import Sequence

import numpy as np

from euthymia.course.mesh import merge_times

FIRST_DAY_H = np.array(
    [
        0,
        1 / 6,
        1 / 3,
        1 / 2,
        2 / 3,
        5 / 6,
        1,
        1.25,
        1.5,
        1.75,
        2,
        2.5,
        3,
        3.5,
        4,
        5,
        6,
        7,
        8,
        10,
        12,
        14,
        16,
        18,
        20,
        22,
        24,
    ]
)


def default_times(session_h: Sequence[float], horizon_h: float) -> np.ndarray:
    """The first 24 hours after the first session closely, then once a day (before that day's session)."""
    first = (session_h[0] if len(session_h) else 0.0) + FIRST_DAY_H
    daily = np.arange(0.0, horizon_h + 1e-9, 24.0)
    return merge_times(first[first <= horizon_h], daily, np.array([horizon_h]))
