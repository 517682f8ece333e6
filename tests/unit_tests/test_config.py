"""`TammaOpenAIConfig`: every way in ends in the same checks, and the key never comes out."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from langchain_tamma_openai.config import DEFAULT_MODEL, TammaOpenAIConfig, default_model_name
from langchain_tamma_openai.errors import ConfigurationError, TammaError

KEY = "sk-proj-" + "Ab3_" * 30
FULL: dict[str, Any] = {
    "api_key": KEY,
    "organization": "org-1",
    "base_url": "https://proxy.example/v1",
    "max_retries": 5,
    "timeout": 120,
    "max_timeout": 900,
    "default_model": "gpt-4o",
    "allowed_models": ["gpt-4o", "gpt-4o-mini"],
}
FULL_ENVIRON = {
    "OPENAI_API_KEY": KEY,
    "OPENAI_ORG_ID": "org-1",
    "OPENAI_API_BASE": "https://proxy.example/v1",
    "OPENAI_MAX_RETRIES": "5",
    "OPENAI_TIMEOUT": "120",
    "OPENAI_MAX_TIMEOUT": "9e2",
    "OPENAI_MODEL": "gpt-4o",
    "OPENAI_ALLOWED_MODELS": "gpt-4o, gpt-4o-mini,",
}
YAML = f"""
api_key: {KEY}
organization: org-1
base_url: https://proxy.example/v1
max_retries: 5
timeout: 120
max_timeout: 900
default_model: gpt-4o
allowed_models: [gpt-4o, gpt-4o-mini]
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*FULL_ENVIRON, "OPENAI_ORGANIZATION", "OPENAI_BASE_URL"]:
        monkeypatch.delenv(name, raising=False)


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert isinstance(caught.value, TammaError)
    assert isinstance(caught.value, ValueError)
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None or KEY not in repr(vars(caught.value.__context__))
    return str(caught.value)


def from_arguments(fields: Mapping[str, Any]) -> TammaOpenAIConfig:
    return TammaOpenAIConfig(**fields)  # type: ignore[typeddict-item, unused-ignore]


def test_defaults() -> None:
    config = TammaOpenAIConfig()
    assert config.api_key is None
    assert config.organization is None
    assert config.base_url is None
    assert config.max_retries == 2
    assert config.timeout == 60
    assert config.max_timeout == 300
    assert config.default_model == "gpt-6-luna"
    assert config.allowed_models is None


def test_four_ways_in_give_the_same_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "openai.yaml"
    file.write_text(YAML, encoding="utf-8")
    expected = from_arguments(FULL)
    assert TammaOpenAIConfig.from_mapping(FULL) == expected
    assert TammaOpenAIConfig.from_yaml(file) == expected
    assert TammaOpenAIConfig.from_yaml(str(file)) == expected
    assert TammaOpenAIConfig.from_env(FULL_ENVIRON) == expected
    for name, value in FULL_ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert TammaOpenAIConfig.from_env() == expected
    assert expected.allowed_models == ("gpt-4o", "gpt-4o-mini")


def test_model_kwargs_hold_what_is_set() -> None:
    assert from_arguments(FULL).to_model_kwargs() == {
        "model": "gpt-4o",
        "api_key": SecretStr(KEY),
        "organization": "org-1",
        "base_url": "https://proxy.example/v1",
        "max_retries": 5,
        "timeout": 120,
        "allowed_models": ["gpt-4o", "gpt-4o-mini"],
    }
    assert TammaOpenAIConfig().to_model_kwargs() == {
        "model": DEFAULT_MODEL,
        "max_retries": 2,
        "timeout": 60,
    }


def test_secret_str_key_is_taken() -> None:
    config = TammaOpenAIConfig(api_key=SecretStr(KEY))
    assert config.api_key is not None
    assert config.api_key.get_secret_value() == KEY


@pytest.mark.parametrize("timeout", [1, 1.5, 300])
def test_timeouts_within_bounds(timeout: float) -> None:
    assert TammaOpenAIConfig(timeout=timeout).timeout == timeout


def test_a_wider_timeout_when_asked() -> None:
    assert TammaOpenAIConfig(timeout=3600, max_timeout=3600).timeout == 3600
    text = refused(lambda: TammaOpenAIConfig(timeout=301))
    assert text == (
        "timeout: got 301, above max_timeout; "
        "raise max_timeout (now 300) to ask for a wider timeout"
    )


@pytest.mark.parametrize("retries", [0, 10])
def test_retries_at_both_ends(retries: int) -> None:
    assert TammaOpenAIConfig(max_retries=retries).max_retries == retries


