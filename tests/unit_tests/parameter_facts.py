"""What each current model takes, written down independently of the catalogue.

By OpenAI's model pages and guides as of 2026-11-22: context and output limits, efforts, sampling
parameters, tools on Chat Completions. None means that no source says.
"""

from __future__ import annotations

from typing import Any, NamedTuple

ALWAYS, QUIET, NEVER = "always", "with_effort_none", "never"

OLD = ("low", "medium", "high")
GPT_5 = ("minimal", *OLD)
GPT_5_1 = ("none", *OLD)
UP_TO_XHIGH = ("none", *OLD, "xhigh")
UP_TO_MAX = (*UP_TO_XHIGH, "max")
DEEP = (*OLD, "xhigh", "max")
PRO = ("medium", "high", "xhigh")


class Facts(NamedTuple):
    """One line of the table."""

    window: int
    max_output: int
    efforts: tuple[str, ...] | None
    default_effort: str | None
    sampling: str | None
    tools_on_chat: str | None
    stop: bool | None = False
    verbosity: bool | None = True
    parallel_calls: bool | None = True
    cache_options: bool = False
    responses_only: bool = False
    images: bool = True
    audio: bool = False
    limit: str = "max_completion_tokens"
    retentions: tuple[str, ...] | None = None


CHAT: dict[str, Any] = {"stop": True, "verbosity": False, "limit": "max_tokens"}
NEW: dict[str, Any] = {"cache_options": True, "retentions": ("24h",)}
ONLY: dict[str, Any] = {"responses_only": True}

FACTS: dict[str, Facts] = {
    "gpt-6.2-astra": Facts(1_050_000, 128_000, DEEP, None, NEVER, NEVER, **NEW),
    "gpt-6.2-sol": Facts(1_050_000, 128_000, DEEP, None, NEVER, NEVER, **NEW),
    "gpt-6.1-sol": Facts(1_050_000, 128_000, DEEP, None, NEVER, NEVER, **NEW),
    "gpt-6.1-terra": Facts(1_050_000, 128_000, None, None, None, None, **NEW),
    "gpt-6-astra": Facts(1_050_000, 128_000, DEEP, None, NEVER, NEVER, **NEW),
    "gpt-6-sol": Facts(1_050_000, 128_000, UP_TO_MAX, "medium", QUIET, QUIET, **NEW),
    "gpt-6-luna": Facts(1_050_000, 128_000, UP_TO_MAX, "medium", QUIET, QUIET, **NEW),
    "gpt-5.6": Facts(1_050_000, 128_000, UP_TO_MAX, "medium", QUIET, QUIET, **NEW),
    "gpt-5.6-sol": Facts(1_050_000, 128_000, UP_TO_MAX, "medium", QUIET, QUIET, **NEW),
    "gpt-5.6-terra": Facts(1_050_000, 128_000, UP_TO_MAX, "medium", QUIET, QUIET, **NEW),
    "gpt-5.6-luna": Facts(1_050_000, 128_000, UP_TO_MAX, "medium", QUIET, QUIET, **NEW),
    "gpt-daybreak-blue-latest": Facts(1_050_000, 128_000, None, None, None, None, **NEW),
    "gpt-daybreak-red-latest": Facts(400_000, 128_000, None, None, None, None, **NEW),
    "gpt-5.5": Facts(1_050_000, 128_000, UP_TO_XHIGH, "medium", NEVER, QUIET, retentions=("24h",)),
    "gpt-5.5-pro": Facts(
        1_050_000, 128_000, PRO, "medium", NEVER, NEVER, retentions=("24h",), **ONLY
    ),
    "gpt-5.4": Facts(1_050_000, 128_000, UP_TO_XHIGH, "none", QUIET, QUIET),
    "gpt-5.4-pro": Facts(1_050_000, 128_000, PRO, None, NEVER, NEVER, **ONLY),
    "gpt-5.4-mini": Facts(400_000, 128_000, UP_TO_XHIGH, "none", QUIET, QUIET),
    "gpt-5.4-nano": Facts(400_000, 128_000, UP_TO_XHIGH, "none", QUIET, QUIET),
    "gpt-5.3-codex": Facts(
        400_000, 128_000, (*OLD, "xhigh"), None, QUIET, NEVER, verbosity=None, **ONLY
    ),
    "gpt-5.3-codex-spark": Facts(
        128_000, 32_000, (*OLD, "xhigh"), None, QUIET, NEVER, verbosity=None, **ONLY
    ),
    "gpt-5.2": Facts(400_000, 128_000, UP_TO_XHIGH, "none", QUIET, ALWAYS),
    "gpt-5.2-pro": Facts(400_000, 128_000, PRO, None, NEVER, NEVER, **ONLY),
    "gpt-5.1": Facts(400_000, 128_000, GPT_5_1, "none", QUIET, ALWAYS),
    "gpt-5": Facts(400_000, 128_000, GPT_5, "medium", NEVER, ALWAYS),
    "gpt-5-mini": Facts(400_000, 128_000, GPT_5, "medium", NEVER, ALWAYS),
    "gpt-5-nano": Facts(400_000, 128_000, GPT_5, "medium", NEVER, ALWAYS),
    "gpt-5-pro": Facts(400_000, 272_000, ("high",), "high", NEVER, NEVER, **ONLY),
    "chat-latest": Facts(400_000, 128_000, None, None, None, None, stop=None, verbosity=None),
    "gpt-4.1": Facts(1_047_576, 32_768, (), None, ALWAYS, ALWAYS, **CHAT),
    "gpt-4.1-mini": Facts(1_047_576, 32_768, (), None, ALWAYS, ALWAYS, **CHAT),
    "gpt-4o": Facts(128_000, 16_384, (), None, ALWAYS, ALWAYS, **CHAT),
    "gpt-4o-2024-08-06": Facts(128_000, 16_384, (), None, ALWAYS, ALWAYS, **CHAT),
    "gpt-4o-2024-11-20": Facts(128_000, 16_384, (), None, ALWAYS, ALWAYS, **CHAT),
    "gpt-4o-mini": Facts(128_000, 16_384, (), None, ALWAYS, ALWAYS, **CHAT),
    "gpt-audio": Facts(128_000, 16_384, (), None, ALWAYS, ALWAYS, images=False, audio=True, **CHAT),
    "gpt-audio-1.5": Facts(
        128_000, 16_384, (), None, ALWAYS, ALWAYS, images=False, audio=True, **CHAT
    ),
    "gpt-audio-mini": Facts(
        128_000, 16_384, (), None, ALWAYS, ALWAYS, images=False, audio=True, **CHAT
    ),
    "o3": Facts(
        200_000, 100_000, OLD, "medium", NEVER, ALWAYS, verbosity=False, parallel_calls=False
    ),
    "o3-pro": Facts(
        200_000,
        100_000,
        OLD,
        "medium",
        NEVER,
        NEVER,
        verbosity=False,
        parallel_calls=False,
        responses_only=True,
    ),
    "gpt-oss-120b": Facts(
        131_072,
        131_072,
        OLD,
        "medium",
        ALWAYS,
        ALWAYS,
        images=False,
        parallel_calls=None,
        **CHAT,
    ),
    "gpt-oss-20b": Facts(
        131_072,
        131_072,
        OLD,
        "medium",
        ALWAYS,
        ALWAYS,
        images=False,
        parallel_calls=None,
        **CHAT,
    ),
}
