"""The bytes of a body are those of the SDK's writer, whatever is large in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai._utils._json import openapi_dumps

from langchain_tamma_openai.transport import json_body
from langchain_tamma_openai.transport.json_body import written

TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]), st.sampled_from('"\\/\n\x00\x1f\x7f\u2028')
    ),
    max_size=20,
)
SCALARS = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"role": TEXTS, "content": VALUES}),
        st.fixed_dictionaries({"type": TEXTS, "output": VALUES, "content": VALUES}),
        VALUES,
    ),
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(["messages", "input"]), messages=MESSAGES, other=VALUES)
def test_the_same_bytes(name: str, messages: Any, other: Any) -> None:
    body = {"model": "m", name: messages, "other": other}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_body, "LARGE_CHARS", 3)
        assert written(body, openapi_dumps) == openapi_dumps(body)


def test_a_large_image_and_a_large_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A/+=" * 50_000}}
    body = {
        "messages": [
            {"role": "system", "content": "short"},
            {"role": "user", "content": [{"type": "text", "text": 'ü"\n' * 20_000}, image, image]},
            {"role": "tool", "content": "long " * 20_000},
        ],
        "temperature": 1e16,
    }
    before = openapi_dumps(body)
    assert written(body, openapi_dumps) == before
    assert openapi_dumps(body) == before


@pytest.mark.parametrize("bad", [object(), float("nan"), "\ud800" * 40_000, b"bytes"])
def test_what_has_no_form(bad: object) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "a" * 40_000}, bad]}]}
    with pytest.raises((TypeError, ValueError)):
        written(body, openapi_dumps)