@pytest.mark.parametrize(
    ("fields", "start", "words"),
    [
        ({"api_key": ""}, "api_key (OPENAI_API_KEY): got (empty)", "blank"),
        ({"api_key": KEY + "\n"}, "api_key (OPENAI_API_KEY): got sk-proj-***", "line break"),
        ({"api_key": 12345}, "api_key: got (int)", "OPENAI_API_KEY"),
        ({"api_key": lambda: KEY}, "api_key: got (callable)", "pass the key as text"),
        ({"organization": " "}, "organization: got ' '", "leave it out"),
        ({"organization": 7}, "organization: got 7", "valid string"),
        ({"base_url": "host/v1"}, "base_url: got 'host/v1'", "https://host:8000/v1"),
        ({"base_url": 5}, "base_url: got 5", "https://host:8000/v1"),
        ({"max_retries": -1}, "max_retries: got -1", "from 0 to 10"),
        ({"max_retries": 11}, "max_retries: got 11", "from 0 to 10"),
        ({"max_retries": "2"}, "max_retries: got '2'", "valid integer"),
        ({"max_retries": True}, "max_retries: got True", "valid integer"),
        ({"max_retries": 2.0}, "max_retries: got 2.0", "valid integer"),
        ({"max_retries": None}, "max_retries: got None", "valid integer"),
        ({"timeout": 0}, "timeout: got 0", "greater than or equal to 1"),
        ({"timeout": -1}, "timeout: got -1", "greater than or equal to 1"),
        ({"timeout": float("nan")}, "timeout: got nan", "finite"),
        ({"timeout": float("inf")}, "timeout: got inf", "finite"),
        ({"timeout": True}, "timeout: got True", "valid number"),
        ({"timeout": "60"}, "timeout: got '60'", "valid number"),
        ({"max_timeout": 0.5}, "max_timeout: got 0.5", "max_timeout=900"),
        ({"default_model": ""}, "default_model: got ''", "gpt-6-luna"),
        ({"default_model": None}, "default_model: got None", "valid string"),
        ({"allowed_models": []}, "allowed_models: got []", "leave it out"),
        ({"allowed_models": "gpt-4o"}, "allowed_models: got 'gpt-4o'", "list of model names"),
        ({"allowed_models": ["gpt-4o", 5]}, "allowed_models: got 5", "valid string"),
        ({"retries": 3}, "retries: got (int), but there is no such field", "max_retries"),
        ({"apikey": KEY}, "apikey: got sk-proj-***", "did you mean api_key?"),
        ({"colour": None}, "colour: got (not set)", "known fields are api_key, organization"),
    ],
)
def test_bad_value_names_field_value_and_remedy(
    fields: dict[str, Any], start: str, words: str
) -> None:
    for make in (from_arguments, TammaOpenAIConfig.from_mapping):
        text = refused(lambda make=make: make(fields))  # type: ignore[misc]
        assert text.startswith(start)
        assert words in text


def test_all_problems_are_listed_one_a_line() -> None:
    text = refused(
        lambda: from_arguments({"api_key": "", "max_retries": 11, "timeout": 0, "nope": 1})
    )
    fields = [line.split(":")[0].split(" ")[0] for line in text.splitlines()]
    assert fields == ["api_key", "max_retries", "timeout", "nope"]


def test_secrets_in_other_fields_are_not_shown() -> None:
    text = refused(lambda: from_arguments({"base_url": KEY, "organization": [KEY], KEY: 1}))
    assert len(text.splitlines()) == 3


def test_default_model_must_be_allowed() -> None:
    text = refused(
        lambda: TammaOpenAIConfig(default_model="gpt-5", allowed_models=["gpt-4o", "gpt-4o-mini"])
    )
    assert text == (
        "default_model: got 'gpt-5', which is not in allowed_models (gpt-4o, gpt-4o-mini); "
        "add it there or choose one of them"
    )


def test_without_a_named_default_the_first_allowed_model_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert TammaOpenAIConfig(allowed_models=["gpt-4o", "o3"]).default_model == "gpt-4o"
    both = TammaOpenAIConfig(allowed_models=["gpt-4o", DEFAULT_MODEL])
    assert both.default_model == DEFAULT_MODEL
    monkeypatch.setenv("OPENAI_MODEL", "gpt-5")
    assert TammaOpenAIConfig(allowed_models=["gpt-4o", "o3"]).default_model == "gpt-4o"


def test_default_model_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_MODEL", " gpt-5.4 ")
    assert TammaOpenAIConfig().default_model == "gpt-5.4"
    assert default_model_name() == "gpt-5.4"
    assert default_model_name({}) == DEFAULT_MODEL
    assert TammaOpenAIConfig.from_env({}).default_model == DEFAULT_MODEL


def test_blank_variables_count_as_not_set() -> None:
    environ = dict.fromkeys(FULL_ENVIRON, " ") | {"OPENAI_ORGANIZATION": "org-2"}
    config = TammaOpenAIConfig.from_env(environ)
    assert config == TammaOpenAIConfig(organization="org-2", default_model=DEFAULT_MODEL)


def test_first_variable_wins() -> None:
    config = TammaOpenAIConfig.from_env(
        {"OPENAI_BASE_URL": "http://second/v1", "OPENAI_API_BASE": "http://first/v1"}
    )
    assert config.base_url == "http://first/v1"


def test_environment_restricts_models() -> None:
    config = TammaOpenAIConfig.from_env({"OPENAI_ALLOWED_MODELS": "gpt-4o"})
    assert config.default_model == "gpt-4o"
    refused(lambda: TammaOpenAIConfig.from_env({**FULL_ENVIRON, "OPENAI_MODEL": "gpt-5"}))


