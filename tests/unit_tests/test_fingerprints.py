"""Plain data is named by its content."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai.fingerprints import fingerprint

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN, PLAIN)
def test_only_the_same_json_has_the_same_name(left: object, right: object) -> None:
    same_name = fingerprint(left) == fingerprint(right)
    assert same_name == (json.dumps(left) == json.dumps(right))


@given(PLAIN)
def test_an_equal_value_made_anew_has_the_same_name(value: object) -> None:
    assert fingerprint(json.loads(json.dumps(value))) == fingerprint(value) is not None


def test_what_is_no_plain_data_has_no_name() -> None:
    deep: list[object] = []
    deep.append(deep)
    assert fingerprint({"x": object()}) is None
    assert fingerprint(deep) is None
