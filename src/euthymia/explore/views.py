"""What the page may ask, and who may ask it: deny by default.

Only the page itself and its files are given without the token of this run. Everything else needs the token in a header,
which no other page can send, and is answered to this machine's own address alone, so that a page from elsewhere can
neither drive the explorer nor read from it, not even under a name that resolves to this machine.
"""

import json
from collections.abc import Callable
from importlib.resources import files
from secrets import compare_digest
from typing import Any

from django import conf
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from euthymia.errors import UserError
from euthymia.explore.respond import WEEKS, Asked, Explorer, Stale
from euthymia.explore.uncertain import COMPARED

Answer = Callable[[HttpRequest], HttpResponse]

FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/explore.css": ("explore.css", "text/css; charset=utf-8"),
    "/explore.js": ("explore.js", "text/javascript; charset=utf-8"),
    "/dom.js": ("dom.js", "text/javascript; charset=utf-8"),
    "/tables.js": ("tables.js", "text/javascript; charset=utf-8"),
    "/draw.js": ("draw.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""All that is given without the token: by path, a file of this folder and its kind."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TOKEN_HEADER = "HTTP_X_EUTHYMIA_TOKEN"
REFUSED, STALE = 422, 409


class Guard:
    """Lets through what comes from this run's own page on this machine's own address, and nothing else."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = _denied(request) or self.answer(request)
        for name, value in HEADERS.items():
            response[name] = value
        return response


def _denied(request: HttpRequest) -> HttpResponse | None:
    own = f"127.0.0.1:{conf.settings.EXPLORER_PORT}"
    if request.META.get("HTTP_HOST") != own:
        return _said(f"this is answered at {own} only.", 403)
    if request.META.get("HTTP_ORIGIN", f"http://{own}") != f"http://{own}":
        return _said("this is answered to its own page only.", 403)
    if request.META.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none"):
        return _said("this is answered to its own page only.", 403)
    if request.path in FILES and request.method == "GET":
        return None
    given = request.META.get(TOKEN_HEADER, "")
    if not compare_digest(given.encode(), conf.settings.EXPLORER_TOKEN.encode()):
        return _said("open the address that `euthymia explore` printed: the token of this run is missing.", 403)
    return None


def _said(sentence: str, status: int) -> JsonResponse:
    return JsonResponse({"said": sentence}, status=status)


def _file(request: HttpRequest) -> HttpResponse:
    name, kind = FILES[request.path]
    return HttpResponse(files("euthymia.explore").joinpath(name).read_bytes(), content_type=kind)


def _answering(work: Callable[[Explorer, dict[str, Any]], dict[str, Any]]) -> Answer:
    """A view that takes and gives JSON; what cannot be done is one sentence."""

    def view(request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or request.content_type != "application/json":
            return _said("ask by POST, in JSON.", 405)
        try:
            asked = json.loads(request.body)
            if not isinstance(asked, dict):
                raise UserError("a question is a JSON object.")
            return JsonResponse(work(conf.settings.EXPLORER, asked))
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            return _said("this is not JSON.", 400)
        except UserError as error:
            return _said(str(error), REFUSED)
        except Stale:
            return _said("a newer question came.", STALE)

    return view


def _begin(explorer: Explorer, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "protocols": explorer.protocols(),
        "protocol": explorer.start.name,
        "weeks": WEEKS,
        "patients": explorer.patients,
        "worlds": len(explorer.uncertain.worlds),
        "in_worlds": len(explorer.uncertain.people),
        "compared": [{"label": label, "unit": unit} for label, unit in COMPARED.values()],
        "population": explorer.people.population,
    }


def _numbers(explorer: Explorer, asked: dict[str, Any]) -> dict[str, Any]:
    document, sliders = explorer.numbers(_text(asked, "protocol"))
    return {
        "name": document.name,
        "title": document.title,
        "population": document.population,
        "drug": f"{document.drug.compound}, {document.drug.route}" if document.drug else "",
        "numbers": [
            {
                "id": slider.id,
                "group": slider.group,
                "label": slider.label,
                "own": slider.own,
                "choices": [{"text": c.text, "said": c.said} for c in slider.choices],
            }
            for slider in sliders
        ],
    }


def _respond(explorer: Explorer, asked: dict[str, Any]) -> dict[str, Any]:
    return explorer.respond(_regimen(asked), _stale(explorer, asked))


def _sure(explorer: Explorer, asked: dict[str, Any]) -> dict[str, Any]:
    first = asked.get("first")
    if first is not None and not isinstance(first, dict):
        raise UserError("`first` is a regimen, with `protocol` and `numbers`.")
    against = None if first is None else _regimen(first | {"weeks": asked.get("weeks")})
    return explorer.sure(_regimen(asked), against, _stale(explorer, asked))


def _story(explorer: Explorer, asked: dict[str, Any]) -> dict[str, Any]:
    return explorer.story(_regimen(asked), _whole(asked, "patient"))


def _document(explorer: Explorer, asked: dict[str, Any]) -> dict[str, Any]:
    name = _text(asked, "name").strip() or None
    text = explorer.document(_text(asked, "protocol"), _moved(asked), name)
    return {"name": text.split("\n", 1)[0].removeprefix("protocol: ").strip("'\""), "text": text}


def _stale(explorer: Explorer, asked: dict[str, Any]) -> Callable[[], bool]:
    page, turn = _text(asked, "page"), _whole(asked, "turn")
    explorer.turn(page, turn)
    return lambda: explorer.is_stale(page, turn)


def _regimen(asked: dict[str, Any]) -> Asked:
    return Asked(_text(asked, "protocol"), _moved(asked), _whole(asked, "weeks"))


def _moved(asked: dict[str, Any]) -> dict[str, str]:
    numbers = asked.get("numbers", {})
    if not isinstance(numbers, dict) or not all(isinstance(x, str) for x in numbers.values()):
        raise UserError("`numbers` gives each number that was moved as a text.")
    return numbers


def _text(asked: dict[str, Any], key: str) -> str:
    if not isinstance(asked.get(key), str) or len(asked[key]) > 100:
        raise UserError(f"`{key}` must be a text of at most 100 characters.")
    return asked[key]


def _whole(asked: dict[str, Any], key: str) -> int:
    if type(asked.get(key)) is not int or abs(asked[key]) > 1e12:
        raise UserError(f"`{key}` must be a whole number.")
    return asked[key]


urlpatterns = [
    *(path(where[1:], _file) for where in FILES),
    path("begin", _answering(_begin)),
    path("numbers", _answering(_numbers)),
    path("respond", _answering(_respond)),
    path("sure", _answering(_sure)),
    path("story", _answering(_story)),
    path("document", _answering(_document)),
]
