"""How many input tokens an image costs, by model.

Two methods exist (https://developers.openai.com/api/docs/guides/images-vision). *Tiles*: the image
is scaled to fit 2048 x 2048, then its shorter side to 768, and every 512 px tile costs the same.
*Patches*: every 32 px patch costs one token, after scaling the image down to a budget that depends
on the model and on `detail`, times a factor for small models.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

from langchain_tamma_openai.tokens_encodings import base_model_name

DETAILS = ("low", "high", "original", "auto")
"""Values of `detail`; not giving one is `auto`."""

_TILE_PX = 512
_TILE_FIT_PX = 2048
_TILE_SHORT_PX = 768
_TILE_MAX_TILES = 8  # 2048 x 768 after scaling
_PATCH_PX = 32
_UNLIMITED_BOUND_PATCHES = 10_000  # no limit is documented; the largest one of any other model
_LEAST_TOKENS = 65  # the cheapest image of any tile model
_LARGEST_FACTOR = Decimal("2.46")  # of any patch model


@dataclass(frozen=True, slots=True)
class ImageTokens:
    """The tokens of one image."""

    tokens: int
    assumption: str | None = None
    """What the number rests on where OpenAI's documents do not say it; `None` when they do."""
    low_tokens: int | None = None
    """The least it can be; the same when `None`."""
    high_tokens: int | None = None
    """The most it can be; the same when `None`."""
    limited: bool = True
    """Whether there is a most; without it only the context window is a limit."""


@dataclass(frozen=True, slots=True)
class _Tiles:
    base: int
    tile: int

    def count(self, width: int, height: int, detail: str) -> ImageTokens:
        if detail == "low":
            return ImageTokens(self.base)
        tokens = self.base + self.tile * _tiles(*_fit_tiles(width, height))
        # Whether a small image is scaled up to 768 px is not documented.
        most = self.base + self.tile * _tiles(*_enlarged(width, height))
        least = self.base if detail == "auto" else tokens
        return ImageTokens(tokens, low_tokens=least, high_tokens=max(tokens, most))

    def bound(self, detail: str) -> ImageTokens:
        tiles = 0 if detail == "low" else _TILE_MAX_TILES
        return ImageTokens(self.base + self.tile * tiles, low_tokens=self.base)


@dataclass(frozen=True, slots=True)
class _Limit:
    """What an image is scaled down to: a number of patches and a longest side."""

    patches: int
    side_px: int


_STANDARD = _Limit(1_536, 2048)
_LARGE = _Limit(2_500, 2048)
_ORIGINAL = _Limit(10_000, 6000)
_LOW = _Limit(256, 512)


@dataclass(frozen=True, slots=True)
class _Patches:
    limits: Mapping[str, _Limit | None]
    factor: Decimal = Decimal(1)

    def count(self, width: int, height: int, detail: str) -> ImageTokens:
        limit = self.limits[detail]
        patches = _patches(width, height) if limit is None else _limited(width, height, limit)
        return self._priced(patches, detail)

    def bound(self, detail: str) -> ImageTokens:
        limit = self.limits[detail]
        patches = _UNLIMITED_BOUND_PATCHES if limit is None else limit.patches
        bound = replace(self._priced(patches, detail), low_tokens=1)
        if limit is not None:
            return bound
        why = "this model does not scale images down: a larger one costs more"
        return replace(bound, assumption=why, limited=False)

    def _priced(self, patches: int, detail: str) -> ImageTokens:
        tokens = math.ceil(patches * self.factor)
        if detail == "low":
            return ImageTokens(tokens, "the size of low detail is not documented for this model")
        rounded = "the rounding of the model's factor is not documented"
        return ImageTokens(tokens, None if self.factor == 1 else rounded)


def _limits(
    high: _Limit, original: _Limit | None, auto: _Limit | None
) -> Mapping[str, _Limit | None]:
    return MappingProxyType({"low": _LOW, "high": high, "original": original, "auto": auto})


_SMALL_LIMITS = _limits(_STANDARD, _STANDARD, _STANDARD)
_MINI = _Patches(_SMALL_LIMITS, Decimal("1.62"))
_NANO = _Patches(_SMALL_LIMITS, Decimal("2.46"))
_GPT_4O = _Tiles(85, 170)
_GPT_5 = _Tiles(70, 140)
_GPT_5_4 = _Patches(_limits(_LARGE, _ORIGINAL, _LARGE))
_GPT_5_5 = _Patches(_limits(_LARGE, _ORIGINAL, _ORIGINAL))
_GPT_5_6 = _Patches(_limits(_LARGE, None, None))

