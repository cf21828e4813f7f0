"""The command ``serve``."""

import os
from pathlib import Path
from typing import Any

import click

from matlake.cli.main import json_option
from matlake.cli.options import AT_LEAST_ONE, FILE, Command, option, section
from matlake.cli.output import Output, note

_limit = section("Limits of a request")


@click.command("serve", cls=Command)
@click.argument("heads", nargs=-1, required=True, metavar="HEAD…")
@option("--host", default="127.0.0.1", show_default=True, help="Listen at this address; 0.0.0.0 is all of them.")
@option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes any free port.")
@option(
    "--api-key-file", type=FILE, help="Ask clients for the key in this file.  [default: $MATLAKE_API_KEY, else no key]"
)
@_limit(
    "--max-body", type=click.FloatRange(0.001, 1000.0), default=8.0, show_default=True, help="Size of the body in MB."
)
@_limit("--max-rows", type=AT_LEAST_ONE, default=1000, show_default=True, help="Rows.")
@_limit("--max-atoms", type=AT_LEAST_ONE, default=5000, show_default=True, help="Atoms.")
@_limit(
    "--max-seconds",
    type=click.FloatRange(0.1, 3600.0),
    default=30.0,
    show_default=True,
    former=["--timeout"],
    help="Time to the answer.",
)
@option(
    "--log-level",
    type=click.Choice(["info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Log every request (info), or what went wrong.",
)
@json_option
@click.pass_obj
def serve_command(
    lake: Path,
    /,
    heads: tuple[str, ...],
    api_key_file: Path | None,
    max_body: float,
    max_rows: int,
    max_atoms: int,
    max_seconds: float,
    output: Output,
    **listening: Any,
) -> None:
    """Serve heads over HTTP: an API, its documentation at /docs, and a page at /.

    Stop it with Ctrl-C or SIGTERM: it finishes the requests that it has taken on. Each request is one line of JSON on
    stderr.
    """
    from matlake.extras import require_extra
    from matlake.store.lake import open_lake

    require_extra("serve", "serving")
    from matlake.serving.server import serve
    from matlake.serving.settings import KEY_VARIABLE, Limits, Settings, read_api_key

    limits = Limits(body_bytes=int(max_body * 1e6), rows=max_rows, atoms=max_atoms, request_s=max_seconds)
    key = read_api_key(api_key_file)
    os.environ.pop(KEY_VARIABLE, None)  # nothing that is started from here needs it
    settings = Settings(heads, api_key=key, limits=limits, **listening)
    if settings.is_open:
        everyone = f"everyone who reaches {settings.host} can send requests"
        note(f"warning: there is no API key, so {everyone} (see --api-key-file)")

    def announce(url: str) -> None:
        line = f"serving {', '.join(heads)} at {url} (API documentation at {url}docs); Ctrl-C stops"
        output.document({"url": url, "heads": list(heads), "api_key": key is not None}, [line])

    serve(open_lake(lake), settings, announce)
