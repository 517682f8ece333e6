"""Checks of `doctor` on the way to the API: name, connection, TLS, HTTP, clock, key, model."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.cli._doctor_findings import (
    Finding,
    Findings,
    Mark,
    broken,
    note,
    ok,
    skipped,
    warning,
)
from langchain_tamma_openai.errors import (
    AuthenticationError,
    ConnectionFailedError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    TammaError,
)
from langchain_tamma_openai.redact import redact_secrets

if TYPE_CHECKING:
    import openai

    from langchain_tamma_openai.access import ModelCheck
    from langchain_tamma_openai.cli._doctor_setup import Place

_MOST_SKEW = timedelta(seconds=30)
_SOON = timedelta(days=90)
_CERTIFICATE_ENDS_SOON_S = 14 * 86_400
_SERVER_ERROR = 500
_UNAUTHORIZED = (401, 403)
_NOT_FOUND = 404


def reach(place: Place, timeout_s: float) -> tuple[bool, list[Finding]]:
    """Find out how far the way to the API goes.

    Args:
        place: Where it is.
        timeout_s: Seconds for each step.

    Returns:
        Whether it answers HTTP at all, and what was found.
    """
    findings: list[Finding] = []
    steps = [_http] if place.proxy else [_name, _connection, _http]
    if place.proxy:
        findings.append(skipped("name", "the proxy looks it up"))
    for step in steps:
        found = step(place, timeout_s)
        findings += found
        if any(one.mark is Mark.BROKEN for one in found):
            return False, findings
    return True, findings


def _name(place: Place, _timeout_s: float) -> list[Finding]:
    started_s = time.perf_counter()
    try:
        entries = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fix = "check the network and the name; behind a proxy, set HTTPS_PROXY"
        return [broken("name", f"{place.host} cannot be resolved ({reason})", fix)]
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    return [ok("name", f"{place.host} is {', '.join(addresses[:4])} ({_since_ms(started_s)})")]


def _connection(place: Place, timeout_s: float) -> list[Finding]:
    started_s = time.perf_counter()
    try:
        connection = socket.create_connection((place.host, place.port), timeout_s)
    except OSError as error:
        found = f"{place.host}:{place.port} cannot be reached ({_reason(error)})"
        fix = "see that the server runs and that no firewall is between; check host and port"
        return [broken("connection", found, fix)]
    with connection:
        reached = ok("connection", f"{place.host}:{place.port} ({_since_ms(started_s)})")
        if place.scheme != "https":
            return [reached, note("tls", "none: the address is http://")]
        return [reached, _tls(place, connection)]


def _tls(place: Place, connection: socket.socket) -> Finding:
    started_s = time.perf_counter()
    try:
        with _tls_context().wrap_socket(connection, server_hostname=place.host) as secured:
            certificate: Any = secured.getpeercert() or {}
            told = f"{secured.version()} ({_since_ms(started_s)})"
    except ssl.SSLCertVerificationError as error:
        fix = "behind a company proxy, name its certificate in SSL_CERT_FILE; check the clock"
        return broken("tls", f"the certificate is not trusted ({error.verify_message})", fix)
    except (ssl.SSLError, OSError) as error:
        fix = "the server may speak plain http:// on this port; check the address"
        return broken("tls", f"no encrypted connection ({_reason(error)})", fix)
    return _certificate(certificate, told)


def _tls_context() -> ssl.SSLContext:
    """Trust what the HTTP library trusts."""
    context = ssl.create_default_context()
    with suppress(ImportError, OSError):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _certificate(certificate: dict[str, Any], told: str) -> Finding:
    ends = certificate.get("notAfter")
    if ends is None:
        return ok("tls", told)
    left_s = ssl.cert_time_to_seconds(ends) - time.time()
    if left_s < _CERTIFICATE_ENDS_SOON_S:
        return warning("tls", f"{told}, certificate until {ends}", "renew it on the server")
    return ok("tls", f"{told}, certificate until {ends}")


def _http(place: Place, timeout_s: float) -> list[Finding]:
    """Ask without a key: any answer at all shows that the way is open."""
    from langchain_tamma_openai.transport.http_library import http_library, transport_errors

    url = f"{place.url.rstrip('/')}/models"
    failures: tuple[type[Exception], ...] = (*transport_errors(), OSError, ValueError)
    started_s = time.perf_counter()
    try:
        with http_library().Client(timeout=timeout_s, proxy=place.proxy) as client:
            answer = client.get(url)
    except failures as error:
        fix = "see that an HTTP server answers there; a proxy may refuse the way"
        return [broken("http", f"no answer from {place.shown} ({_reason(error)})", fix)]
    return [_status(place, answer.status_code, _since_ms(started_s)), _clock(answer.headers)]


def _status(place: Place, status: int, took: str) -> Finding:
    told = f"status {status} from {place.shown}/models without a key ({took})"
    if status >= _SERVER_ERROR:
        return broken("http", told, "the server is ill; see https://status.openai.com or its log")
    if status == _NOT_FOUND:
        return warning("http", told, "check the path of the address; most end in /v1")
    return ok("http", told)


def _clock(headers: Any) -> Finding:
    text = headers.get("date")
    try:
        server = parsedate_to_datetime(text or "")
    except ValueError:
        return skipped("clock", "the server does not say the time")
    server = server if server.tzinfo else server.replace(tzinfo=UTC)
    skew = datetime.now(UTC) - server
    seconds = round(skew.total_seconds())
    if abs(skew) > _MOST_SKEW:
        way = "ahead of" if seconds > 0 else "behind"
        fix = "set the clock, such as with NTP: records, budgets and TLS depend on it"
        return warning("clock", f"{abs(seconds)} s {way} the server", fix)
    return ok("clock", f"within {max(abs(seconds), 1)} s of the server")


def access(client: openai.OpenAI, model: str) -> Findings:
    """Ask whether the key works and may use the model.

    Args:
        client: A client of the SDK.
        model: The model.
    """
    from langchain_tamma_openai.access import check_authentication, check_model

    try:
        accepted = check_authentication(client)
    except TammaError as error:
        yield _refused("access", error)
        yield skipped("model", "the key was not accepted")
        return
    models = "" if accepted.models is None else f", {accepted.models} models"
    organization = f", organization {accepted.organization}" if accepted.organization else ""
    yield ok("access", f"the key is accepted{organization}{models} ({accepted.latency_ms:.0f} ms)")
    try:
        served = check_model(client, model)
    except TammaError as error:
        yield _refused("model", error)
        return
    yield _model(served)


def _refused(check: str, error: TammaError) -> Finding:
    fix = next((fix for kind, fix in _FIXES if isinstance(error, kind)), error.user_message)
    notes = "; ".join(getattr(error, "__notes__", ()))
    return broken(check, f"{error.technical_message}{f' ({notes})' if notes else ''}", fix)


_FIXES: tuple[tuple[type[TammaError], str], ...] = (
    (AuthenticationError, "copy the whole key from https://platform.openai.com/api-keys"),
    (PermissionDeniedError, "ask the owner of the project for access, or use another model"),
    (NotFoundError, "check the name (see tamma-openai models), or the path of the address"),
    (QuotaExceededError, "add credit at https://platform.openai.com/settings/billing"),
    (ConnectionFailedError, "see that the server runs and can be reached"),
)


def _model(served: ModelCheck) -> Finding:
    told = f"{served.model} is served ({served.latency_ms:.0f} ms)"
    ends = served.shutdown_date
    if ends is not None and ends - datetime.now(UTC).date() < _SOON:
        fix = f"move to {served.successor or 'another model'} (see tamma-openai models)"
        return warning("model", f"{told}, until {ends}", fix)
    if not served.known:
        fix = "give prices with price_overrides to have costs computed"
        return note("model", f"{told}, but its prices and limits are not known here", fix)
    return ok("model", told if ends is None else f"{told}, until {ends}")


def known_model(name: str, today: date | None = None) -> Finding:
    """Say what is known of a model without asking anybody.

    Args:
        name: The model.
        today: For tests.
    """
    from langchain_tamma_openai.models import ModelCatalog, shutdown_warning

    told = shutdown_warning(name, today)
    if told is not None:
        return warning("model", told, "choose another with --model or OPENAI_MODEL")
    if not ModelCatalog().get(name).known:
        return note("model", f"{name} is not in the catalogue", "see tamma-openai models")
    return ok("model", f"{name} is in the catalogue")


def _since_ms(started_s: float) -> str:
    return f"{(time.perf_counter() - started_s) * 1000:.0f} ms"


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return redact_secrets(" ".join(str(text).split()))
