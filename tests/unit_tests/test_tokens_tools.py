"""Tools: counts that the API itself gave, and a second rendering of the same rules.

The API's counts come from the tests of hmarr/openai-chat-tokens, of its fork by coderabbitai and of
pamelafox/openai-messages-token-helper, which were run against gpt-3.5-turbo.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_tamma_openai.tokens import TokenCounter

Json = dict[str, Any]
COUNTER = TokenCounter()
MODEL = "gpt-3.5-turbo"
STRING: Json = {"type": "string"}
BOT: Json = {"role": "system", "content": "You are a bot."}
HELLO: list[Json] = [{"role": "user", "content": "hello"}]
GREETING: list[Json] = [
    {"role": "system", "content": "Hello"},
    {"role": "user", "content": "Hi there"},
]


def obj(properties: Json, **more: Any) -> Json:
    return {"type": "object", "properties": properties, **more}


def constant(value: str) -> Json:
    return {"type": "string", "const": value}


def function(name: str, properties: Json, required: list[str] | None = None, **more: Any) -> Json:
    schema = obj(properties) if required is None else obj(properties, required=required)
    return {"name": name, "parameters": schema, **more}


def described(text: str, **more: Any) -> Json:
    return {"type": "string", "description": text, **more}


POST = obj({"kind": constant("post"), "text": STRING}, required=["kind", "text"])
USER = obj(
    {"kind": constant("user"), "name": {"type": "string", "enum": ["jane", "suzie", "adam"]}},
    required=["kind", "name"],
)
VARIANTS = [
    obj({"kind": constant("a"), "baz": {"type": "boolean"}}),
    obj({"kind": constant("b"), "qux": {"type": "number"}}),
    obj({"kind": constant("c"), "idk": STRING}),
]


def do_stuff(**properties: Any) -> Json:
    return function("do_stuff", properties)


@pytest.mark.parametrize(
    ("messages", "functions", "choice", "tokens"),
    [
        (HELLO, [function("foo", {})], "none", 32),
        (HELLO, [function("foo", {})], "auto", 31),
        (HELLO, [function("foo", {})], {"name": "foo"}, 36),
        (GREETING, [do_stuff(foo={"anyOf": VARIANTS[:1]})], None, 52),
        (GREETING, [do_stuff(foo={"anyOf": VARIANTS})], None, 80),
        (GREETING, [do_stuff(foo={"anyOf": [constant("a"), {"type": "number"}]})], None, 44),
        (
            [{"role": "system", "content": "Hello:"}, *GREETING],
            [do_stuff(), function("do_other_stuff", {})],
            None,
            49,
        ),
        (
            [{"role": "system", "content": "Hello:"}, *GREETING],
            [do_stuff(), function("do_other_stuff", {})],
            {"name": "do_stuff"},
            55,
        ),
        (
            [
                {"role": "system", "content": "You are an AI assistant trained to foo or bar"},
                {"role": "user", "content": "My name is suzie"},
                {
                    "role": "function",
                    "name": "foo",
                    "content": '{"res":{"kind":"user","name":"suzie"}}',
                },
                {
                    "role": "user",
                    "content": 'I want to post a message with the text "hello world"',
                },
                {
                    "role": "function",
                    "name": "foo",
                    "content": '{"res":{"kind":"post","text":"hello world"}}',
                },
            ],
            [
                function(
                    "foo",
                    {"res": {"anyOf": [POST, USER], "description": "The foo or the bar"}},
                    ["res"],
                    description="Return the foo or the bar",
                )
            ],
            {"name": "foo"},
            158,
        ),
    ],
)
def test_functions_count_as_the_api_counted_them(
    messages: list[Json], functions: list[Json], choice: object, tokens: int
) -> None:
    assert COUNTER.count_messages(messages, MODEL, functions, tool_choice=choice) == tokens


SEARCH_TEXT = "Retrieve sources from the Azure AI Search index"
QUERY_TEXT = "Query string to retrieve documents from azure search eg: 'Health care plan'"
SEARCH = function(
    "search_sources",
    {"search_query": described(QUERY_TEXT)},
    ["search_query"],
    description=SEARCH_TEXT,
)
BARE_SEARCH: Json = {"name": "search_sources", "description": SEARCH_TEXT}
FORCED_SEARCH: Json = {"type": "function", "function": {"name": "search_sources"}}
ORDER = function(
    "summarize_order",
    {
        "product_name": described("Product name ordered by customer"),
        "quantity": {"type": "integer", "description": "Quantity ordered by customer"},
        "unit": described("unit of measurement of the customer order", enum=["meals", "days"]),
    },
    ["product_name", "quantity", "unit"],
    description="Summarize the customer order request",
)
ESCALATION = function(
    "human_escalation",
    {
        "requires_escalation": {
            "type": "boolean",
            "description": "If user is showing signs of frustration or anger in the query. Also if "
            "the user says they want to talk to a real person and not a chat bot.",
        }
    },
    ["requires_escalation"],
    description="Check if user wants to escalate to a human",
)
ADDRESSES = function(
    "get_coordinates",
    {
        "addresses": {
            "type": "array",
            "description": "The mailing addresses to be located",
            "items": STRING,
        }
    },
    ["addresses"],
    description="Get the latitude and longitude of multiple mailing addresses",
)
NULL = function(
    "get_null",
    {"null_value": {"type": "null", "description": "The null value to be returned"}},
    ["null_value"],
    description="Get the null value",
)
NO_TYPE = function(
    "get_no_type",
    {"no_type_value": {"description": "The no type value to be returned"}},
    ["no_type_value"],
    description="Get the no type value",
)


@pytest.mark.parametrize(
    ("definition", "choice", "tokens"),
    [
        (SEARCH, "auto", 66),
        (SEARCH, "none", 67),
        (SEARCH, FORCED_SEARCH, 75),
        (BARE_SEARCH, "auto", 42),
        (BARE_SEARCH, FORCED_SEARCH, 51),
        (ORDER, "none", 86),
        (ESCALATION, "none", 89),
        (ADDRESSES, "none", 59),
        (NULL, "none", 55),
        (NO_TYPE, "none", 59),
    ],
)
def test_tools_count_as_the_api_counted_them(definition: Json, choice: object, tokens: int) -> None:
    tool = {"type": "function", "function": definition}
    assert COUNTER.count_messages([BOT], MODEL, [tool], tool_choice=choice) == tokens


def demonstration(*properties: tuple[str, Json]) -> Json:
    text = "This is the main function description"
    return function("data_demonstration", dict(properties), ["object_1"], description=text)


def inner(**properties: Json) -> tuple[str, Json]:
    return "object_1", obj(properties, description="The object data type as a property")


MOOD: Json = {"type": "string", "enum": ["Happy", "Sad"]}
LOST = described("Description in a second object is lost")


@pytest.mark.parametrize(
    ("definition", "api_tokens"),
    [
        (demonstration(inner(string1=STRING)), 65),
        (demonstration(inner(string_2a=MOOD)), 73),
        (demonstration(inner(string_2a=MOOD, string_2b=LOST)), 89),
        (
            demonstration(
                inner(string_2a=MOOD, string_2b=LOST),
                ("string_1", described("Not required gets a question mark")),
            ),
            103,
        ),
        (demonstration(("integer_enum", {"type": "integer", "enum": [-1, 1]})), 54),
    ],
)
def test_where_the_rendering_is_not_known_to_the_token_it_counts_a_little_more(
    definition: Json, api_tokens: int
) -> None:
    tool = {"type": "function", "function": definition}
    counted = COUNTER.count_messages([BOT], MODEL, [tool], tool_choice="none")
    assert 0 <= counted - api_tokens <= 3


# --- the rules once more, written the other way round ---------------------------------------------


def rendered_type(schema: Json, depth: int) -> str:
    """One type as TypeScript, by the public description of the rules."""
    if "anyOf" in schema:
        return " | ".join(rendered_type(each, depth) for each in schema["anyOf"])
    kind = schema.get("type")
    if "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    if kind == "array":
        return rendered_type(schema["items"], depth) + "[]" if "items" in schema else "any[]"
    if kind == "object":
        return "{\n" + rendered_properties(schema, depth + 2) + "\n}"
    return {"integer": "number", None: "any"}.get(kind, str(kind))


def rendered_properties(schema: Json, depth: int) -> str:
    out = ""
    for name, prop in schema["properties"].items():
        if text := prop.get("description"):
            out += f"{' ' * depth}// {text}\n"
        optional = "" if name in schema.get("required", []) else "?"
        out += f"{' ' * depth}{name}{optional}: {rendered_type(prop, depth)},\n"
    return out.removesuffix("\n")


def rendered_functions(functions: list[Json]) -> str:
    out = "namespace functions {\n\n"
    for each in functions:
        if text := each.get("description"):
            out += f"// {text}\n"
        schema = each.get("parameters") or {}
        if schema.get("properties"):
            body = rendered_properties(schema, 0)
            out += f"type {each['name']} = (_: {{\n{body}\n}}) => any;\n\n"
        else:
            out += f"type {each['name']} = () => any;\n\n"
    return out + "} // namespace functions"


def expected_tokens(messages: list[Json], functions: list[Json], model: str) -> int:
    def count(text: str) -> int:
        return COUNTER.count_text(text, model)

    total = 3
    padding = "\n"
    for message in messages:
        content = message["content"]
        if message["role"] == "system":
            content, padding = content + padding, ""
        total += 3 + count(message["role"]) + count(content)
        total += 1 + count(message["name"]) if message.get("name") else 0
        total -= 2 if message["role"] == "function" else 0
        if call := message.get("function_call"):
            total += 3 + count(call["name"]) + count(call["arguments"])
    total -= 4 if not padding else 0
    return total + 9 + count(rendered_functions(functions))


words = st.text("abc de.,\nü", max_size=20)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
plain = st.sampled_from(
    [{"type": kind} for kind in ("string", "number", "integer", "boolean", "null")]
    + [{"type": "array"}, {}]
)
enums = st.builds(
    lambda values: {"type": "string", "enum": values},
    st.lists(st.from_regex(r"[a-zA-Z ]{1,6}", fullmatch=True), min_size=1, max_size=3),
) | st.builds(
    lambda values: {"type": "integer", "enum": values},
    st.lists(st.integers(-9, 9), min_size=1, max_size=3),
)


def described_or_not(schemas: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    def add(schema: Json, text: str) -> Json:
        return {**schema, "description": text} if text else schema

    return st.builds(add, schemas, words)


def objects(schemas: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    properties = st.dictionaries(names, described_or_not(schemas), max_size=3)
    return st.builds(
        lambda found, some: obj(found, required=sorted(found)[:some]),
        properties,
        st.integers(0, 3),
    )


schemas = st.recursive(
    plain | enums,
    lambda deeper: (
        objects(deeper)
        | st.builds(lambda items: {"type": "array", "items": items}, deeper)
        | st.builds(lambda some: {"anyOf": some}, st.lists(deeper, min_size=1, max_size=3))
    ),
    max_leaves=6,
)
functions = st.lists(
    st.builds(
        lambda name, text, parameters: {
            "name": name,
            **({"description": text} if text else {}),
            **parameters,
        },
        names,
        words,
        st.just({}) | st.builds(lambda found: {"parameters": found}, objects(schemas)),
    ),
    min_size=1,
    max_size=3,
)
messages = st.lists(
    st.builds(
        lambda role, content, name: {"role": role, "content": content, **name},
        st.sampled_from(["system", "user", "assistant"]),
        words,
        st.just({}) | st.builds(lambda name: {"name": name}, names),
    )
    | st.builds(lambda c, n: {"role": "function", "content": c, "name": n}, words, names)
    | st.builds(
        lambda n, a: {
            "role": "assistant",
            "content": "",
            "function_call": {"name": n, "arguments": a},
        },
        names,
        words,
    ),
    max_size=4,
)


@pytest.mark.parametrize("model", [MODEL, "gpt-4o"])
@settings(deadline=None, max_examples=150)
@given(conversation=messages, definitions=functions)
def test_tools_of_every_shape_count_by_the_public_rules(
    model: str, conversation: list[Json], definitions: list[Json]
) -> None:
    expected = expected_tokens(conversation, definitions, model)
    tools = [{"type": "function", "function": each} for each in definitions]
    assert COUNTER.count_messages(conversation, model, tools) == expected
    assert COUNTER.count_messages(conversation, model, definitions) == expected
