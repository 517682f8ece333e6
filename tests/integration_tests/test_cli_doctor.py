"""`tamma-openai doctor` finds what is wrong, and says what to do about it."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import postgres_places
import pytest
import redis_places
from loopback import LoopbackServer, Reply, Request, json_reply
from loopback import environment as environ

from langchain_tamma_openai import UsageTracker
from langchain_tamma_openai.__main__ import main
from langchain_tamma_openai.cli import _doctor_network, _doctor_setup

Capture = pytest.CaptureFixture[str]
Found = dict[str, tuple[str, str, str]]
KEY = "sk-proj-abcdefghijklmnopqrstuvwx1234"
MODEL = {"id": "gpt-6-luna", "object": "model", "created": 1, "owned_by": "openai"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_MODEL", "OPENAI_PROXY", "REDIS_URL"),
        *("TAMMA_OPENAI_STORE", "LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGSMITH_API_KEY"),
        *("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def api(request: Request, server_time: datetime | None = None) -> Reply:
    """Answer as the API does: a list of models, and one of them by name."""
    headers = {"date": format_datetime(server_time or datetime.now(UTC), usegmt=True)}
    if request.headers.get("authorization") != f"Bearer {KEY}":
        error = {"message": "Incorrect API key provided", "type": "invalid_request_error"}
        return json_reply({"error": {**error, "code": "invalid_api_key"}}, 401, headers)
    if request.target.endswith("/models"):
        return json_reply({"object": "list", "data": [MODEL]}, headers=headers)
    if request.target.endswith("/gpt-6-luna"):
        return json_reply(MODEL, headers=headers)
    error = {"message": "The model does not exist", "type": "invalid_request_error"}
    return json_reply({"error": {**error, "code": "model_not_found"}}, 404, headers)


def look(capsys: Capture, *options: str) -> tuple[int, Found]:
    """Run the command and give its findings by check."""
    status = main(["doctor", *options, "--json"])
    captured = capsys.readouterr()
    assert KEY not in captured.out + captured.err
    report: dict[str, Any] = json.loads(captured.out)
    assert report["ok"] is (status == 0)
    return status, {
        one["check"]: (one["mark"], one["found"], one["fix"]) for one in report["findings"]
    }


def test_where_all_is_well_nothing_is_broken(capsys: Capture) -> None:
    with LoopbackServer(api) as server:
        status, found = look(capsys, "--base-url", server.url)
    assert status == 0
    assert found["key"][:2] == ("ok", "sk-proj-***1234 (36 characters)")
    for check in ("python", "openai", "address", "proxy", "name", "connection", "http", "clock"):
        assert found[check][0] == "ok", check
    assert found["access"][1].startswith("the key is accepted, 1 models")
    assert found["model"][1].startswith("gpt-6-luna is served")
    assert "status 401" in found["http"][1]


def test_people_get_a_line_for_each_finding(capsys: Capture) -> None:
    with LoopbackServer(api) as server:
        assert main(["doctor", "--base-url", server.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ok    key            sk-proj-***1234") for line in lines)
    assert lines[-1] == "nothing is broken"


def test_a_key_that_is_refused_is_told_with_the_way_out(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-of-some-length")
    with LoopbackServer(api) as server:
        status, found = look(capsys, "--base-url", server.url)
    assert status == 1
    mark, text, fix = found["access"]
    assert mark == "fail"
    assert "Incorrect API key" in text
    assert "copy the whole key" in fix
    assert found["model"][0] == "skip"


def test_a_model_that_is_not_served_is_broken(capsys: Capture) -> None:
    with LoopbackServer(api) as server:
        status, found = look(capsys, "--base-url", server.url, "--model", "gpt-6-lunar")
    assert (status, found["model"][0], found["access"][0]) == (1, "fail", "ok")


@pytest.mark.parametrize(("minutes", "way"), [(5, "behind"), (-5, "ahead of")])
def test_a_wrong_clock_is_a_warning(minutes: int, way: str, capsys: Capture) -> None:
    server_time = datetime.now(UTC) + timedelta(minutes=minutes)
    with LoopbackServer(lambda request: api(request, server_time)) as server:
        status, found = look(capsys, "--base-url", server.url)
    assert (status, found["clock"][0]) == (0, "warn")
    assert f" s {way} the server" in found["clock"][1]


def test_nobody_listening_is_told_once(capsys: Capture) -> None:
    status, found = look(capsys, "--base-url", "http://127.0.0.1:9/v1")
    assert status == 1
    assert found["connection"][:2] == ("fail", "127.0.0.1:9 cannot be reached (Connection refused)")
    assert found["access"][0] == "skip"
    assert "http" not in found


def test_a_name_that_nobody_knows_is_told(capsys: Capture) -> None:
    status, found = look(capsys, "--base-url", "https://nowhere.invalid/v1")
    assert (status, found["name"][0]) == (1, "fail")
    assert found["name"][1].startswith("nowhere.invalid cannot be resolved")


def test_plain_http_behind_https_is_told(capsys: Capture) -> None:
    with LoopbackServer(api) as server:
        url = server.url.replace("http:", "https:")
        status, found = look(capsys, "--base-url", url, "--timeout", "0.3")
    assert (status, found["tls"][0]) == (1, "fail")
    assert "plain http" in found["tls"][2]


def test_a_silent_server_ends_with_the_timeout(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1"
        status, found = look(capsys, "--base-url", url, "--timeout", "0.2")
    assert (status, found["http"][0]) == (1, "fail")
    assert "timed out" in found["http"][1]


def test_a_server_that_fails_is_broken(capsys: Capture) -> None:
    with LoopbackServer(lambda _: json_reply({}, 500)) as server:
        status, found = look(capsys, "--base-url", server.url)
    assert (status, found["http"][0]) == (1, "fail")


def test_a_proxy_on_the_way_is_named_without_its_password(capsys: Capture) -> None:
    with (
        LoopbackServer(api) as server,
        environ(HTTP_PROXY=f"http://me:secret@127.0.0.1:{server.port}", NO_PROXY=""),
    ):
        status, found = look(capsys, "--base-url", "http://api.example/v1")
    assert status == 0
    assert found["proxy"][0] == "note"
    assert "secret" not in str(found)
    assert found["name"][0] == "skip"
    assert found["access"][0] == "ok"
    assert found["address"][0] == "warn"


def test_offline_asks_nobody(capsys: Capture) -> None:
    status, found = look(capsys, "--offline", "--base-url", "https://nowhere.invalid/v1")
    assert status == 0
    assert {"name", "http", "access", "ledger"}.isdisjoint(found)


def test_looking_puts_no_ledger_into_what_is_none(capsys: Capture, tmp_path: Path) -> None:
    empty = tmp_path / "usage.db"
    empty.touch()
    status, found = look(capsys, "--offline", "--store", str(empty))
    assert (status, found["ledger"][:2]) == (0, ("note", f"{empty} holds no ledger yet"))
    assert empty.read_bytes() == b""


def test_offline_looks_at_a_ledger_that_is_here(capsys: Capture, tmp_path: Path) -> None:
    broken = tmp_path / "usage.db"
    broken.write_text("This is no database. " * 50)
    status, found = look(capsys, "--offline", "--store", str(broken))
    assert (status, found["ledger"][0]) == (1, "fail")
    status, found = look(capsys, "--offline", "--store", "postgresql+psycopg://127.0.0.1:9/x")
    assert (status, "ledger" in found) == (0, False)


@pytest.mark.parametrize(
    ("key", "mark", "text"),
    [
        ("", "fail", "OPENAI_API_KEY is not set"),
        ("sk-proj-abc def", "fail", "whitespace"),
        ("sk-ant-0123456789abcdefghij", "warn", "Anthropic"),
    ],
)
def test_odd_keys_are_named(
    key: str, mark: str, text: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    _, found = look(capsys, "--offline")
    assert found["key"][0] == mark
    assert text in found["key"][1]
    assert found["key"][2]


def test_two_addresses_in_the_environment_are_a_warning(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", "http://localhost:1/v1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:2/v1")
    _, found = look(capsys, "--offline")
    assert found["address"][0] == "warn"
    assert "OPENAI_API_BASE wins" in found["address"][2]


def test_an_address_that_is_none_is_broken(capsys: Capture) -> None:
    status, found = look(capsys, "--base-url", "localhost:8000")
    assert (status, found["address"][0]) == (1, "fail")


def test_tracing_without_a_key_is_a_warning(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    _, found = look(capsys, "--offline")
    assert found["tracing"][0] == "warn"


def test_a_package_that_does_not_fit_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        _doctor_setup,
        "_asked_for",
        lambda: {"openai": "openai>=99", "nothing-like": "nothing-like>=1"},
    )
    found = {one.check: (one.mark, one.fix) for one in _doctor_setup.versions()}
    assert found["openai"] == ("fail", "pip install 'openai>=99'")
    assert found["nothing-like"] == ("fail", "pip install 'nothing-like>=1'")


def test_a_model_near_its_end_is_a_warning() -> None:
    assert _doctor_network.known_model("gpt-4.5-preview").mark == "warn"
    assert _doctor_network.known_model("made-up").mark == "note"


def test_ledgers_and_redis_are_tried(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "usage.db"
    UsageTracker(f"sqlite:///{path}").close()
    with LoopbackServer(api) as server:
        url = ("--base-url", server.url)
        for store in (str(path), f"sqlite:///{path}"):
            _, found = look(capsys, *url, "--store", store)
            assert found["ledger"][0] == "ok"
        status, found = look(capsys, *url, "--store", str(tmp_path / "new.db"))
        assert (status, found["ledger"][0]) == (0, "note")
        assert not (tmp_path / "new.db").exists()
        status, found = look(capsys, *url, "--store", "mysql://x", "--redis", "redis://127.0.0.1:9")
        assert (status, found["ledger"][0], found["redis"][0]) == (1, "fail", "fail")


def test_services_are_tried(capsys: Capture) -> None:
    with postgres_places.schema() as url, LoopbackServer(api) as server:
        UsageTracker(url).close()
        options = ("--base-url", server.url, "--store", url, "--redis", redis_places.URL)
        status, found = look(capsys, *options)
    assert (status, found["ledger"][0], found["redis"][0]) == (0, "ok", "ok")
    bad = "postgresql://me:secret@127.0.0.1:9/test"
    status, found = look(capsys, "--base-url", "http://127.0.0.1:9/v1", "--store", bad)
    assert (status, found["ledger"][0]) == (1, "fail")
    assert "secret" not in str(found)
