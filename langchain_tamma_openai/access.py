"""Asking the API whether a key works and a model may be used, before real work depends on it.

Each question is one GET request through the real SDK client. A yes is a small frozen object; a no
is a typed error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.checks import safe_url, shown
from langchain_tamma_openai.keys import api_key_problem, hash_api_key, is_official_host

if TYPE_CHECKING:
    import httpx2
    import openai

_MAX_NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class AuthenticationCheck:
    """The API accepted the key.

    Attributes:
        ok: Always true; a refusal is an error.
        base_url: Address that answered, without credentials.
        key_hash: First 8 hex digits of the key's SHA-256; `None` for a client without a key.
        organization: Organization that the API, else the client, names.
        models: Number of models the key may see; `None` when the server does not list them.
        latency_ms: Time until the answer, in milliseconds.
        request_id: The API's id of the request.
        finding: What looks odd about the key although it works, see `keys.api_key_problem`.
    """

    ok: bool
    base_url: str
    key_hash: str | None
    organization: str | None
    models: int | None
    latency_ms: float
    request_id: str | None
    finding: str | None


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """The API serves the model to this key.

    Attributes:
        model: The id that was asked for.
        available: Always true; a refusal is an error.
        known: Whether the package's catalogue knows the model.
        owned_by: Owner that the API names.
        shutdown_date: Announced end, from the API, else from the catalogue.
        successor: The model OpenAI names in its place, from the catalogue.
        latency_ms: Time until the answer, in milliseconds.
        request_id: The API's id of the request.
    """

    model: str
    available: bool
    known: bool
    owned_by: str | None
    shutdown_date: date | None
    successor: str | None
    latency_ms: float
    request_id: str | None


def check_authentication(client: openai.OpenAI) -> AuthenticationCheck:
    """Ask the API whether it accepts the client's key.

    Args:
        client: A client of the OpenAI SDK.

    Raises:
        AuthenticationError: The key is refused; a note says what looks odd about it, if anything.
        TammaError: Any other failure, by its kind.
    """
    started_s = time.perf_counter()
    with _asking(client):
        answer = client.models.with_raw_response.list().http_response
        return _authentication_check(client, answer, started_s)


async def acheck_authentication(client: openai.AsyncOpenAI) -> AuthenticationCheck:
    """Ask the API whether it accepts the client's key; see `check_authentication`."""
    started_s = time.perf_counter()
    with _asking(client):
        answer = (await client.models.with_raw_response.list()).http_response
        return _authentication_check(client, answer, started_s)


def check_model(
    client: openai.OpenAI, model: str, allowed_models: Sequence[str] | None = None
) -> ModelCheck:
    """Ask the API whether it serves a model to this key.

    Many compatible servers can only list their models; for them the list is searched.

    Args:
        client: A client of the OpenAI SDK.
        model: The model's id.
        allowed_models: The only models that may be used; others are refused without a request.

    Raises:
        InvalidParameterError: The model is blank or not allowed; nothing was sent.
        NotFoundError: The API does not know the model, or has shut it down.
        PermissionDeniedError: The key may not use it.
        TammaError: Any other failure, by its kind.
    """
    check_model_allowed(model, allowed_models)
    started_s = time.perf_counter()
    with _asking(client, model):
        try:
            answer = client.models.with_raw_response.retrieve(model).http_response
        except _not_found() as exc:
            _raise_if_final(client, exc)
            answer = client.models.with_raw_response.list().http_response
        return _model_check(model, answer, started_s)


async def acheck_model(
    client: openai.AsyncOpenAI, model: str, allowed_models: Sequence[str] | None = None
) -> ModelCheck:
    """Ask the API whether it serves a model to this key; see `check_model`."""
    check_model_allowed(model, allowed_models)
    started_s = time.perf_counter()
    with _asking(client, model):
        try:
            answer = (await client.models.with_raw_response.retrieve(model)).http_response
        except _not_found() as exc:
            _raise_if_final(client, exc)
            answer = (await client.models.with_raw_response.list()).http_response
        return _model_check(model, answer, started_s)


