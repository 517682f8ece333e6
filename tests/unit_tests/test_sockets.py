"""TCP options of new sockets: defaults, environment, the user's own."""

from __future__ import annotations

import logging
import socket
import sys

import pytest

from langchain_tamma_openai.transport.sockets import _keepalive, socket_options

PREFIX = "LANGCHAIN_OPENAI_TCP_"

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="names of Linux")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEEPALIVE", "KEEPIDLE", "KEEPINTVL", "KEEPCNT", "USER_TIMEOUT_MS"):
        monkeypatch.delenv(PREFIX + name, raising=False)


@on_linux
def test_defaults() -> None:
    assert socket_options(None) == (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 120_000),
    )


@pytest.mark.parametrize("given", [(), [], ((6, 1, 1),), [(6, 1, 0), (1, 9, 1)]])
def test_given_options_are_used_as_they_are(given: list[tuple[int, int, int]]) -> None:
    assert socket_options(given) == tuple(given)


@on_linux
def test_the_environment_changes_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "KEEPIDLE", " 30 ")
    options = socket_options(None)
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30) in options
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3) in options


def test_the_environment_switches_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "KEEPALIVE", "0")
    assert socket_options(None) == ()
    assert socket_options([(6, 1, 1)]) == ((6, 1, 1),)


@on_linux
@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "\u0663"])
def test_a_value_that_is_no_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    monkeypatch.setenv(PREFIX + "KEEPCNT", value)
    with caplog.at_level(logging.WARNING):
        options = socket_options(None)
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3) in options
    assert PREFIX + "KEEPCNT" in caplog.text
    assert "using 3" in caplog.text


@on_linux
def test_options_that_the_platform_lacks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    assert len(_keepalive((1, 2, 3, 4))) == 4


def test_a_real_socket_takes_them() -> None:
    left, right = socket.socketpair()
    with left, right:
        level, option, value = socket_options(None)[0]
        left.setsockopt(level, option, value)
        assert left.getsockopt(level, option)
