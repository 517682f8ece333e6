"""What those who keep count of an account call it; never the key itself."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.quota import QuotaKey

_NO_ACCOUNT = "no-account"


class Account(NamedTuple):
    """An account by name.

    Attributes:
        limits: First part of the names of its rate limits; the model follows.
        quota: Whose quota it uses; None where the key is not known.
    """

    limits: str
    quota: QuotaKey | None


@lru_cache(maxsize=256)
def account_of(key: SecretStr | None, root: str | None) -> Account:
    """Name an account, once for each.

    Args:
        key: Its API key; None where it is not known.
        root: Root of the API; None for OpenAI's own.
    """
    from langchain_tamma_openai.checks import safe_url
    from langchain_tamma_openai.keys import hash_api_key
    from langchain_tamma_openai.resilience.quota import QuotaKey

    name = _NO_ACCOUNT if key is None else hash_api_key(key)
    where = "openai" if root is None else safe_url(root)
    return Account(f"{where}|{name}|", None if key is None else QuotaKey(name, root))


def account_here(
    known: dict[str | None, tuple[object, Account]], key: object, root: str | None
) -> Account:
    """Name an account; the same key is the same object nearly always.

    Args:
        known: Accounts that were named before, with their keys, by root.
        key: Its API key, or what gives one.
        root: Root of the API; None for OpenAI's own.
    """
    found = known.get(root)
    if found is None or found[0] is not key:
        account = account_of(key if isinstance(key, SecretStr) else None, root)
        found = known[root] = key, account
    return found[1]
