"""Courses small enough to be quick, and the browser that is installed."""

import pytest

import euthymia as eu
from euthymia.trial.questions import ask


@pytest.fixture(scope="session")
def ketamine():
    return eu.simulate("ketamine-iv-twice-weekly", patients=64, weeks=2, seed=1)


@pytest.fixture(scope="session")
def sertraline():
    return eu.simulate("sertraline", patients=64, weeks=2, seed=1)


@pytest.fixture(scope="session")
def ruled():
    return eu.follow_rules("ketamine-iv-trd", patients=80, weeks=8, seed=2)


@pytest.fixture(scope="session")
def answer():
    return ask("exposure-lag", patients=60, draws=6)
