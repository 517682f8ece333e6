"""Use an installed package that has no extras: answers come, and missing extras are named."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

ANSWER: Final = "A lamp."
USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
HEAD: Final = {"id": "chatcmpl-1", "created": 1, "model": "gpt-6-luna"}


class Server(BaseHTTPRequestHandler):
    """Answers every Chat Completions request with the same words."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer, as a stream where that is asked for."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if body.get("stream"):
            self._send("text/event-stream", _stream())
        else:
            self._send("application/json", json.dumps(_plain()).encode())

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _plain() -> dict[str, object]:
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def _stream() -> bytes:
    parts: list[dict[str, object]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ANSWER}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": USAGE},
    ]
    events = [json.dumps({**HEAD, "object": "chat.completion.chunk", **part}) for part in parts]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()


def answers() -> None:
    """Call the model in every way."""
    from langchain_tamma_openai import ChatTammaOpenAI, UsageTracker

    with UsageTracker("memory") as tracker:
        llm = ChatTammaOpenAI(model="gpt-6-luna", usage_tracker=tracker)
        answer = llm.invoke("What gives light?")
        assert answer.text == ANSWER
        assert answer.response_metadata["cost"]["total_usd"] is not None
        assert "".join(chunk.text for chunk in llm.stream("What gives light?")) == ANSWER
        assert asyncio.run(llm.ainvoke("What gives light?")).text == ANSWER
        assert llm.get_num_tokens("What gives light?") > 0
        tracker.flush()
        assert tracker.summary().total_requests == 3


def _sqlite() -> object:
    from langchain_tamma_openai import UsageTracker

    return UsageTracker("sqlite:///usage.db")


def _postgres() -> object:
    from langchain_tamma_openai import UsageTracker

    return UsageTracker("postgresql+psycopg://localhost/usage")


def _redis() -> object:
    from langchain_tamma_openai import OpenAIRateLimiter

    limiter = OpenAIRateLimiter(requests_per_minute=1, storage="redis://localhost:6379/0")
    return limiter.acquire(blocking=False)


def _parquet() -> object:
    from langchain_tamma_openai import UsageTracker

    with UsageTracker("memory") as tracker:
        return tracker.export("parquet", "usage.parquet")


def _otel() -> object:
    from langchain_tamma_openai import OpenTelemetryCallbackHandler

    return OpenTelemetryCallbackHandler()


NEEDS: Final[dict[str, Callable[[], object]]] = {
    "sql": _sqlite,
    "postgres": _postgres,
    "redis": _redis,
    "parquet": _parquet,
    "otel": _otel,
}


def missing_extras() -> None:
    """Each extra that is needed and not there is named, with the command that brings it."""
    for extra, use in NEEDS.items():
        complaint = _complaint(use)
        assert f"langchain-tamma-openai[{extra}]" in complaint, f"{extra}: {complaint}"


def _complaint(use: Callable[[], object]) -> str:
    try:
        use()
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to name the extra
        return str(error)
    return "nothing was missed"


def command_line() -> None:
    """The command line needs an extra too, and says so without a traceback."""
    command = Path(sys.executable).with_name("tamma-openai")
    for words in ([command], [sys.executable, "-m", "langchain_tamma_openai"]):
        done = subprocess.run(  # noqa: S603 - our own command
            [*words, "models"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done
        assert "langchain-tamma-openai[cli]" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr


def typed() -> None:
    """Type checkers find the annotations."""
    import langchain_tamma_openai

    assert (Path(langchain_tamma_openai.__file__).parent / "py.typed").exists()


def main() -> None:
    """Run everything against a server of our own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["OPENAI_BASE_URL"] = f"http://127.0.0.1:{server.server_address[1]}/v1"
    os.environ["OPENAI_API_KEY"] = "sk-smoke"
    for check in (typed, answers, missing_extras, command_line):
        check()
    server.shutdown()
    print(f"Python {platform.python_version()}: works without extras, and names the missing ones")


if __name__ == "__main__":
    main()
