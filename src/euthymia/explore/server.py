"""The server of the explorer: on this machine's own address alone, for as long as the command runs."""

import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django import conf
from waitress.server import create_server

from euthymia.errors import UserError
from euthymia.explore.respond import WEEKS, Asked, Explorer
from euthymia.protocol import load

HOST = "127.0.0.1"
LARGEST_QUESTION = 64 * 1024
THREADS = 6


def serve(protocol: str, port: int, patients: int, seed: int, ready: Callable[[str], None]) -> None:
    """Answer until interrupted. ready: told the address, with the token of this run behind the #.

    protocol: a name in the catalogue, or a file; port: 0 for any that is free. Raises UserError, in one sentence, for
    what cannot be done.
    """
    document = load(protocol)
    token = secrets.token_urlsafe(32)
    explorer = Explorer(document, patients, seed)
    try:
        server = create_server(
            _application(explorer, token),
            host=HOST,
            port=port,
            threads=THREADS,
            ident=None,
            max_request_body_size=LARGEST_QUESTION,
        )
    except OSError as error:
        raise UserError(
            f"port {port} cannot be used ({error.strerror or error}); give another by --port, or 0 for any free one."
        ) from None
    conf.settings.EXPLORER_PORT = server.effective_port  # pyright: ignore[reportAttributeAccessIssue]
    # what has to be compiled compiles while the page opens
    threading.Thread(target=_compile, args=(explorer,), daemon=True).start()
    ready(f"http://{HOST}:{conf.settings.EXPLORER_PORT}/#{token}")
    server.run()


def _compile(explorer: Explorer) -> None:
    with suppress(UserError):  # the page will say it
        explorer.sure(Asked(explorer.start.name, {}, WEEKS[1]), None)


def _application(explorer: Explorer, token: str) -> Any:
    for chatty in ("django.request", "waitress.queue"):  # a refused number is the page's to tell
        logging.getLogger(chatty).setLevel(logging.ERROR)
    conf.settings.configure(
        DEBUG=False,
        SECRET_KEY=secrets.token_urlsafe(32),
        ALLOWED_HOSTS=[HOST],
        ROOT_URLCONF="euthymia.explore.views",
        MIDDLEWARE=["euthymia.explore.views.Guard"],
        INSTALLED_APPS=[],
        DATABASES={},
        LOGGING_CONFIG=None,
        DATA_UPLOAD_MAX_MEMORY_SIZE=LARGEST_QUESTION,
        EXPLORER=explorer,
        EXPLORER_TOKEN=token,
        EXPLORER_PORT=0,
    )
    import django
    from django.core.handlers.wsgi import WSGIHandler

    django.setup(set_prefix=False)
    return WSGIHandler()
