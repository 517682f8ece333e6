"""The SDK's client objects, as attributes of the model, made when first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from langchain_tamma_openai.chat_models.mixin import Mixin
from langchain_tamma_openai.chat_models.settings import CLIENT_FIELDS, client_settings

if TYPE_CHECKING:
    import openai

    from langchain_tamma_openai.access import AuthenticationCheck, ModelCheck
    from langchain_tamma_openai.transport.clients import SdkClients


class SdkAccessMixin(Mixin):
    """`client`, `async_client`, `root_client`, `root_async_client`."""

    def __getattr__(self, name: str) -> Any:
        """Give a private attribute, or one of the SDK's clients, made when first asked for."""
        try:
            # Pydantic's own way to it takes several times as long, and every call goes it.
            return object.__getattribute__(self, "__pydantic_private__")[name]
        except (AttributeError, KeyError, TypeError):
            pass
        if name in CLIENT_FIELDS:
            return self._sdk_object(name)
        return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from checkers

    def _sdk_object(self, name: str) -> Any:
        clients = self._sdk_clients
        if name == "root_async_client":
            return clients.async_client
        if name == "async_client":
            return clients.async_client.chat.completions
        if clients.only_async:
            return None
        return (
            clients.sync_client if name == "root_client" else clients.sync_client.chat.completions
        )

    @property
    def _sdk_clients(self) -> SdkClients:
        if self._clients is None:
            from langchain_tamma_openai.loading import uncollected

            with uncollected():
                import openai  # noqa: F401 - large, and needed by every client

                from langchain_tamma_openai.transport.clients import SdkClients
            self._clients = SdkClients(client_settings(self))
        return self._clients

    def _sync_root(self) -> openai.OpenAI:
        """Return the client that sync calls go through: the user's own, or ours."""
        given = self.__dict__.get("client") or self.__dict__.get("root_client")
        return cast("openai.OpenAI", _root(given, "client") or self._sdk_clients.sync_client)

    def _async_root(self) -> openai.AsyncOpenAI:
        """Return the client that async calls go through: the user's own, or ours."""
        given = self.__dict__.get("async_client") or self.__dict__.get("root_async_client")
        root = _root(given, "async_client") or self._sdk_clients.async_client
        return cast("openai.AsyncOpenAI", root)

    def close(self) -> None:
        """Let go of the SDK's clients and of connections that no call uses.

        The connections of threads are shared by all models of the process: calls under way are not
        disturbed, and the next call, of this model too, opens what it needs. A client of your own
        stays yours to close.
        """
        from langchain_tamma_openai.transport.pools import close_idle_connections

        self._clients = None
        close_idle_connections()

    async def aclose(self) -> None:
        """Let go of clients and of idle connections, those of the running event loop too."""
        from langchain_tamma_openai.transport.pools import aclose_idle_connections

        self.close()
        await aclose_idle_connections()

    def __enter__(self) -> Self:
        """Use the model for a block, which closes it."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    async def __aenter__(self) -> Self:
        """Use the model for a block, which closes it."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close it."""
        await self.aclose()

    def validate_authentication(self) -> AuthenticationCheck:
        """Ask the API whether it accepts the key.

        Returns:
            What the API said of the key, without the key.

        Raises:
            AuthenticationError: It does not.
            TammaError: It could not be asked.
        """
        from langchain_tamma_openai.access import check_authentication

        return check_authentication(self._sync_root())

    async def avalidate_authentication(self) -> AuthenticationCheck:
        """Ask the API whether it accepts the key; see `validate_authentication`."""
        from langchain_tamma_openai.access import acheck_authentication

        return await acheck_authentication(self._async_root())

    def validate_model(self, model: str | None = None) -> ModelCheck:
        """Ask the API whether it serves a model to this key.

        Args:
            model: Name of the model; this instance's own when left out.

        Raises:
            InvalidParameterError: `allowed_models` does not name it; nothing is asked.
            NotFoundError: The API does not know it, or not for this key.
            TammaError: It could not be asked.
        """
        from langchain_tamma_openai.access import check_model

        return check_model(self._sync_root(), model or self.model_name, self.allowed_models)

    async def avalidate_model(self, model: str | None = None) -> ModelCheck:
        """Ask the API whether it serves a model to this key; see `validate_model`."""
        from langchain_tamma_openai.access import acheck_model

        return await acheck_model(self._async_root(), model or self.model_name, self.allowed_models)


def _root(given: object, field: str) -> object:
    """Find the SDK client behind a resource such as `client.chat.completions`."""
    root = getattr(given, "_client", given) if not hasattr(given, "post") else given
    if root is None or hasattr(root, "post"):
        return root
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(
        f"{field}: got a {type(given).__name__}, which is no client of the OpenAI SDK; pass "
        "openai.OpenAI(...).chat.completions, or the client itself as root_client"
    )
