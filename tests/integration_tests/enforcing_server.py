"""A server on loopback that enforces requests and tokens per minute, and counts what it did."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Buckets:
    """Requests and tokens that refill all the time; both are full at the start."""

    def __init__(self, rpm: int, tpm: int) -> None:
        self.limits = (rpm, tpm)
        self.levels = [float(rpm), float(tpm)]
        self.at_s = self.begun_s = time.monotonic()
        self.counts = {200: 0, 429: 0}
        self.tokens = 0
        self.lock = threading.Lock()

    def admit(self, tokens: int) -> tuple[int, dict[str, str]]:
        """Serve or refuse; returns status and headers."""
        with self.lock:
            now_s = time.monotonic()
            if not any(self.counts.values()):
                self.begun_s = now_s
            for index, limit in enumerate(self.limits):
                gained = (now_s - self.at_s) * limit / 60
                self.levels[index] = min(limit, self.levels[index] + gained)
            self.at_s = now_s
            status = 200 if self.levels[0] >= 1 and self.levels[1] >= tokens else 429
            self.counts[status] += 1
            if status == 200:
                self.levels = [self.levels[0] - 1, self.levels[1] - tokens]
                self.tokens += tokens
            headers = {}
            for kind, limit, level in zip(
                ("requests", "tokens"), self.limits, self.levels, strict=True
            ):
                headers[f"x-ratelimit-limit-{kind}"] = str(limit)
                headers[f"x-ratelimit-remaining-{kind}"] = str(int(level))
                headers[f"x-ratelimit-reset-{kind}"] = f"{(limit - level) * 60 / limit:.3f}s"
            return status, headers

    def use(self) -> float:
        """Give the share of what was allowed until now, of the scarcer kind."""
        seconds = self.at_s - self.begun_s
        allowed = [limit * (1 + seconds / 60) for limit in self.limits]
        return max(self.counts[200] / allowed[0], self.tokens / allowed[1])


class EnforcingServer(ThreadingHTTPServer):
    """Takes ``{"tokens": n}`` anywhere."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, rpm: int, tpm: int) -> None:
        self.buckets = Buckets(rpm, tpm)
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_address[1]

    def handle_error(self, *_: object) -> None:
        """Keep quiet: clients are killed on purpose."""

    def server_close(self) -> None:
        """Stop."""
        self.shutdown()
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EnforcingServer

    def do_POST(self) -> None:
        """Serve one request."""
        body = self.rfile.read(int(self.headers["content-length"]))
        status, headers = self.server.buckets.admit(int(json.loads(body)["tokens"]))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
