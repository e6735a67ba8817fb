"""No test is timed: Hypothesis' deadline would fail sound code on a busy machine."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
