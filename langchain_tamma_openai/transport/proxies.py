"""Which proxy a request takes: the configured one, or the environment's for its host."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from urllib.parse import urlsplit

from langchain_tamma_openai.checks import safe_url

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    import httpx2

_SCHEMES = ("http", "https", "socks5", "socks5h")
_VARIABLES = ("http", "https", "all")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_EXCEPTION = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?\*?"
    r"(?P<host>\[[^\]]+\]|[^:\[\]]+|[0-9a-f:.]*:[0-9a-f:./]*?)"
    r"(?::(?P<port>\d+))?"
)


class ProxyChoice:
    """Chooses a proxy per request, by the rules of the HTTP library.

    `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are read once; on macOS and Windows the
    system's settings stand in for them.
    """

    __slots__ = ("_by_scheme", "_exceptions", "_given")

    def __init__(self, proxy: str | None = None) -> None:
        """Read the environment, unless a proxy is given.

        Args:
            proxy: URL of a proxy for every request.

        Raises:
            ConfigurationError: A proxy's URL cannot be used.
        """
        self._given = checked_proxy(proxy, "openai_proxy") if proxy else None
        self._by_scheme: dict[str, str] = {}
        self._exceptions: list[_Exception] = []
        if not proxy:
            self._read_environment()

    def __call__(self, url: httpx2.URL) -> str | None:
        """Return the URL of the proxy for a request, or None for a direct connection."""
        if not self._by_scheme:
            return self._given
        proxy = self._by_scheme.get(url.scheme) or self._by_scheme.get("all")
        return None if any(entry.covers(url) for entry in self._exceptions) else proxy

    def _read_environment(self) -> None:
        from urllib.request import getproxies

        found = getproxies()
        names = [name.strip().lower() for name in found.get("no", "").split(",")]
        if "*" in names:
            return
        self._exceptions = [entry for name in names if (entry := _exception(name)) is not None]
        self._by_scheme = {
            name: checked_proxy(url, f"{name.upper()}_PROXY")
            for name in _VARIABLES
            if (url := found.get(name))
        }


class _Exception(NamedTuple):
    """One entry of `NO_PROXY`: a network, or a host and its subdomains (only those after a dot)."""

    scheme: str | None
    host: str
    port: int | None
    network: IPv4Network | IPv6Network | None

    def covers(self, url: httpx2.URL) -> bool:
        """Whether a request goes there."""
        if self.scheme not in (None, "all", url.scheme):
            return False
        if self.port not in (None, url.port or _DEFAULT_PORTS.get(url.scheme)):
            return False
        if self.network is not None:
            return _is_within(url.host, self.network)
        if self.host.startswith("."):
            return url.host.endswith(self.host)
        return url.host == self.host or url.host.endswith(f".{self.host}")


def _exception(name: str) -> _Exception | None:
    match = _EXCEPTION.fullmatch(name)
    if match is None:
        return None
    host = match["host"].strip("[]")
    port = match["port"]
    return _Exception(match["scheme"], host, int(port) if port else None, _network(host))


def _network(host: str) -> IPv4Network | IPv6Network | None:
    from ipaddress import ip_network

    try:
        return ip_network(host, strict=False)
    except ValueError:
        return None


def _is_within(host: str, network: IPv4Network | IPv6Network) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host) in network
    except ValueError:
        return False


def checked_proxy(proxy: str, field: str) -> str:
    """Return the URL of a proxy, with its scheme.

    Args:
        proxy: A URL, or a host and port.
        field: Where it was set, for the message.

    Raises:
        ConfigurationError: The URL has no host or a scheme that is not spoken. Its password is
            never shown.
    """
    url = proxy if "://" in proxy else f"http://{proxy}"
    scheme, host = _scheme_and_host(url)
    if scheme not in _SCHEMES or not host:
        _refuse(
            f"{field}: got {safe_url(url)!r}; pass a URL such as http://host:3128, with one of the "
            f"schemes {', '.join(_SCHEMES)}"
        )
    if scheme.startswith("socks") and find_spec("socksio") is None:
        _refuse(f"{field}: SOCKS proxies need the package socksio; run `pip install socksio`")
    return url


def _scheme_and_host(url: str) -> tuple[str, str | None]:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is no number raises
    except ValueError:
        return "", None
    return parts.scheme.lower(), parts.hostname


def _refuse(message: str) -> NoReturn:
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(message)
