"""Reading a YAML document of a trial, with one sentence, file and line for what is wrong."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError, ValidationInfo

from euthymia.errors import UserError
from euthymia.protocol.messages import sentence
from euthymia.protocol.reader import read
from euthymia.protocol.rules import near
from euthymia.protocol.safety import Unsound

Document = TypeVar("Document", bound=BaseModel)


def read_document(text: str, name: str, model: type[Document], what: str, folder: Path | None = None) -> Document:
    """A YAML text as a document of `model`. Raises UserError: the first problem as one sentence with `name` and line.

    what: the kind of document in words, such as "a planned trial"; folder: where it lies (see `beside`).
    """
    marked = read(text, name)
    if not isinstance(marked.value, dict):
        raise UserError(f"{name}, line 1: {what} is a mapping of keys to values.")
    try:
        return model.model_validate(marked.value, context=folder)
    except ValidationError as error:
        found: list[tuple[bool, int, str]] = []  # an unknown key first: it may be what another is missing for
        details = error.errors()
        for detail in details:
            if detail["type"] == "too_short" and any(_inside(other["loc"], detail["loc"]) for other in details):
                continue  # short only because of what is wrong with an item
            cause = detail.get("ctx", {}).get("error")
            problems = cause.problems if isinstance(cause, Unsound) else [(detail["loc"], _said(detail, model))]
            for place, message in problems:
                shown = "".join(f"[{p + 1}]" if isinstance(p, int) else f" > {p}" for p in place).removeprefix(" > ")
                line, known = marked.line(tuple(place)), detail["type"] != "extra_forbidden"
                found.append((known, line, f"`{shown}`: {message}" if shown else message))
        found.sort(key=lambda item: item[:2])
        more = f" ({len(found)} problems in all)" if len(found) > 1 else ""
        _, line, message = found[0]
        raise UserError(f"{name}, line {line}: {message}{more}.") from None


def beside(name: str, info: ValidationInfo) -> str:
    """The file of that name beside the document that is read, where there is one; otherwise the name as it stands."""
    file = Path(info.context or "", name)
    return str(file) if info.context and file.suffix in (".yaml", ".yml") and file.is_file() else name


def _inside(place: tuple, of: tuple) -> bool:
    return len(place) > len(of) and place[: len(of)] == of


def _said(detail: Any, model: type[BaseModel]) -> str:
    """One finding of pydantic in words; for an unknown key, the nearest of those allowed there."""
    if detail["type"] != "extra_forbidden":
        return sentence(detail)
    *path, last = detail["loc"]
    here: Any = model
    for part in path:
        if not isinstance(part, int):
            field = next(f for f in here.model_fields.values() if f.alias == part)
            here = _model_in(field.annotation)
    return f"unknown key{near(str(last), [f.alias for f in here.model_fields.values()])}"


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in getattr(annotation, "__args__", ()) if (m := _model_in(a)) is not None), None)
