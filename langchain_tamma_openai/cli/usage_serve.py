"""`tamma-openai usage serve`: the report of a ledger, live in a browser."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _filters, _options, _output, _report_options
from langchain_tamma_openai.cli._errors import WRONG_ARGUMENTS, CommandError, wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.filters import RecordFilters
    from langchain_tamma_openai.usage.report.dashboard import Dashboard

TOKEN_VARIABLE = "TAMMA_OPENAI_DASHBOARD_TOKEN"  # noqa: S105 - the name of a variable
_LAST_PORT = 65_535
_STOP_S = 3


def command(
    store: _options.Store = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", "-p", min=0, max=_LAST_PORT, metavar="N", help="0 takes any free."),
    ] = 8321,
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            help="Listen to other machines too, which then need a token (and TLS in front).",
        ),
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar=TOKEN_VARIABLE,
            metavar="TEXT",
            help="Who knows it may look. With --allow-remote one is made up if none is given.",
        ),
    ] = None,
    interval_s: Annotated[
        float,
        typer.Option(
            "--interval", min=0.2, max=86_400, metavar="S", help="Seconds between two looks."
        ),
    ] = 5.0,
    title: _report_options.Title = "Usage and cost",
    start: _filters.Start = None,
    end: _filters.End = None,
    user_id: _filters.User = None,
    organization_id: _filters.Organization = None,
    model: _filters.ServedModel = None,
    tag: _filters.Tags = None,
    status: _filters.Status = None,
    top: _report_options.Top = 10,
    step: _report_options.Step = None,
    budget_usd: _report_options.BudgetUsd = None,
    budget_window: _report_options.Window = "month",
    as_json: _options.Json = False,
) -> None:
    """Show the report of `usage report` in a browser, and keep it up to date.

    It listens on this machine only. Also answers /report.json and /healthz. With --json the
    address is printed as JSON. Ctrl-C ends it.
    """
    fields = _filters.field_filters(user_id, organization_id, model, tag, status)

    def filters() -> RecordFilters:
        """Read the range anew: `7d` moves with the time."""
        return _filters.record_filters(start, end, fields)

    filters()
    is_local = _is_local(host)
    if not is_local and not allow_remote:
        raise CommandError(
            f"--host {host}: other machines could read the ledger; pass --allow-remote to let "
            "those who know a token do so",
            WRONG_ARGUMENTS,
        )
    usd = _report_options.budget_usd(budget_usd)
    window = _report_options.budget_window(budget_window)
    point = _report_options.time_step(step)
    location = _options.existing_ledger(store)
    from langchain_tamma_openai import UsageTracker
    from langchain_tamma_openai.usage.report.dashboard import Dashboard
    from langchain_tamma_openai.usage.report.gather import ReportOptions

    options = ReportOptions(title=title, top=top, step=point, budget_usd=usd, budget_window=window)
    with UsageTracker(location.url) as tracker, closing(_listening(host, port)) as listener:
        dashboard = Dashboard(tracker, options, filters, interval_s)
        _serve(dashboard, listener, _token(token, is_local=is_local), is_local, as_json)


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token(given: str | None, *, is_local: bool) -> str | None:
    import secrets

    if given is not None and not given:
        raise wrong_argument("--token", given, "a text that is not empty")
    return given or (None if is_local else secrets.token_urlsafe(24))


def _listening(host: str, port: int) -> socket.socket:
    """Listen before anything is said, so that a port in use is a clear line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            raise CommandError(
                f"port {port} on {host} is in use; name another with --port, or 0 for any that "
                "is free"
            ) from None
        raise CommandError(
            f"cannot listen on port {port} of {host}: {exc.strerror or exc}; name others with "
            "--host and --port"
        ) from None
    return listener


def _serve(
    dashboard: Dashboard,
    listener: socket.socket,
    token: str | None,
    is_local: bool,  # noqa: FBT001 - one of several plain facts
    as_json: bool,  # noqa: FBT001 - one of several plain facts
) -> None:
    from langchain_tamma_openai.usage.report.bundle import vega_script
    from langchain_tamma_openai.usage.report.serving import dashboard_app, missing_package

    app = dashboard_app(dashboard, token=token, is_local=is_local)
    try:
        import uvicorn
    except ModuleNotFoundError as exc:
        raise missing_package() from exc
    vega_script()  # a missing package is said now, and the first page comes at once
    dashboard.shown()
    _tell(listener, token, as_json=as_json)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _tell(listener: socket.socket, token: str | None, *, as_json: bool) -> None:
    address, port = listener.getsockname()[:2]
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}:{port}/" + (f"?token={token}" if token else "")
    if as_json:
        _output.print_json_line({"url": url})
    else:
        print(f"serving {url} (Ctrl-C ends it)", flush=True)
