"""What a new model settles once: environment, gateway, checks, client settings."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

from langchain_core.utils._gateway import _resolve_gateway_config
from pydantic import SecretStr

from langchain_tamma_openai.chat_models.routing import uses_responses_api

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.fields import ChatFields
    from langchain_tamma_openai.transport.clients import ApiKey, ClientSettings

CLIENT_FIELDS = ("client", "async_client", "root_client", "root_async_client")
SDK_FIELDS = ("workload_identity", "provider", "data_residency", "websocket_base_url")
CONNECTION_FIELDS = frozenset(
    (
        *SDK_FIELDS,
        "openai_api_key",
        "openai_api_base",
        "openai_organization",
        "openai_project",
        "openai_proxy",
        "admin_api_key",
        "webhook_secret",
        "request_timeout",
        "max_retries",
        "default_headers",
        "default_query",
        "http_client",
        "http_async_client",
        "http_socket_options",
    )
)
_SENSITIVE_WORDS = ("auth", "key", "token", "secret", "cookie", "password")
GATEWAY_KEY_PREFIX = "lsv2_"


def settle(model: ChatFields) -> None:
    """Fill in what the environment gives and refuse what cannot work, before any byte is sent.

    Args:
        model: A model whose fields have their types.

    Raises:
        ConfigurationError: A key, URL, timeout or count cannot be used, or the key is missing.
        InvalidParameterError: `n` is below 1, or above 1 with streaming.
    """
    model.openai_organization = model.openai_organization or _first_in_environment(
        "OPENAI_ORG_ID", "OPENAI_ORGANIZATION"
    )
    resolved = _resolve_gateway_config(
        base_url=model.openai_api_base,
        api_key=model.openai_api_key,
        provider_path="openai/v1",
        base_url_env="OPENAI_API_BASE",
        api_key_env="OPENAI_API_KEY",
    )
    model.openai_api_base = resolved.base_url
    model.openai_api_key = resolved.api_key
    if model.use_responses_api is None and uses_responses_api(model, {}):
        model.use_responses_api = True
    if model.stream_usage is None:
        model.stream_usage = True
    _check(model)


def base_url(model: ChatFields) -> str | None:
    """Return the root of the API that this model will call, where it is not the SDK's default."""
    return model.openai_api_base or os.environ.get("OPENAI_BASE_URL") or None


def client_settings(model: ChatFields) -> ClientSettings:
    """Collect what the SDK's clients are made from."""
    from langchain_tamma_openai.transport.clients import ClientSettings

    options: dict[str, Any] = {
        name: value for name in SDK_FIELDS if (value := getattr(model, name)) is not None
    }
    for name in ("admin_api_key", "webhook_secret"):
        if isinstance(secret := getattr(model, name), SecretStr):
            options[name] = secret.get_secret_value()
    if model.openai_project is not None:
        options["project"] = model.openai_project
    return ClientSettings(
        api_key=_checked_key(model),
        base_url=model.openai_api_base,
        organization=model.openai_organization,
        timeout=model.request_timeout,
        max_retries=model.max_retries,
        default_headers=model.default_headers,
        default_query=model.default_query,
        proxy=model.openai_proxy,
        http_client=model.http_client,
        http_async_client=model.http_async_client,
        socket_options=model.http_socket_options,
        sdk_options=options,
    )


def _checked_key(model: ChatFields) -> ApiKey | None:
    """Look at what a function gives for a key before it goes into a header."""
    key, server = model.openai_api_key, base_url(model)
    if not callable(key):
        return key
    if inspect.iscoroutinefunction(key):

        async def checked_later() -> str:
            return _usable(await key(), server)

        return checked_later

    def checked() -> str:
        return _usable(key(), server)

    return checked


def _usable(key: object, server: str | None) -> str:
    if isinstance(key, str):
        from langchain_tamma_openai.keys import check_api_key

        check_api_key(key, server)
        return key
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(
        f"api_key: the function returned a {type(key).__name__}; it must return the key as text"
    )


