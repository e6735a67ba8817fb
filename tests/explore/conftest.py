"""An explorer that runs as it does for people, in a process of its own, and a browser to look at it with."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

COMMAND = [sys.executable, "-c", "from euthymia.cli import main; main()", "explore"]
PATIENTS = 160


@dataclass(frozen=True)
class Running:
    """An explorer that answers: its address, with the token behind the #."""

    address: str

    @property
    def token(self) -> str:
        return self.address.split("#")[1]

    @property
    def port(self) -> int:
        return int(self.address.split(":")[2].split("/")[0])

    def ask(self, what: str, question: object = None, **headers: str) -> tuple[int, dict]:
        """Status and answer to a question by POST; headers: beside or instead of the right ones, with _ for -."""
        sent = {"Content-Type": "application/json", "X-Euthymia-Token": self.token}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        body = question if isinstance(question, bytes) else json.dumps({} if question is None else question).encode()
        connection.request("POST", f"/{what}", body, sent)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer.status, json.loads(said)


@pytest.fixture(scope="session")
def command() -> list[str]:
    """What starts an explorer."""
    return COMMAND


@pytest.fixture(scope="session")
def explorer(command) -> Iterator[Running]:
    """One for all tests."""
    process = subprocess.Popen([*command, "--port", "0", "-n", str(PATIENTS)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Running(process.stdout.readline().split()[-1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
