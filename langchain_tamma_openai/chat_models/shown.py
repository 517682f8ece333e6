"""How a model looks in a notebook: what was chosen for it, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_tamma_openai.chat_models.settings import base_url
from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.notebook import fields_html

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI


def model_html(model: ChatTammaOpenAI, chosen: Mapping[str | None, object]) -> str:
    """Show a model as a table.

    Args:
        model: The model.
        chosen: What was chosen for it, without secrets.
    """
    from langchain_tamma_openai.models import ModelCatalog

    info = ModelCatalog().get(model.model_name)
    root = base_url(model)
    about = {
        "server": "OpenAI" if root is None else safe_url(root),
        "price": _price(model),
        "context window": info.context_window_tokens and f"{info.context_window_tokens:,} tokens",
        "shutdown": info.shutdown_date,
    }
    known = {name: value for name, value in about.items() if value is not None}
    options = {str(name): value for name, value in chosen.items()}
    return fields_html(f"{type(model).__name__}: {model.model_name}", {**options, **known})


def _price(model: ChatTammaOpenAI) -> str:
    from langchain_tamma_openai.pricing import CostCalculator
    from langchain_tamma_openai.pricing_cost import plain_decimal

    sheet = CostCalculator(model.price_overrides).prices(model.model_name)
    prices = None if sheet is None else sheet.for_input(0)
    if prices is None:
        return "unknown"
    given, made = (
        plain_decimal(prices.input_usd_per_mtok),
        plain_decimal(prices.output_usd_per_mtok),
    )
    return f"${given} in, ${made} out, per million tokens"
