"""The README's Python example runs as written."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_python_example_runs(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example.replace("patients=1000", "patients=60"), "README.md", "exec"), {})
    assert (tmp_path / "out.html").exists()
