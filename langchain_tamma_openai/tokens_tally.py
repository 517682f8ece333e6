"""Adding up the tokens of one request: the likely number, the least and the most."""

from __future__ import annotations

import json

from langchain_tamma_openai.tokens_encodings import count_tokens, encoding_for_model
from langchain_tamma_openai.tokens_images import count_image, image_bound

# How far an unpublished tokenizer is taken to differ from the one that stands in for it.
_ASSUMED_LESS = 4, 5
_ASSUMED_MORE = 5, 4


class Tally:
    """Adds up the tokens of one request and remembers what had to be estimated.

    Attributes:
        model: Any model id.
        tokens: The likely number.
        low_tokens: The least; where a part is documented, the same.
        high_tokens: The most, apart from what has no limit.
        audio_tokens: Part of `tokens` that is billed as audio.
        high_audio_tokens: Part of `high_tokens` that is billed as audio.
        unbounded: Whether a part has no limit but the model's context window.
        notes: Why the number is an estimate.
    """

    def __init__(self, model: str) -> None:
        """Start at zero.

        Args:
            model: Any model id.
        """
        choice = encoding_for_model(model)
        self.model = model
        self.tokens = self.low_tokens = self.high_tokens = 0
        self.audio_tokens = self.high_audio_tokens = 0
        self.unbounded = False
        self.notes: dict[str, None] = {}  # a set that keeps its order
        self._encoding_name = choice.name
        self._assumed = choice.assumed
        if choice.assumed:
            self.note(f"the tokenizer of {model} is not published: counted with {choice.name}")

    def add(
        self,
        tokens: int,
        note: str | None = None,
        *,
        low: int | None = None,
        high: int | None = None,
    ) -> None:
        """Add tokens, and say what they rest on when that is not certain.

        Args:
            tokens: The likely number.
            note: Why it is an estimate; none when it is exact.
            low: The least; the same when left out.
            high: The most; the same when left out.
        """
        self.tokens += tokens
        self.low_tokens += tokens if low is None else low
        self.high_tokens += tokens if high is None else high
        if note is not None:
            self.note(note)

    def note(self, text: str) -> None:
        """Remember a reason for which the number is an estimate."""
        self.notes[text] = None

    def no_limit(self, note: str) -> None:
        """Say that a part of the request is not known and may fill the context window."""
        self.unbounded = True
        self.note(note)

    def text_tokens(self, text: str) -> int:
        """Count the tokens of a text without adding them."""
        return count_tokens(text, self._encoding_name)

    def add_text(self, text: object) -> None:
        """Add the tokens of a text; what is no text counts as its JSON."""
        if text:
            written = text if isinstance(text, str) else json.dumps(text, default=str)
            self.add_text_tokens(self.text_tokens(written))

    def add_text_tokens(self, tokens: int) -> None:
        """Add tokens of text that has been counted."""
        if not self._assumed:
            self.add(tokens)
            return
        self.tokens += tokens
        self.low_tokens += less(tokens)
        self.high_tokens += more(tokens)

    def add_image(self, size_px: tuple[int, int] | None, detail: str) -> None:
        """Add an image, by its upper bound when its size is not known."""
        if size_px is None:
            image = image_bound(self.model, detail)
            self.note("an image of unknown size is counted at its upper bound; none is fetched")
            self.unbounded = self.unbounded or not image.limited
        else:
            image = count_image(*size_px, self.model, detail)
        self.add(image.tokens, image.assumption, low=image.low_tokens, high=image.high_tokens)

    def add_audio(self, tokens: int, note: str, *, low: int, high: int) -> None:
        """Add tokens that are billed as audio."""
        self.audio_tokens += tokens
        self.high_audio_tokens += high
        self.add(tokens, note, low=low, high=high)


def less(tokens: int) -> int:
    """Say how few tokens a text may be of which the tokenizer is not published.

    Args:
        tokens: As the one that stands in for it counts.
    """
    numerator, denominator = _ASSUMED_LESS
    return tokens * numerator // denominator


def more(tokens: int) -> int:
    """Say how many tokens a text may be of which the tokenizer is not published.

    Args:
        tokens: As the one that stands in for it counts.
    """
    numerator, denominator = _ASSUMED_MORE
    return -(-tokens * numerator // denominator)  # up