def test_unusable_numbers_in_the_environment() -> None:
    text = refused(
        lambda: TammaOpenAIConfig.from_env({"OPENAI_MAX_RETRIES": "many", "OPENAI_TIMEOUT": "nan"})
    )
    assert text.splitlines()[0].startswith("max_retries: got 'many', input should be a valid int")
    assert text.splitlines()[1].startswith("timeout: got nan")


@pytest.mark.parametrize("mapping", [None, [("api_key", KEY)], "api_key"])
def test_not_a_mapping(mapping: Any) -> None:
    text = refused(lambda: TammaOpenAIConfig.from_mapping(mapping))
    assert "must map field names to values" in text


def test_keys_that_are_not_text_are_unknown_fields() -> None:
    assert refused(lambda: TammaOpenAIConfig.from_mapping({1: "x"})).startswith("1: got")  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"- a\n- b\n", "got list"),
        (b"just text", "got str"),
        (f"api_key: [{KEY}\ntimeout: 5".encode(), "is not valid YAML (line 2, column 8)"),
        (b"a: \x00", "is not valid YAML"),
        (b"api_key: \xff", "is not UTF-8"),
        (f"timeout: 5\nkey: {KEY}".encode(), "key: got sk-proj-***"),
    ],
)
def test_unusable_yaml(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    assert words in refused(lambda: TammaOpenAIConfig.from_yaml(file))


def test_yaml_never_builds_objects(tmp_path: Path) -> None:
    file = tmp_path / "evil.yaml"
    file.write_text("timeout: !!python/object/apply:os.getcwd []", encoding="utf-8")
    assert "is not valid YAML (line 1" in refused(lambda: TammaOpenAIConfig.from_yaml(file))


def test_empty_yaml_gives_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n", encoding="utf-8")
    assert TammaOpenAIConfig.from_yaml(file) == TammaOpenAIConfig()


def test_missing_file_and_folder(tmp_path: Path) -> None:
    text = refused(lambda: TammaOpenAIConfig.from_yaml(tmp_path / "none.yaml"))
    assert "none.yaml: cannot be read (No such file or directory); check the path" in text
    assert "cannot be read" in refused(lambda: TammaOpenAIConfig.from_yaml(tmp_path))


def test_missing_pyyaml_is_one_friendly_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    text = refused(lambda: TammaOpenAIConfig.from_yaml(tmp_path / "a.yaml"))
    assert text.endswith("pip install langchain-tamma-openai[yaml]")
    assert "\n" not in text


def test_the_key_is_never_shown() -> None:
    config = from_arguments(FULL)
    for text in (repr(config), str(config), config.model_dump_json(), str(config.model_dump())):
        assert KEY not in text
    assert KEY.encode() not in pickle.dumps(config)


def test_a_password_in_the_url_is_not_shown() -> None:
    config = TammaOpenAIConfig(base_url="https://me:hunter2@proxy/v1?sig=s3cret")
    assert "base_url='https://proxy/v1'" in repr(config)
    assert config.to_model_kwargs()["base_url"] == "https://me:hunter2@proxy/v1?sig=s3cret"


def test_a_pickle_carries_everything_but_the_key() -> None:
    config = from_arguments(FULL)
    again = pickle.loads(pickle.dumps(config))  # noqa: S301 - our own bytes
    assert again == config.model_copy(update={"api_key": None})
    assert again.allowed_models == config.allowed_models


def test_copies_keep_the_key() -> None:
    config = from_arguments(FULL)
    for copied in (copy.copy(config), copy.deepcopy(config), config.model_copy()):
        assert copied == config
        assert copied.api_key == SecretStr(KEY)


def test_a_config_cannot_change() -> None:
    config = from_arguments(FULL)
    with pytest.raises(ValidationError, match="frozen"):
        config.timeout = 5  # type: ignore[misc]
    assert hash(config) == hash(from_arguments(FULL))


def test_empty_base_url_means_the_official_one() -> None:
    assert TammaOpenAIConfig(base_url="").base_url is None


def test_nested_in_a_settings_model_of_the_user() -> None:
    class Settings(BaseModel):
        openai: TammaOpenAIConfig

    assert Settings.model_validate({"openai": FULL}).openai == from_arguments(FULL)
    with pytest.raises(ValidationError, match="max_retries: got 99"):
        Settings.model_validate({"openai": {"max_retries": 99}})


def test_examples_of_the_page_run(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    blocks = re.findall(r"```(\w+)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "openai.yaml"
    file.write_text(dict(blocks)["yaml"], encoding="utf-8")
    assert TammaOpenAIConfig.from_yaml(file).timeout == 120
    python = [
        code
        for kind, code in blocks
        if kind == "python" and "TammaOpenAIConfig" in code and "ChatTamma" not in code
    ]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec("\n".join(python), {})  # noqa: S102 - our own page
    assert printed.getvalue() == dict(blocks)["text"]


def test_the_page_names_every_field() -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    fields = re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert fields == list(TammaOpenAIConfig.model_fields)
