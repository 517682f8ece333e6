"""What follows from where a request goes: the default policy, the name of the output limit."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_tamma_openai.parameters.problems import Api, ParameterPolicy

_OPENAI_HOST = "api.openai.com"
_LIMIT_NAMES = ("max_output_tokens", "max_completion_tokens", "max_tokens")


def is_openai(base_url: str | None) -> bool:
    """Whether a base URL is OpenAI's own, regional ones included; None is its default."""
    if not base_url:
        return True
    try:
        host = urlsplit(str(base_url)).hostname or ""
    except ValueError:
        return False
    return host == _OPENAI_HOST or host.endswith(f".{_OPENAI_HOST}")


def default_policy(base_url: str | None) -> ParameterPolicy:
    """Choose a policy where the user chose none.

    Args:
        base_url: Root of the API; None for OpenAI's own.

    Returns:
        `"adjust"` for OpenAI's own servers, `"off"` for any other: what they take is not ours to
        judge.
    """
    return "adjust" if is_openai(base_url) else "off"


def output_limit_name(model: str, api: Api, base_url: str | None = None) -> str:
    """Name the parameter that limits the tokens of an answer.

    Args:
        model: Any model id.
        api: The API that carries the call.
        base_url: Root of the API; None for OpenAI's own.

    Returns:
        `max_output_tokens` on the Responses API. On Chat Completions `max_completion_tokens`,
        which every model of OpenAI takes; on other servers `max_tokens`, the name that all of
        them know, unless the model is one of OpenAI's that refuse it.
    """
    if api == "responses":
        return "max_output_tokens"
    if is_openai(base_url):
        return "max_completion_tokens"
    from langchain_tamma_openai.models import ModelCatalog

    info = ModelCatalog().get(model)
    return info.output_limit_parameter or "max_tokens"


def with_output_limit_name(
    params: Mapping[str, object], model: str, api: Api, base_url: str | None = None
) -> dict[str, object]:
    """Copy parameters with the output limit under the name that the API and the model want.

    Args:
        params: Parameters with the limit under any of its three names. Where several are given,
            the most specific one counts: `max_output_tokens`, then `max_completion_tokens`.
        model: Any model id.
        api: The API that carries the call.
        base_url: Root of the API; None for OpenAI's own.
    """
    given = [params[name] for name in _LIMIT_NAMES if params.get(name) is not None]
    rest = {name: value for name, value in params.items() if name not in _LIMIT_NAMES}
    return {**rest, output_limit_name(model, api, base_url): given[0]} if given else rest