# First match wins. `True` marks an assumption: the model is not in OpenAI's tables.
_RULES: tuple[tuple[str, _Tiles | _Patches, bool], ...] = (
    (r"gpt-4o-mini", _Tiles(2833, 5667), False),
    (r"gpt-4\.1-mini", _MINI, False),
    (r"gpt-4\.1-nano", _NANO, False),
    (r"(chat)?gpt-4o|gpt-4\.[15]", _GPT_4O, False),
    (r"gpt-5(\.4)?-mini", _MINI, False),
    (r"gpt-5(\.4)?-nano", _NANO, False),
    (r"gpt-5(\.\d)?-codex", _Patches(_SMALL_LIMITS), False),
    (r"gpt-5\.2", _Patches(_SMALL_LIMITS), False),
    (r"gpt-5\.3", _Patches(_SMALL_LIMITS), True),
    (r"gpt-5\.4", _GPT_5_4, False),
    (r"gpt-5\.5", _GPT_5_5, False),
    (r"gpt-5\.6", _GPT_5_6, False),
    (r"gpt-5\.\d", _GPT_5, True),
    (r"gpt-5", _GPT_5, False),
    (r"gpt-6(\.\d)?", _GPT_5_6, True),
    (r"chat-latest", _GPT_5_5, True),
    (r"o4-mini", _Patches(_SMALL_LIMITS, Decimal("1.72")), False),
    (r"o1|o3", _Tiles(75, 150), False),
    (r"computer-use-preview", _Tiles(65, 129), False),
)
_COMPILED = tuple((re.compile(rf"({name})(-|$)"), rule, assumed) for name, rule, assumed in _RULES)


def count_image(width_px: int, height_px: int, model: str, detail: str = "auto") -> ImageTokens:
    """Count the tokens of an image of known size.

    Args:
        width_px: Width in pixels, at least 1.
        height_px: Height in pixels, at least 1.
        model: Any model id; unknown ones are counted as gpt-4o and say so.
        detail: One of `DETAILS`.
    """
    rule, assumption = _rule_for(model)
    return _assuming(rule.count(width_px, height_px, detail), assumption)


def image_bound(model: str, detail: str = "auto") -> ImageTokens:
    """Give the most that an image of unknown size can cost.

    Args:
        model: Any model id; unknown ones are counted as gpt-4o and say so.
        detail: One of `DETAILS`.
    """
    rule, assumption = _rule_for(model)
    return _assuming(rule.bound(detail), assumption)


def _assuming(image: ImageTokens, assumption: str | None) -> ImageTokens:
    """Widen what is known of an image to what an assumed rule may miss."""
    if assumption is None:
        return image
    most = image.tokens if image.high_tokens is None else image.high_tokens
    return replace(
        image,
        assumption=assumption,
        low_tokens=min(_LEAST_TOKENS, image.tokens),
        high_tokens=math.ceil(most * _LARGEST_FACTOR),
    )


def _rule_for(model: str) -> tuple[_Tiles | _Patches, str | None]:
    name = base_model_name(model)
    for pattern, rule, assumed in _COMPILED:
        if pattern.match(name):
            return rule, f"image tokens of {model} are not documented" if assumed else None
    return _GPT_4O, f"image tokens of {model} are unknown: counted as for gpt-4o"


def _fit_tiles(width: int, height: int) -> tuple[int, int]:
    """Scale down to fit 2048 x 2048, then to a shorter side of 768; never up."""
    longest = max(width, height)
    if longest > _TILE_FIT_PX:
        width, height = width * _TILE_FIT_PX // longest, height * _TILE_FIT_PX // longest
    shortest = min(width, height)
    if shortest > _TILE_SHORT_PX:
        width, height = width * _TILE_SHORT_PX // shortest, height * _TILE_SHORT_PX // shortest
    return max(width, 1), max(height, 1)


def _enlarged(width: int, height: int) -> tuple[int, int]:
    """Scale a small image up to a shorter side of 768, then down as any other."""
    shortest = min(width, height)
    if shortest < _TILE_SHORT_PX:
        width, height = width * _TILE_SHORT_PX // shortest, height * _TILE_SHORT_PX // shortest
    return _fit_tiles(width, height)


def _tiles(width: int, height: int) -> int:
    return math.ceil(width / _TILE_PX) * math.ceil(height / _TILE_PX)


def _patches(width: int, height: int) -> int:
    return math.ceil(width / _PATCH_PX) * math.ceil(height / _PATCH_PX)


def _limited(width: int, height: int, limit: _Limit) -> int:
    longest = max(width, height)
    if longest > limit.side_px:
        width = max(1, width * limit.side_px // longest)
        height = max(1, height * limit.side_px // longest)
    if _patches(width, height) > limit.patches:
        width, height = _shrunk(width, height, limit.patches)
    return min(_patches(width, height), limit.patches)


def _shrunk(width: int, height: int, patches: int) -> tuple[int, int]:
    """Scale to the budget, then so that one side is a whole number of patches."""
    scale = math.sqrt(_PATCH_PX**2 * patches / (width * height))
    across, down = width * scale / _PATCH_PX, height * scale / _PATCH_PX
    scale *= min(math.floor(across) / across, math.floor(down) / down)
    return max(1, int(width * scale)), max(1, int(height * scale))
