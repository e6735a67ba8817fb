"""Sessions of exposure therapy where each patient is on a calendar of their own.

One that follows an infusion happens when that infusion was given; what is left when the drug has ended follows at the
protocol's own gaps. One with a calendar of its own stays on it.
"""

from itertools import accumulate, cycle, islice

import numpy as np

from euthymia.illness.depression import DAY_H
from euthymia.protocol.document import Exposure, Protocol
from euthymia.protocol.expand import exposure_times

CLOSE_H = 1e-6


def _later_h(item: Exposure) -> list[float]:
    """Hours from one exposure to each that may follow it when the drug has ended."""
    gaps = [gap.value for gap in item.every or ()]
    return list(accumulate(islice(cycle(gaps), item.sessions - 1))) if gaps else []


def hours_of_day(protocol: Protocol) -> np.ndarray:
    """Hours of a day at which exposure may be, whoever is given what: sorted, 0 always among them."""
    times = [0.0]
    for item in protocol.exposure:
        if item.lag is None:
            times += exposure_times(protocol, item)
        else:  # infusions are given at hour 0 of a day
            times += [item.lag.value + later for later in (0.0, *_later_h(item))]
    hours = np.sort(np.mod(np.array(times) + CLOSE_H, DAY_H) - CLOSE_H)
    return np.maximum(hours[np.concatenate([[True], np.diff(hours) > 2 * CLOSE_H])], 0.0)


class Exposures:
    """marks: at which looks there is one, [looks, patients]; a look is one of `hours_of_day` on one day."""

    def __init__(self, protocol: Protocol, horizon_d: int, patients: int):
        self.hours = hours_of_day(protocol)
        self.marks = np.zeros((horizon_d * len(self.hours) + 1, patients), bool)
        self.following = [item for item in protocol.exposure if item.lag is not None]
        self.had = np.zeros((len(self.following), patients), int)
        self.last_h = np.zeros((len(self.following), patients))
        for item in protocol.exposure:
            if item.lag is None:
                for time_h in exposure_times(protocol, item):
                    self._mark(np.arange(patients), np.full(patients, time_h))

    def _mark(self, who: np.ndarray, time_h: np.ndarray) -> None:
        """Times beyond the horizon are none; as in a calendar, the horizon itself is beyond it."""
        day = np.floor((time_h + CLOSE_H) / DAY_H).astype(int)
        hour = np.abs(self.hours[:, None] - (time_h - DAY_H * day)).argmin(0)
        look = day * len(self.hours) + hour
        inside = look < len(self.marks) - 1
        self.marks[look[inside], who[inside]] = True

    def after_session(self, who: np.ndarray, day: np.ndarray) -> None:
        """A session of the drug was given to each of these patients on a day of their own, [who]."""
        for k, item in enumerate(self.following):
            assert item.lag
            left = who[self.had[k, who] < item.sessions]
            time_h = DAY_H * day[self.had[k, who] < item.sessions] + item.lag.value
            self._mark(left, time_h)
            self.had[k, left] += 1
            self.last_h[k, left] = time_h

    def after_course(self, who: np.ndarray, day: np.ndarray) -> None:
        """These patients are given no more, known on a day of their own: what is left of their exposure follows the
        last they had; where the first of these is past by now, all move by whole days. Who was never given the drug
        has no exposure that follows it."""
        for k, item in enumerate(self.following):
            later_h = _later_h(item)
            left = np.where(self.had[k, who] > 0, item.sessions - self.had[k, who], 0)
            start_h = self.last_h[k, who]
            if later_h:
                past_h = DAY_H * day - (start_h + later_h[0])
                start_h = start_h + DAY_H * np.maximum(np.ceil(past_h / DAY_H - CLOSE_H), 0)
            for number, gap_h in enumerate(later_h):
                more = number < left
                self._mark(who[more], start_h[more] + gap_h)
            self.had[k, who] += left

    def times_h(self, patient: int) -> tuple[float, ...]:
        """Of one patient, all there are so far."""
        look = np.flatnonzero(self.marks[:, patient])
        return tuple((DAY_H * (look // len(self.hours)) + self.hours[look % len(self.hours)]).tolist())

    def by_day(self) -> np.ndarray:
        """How many there were before each day, [days, patients]."""
        before = np.cumsum(self.marks, axis=0) - self.marks
        return before[:: len(self.hours)].astype(float)