def printable(name: str, value: object) -> object:
    """Return a field's value without the secrets it may carry, for `repr`.

    Args:
        name: Name of the field.
        value: Its value.
    """
    if name in ("openai_proxy", "openai_api_base") and isinstance(value, str):
        from langchain_tamma_openai.checks import safe_url

        return safe_url(value)
    if name in ("default_headers", "default_query", "model_kwargs", "extra_body"):
        return _masked(value)
    return value


def _masked(value: object) -> object:
    from collections.abc import Mapping

    if not isinstance(value, Mapping):
        return value
    return {
        key: "**********" if _is_sensitive(str(key)) else _masked(item)
        for key, item in value.items()
    }


def _is_sensitive(name: str) -> bool:
    lower = name.lower()
    return "tokens" not in lower and any(word in lower for word in _SENSITIVE_WORDS)


def _first_in_environment(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def check_allowed(model: ChatFields, name: str) -> None:
    """Refuse a model that is not among the instance's allowed ones.

    Args:
        model: The instance.
        name: The model that is asked for, possibly per call.

    Raises:
        InvalidParameterError: `allowed_models` does not name it.
    """
    if model.allowed_models is not None and name not in model.allowed_models:
        from langchain_tamma_openai.access import check_model_allowed

        check_model_allowed(name, model.allowed_models)


def _check(model: ChatFields) -> None:
    from langchain_tamma_openai.checks import check_base_url, check_count, check_timeout

    check_allowed(model, model.model_name)
    check_base_url(base_url(model))
    check_timeout(model.request_timeout)
    check_timeout(model.total_timeout_s, "total_timeout_s")
    check_count(model.max_retries, "max_retries", 0)
    check_n(model.n, streaming=model.streaming)
    _check_http(model)
    if isinstance(model.openai_api_key, SecretStr):
        from langchain_tamma_openai.keys import check_api_key

        check_api_key(model.openai_api_key, base_url(model))
    elif model.openai_api_key is None and not _has_other_credentials(model):
        _refuse_missing_key()


def check_n(n: object, *, streaming: bool) -> None:
    """Refuse a number of answers that the API or a stream cannot give.

    Args:
        n: How many answers are asked for.
        streaming: Whether they would be streamed.

    Raises:
        InvalidParameterError: No whole number, below 1, or above 1 in a stream.
    """
    if n is None or n == 1:
        return
    from langchain_tamma_openai.errors import InvalidParameterError

    if not isinstance(n, int) or n < 1:
        raise InvalidParameterError(
            f"n: got {n!r}, must be a whole number of at least 1; leave it out for one answer"
        )
    if not streaming:
        return
    raise InvalidParameterError(
        f"n: got {n}, but n must be 1 when streaming, since a stream is one message; use invoke or "
        "generate with streaming=False, or leave n out"
    )


def _check_http(model: ChatFields) -> None:
    if not model.openai_proxy:
        return
    from langchain_tamma_openai.transport.proxies import checked_proxy

    checked_proxy(model.openai_proxy, "openai_proxy")
    if model.http_client is not None or model.http_async_client is not None:
        from langchain_tamma_openai.errors import ConfigurationError

        raise ConfigurationError(
            "openai_proxy: cannot be combined with http_client or http_async_client, which bring "
            "their own connections; set the proxy on your client, or leave the clients out"
        )


def _has_other_credentials(model: ChatFields) -> bool:
    if model.workload_identity is not None or model.provider is not None:
        return True
    return any(name in model.__dict__ for name in CLIENT_FIELDS)


def _refuse_missing_key() -> None:
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(
        "api_key: missing; pass ChatTammaOpenAI(api_key=...) or set the OPENAI_API_KEY environment "
        "variable (servers that need no key take any word, such as api_key='none')",
        code="missing_api_key",
    )
