"""Write langchain_tamma_openai/data/genai_openai.json: OpenAI's prices as genai-prices has them.

    python scripts/genai_snapshot.py           # writes the file, of the installed genai-prices
    python scripts/genai_snapshot.py --check   # exits 1 when the file is not what it would write

Refuses what the reader of the file (`pricing_snapshot.py`) does not know.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import genai_prices
from genai_prices import types
from genai_prices.data import providers

from langchain_tamma_openai.pricing_genai import PRICE_NAMES

FILE: Final = Path(__file__).parent.parent / "langchain_tamma_openai" / "data" / "genai_openai.json"
Json = dict[str, Any]


def snapshot() -> Json:
    """Describe the bundled prices of OpenAI's models."""
    openai = next(provider for provider in providers if provider.id == "openai")
    if openai.fallback_model_providers:
        raise NotImplementedError("OpenAI's models are looked up at other providers too")
    return {
        "source": "genai-prices (https://github.com/pydantic/genai-prices), MIT licence",
        "version": genai_prices.__version__,
        "models": [_model(model) for model in openai.models],
    }


def text() -> str:
    """Write the snapshot, one model a line."""
    whole = snapshot()
    models = ",\n".join(json.dumps(model, separators=(",", ":")) for model in whole.pop("models"))
    head = json.dumps(whole, indent=1).removesuffix("\n}")
    return f'{head},\n "models": [\n{models}\n]\n}}\n'


def _model(model: types.ModelInfo) -> Json:
    given = model.prices if isinstance(model.prices, list) else [model.prices]
    return {
        "id": model.id,
        "match": _rule(model.match),
        "prices": [_dated(price) for price in given],
        "variants": [
            {
                "when": dict(variant.when),
                "since": _since(variant.constraint),
                "prices": _prices(variant.prices),
            }
            for variant in model.price_variants or ()
        ],
    }


def _dated(price: types.ModelPrice | types.ConditionalPrice) -> Json:
    if isinstance(price, types.ModelPrice):
        return {"since": None, "prices": _prices(price)}
    return {"since": _since(price.constraint), "prices": _prices(price.prices)}


def _since(constraint: object) -> str | None:
    if constraint is None:
        return None
    if isinstance(constraint, types.StartDateConstraint):
        return constraint.start_date.isoformat()
    raise NotImplementedError(f"prices under {constraint!r}")


def _prices(prices: types.ModelPrice) -> Json:
    found = {name: getattr(prices, name) for name in PRICE_NAMES}
    return {name: _price(value) for name, value in found.items() if value is not None}


def _price(price: Decimal | types.TieredPrices) -> str | Json:
    if isinstance(price, Decimal):
        return str(price)
    tiers = [[tier.start, str(tier.price)] for tier in price.tiers]
    return {"base": str(price.base), "tiers": tiers}


def _rule(match: object) -> list[Any]:
    if isinstance(match, types.ClauseRegex):
        return ["regex", match.regex]
    if isinstance(match, types.ClauseOr):
        return ["or", [_rule(each) for each in match.or_]]
    if isinstance(match, types.ClauseAnd):
        return ["and", [_rule(each) for each in match.and_]]
    for kind in ("equals", "starts_with", "ends_with", "contains"):
        if (wanted := getattr(match, kind, None)) is not None:
            return [kind, str(wanted).lower()]
    raise NotImplementedError(f"names that match {match!r}")


def main() -> int:
    """Write the file, or check it."""
    current = text()
    if sys.argv[1:] == ["--check"]:
        is_current = FILE.read_text(encoding="utf-8") == current
        print("current" if is_current else f"{FILE.name} is not current: run {sys.argv[0]}")
        return 0 if is_current else 1
    FILE.write_text(current, encoding="utf-8")
    print(f"written: {FILE.name}, genai-prices {genai_prices.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
