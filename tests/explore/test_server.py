"""Who is answered: this run's own page, on this machine's own address, and nobody else."""

import http.client
import socket
import subprocess

import pytest

QUESTION = {"protocol": "ketamine-iv-trd", "numbers": {}, "weeks": 12, "everybody": False, "page": "p", "turn": 1}
ROUTES = ("begin", "numbers", "respond", "sure", "story", "document")


@pytest.mark.parametrize("route", [*ROUTES, "", "admin", "explore.py"])
@pytest.mark.parametrize("token", ["", "wrong", "ünïcode"])
def test_nothing_is_answered_without_the_token(explorer, route, token):
    status, said = explorer.ask(route, QUESTION, X_Euthymia_Token=token.encode().decode("latin-1"))
    assert status == 403 and "token" in said["said"]


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", "[::1]"])
def test_no_other_name_for_this_machine_is_answered(explorer, host):
    assert explorer.ask("begin", Host=host)[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_no_other_page_is_answered_even_with_the_token(explorer, headers):
    assert explorer.ask("begin", **headers)[0] == 403


def test_the_page_and_its_files_are_given_with_a_strict_policy(explorer):
    for path in ("/", "/explore.js", "/draw.js", "/dom.js", "/tables.js", "/explore.css", "/icon.svg"):
        connection = http.client.HTTPConnection("127.0.0.1", explorer.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert explorer.token not in body
        connection.close()


def test_it_listens_on_this_machine_alone(explorer):
    other = socket.gethostbyname(socket.gethostname())
    if other.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError):
        socket.create_connection((other, explorer.port), timeout=5).close()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"numbers": {"drug/dose": "3 mg/kg"}}, "more than a `research only` protocol may order"),
        ({"numbers": {"phases/0/every": "1 h"}}, "overlap"),
        ({"numbers": {"drug/dose": 3}}, "as a text"),
        ({"numbers": []}, "as a text"),
        ({"protocol": "../../etc/passwd"}, "no protocol is called"),
        ({"protocol": "sertraline"}, "no visits at which its rules decide"),
        ({"protocol": "ketamine-iv-ptsd"}, "shows depression so far"),
        ({"weeks": 10**9}, "weeks must be"),
        ({"weeks": "12"}, "whole number"),
        ({"turn": True}, "whole number"),
    ],
)
def test_bad_numbers_are_refused_with_the_sentence(explorer, change, said):
    status, answer = explorer.ask("respond", QUESTION | change)
    assert status == 422 and said in answer["said"]


@pytest.mark.parametrize(
    "first, said", [([], "is a regimen"), ({}, "a text"), ({"protocol": "none"}, "no protocol is called")]
)
def test_a_first_regimen_that_is_none_is_refused_with_a_sentence(explorer, first, said):
    status, answer = explorer.ask("sure", QUESTION | {"first": first})
    assert status == 422 and said in answer["said"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 50_000, b"[]", b"null"])
def test_what_is_no_question_is_refused(explorer, body):
    status, answer = explorer.ask("respond", body)
    assert status in (400, 422) and answer["said"]


def test_only_json_by_post_is_read(explorer):
    assert explorer.ask("begin", Content_Type="text/plain")[0] == 405


def test_a_question_that_is_too_long_is_refused(explorer):
    connection = http.client.HTTPConnection("127.0.0.1", explorer.port, timeout=60)
    connection.request("POST", "/respond", b" " * 200_000, {"X-Euthymia-Token": explorer.token})
    assert connection.getresponse().status == 413
    connection.close()


def _refused(command: list[str], *arguments: str) -> str:
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_port_in_use_is_one_sentence(explorer, command):
    assert f"port {explorer.port} cannot be used" in _refused(command, "--port", str(explorer.port))


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["nothing-of-the-kind"], "No protocol is called"),
        (["no-file.yaml"], "There is no file"),
        (["sertraline"], "no visits at which its rules decide"),
        (["ketamine-iv-ptsd"], "shows depression so far"),
        (["-n", "0"], "--patients must be"),
    ],
)
def test_what_cannot_be_explored_is_one_sentence(command, arguments, said):
    assert said in _refused(command, *arguments)
