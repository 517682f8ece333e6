"""What a call asks of its model's governors.

Loaded with the first call of a model that has any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from langchain_tamma_openai.chat_models.accounts import account_here
from langchain_tamma_openai.chat_models.observing import calculator, is_regional
from langchain_tamma_openai.chat_models.run_link import labels_of
from langchain_tamma_openai.chat_models.sizing import rough_tokens
from langchain_tamma_openai.resilience.governors import Governors, Need, Passage

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.chat_models.run_link import RunLink
    from langchain_tamma_openai.pricing_estimate import UpperBound
    from langchain_tamma_openai.resilience.deadline import Deadline


def passage_of(
    model: ChatTammaOpenAI,
    call: Call,
    deadline: Deadline,
    link: RunLink | None,
    root: str | None,
) -> Passage:
    """Prepare to ask for leave to send one request.

    Args:
        model: Sends it, and has governors.
        call: What is sent.
        deadline: When it has to be over.
        link: Ties its run to its callbacks.
        root: Root of the API; None for OpenAI's own.
    """
    governors: Governors = model._governors
    name = call.model
    account = account_here(governors.accounts, model.openai_api_key, root)
    upper_usd, upper_tokens = None, None
    labels: Mapping[str, object] = {}
    if governors.treasury is not None:
        upper_usd, upper_tokens, _ = upper_bound(model, call, root)
        labels = labels_of(call, link) if governors.is_scoped else {"model": name}
    need = Need(
        name,
        root,
        account.limits + name,
        account.quota,
        0 if governors.limiter is None else rough_tokens(call.payload),
        upper_usd,
        upper_tokens,
        labels,
        deadline.left_s,
    )
    return Passage(governors, need)


def upper_bound(model: ChatTammaOpenAI, call: Call, root: str | None) -> UpperBound:
    """Give the most that a call can use.

    Args:
        model: Sends it, at its own prices.
        call: What is sent.
        root: Root of the API; None for OpenAI's own.
    """
    return calculator(model.price_overrides).upper_bound(
        call.payload, call.model, regional=root is not None and is_regional(root)
    )
