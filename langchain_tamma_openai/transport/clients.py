"""The OpenAI SDK's clients of one model, made at first use over the shared pools."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from pydantic import SecretStr

from langchain_tamma_openai.transport.sockets import socket_options

if TYPE_CHECKING:
    import openai

    from langchain_tamma_openai.transport.pools import SharedAsyncTransport, SharedTransport

# Options of the SDK that change nothing from one request to the next.
_CONSTANT_OPTIONS = {"project", "webhook_secret", "websocket_base_url"}

ApiKey: TypeAlias = SecretStr | Callable[[], str] | Callable[[], Awaitable[str]]


@dataclass(slots=True)
class ClientSettings:
    """What the SDK's clients are made from.

    Attributes:
        api_key: The key, or a sync or async function that gives it.
        base_url: Root of the API, or None for the SDK's own default.
        organization: Organization id, or None.
        timeout: None for the SDK's 600 s (5 s to connect), seconds, `(connect, read)`, or a timeout
            object of the HTTP library.
        max_retries: The SDK's own retries, for calls users make on its clients themselves.
        default_headers: Headers of every request.
        default_query: Query parameters of every request.
        proxy: URL of a proxy.
        http_client: The user's own sync HTTP client.
        http_async_client: The user's own async HTTP client.
        socket_options: See `transport.sockets.socket_options`.
        sdk_options: Further options of the SDK's constructor (project, workload identity, ...).
    """

    api_key: ApiKey | None = None
    base_url: str | None = None
    organization: str | None = None
    timeout: object = None
    max_retries: int | None = None
    default_headers: Mapping[str, str] | None = None
    default_query: Mapping[str, object] | None = None
    proxy: str | None = None
    http_client: Any = None
    http_async_client: Any = None
    socket_options: Sequence[tuple[int, int, int]] | None = None
    sdk_options: dict[str, Any] = field(default_factory=dict)


class SdkClients:
    """Makes `openai.OpenAI` and `openai.AsyncOpenAI` once each, when first asked."""

    def __init__(self, settings: ClientSettings) -> None:
        """Keep the settings; nothing is imported or opened yet.

        Args:
            settings: What the clients are made from.
        """
        self.settings = settings
        # Without a lock, which a fork could copy while it is held: of two clients made at the same
        # time one is kept, and neither has opened anything.
        self._made: dict[str, Any] = {}

    @property
    def sync_client(self) -> openai.OpenAI:
        """The sync client.

        Raises:
            ConfigurationError: The API key is an async function, which sync calls cannot await.
        """
        made: openai.OpenAI | None = self._made.get("sync")
        return made or self._made.setdefault("sync", self._make_sync())

    @property
    def async_client(self) -> openai.AsyncOpenAI:
        """The async client; it serves every event loop."""
        made: openai.AsyncOpenAI | None = self._made.get("async")
        return made or self._made.setdefault("async", self._make_async())

    @property
    def only_async(self) -> bool:
        """Whether the API key is an async function."""
        return inspect.iscoroutinefunction(self.settings.api_key)

    def _make_sync(self) -> openai.OpenAI:
        import openai

        from langchain_tamma_openai.transport.pools import SharedTransport

        if self.only_async:
            _refuse_sync()
        settings = self.settings
        options = self._options(_sync_key(settings.api_key))
        if settings.http_client is not None:
            return openai.OpenAI(**options, http_client=settings.http_client)
        transport = SharedTransport(settings.proxy, self._socket_options())
        http = openai.DefaultHttpxClient(transport=cast("Any", transport))
        client = openai.OpenAI(**options, http_client=http)
        self._shorten(client, http, transport)
        return client

    def _make_async(self) -> openai.AsyncOpenAI:
        import openai

        from langchain_tamma_openai.transport.pools import SharedAsyncTransport

        settings = self.settings
        options = self._options(_async_key(settings.api_key))
        if settings.http_async_client is not None:
            return openai.AsyncOpenAI(**options, http_client=settings.http_async_client)
        transport = SharedAsyncTransport(settings.proxy, self._socket_options())
        http = openai.DefaultAsyncHttpxClient(transport=cast("Any", transport))
        client = openai.AsyncOpenAI(**options, http_client=http)
        self._shorten(client, http, transport)
        return client

    def _shorten(
        self, client: object, http: object, transport: SharedTransport | SharedAsyncTransport
    ) -> None:
        """Open the short way for a client whose requests differ in their bodies alone."""
        settings = self.settings
        if not callable(settings.api_key) and settings.sdk_options.keys() <= _CONSTANT_OPTIONS:
            from langchain_tamma_openai.transport.lanes import Lane

            Lane(client, http, transport)

    def _socket_options(self) -> tuple[tuple[int, int, int], ...]:
        return socket_options(self.settings.socket_options)

    def _options(self, api_key: object) -> dict[str, Any]:
        settings = self.settings
        options: dict[str, Any] = {
            "api_key": api_key,
            "base_url": settings.base_url,
            "organization": settings.organization,
            "default_headers": settings.default_headers,
            "default_query": settings.default_query,
            **settings.sdk_options,
        }
        if settings.max_retries is not None:
            options["max_retries"] = settings.max_retries
        if settings.timeout is not None:
            options["timeout"] = finite_timeout(settings.timeout)
        return options


def finite_timeout(timeout: object) -> Any:
    """Give a `(connect, read)` tuple the same limits for the pool and for writing.

    The HTTP library would leave what a tuple does not name without a limit.

    Args:
        timeout: Seconds, a tuple of two to four parts, or a timeout object.
    """
    if not isinstance(timeout, tuple):
        return timeout
    import openai

    connect, read, *others = timeout
    write, pool = (*others, *(read, connect)[len(others) :])
    return openai.Timeout(connect=connect, read=read, write=write, pool=pool)


def _sync_key(api_key: ApiKey | None) -> object:
    return api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key


def _async_key(api_key: ApiKey | None) -> object:
    if not callable(api_key) or inspect.iscoroutinefunction(api_key):
        return _sync_key(api_key)

    async def from_sync() -> str:
        # A key function may ask a vault: it must not hold up the event loop.
        return await asyncio.to_thread(cast("Callable[[], str]", api_key))

    return from_sync


def _refuse_sync() -> None:
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(
        "api_key is an async function, which a sync call cannot await: use ainvoke, astream or "
        "abatch, or pass the key as a string or a sync function."
    )
