"""A new document starts as a sound copy."""

import pytest

from euthymia.protocol import catalogue, differences, load, loads
from euthymia.protocol.template import start

NAMES = [name for name in catalogue() if load(name).status != "contrast"]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_the_same_but_for_name_version_and_status(name: str) -> None:
    changed = {change.what for change in differences(load(name), loads(start("mine", name)))}
    assert changed <= {"document, protocol", "document, version", "status"}


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_every_other_line(name: str) -> None:
    from importlib.resources import files

    lines = (files("euthymia.protocol") / "catalogue" / f"{name}.yaml").read_text("utf-8").splitlines()
    assert len(set(lines) - set(start("mine", name).splitlines())) <= 3


@pytest.mark.parametrize("name", NAMES)
def test_it_is_for_research_only(name: str) -> None:
    made = loads(start("mine", name))
    assert (made.name, made.version, made.status) == ("mine", "0.1.0", "research only")