def check_model_allowed(
    model: str, allowed_models: Sequence[str] | None = None, field: str = "model"
) -> None:
    """Refuse a model that is blank or not among the allowed ones, before anything is sent.

    Args:
        model: The model's id, compared exactly.
        allowed_models: The only models that may be used; `None` allows all.
        field: Name of the field, for the message.

    Raises:
        InvalidParameterError: The model may not be used.
    """
    if model.strip() and (allowed_models is None or model in allowed_models):
        return
    from langchain_tamma_openai.errors import InvalidParameterError

    if allowed_models is None:
        raise InvalidParameterError(f"{field}: got a blank name; pass one such as 'gpt-6-luna'")
    raise InvalidParameterError(
        f"{field}: got {shown(model)}, which is not in allowed_models "
        f"({', '.join(allowed_models)}); choose one of them, or add it there",
        code="model_not_allowed",
        param=field,
    )


@contextmanager
def _asking(client: openai.OpenAI | openai.AsyncOpenAI, model: str | None = None) -> Iterator[None]:
    """Translate errors, and note what looks odd about a key that is refused."""
    from langchain_tamma_openai.errors import AuthenticationError
    from langchain_tamma_openai.transport.translate import translating

    try:
        with translating(model):
            yield
    except AuthenticationError as exc:
        finding = api_key_problem(client.api_key, client.base_url)
        if finding is not None:
            exc.add_note(finding)
        raise


def _not_found() -> type[openai.NotFoundError]:
    import openai

    return openai.NotFoundError


def _raise_if_final(client: openai.OpenAI | openai.AsyncOpenAI, exc: Exception) -> None:
    """Only OpenAI's own "not found" surely means the model and not the question."""
    if is_official_host(client.base_url):
        raise exc


def _authentication_check(
    client: openai.OpenAI | openai.AsyncOpenAI, answer: httpx2.Response, started_s: float
) -> AuthenticationCheck:
    listed = _body(answer).get("data")
    key = client.api_key or None
    return AuthenticationCheck(
        ok=True,
        base_url=safe_url(str(client.base_url)),
        key_hash=None if key is None else hash_api_key(key),
        organization=answer.headers.get("openai-organization") or client.organization,
        models=len(listed) if isinstance(listed, list) else None,
        latency_ms=_elapsed_ms(started_s),
        request_id=answer.headers.get("x-request-id"),
        finding=api_key_problem(key, client.base_url),
    )


def _model_check(model: str, answer: httpx2.Response, started_s: float) -> ModelCheck:
    from langchain_tamma_openai.models import ModelCatalog

    entry = _entry(_body(answer), model)
    info = ModelCatalog().get(model)
    owner = entry.get("owned_by")
    return ModelCheck(
        model=model,
        available=True,
        known=info.known,
        owned_by=owner if isinstance(owner, str) else None,
        shutdown_date=_date(entry.get("shutdown_date")) or info.shutdown_date,
        successor=info.successor,
        latency_ms=_elapsed_ms(started_s),
        request_id=answer.headers.get("x-request-id"),
    )


def _entry(body: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """Find the model in an answer, which describes one model or lists them."""
    listed = body.get("data")
    if not isinstance(listed, list):
        return body
    entries = {str(each.get("id")): each for each in listed if isinstance(each, Mapping)}
    if model in entries:
        return entries[model]
    from langchain_tamma_openai.errors import NotFoundError

    names = sorted(entries)
    some = ", ".join(names[:_MAX_NAMES_SHOWN]) + (", ..." if len(names) > _MAX_NAMES_SHOWN else "")
    raise NotFoundError(
        f"model: the server does not serve {shown(model)}; it serves {some or 'no model'}",
        code="model_not_found",
        param="model",
    )


def _body(answer: httpx2.Response) -> dict[str, Any]:
    from langchain_tamma_openai.wire.completions import parse_body, raise_in_band_error

    body = parse_body(answer.content, answer.headers.get("content-type"))
    if body.get("error"):
        raise_in_band_error(body["error"])
    return body


def _date(value: object) -> date | None:
    """Read a date that is text, as documented, or a Unix time, as other dates of the API are."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value[:10])
        if isinstance(value, int):
            return datetime.fromtimestamp(value, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _elapsed_ms(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1000, 1)
