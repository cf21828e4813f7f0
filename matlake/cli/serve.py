"""The command ``serve``."""

import os
from pathlib import Path

import click

from matlake.cli.main import json_option
from matlake.cli.output import Output, note


@click.command("serve")
@click.argument("heads", nargs=-1, required=True, metavar="HEAD…")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any that is free.")
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the key that clients must send; $MATLAKE_API_KEY where not given.",
)
@click.option("--max-body", type=click.FloatRange(0.001, 1000.0), default=8.0, show_default=True, help="MB of a body.")
@click.option("--max-rows", type=click.IntRange(min=1), default=1000, show_default=True, help="Rows of a request.")
@click.option("--max-atoms", type=click.IntRange(min=1), default=5000, show_default=True, help="Atoms of a request.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 3600.0), default=30.0, show_default=True, help="Seconds to answer."
)
@click.option("--log-level", type=click.Choice(["info", "warning", "error"]), default="info", show_default=True)
@json_option
@click.pass_obj
def serve_command(
    lake: Path,
    heads: tuple[str, ...],
    host: str,
    port: int,
    api_key_file: Path | None,
    max_body: float,
    max_rows: int,
    max_atoms: int,
    timeout: float,
    log_level: str,
    output: Output,
) -> None:
    """Serve heads over HTTP: an API, its documentation at /docs, and a page at /.

    Stop it with Ctrl-C or SIGTERM: it finishes what it has taken on. One JSON line about each request goes to stderr.
    """
    from matlake.extras import require_extra
    from matlake.store.lake import open_lake

    require_extra("serve", "serving")
    from matlake.serving.server import serve
    from matlake.serving.settings import KEY_VARIABLE, Limits, Settings, read_api_key

    limits = Limits(body_bytes=int(max_body * 1e6), rows=max_rows, atoms=max_atoms, request_s=timeout)
    key = read_api_key(api_key_file)
    os.environ.pop(KEY_VARIABLE, None)  # nothing that is started from here needs it
    settings = Settings(heads, host, port, key, limits, log_level)
    if settings.is_open:
        note(f"warning: anybody who reaches {host} can ask, since there is no API key (see --api-key-file)")

    def announce(url: str) -> None:
        output.document(
            {"url": url, "heads": list(heads), "api_key": key is not None},
            [f"serving {', '.join(heads)} at {url} (API documentation at {url}docs); Ctrl-C stops"],
        )

    serve(open_lake(lake), settings, announce)
