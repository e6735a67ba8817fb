"""Craving and misuse from visit to visit: what a session teaches, and what follows until the next."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr

from euthymia.harm.misuse import NEUTRAL, Misuse
from euthymia.illness.depression import DAY_H


class Craving:
    """misuse_d: day on which misuse begins, infinite where it does not, [patients].

    drawn: standard normals by stream of some patients, each at a time of their own.
    """

    def __init__(self, misuse: Misuse, drawn: Callable[[str, Any, np.ndarray], np.ndarray], patients: int):
        self.misuse, self.drawn = misuse, drawn
        self.value = misuse.value(drawn("own value", 0, np.arange(patients)))
        self.high, self.craving, self.early_returns = np.zeros((3, patients))
        self.misuse_d = np.full(patients, np.inf)

    def seen(self, who: np.ndarray, day: np.ndarray, sessions: np.ndarray) -> dict[str, np.ndarray]:
        """Readings at a visit of these patients, each on a day of their own and after so many sessions, [who]."""
        liking = self.misuse.liking(self.value[who], self.high[who], self.drawn("liking reading", day, who))
        return {
            "drug liking": np.where(sessions > 0, liking, NEUTRAL),
            "early returns": self.early_returns[who],
        }

    def after_session(self, who: np.ndarray, s_ketamine_ng_per_mL: np.ndarray) -> None:
        """What a session taught about the drug, by its peak, [who]."""
        self.high[who] = self.misuse.high(s_ketamine_ng_per_mL)
        self.craving[who] += self.misuse.learnt(self.value[who], self.high[who])

    def until_next(self, who: np.ndarray, day: np.ndarray, days: np.ndarray) -> None:
        """What craving brings so many days on from `day`, and what is left of it then, [who]."""
        misuse, craving, hours = self.misuse, self.craving[who], DAY_H * days
        returns = ndtr(self.drawn("early return", day, who)) < misuse.chance(misuse.rate_return, craving, hours)
        begins = ndtr(self.drawn("misuse", day, who)) < misuse.chance(misuse.rate_misuse, craving, hours)
        self.early_returns[who] += returns
        self.misuse_d[who] = np.where(begins, np.minimum(self.misuse_d[who], day + days), self.misuse_d[who])
        self.craving[who] = misuse.kept(craving, hours)
