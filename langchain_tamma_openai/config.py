"""`TammaOpenAIConfig`: one checked, frozen set of connection settings for many models.

It comes from arguments, the environment, a mapping or a YAML file, and every way in ends in the
same checks: all problems of one input are reported together in one `ConfigurationError` that names
each field, its value (never a key) and the way out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypedDict, Unpack

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from langchain_tamma_openai.checks import check_base_url, safe_url, shown
from langchain_tamma_openai.errors import ConfigurationError
from langchain_tamma_openai.keys import check_api_key, redact_api_key
from langchain_tamma_openai.redact import redact_secrets

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

DEFAULT_MODEL = "gpt-6-luna"
"""The model used when neither an argument nor `OPENAI_MODEL` names one."""

_REMEDIES = {
    "api_key": "pass the key as text, or leave it out to use OPENAI_API_KEY",
    "organization": "pass an id such as 'org-...', or leave it out",
    "base_url": "pass a full URL such as https://host:8000/v1, or leave it out",
    "max_retries": "pass a whole number from 0 to 10",
    "timeout": "pass seconds from 1 to max_timeout (300 unless raised), e.g. timeout=60",
    "max_timeout": "pass the largest allowed timeout in seconds, e.g. max_timeout=900",
    "default_model": f"pass a model name such as '{DEFAULT_MODEL}'",
    "allowed_models": "pass a list of model names, or leave it out to allow every model",
}
# The first variable that is set and not blank wins, as for ChatOpenAI.
_VARIABLES = {
    "api_key": ("OPENAI_API_KEY",),
    "organization": ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION"),
    "base_url": ("OPENAI_API_BASE", "OPENAI_BASE_URL"),
    "max_retries": ("OPENAI_MAX_RETRIES",),
    "timeout": ("OPENAI_TIMEOUT",),
    "max_timeout": ("OPENAI_MAX_TIMEOUT",),
    "default_model": ("OPENAI_MODEL",),
    "allowed_models": ("OPENAI_ALLOWED_MODELS",),
}

_Name = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]
_Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1)]


class ConfigFields(TypedDict, total=False):
    """The keyword arguments of `TammaOpenAIConfig`, for type checkers."""

    api_key: str | SecretStr | None
    organization: str | None
    base_url: str | None
    max_retries: int
    timeout: float
    max_timeout: float
    default_model: str
    allowed_models: list[str] | tuple[str, ...] | None


def default_model_name(environ: Mapping[str, str] | None = None) -> str:
    """Name the model to use when none is given: `OPENAI_MODEL`, else `DEFAULT_MODEL`.

    Args:
        environ: The environment to read; `None` means the process's own.
    """
    return (os.environ if environ is None else environ).get("OPENAI_MODEL", "").strip() or (
        DEFAULT_MODEL
    )


class TammaOpenAIConfig(BaseModel):
    """Connection settings, checked once and never changed.

    `ChatTammaOpenAI.from_config(config)` makes a model from it. The key is never shown: not by
    `repr`, `model_dump_json` or an error, and a pickle leaves it out (the unpickled config has
    `api_key=None`, so its models read `OPENAI_API_KEY`).

    Raises:
        ConfigurationError: Unknown fields or unusable values; all of them in one message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: SecretStr | None = None
    """OpenAI API key; `None` leaves it to the model, which reads `OPENAI_API_KEY`."""
    organization: _Name | None = None
    """Organization id."""
    base_url: str | None = None
    """Address of the API; `None` is OpenAI's own."""
    max_retries: Annotated[int, Field(strict=True, ge=0, le=10)] = 2
    """Retries after the first attempt, 0 to 10."""
    timeout: _Seconds = 60.0
    """Seconds to wait for an answer, from 1 to `max_timeout`."""
    max_timeout: _Seconds = 300.0
    """Largest `timeout` allowed, in seconds; raise it to ask for a wider timeout."""
    default_model: _Name = Field(default_factory=default_model_name)
    """Model used when a call names none; `OPENAI_MODEL`, else `gpt-6-luna`."""
    allowed_models: Annotated[tuple[_Name, ...], Field(min_length=1)] | None = None
    """The only models that may be used; `None` allows all."""

    def __init__(self, **data: Unpack[ConfigFields]) -> None:
        """Check the arguments.

        Args:
            **data: The fields of the class.

        Raises:
            ConfigurationError: Unknown fields or unusable values.
        """
        problems: list[str] = []
        try:
            super().__init__(**data)
        except ValidationError as exc:
            problems = [_problem_text(error) for error in exc.errors(include_url=False)]
        if problems:  # raised out here so that no ValidationError, which holds the input, hangs on
            raise ConfigurationError("\n".join(problems))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """Make a config from a mapping with the field names as keys.

        Args:
            mapping: Field names to values, of the same types as the arguments.

        Raises:
            ConfigurationError: Not a mapping, unknown keys or unusable values.
        """
        return cls(**_fields_of(mapping))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make a config from environment variables; a blank variable counts as not set.

        `OPENAI_API_KEY`, `OPENAI_ORG_ID` (or `OPENAI_ORGANIZATION`), `OPENAI_API_BASE` (or
        `OPENAI_BASE_URL`), `OPENAI_MODEL`, `OPENAI_MAX_RETRIES`, `OPENAI_TIMEOUT` and
        `OPENAI_MAX_TIMEOUT` (seconds), `OPENAI_ALLOWED_MODELS` (names parted by commas).

        Args:
            environ: The environment to read; `None` means the process's own.

        Raises:
            ConfigurationError: A variable holds an unusable value.
        """
        source = os.environ if environ is None else environ
        fields: dict[str, Any] = {}
        for field, names in _VARIABLES.items():
            text = next((source[name] for name in names if source.get(name, "").strip()), None)
            if text is not None:
                fields[field] = _FROM_TEXT.get(field, str)(text)
        if "default_model" not in fields:  # the process's own environment has no say here
            fields["default_model"] = _default_among(fields.get("allowed_models"))
        return cls.from_mapping(fields)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Make a config from a YAML file whose top level maps field names to values.

        Args:
            path: The file, in UTF-8. It needs the extra `langchain-tamma-openai[yaml]`.

        Raises:
            ConfigurationError: PyYAML is missing, the file cannot be read or is not YAML, or it
                has unknown keys or unusable values.
        """
        content = _load_yaml(Path(path))
        return cls.from_mapping({} if content is None else content)

    def to_model_kwargs(self) -> dict[str, Any]:
        """Give the keyword arguments for a model: `ChatTammaOpenAI(**config.to_model_kwargs())`.

        Returns:
            `model`, `max_retries` and `timeout`, and `api_key`, `organization`, `base_url` and
            `allowed_models` where they are set.
        """
        kwargs: dict[str, Any] = {
            "model": self.default_model,
            "max_retries": self.max_retries,
            "timeout": self.timeout,
            "api_key": self.api_key,
            "organization": self.organization,
            "base_url": self.base_url,
            "allowed_models": None if self.allowed_models is None else list(self.allowed_models),
        }
        return {name: value for name, value in kwargs.items() if value is not None}

    @field_validator("api_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        check_api_key(value)
        return value

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        check_base_url(value)
        return value or None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.timeout > self.max_timeout:
            remedy = f"raise max_timeout (now {self.max_timeout:g}) to ask for a wider timeout"
            raise ConfigurationError(f"timeout: got {self.timeout:g}, above max_timeout; {remedy}")
        if self.allowed_models is not None and self.default_model not in self.allowed_models:
            self._settle_default_model(self.allowed_models)
        return self

    def _settle_default_model(self, allowed: tuple[str, ...]) -> None:
        """Take an allowed model as default, unless another one was asked for by name."""
        if "default_model" in self.model_fields_set:
            names = ", ".join(allowed)
            message = f"default_model: got {self.default_model!r}, which is not in allowed_models"
            raise ConfigurationError(f"{message} ({names}); add it there or choose one of them")
        self.__dict__["default_model"] = _default_among(allowed)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show the fields without the parts of the URL that may hold secrets."""
        return [
            (name, safe_url(value) if name == "base_url" and value else value)
            for name, value in super().__repr_args__()
        ]

    def __getstate__(self) -> dict[Any, Any]:
        """Leave the key out of pickles."""
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "api_key": None}}


def _fields_of(mapping: object) -> Any:
    if isinstance(mapping, Mapping):
        return {str(name): value for name, value in mapping.items()}
    kind = type(mapping).__name__
    raise ConfigurationError(f"configuration: got {kind}, must map field names to values")


def _default_among(allowed: Sequence[str] | None) -> str:
    return DEFAULT_MODEL if not allowed or DEFAULT_MODEL in allowed else allowed[0]


def _number_from_text(kind: type[int | float]) -> Callable[[str], int | float | str]:
    def convert(text: str) -> int | float | str:
        try:
            return kind(text)
        except ValueError:
            return text  # the field's own check refuses it, with the other problems

    return convert


def _names_from_text(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


_FROM_TEXT: dict[str, Callable[[str], object]] = {
    "max_retries": _number_from_text(int),
    "timeout": _number_from_text(float),
    "max_timeout": _number_from_text(float),
    "allowed_models": _names_from_text,
}


def _problem_text(error: ErrorDetails) -> str:
    """Say one pydantic problem as: field, value without secrets, what is wrong, way out."""
    if error["type"] == "value_error":  # one of our own checks, which has said all that
        return str(error["ctx"]["error"])
    field = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return redact_secrets(_unknown_field_text(field, error["input"]))
    value = error["input"]
    value_text = redact_api_key(value) if field == "api_key" else shown(value)
    problem = error["msg"][:1].lower() + error["msg"][1:]
    return f"{field}: got {value_text}, {problem}; {_REMEDIES[field]}"


def _unknown_field_text(field: str, value: object) -> str:
    close = get_close_matches(field, _REMEDIES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known fields are {', '.join(_REMEDIES)}"
    return f"{field}: got {redact_api_key(value)}, but there is no such field; {hint}"


def _load_yaml(path: Path) -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigurationError(
            "reading a YAML file needs PyYAML: pip install langchain-tamma-openai[yaml]"
        ) from None
    problem = ""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        problem = f"cannot be read ({exc.strerror}); check the path"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text; save it as UTF-8"
    except yaml.YAMLError as exc:  # its own text quotes the file, which may hold a key
        problem = f"is not valid YAML{_yaml_place(exc)}; correct it there"
    raise ConfigurationError(f"configuration file {path}: {problem}")


def _yaml_place(exc: Exception) -> str:
    mark = getattr(exc, "problem_mark", None)
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
