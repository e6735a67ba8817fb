"""A document of one's own to start from: a protocol of the catalogue under another name."""

import re
from importlib.resources import files

from pydantic import TypeAdapter, ValidationError

from euthymia.errors import UserError
from euthymia.protocol.document import ProtocolId
from euthymia.protocol.loader import catalogue, load, loads

SCHEMA_FILE = "protocol.schema.json"


def start(name: str, template: str) -> str:
    """The text of a new document called `name`: the protocol `template` of the catalogue, for research only, 0.1.0.

    Its first line tells editors that the schema is in `SCHEMA_FILE` beside it. Raises UserError: a name that cannot be
    one or is taken, a template that is not in the catalogue or is for contrast only.
    """
    try:
        TypeAdapter(ProtocolId).validate_python(name)
    except ValidationError:
        raise UserError(
            f"{name!r} cannot be the name of a protocol; allowed: up to 60 small letters, digits, points and hyphens,"
            " beginning with a letter, such as my-clinic-2."
        ) from None
    if name in catalogue():
        raise UserError(f"{name!r} is the name of a protocol of the catalogue; give the new one a name of its own.")
    if template not in catalogue():
        load(template)  # says what is nearest
        raise UserError(f"{template!r} is a file; a new document starts from a protocol of the catalogue.")
    origin = load(template)
    if origin.status == "contrast":
        raise UserError(f"{template} is shown for contrast only and is no protocol to start from.")
    text = (files("euthymia.protocol") / "catalogue" / f"{template}.yaml").read_text("utf-8")
    for key, value in (("protocol", name), ("version", "0.1.0"), ("status", "research only")):
        text = re.sub(rf"(?m)^{key}:.*$", f"{key}: {value}", text, count=1)
    head = (
        f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
        f"# Started from {template} {origin.version}: its title, summary, sources and rules are to be made your own.\n"
    )
    loads(head + text, name)
    return head + text
