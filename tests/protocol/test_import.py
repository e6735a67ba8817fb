"""The room is cheap to enter: the command line's help must not wait for it."""

import subprocess
import sys

HEAVY = ("pint", "pydantic", "yaml", "jax", "polars", "xarray", "altair")


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = f"import sys, euthymia.protocol; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_names_of_the_catalogue_need_no_units() -> None:
    code = "import sys, euthymia.protocol as p; p.catalogue(); print('pint' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
