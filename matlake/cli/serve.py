"""The command ``serve``."""

import os
from pathlib import Path
from typing import Any

import click

from matlake.cli.completion import heads
from matlake.cli.main import json_option
from matlake.cli.options import AT_LEAST_ONE, FILE, Command, option, section
from matlake.cli.output import Output, note
from matlake.interrupts import release
from matlake.store.storage.places import LakePath

_limit = section("Limits of a request")


@click.command("serve", cls=Command)
@click.argument("heads", nargs=-1, required=True, metavar="HEAD…", shell_complete=heads)
@option("--host", default="127.0.0.1", help="Listen at this address; 0.0.0.0 means all interfaces.")
@option("--port", type=click.IntRange(0, 65535), default=8080, help="Listen at this port; 0 picks a free one.")
@option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Answer requests for this host name, such as that of a proxy. Repeatable.  [default: names of loopback; any "
    "host if --host is another address]",
)
@option(
    "--api-key-file",
    type=FILE,
    help="Require the key in this file from clients.  [default: $MATLAKE_API_KEY, else no key]",
)
@option(
    "--heads-only",
    is_flag=True,
    help="Serve only heads: no datasets, no SQL, no search among the materials of the lake.",
)
@_limit("--max-body", type=click.FloatRange(0.001, 1000.0), default=8.0, help="Largest body in MB.")
@_limit("--max-rows", type=AT_LEAST_ONE, default=1000, help="Largest number of formulas or structures.")
@_limit("--max-atoms", type=AT_LEAST_ONE, default=5000, help="Largest number of atoms, of all structures together.")
@_limit(
    "--max-seconds",
    type=click.FloatRange(0.1, 3600.0),
    default=30.0,
    former=["--timeout"],
    help="Longest time to the answer in seconds.",
)
@option(
    "--log-level",
    type=click.Choice(["info", "warning", "error"]),
    default="info",
    help="Log every request (info) or only problems.",
)
@json_option
@click.pass_obj
def serve_command(
    lake: LakePath,
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
    """Serve heads over HTTP: an API, its documentation at /docs, and a web page at /.

    Ctrl-C or SIGTERM stops it as soon as accepted requests are answered. It logs each request as a line of JSON on
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
        lake_too = "" if settings.heads_only else " and read the lake's datasets"
        everyone = f"everyone who reaches {settings.host} can send requests{lake_too}"
        note(f"warning: there is no API key, so {everyone} (see --api-key-file, --heads-only)")

    def announce(url: str) -> None:
        line = f"serving {', '.join(heads)} at {url} (API documentation at {url}docs); Ctrl-C stops"
        output.document({"url": url, "heads": list(heads), "api_key": key is not None}, [line])
        release()

    serve(open_lake(lake), settings, announce)
