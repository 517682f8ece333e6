"""The configuration reference says what the code says."""

from __future__ import annotations

import configuration_reference as reference
import pytest

import langchain_tamma_openai as package
from langchain_tamma_openai.chat_models.fields import ChatFields


def test_page_is_current() -> None:
    written = reference.PAGE.read_text(encoding="utf-8")
    assert written == reference.page(), "run scripts/configuration_reference.py"


def test_every_field_of_the_model_is_on_the_page() -> None:
    written = reference.PAGE.read_text(encoding="utf-8")
    assert [name for name in ChatFields.model_fields if f"`{name}`" not in written] == []


@pytest.mark.parametrize("name", reference.ARGUMENTS)
def test_every_argument_is_described(name: str) -> None:
    rows = reference._argument_section(name).splitlines()
    assert hasattr(package, name)
    assert [row for row in rows if row.endswith("|  |")] == []
