"""Requests that OpenAI answers with a 400 (or a 404), and where the fault lies.

Sources: OpenAI's error messages as they are reported by users, the limits of the API reference
(openai-python 3.54.0), and the rules per model that the catalogue is tested against.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FLAT_TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOLD = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
ITEM = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "done"}


def chat(model: str = "gpt-4.1", messages: Any = None, **params: Any) -> Json:
    return {"model": model, "messages": HI if messages is None else messages, **params}


def responses(model: str = "gpt-6-luna", items: Any = None, **params: Any) -> Json:
    return {"model": model, "input": HI if items is None else items, **params}


def saying(*parts: Json, model: str = "gpt-4.1", role: str = "user") -> Json:
    return chat(model, [{"role": role, "content": list(parts)}])


def image(url: str, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **more}}


BAD: dict[str, tuple[Json, str]] = {
    # --- messages ---
    "no messages": (chat(messages=[]), "messages"),
    "no input": ({"model": "gpt-6-luna", "input": []}, "input"),
    "no model": ({"messages": HI}, "model"),
    "result without call": (chat(messages=[*HI, TOLD]), "messages[1]"),
    "result first": (chat(messages=[TOLD, *HI]), "messages[0]"),
    "call without result": (chat(messages=[*HI, ASKED, *HI]), "messages[1]"),
    "call at the end": (chat(messages=[*HI, ASKED]), "messages[1]"),
    "result too late": (chat(messages=[*HI, ASKED, *HI, TOLD]), "messages[3]"),
    "one of two results": (
        chat(messages=[{**ASKED, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}, TOLD, *HI]),
        "messages[0]",
    ),
    "call item without output": (responses(items=[*HI, ITEM]), "input[1]"),
    "output item without call": (responses(items=[*HI, OUTPUT]), "input[1]"),
    "unknown role": (chat(messages=[{"role": "narrator", "content": "x"}]), "messages[0]"),
    "no content": (chat(messages=[{"role": "user", "content": None}]), "messages[0]"),
    "no parts": (chat(messages=[{"role": "user", "content": []}]), "messages[0]"),
    "a name with a space": (
        chat(messages=[{"role": "user", "content": "Hi", "name": "Ann Lee"}]),
        "messages[0].name",
    ),
    "a tool name with a dot": (
        chat(messages=[{**ASKED, "tool_calls": [{**CALL, "function": {"name": "a.b"}}]}, TOLD]),
        "messages[0].tool_calls[0].function.name",
    ),
    "a call id of 41 characters": (
        chat(
            messages=[
                {**ASKED, "tool_calls": [{**CALL, "id": "x" * 41}]},
                {**TOLD, "tool_call_id": "x" * 41},
            ]
        ),
        "messages[0].tool_calls[0].id",
    ),
    "a call id of 65 characters": (
        responses(items=[{**ITEM, "call_id": "x" * 65}, {**OUTPUT, "call_id": "x" * 65}]),
        "input[0].call_id",
    ),
    "image for a model without sight": (
        saying(image("https://example.com/a.png"), model="gpt-4"),
        "messages[0]",
    ),
    "audio for a model without hearing": (
        saying(
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            model="gpt-6-luna",
        ),
        "messages[0]",
    ),
    "file for a model without files": (
        saying({"type": "file", "file": {"file_id": "file-1"}}, model="gpt-3.5-turbo"),
        "messages[0]",
    ),
    "a local image": (saying(image("file:///tmp/a.png")), "messages[0].content[0]"),
    "an image path": (saying(image("a.png")), "messages[0].content[0]"),
    "a bitmap": (saying(image("data:image/bmp;base64,AAAA")), "messages[0].content[0]"),
    "a PDF as an image": (
        saying(image("data:application/pdf;base64,AAAA")),
        "messages[0].content[0]",
    ),
    "an unknown detail": (
        saying(image("https://example.com/a.png", detail="medium")),
        "messages[0].content[0]",
    ),
    "an image in a system message": (
        saying(image("https://example.com/a.png"), role="system"),
        "messages[0].content[0]",
    ),
    "a part of the other API": (
        saying({"type": "input_text", "text": "Hi"}),
        "messages[0].content[0]",
    ),
    "a file without content": (saying({"type": "file", "file": {}}), "messages[0].content[0]"),
    "audio as ogg": (
        saying(
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "ogg"}},
            model="gpt-audio",
        ),
        "messages[0].content[0]",
    ),
    "more than the context window": (
        chat("gpt-4", [{"role": "user", "content": "word " * 9_000}]),
        "messages",
    ),
    "input and output over the window": (
        chat("gpt-3.5-turbo", [{"role": "user", "content": "word " * 14_000}], max_tokens=4_000),
        "messages",
    ),
    # --- ranges and types ---
    "temperature 2.5": (chat(temperature=2.5), "temperature"),
    "temperature below 0": (chat(temperature=-0.1), "temperature"),
    "temperature as text": (chat(temperature="hot"), "temperature"),
    "temperature NaN": (chat(temperature=float("nan")), "temperature"),
    "top_p 1.5": (chat(top_p=1.5), "top_p"),
    "presence_penalty 3": (chat(presence_penalty=3), "presence_penalty"),
    "frequency_penalty -3": (chat(frequency_penalty=-3), "frequency_penalty"),
    "five stops": (chat(stop=["a", "b", "c", "d", "e"]), "stop"),
    "stop of numbers": (chat(stop=[1]), "stop"),
    "logit bias 101": (chat(logit_bias={"1": 101}), "logit_bias"),
    "logit bias by word": (chat(logit_bias={"hello": 1}), "logit_bias"),
    "n 0": (chat(n=0), "n"),
    "n 129": (chat(n=129), "n"),
    "seed as a fraction": (chat(seed=1.5), "seed"),
    "top_logprobs 21": (chat(logprobs=True, top_logprobs=21), "top_logprobs"),
    "top_logprobs alone": (chat(top_logprobs=3), "top_logprobs"),
    "max_tokens 0": (chat(max_tokens=0), "max_tokens"),
    "max_tokens over the model's": (chat("gpt-4o", max_tokens=20_000), "max_tokens"),
    "max_completion_tokens over the model's": (
        chat("gpt-6-luna", max_completion_tokens=200_000),
        "max_completion_tokens",
    ),
    "max_output_tokens 5": (responses(max_output_tokens=5), "max_output_tokens"),
    "17 entries of metadata": (chat(metadata={str(k): "v" for k in range(17)}), "metadata"),
    "a long key of metadata": (chat(metadata={"k" * 65: "v"}), "metadata"),
    "a long value of metadata": (responses(metadata={"k": "v" * 513}), "metadata"),
    "a number in metadata": (responses(metadata={"k": 1}), "metadata"),
    "a long user": (responses(user="u" * 65), "user"),
    "a long safety identifier": (chat(safety_identifier="s" * 129), "safety_identifier"),
    "a long cache key": (chat(prompt_cache_key="k" * 65), "prompt_cache_key"),
    "an unknown service tier": (chat(service_tier="premium"), "service_tier"),
    "ultrafast on Chat Completions": (chat(service_tier="ultrafast"), "service_tier"),
    "an unknown verbosity": (chat("gpt-6-luna", verbosity="tiny"), "verbosity"),
    "an unknown truncation": (responses(truncation="middle"), "truncation"),
    "a misspelt parameter": (chat(temprature=0.5), "temprature"),
    # --- models ---
    "temperature while reasoning": (chat("gpt-5", temperature=0.2), "temperature"),
    "temperature for o3": (chat("o3", temperature=0.2), "temperature"),
    "temperature at the default effort": (responses(temperature=0.2), "temperature"),
    "temperature never": (responses("gpt-6.2-sol", temperature=0.2), "temperature"),
    "top_p while reasoning": (chat("gpt-5-mini", top_p=0.5), "top_p"),
    "penalty while reasoning": (chat("gpt-5-mini", presence_penalty=0.5), "presence_penalty"),
    "logprobs while reasoning": (chat("o3", logprobs=True), "logprobs"),
    "logit bias while reasoning": (chat("gpt-5", logit_bias={"1": 1}), "logit_bias"),
    "logprobs by include": (
        responses("gpt-6-astra", include=["message.output_text.logprobs"]),
        "include",
    ),
    "stop for o3": (chat("o3", stop=["x"]), "stop"),
    "stop for gpt-5.4": (chat("gpt-5.4", stop="x"), "stop"),
    "max_tokens for o3": (chat("o3", max_tokens=100), "max_tokens"),
    "both limits": (chat(max_tokens=10, max_completion_tokens=10), "max_tokens"),
    "effort for gpt-4o": (chat("gpt-4o", reasoning_effort="low"), "reasoning_effort"),
    "effort minimal for gpt-5.1": (chat("gpt-5.1", reasoning_effort="minimal"), "reasoning_effort"),
    "effort none for gpt-5": (chat("gpt-5", reasoning_effort="none"), "reasoning_effort"),
    "effort none for gpt-6-astra": (
        responses("gpt-6-astra", reasoning={"effort": "none"}),
        "reasoning.effort",
    ),
    "effort xhigh for o3": (responses("o3", reasoning={"effort": "xhigh"}), "reasoning.effort"),
    "effort max for gpt-5.4": (chat("gpt-5.4", reasoning_effort="max"), "reasoning_effort"),
    "verbosity for gpt-4o": (responses("gpt-4o", text={"verbosity": "low"}), "text.verbosity"),
    "parallel calls for o3": (
        chat("o3", tools=[TOOL], parallel_tool_calls=False),
        "parallel_tool_calls",
    ),
    "cache options for gpt-4.1": (
        chat(prompt_cache_options={"mode": "explicit"}),
        "prompt_cache_options.mode",
    ),
    "12h cache on Chat Completions": (
        chat("gpt-6-luna", prompt_cache_options={"ttl": "12h"}),
        "prompt_cache_options.ttl",
    ),
    "in_memory for gpt-5.5": (
        chat("gpt-5.5", prompt_cache_retention="in_memory"),
        "prompt_cache_retention",
    ),
    "a pro model on Chat Completions": (chat("gpt-5.4-pro"), "model"),
    "a codex model on Chat Completions": (chat("gpt-5.3-codex"), "model"),
    "a model that is shut down": (chat("gpt-4-32k"), "model"),
    "prediction while reasoning": (
        chat("gpt-5", prediction={"type": "content", "content": "x"}),
        "prediction",
    ),
    "speech from gpt-4.1": (
        chat(modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
        "modalities",
    ),
    "speech without a voice": (chat("gpt-audio", modalities=["text", "audio"]), "modalities"),
    "web search on Chat Completions": (chat(web_search_options={}), "web_search_options"),
    # --- tools ---
    "tools while reasoning": (chat("gpt-5.4", tools=[TOOL], reasoning_effort="low"), "reasoning"),
    "tools at the default effort": (chat("gpt-6-luna", tools=[TOOL]), "reasoning"),
    "tools never on Chat Completions": (chat("gpt-6-astra", tools=[TOOL]), "tools"),
    "an empty list of tools": (chat(tools=[]), "tools"),
    "129 tools": (chat(tools=[TOOL] * 129), "tools"),
    "tool_choice alone": (chat(tool_choice="auto"), "tool_choice"),
    "required alone": (responses(tool_choice="required"), "tool_choice"),
    "an unknown choice": (chat(tools=[TOOL], tool_choice="always"), "tool_choice"),
    "a choice of no tool": (
        chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}}),
        "tool_choice",
    ),
    "a flat choice of no tool": (
        responses(tools=[FLAT_TOOL], tool_choice={"type": "function", "name": "g"}),
        "tool_choice",
    ),
    "parallel calls alone": (chat(parallel_tool_calls=False), "parallel_tool_calls"),
    # --- formats, streams, state ---
    "JSON mode without the word": (
        chat(response_format={"type": "json_object"}),
        "response_format",
    ),
    "JSON mode without the word, Responses": (
        responses(text={"format": {"type": "json_object"}}),
        "text.format",
    ),
    "an unknown format": (chat(response_format={"type": "xml"}), "response_format"),
    "a schema without a name": (
        chat(response_format={"type": "json_schema", "json_schema": {"schema": {}}}),
        "response_format.name",
    ),
    "a schema without a schema": (
        chat(response_format={"type": "json_schema", "json_schema": {"name": "n"}}),
        "response_format.schema",
    ),
    "a schema for gpt-4": (
        chat(
            "gpt-4",
            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        ),
        "response_format",
    ),
    "stream options without a stream": (
        chat(stream_options={"include_usage": True}),
        "stream_options",
    ),
    "background without storing": (responses(background=True, store=False), "background"),
    "two histories": (
        responses(previous_response_id="resp_1", conversation="conv_1"),
        "previous_response_id",
    ),
    "a late window in a stream": (
        responses(background=True, stream=True, background_options={"completion_window": "8h"}),
        "background_options",
    ),
    # --- the other API's parameters ---
    "stop on Responses": (responses(stop=["x"]), "stop"),
    "seed on Responses": (responses(seed=1), "seed"),
    "n on Responses": (responses(n=2), "n"),
    "logit bias on Responses": (responses("gpt-4.1", logit_bias={"1": 1}), "logit_bias"),
    "penalty on Responses": (responses("gpt-4.1", presence_penalty=1), "presence_penalty"),
    "max_tokens on Responses": (responses(max_tokens=100), "max_tokens"),
    "response_format on Responses": (
        responses(response_format={"type": "json_object"}),
        "response_format",
    ),
    "reasoning on Chat Completions": (chat("gpt-5", reasoning={"effort": "low"}), "reasoning"),
    "truncation on Chat Completions": (chat(truncation="auto"), "truncation"),
    "previous response on Chat Completions": (
        chat(previous_response_id="resp_1"),
        "previous_response_id",
    ),
}
