"""A dashboard over HTTP (extra `dashboard`)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from langchain_tamma_openai.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from langchain_tamma_openai.usage.report.dashboard import Dashboard

    Endpoint = Callable[[Request], Response]

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]", "::1")
_COOKIE: Final = "tamma_dashboard"
_OPEN_PATH: Final = "/healthz"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def dashboard_app(
    dashboard: Dashboard, *, token: str | None = None, is_local: bool = True
) -> Starlette:
    """Make the ASGI application.

    It answers `/` (the page), `/live.json` (what changed), `/report.json` (all that the report
    says) and `/healthz`.

    Args:
        dashboard: What it shows.
        token: Who knows it may look: as `?token=` once, which sets a cookie, or as a bearer token.
            None lets everyone who can connect.
        is_local: Whether only requests to a loopback name are answered, so that no page of the web
            can make a browser ask here under a name of its own.

    Raises:
        ConfigurationError: Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.routing import Route
    except ModuleNotFoundError as exc:
        raise missing_package() from exc
    pages = _Pages(dashboard)
    answers: dict[str, Endpoint] = {
        "/": pages.page,
        "/live.json": pages.news,
        "/report.json": pages.report,
        _OPEN_PATH: pages.health,
    }
    names = [*LOOPBACK_NAMES] if is_local else ["*"]
    return Starlette(
        routes=[Route(path, _guarded(path, answer, token)) for path, answer in answers.items()],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=names)],
    )


def missing_package() -> ConfigurationError:
    """Say what to install."""
    return ConfigurationError(
        "the dashboard needs starlette and uvicorn; install them with "
        "pip install 'langchain-tamma-openai[dashboard]'",
        code="missing_package",
    )


class _Pages:
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def page(self, _request: Request) -> Response:
        from starlette.responses import HTMLResponse

        return HTMLResponse(self._dashboard.page(), headers=_HEADERS)

    def news(self, request: Request) -> Response:
        from starlette.responses import Response

        shown = self._dashboard.shown()
        headers = {**_HEADERS, "ETag": shown.tag}
        if request.headers.get("if-none-match") == shown.tag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(shown.news, media_type="application/json", headers=headers)

    def report(self, _request: Request) -> Response:
        from starlette.responses import Response

        content = self._dashboard.shown().report.json()
        return Response(content, media_type="application/json", headers=_HEADERS)

    def health(self, _request: Request) -> Response:
        from starlette.responses import JSONResponse

        self._dashboard.shown()
        return JSONResponse({"status": "ok"}, headers=_HEADERS)


def _guarded(
    path: str, answer: Endpoint, token: str | None
) -> Callable[[Request], Awaitable[Response]]:
    """Answer those who may look, and let a ledger that cannot be read be a clear answer too."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, RedirectResponse

    async def guarded(request: Request) -> Response:
        given = request.query_params.get("token")
        if token is not None and path != _OPEN_PATH:
            if path == "/" and given is not None and _same(given, token):
                entered = RedirectResponse("/", HTTPStatus.SEE_OTHER, headers=_HEADERS)
                entered.set_cookie(_COOKIE, token, httponly=True, samesite="strict")
                return entered
            if not _knows(request, token):
                words = {"error": "a token is needed: open the address that the server printed"}
                return JSONResponse(words, HTTPStatus.UNAUTHORIZED, headers=_HEADERS)
        try:
            return await run_in_threadpool(answer, request)
        except StorageError as exc:
            words = {"status": "error", "error": exc.technical_message}
            return JSONResponse(words, HTTPStatus.SERVICE_UNAVAILABLE, headers=_HEADERS)

    return guarded


def _knows(request: Request, token: str) -> bool:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return any(
        _same(given, token) for given in (request.cookies.get(_COOKIE), bearer) if given is not None
    )


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())
