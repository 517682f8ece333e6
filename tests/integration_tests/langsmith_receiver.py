"""A server on the loopback interface that takes runs as LangSmith does, from its real client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from uuid import UUID

import zstandard
from langsmith import Client

Json: TypeAlias = dict[str, Any]


class Receiver:
    """Keeps every run it was told of, posts and patches put together."""

    def __init__(self, *, compressed: bool) -> None:
        self.url = ""
        self.compressed = compressed
        self.runs: dict[str, Json] = {}
        self.bodies: list[bytes] = []
        self.encodings: set[str] = set()
        self._lock = threading.Lock()

    def take(self, path: str, body: bytes, content_type: str) -> None:
        with self._lock:
            self.bodies.append(body)
            if path == "/runs/multipart":
                for name, part in _parts(body, content_type):
                    self._take_part(name, json.loads(part))
            elif path == "/runs/batch":
                batch = json.loads(body)
                for run in (*(batch.get("post") or ()), *(batch.get("patch") or ())):
                    self._merge(run["id"], run)
            else:
                run = json.loads(body)
                self._merge(run.get("id") or path.rpartition("/")[2], run)

    def _take_part(self, name: str, value: Any) -> None:
        _, run_id, *key = name.split(".")
        self._merge(run_id, {key[0]: value} if key else value)

    def _merge(self, run_id: str, run: Json) -> None:
        known = self.runs.setdefault(str(run_id), {})
        known.update({key: value for key, value in run.items() if value is not None})

    def metadata(self, run_id: UUID | None) -> Json:
        """Give the metadata of a run as the server has it."""
        found: Json = self.runs[str(run_id)]["extra"]["metadata"]
        return found

    def model_runs(self) -> list[Json]:
        """Give the runs of models."""
        return [run for run in self.runs.values() if run["run_type"] == "llm"]


def _parts(body: bytes, content_type: str) -> Iterator[tuple[str, bytes]]:
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
        yield head.partition(b'name="')[2].partition(b'"')[0].decode(), content


def _handler(receiver: Receiver, info: Json) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(info)

        def do_POST(self) -> None:
            body = b"".join(self._body())
            if self.headers.get("Content-Encoding") == "zstd":
                receiver.encodings.add("zstd")
                body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
            receiver.take(self.path, body, self.headers.get("Content-Type", ""))
            self._answer({})

        do_PATCH = do_POST  # noqa: N815 - the name that http.server calls

        def _body(self) -> Iterator[bytes]:
            if self.headers.get("Transfer-Encoding") != "chunked":
                yield self.rfile.read(int(self.headers["Content-Length"]))
                return
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _answer(self, value: Json) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@contextmanager
def receiving(*, multipart: bool = True, compressed: bool = False) -> Iterator[Receiver]:
    """Run a receiver.

    Args:
        multipart: Whether it takes runs in parts, as LangSmith does; else in JSON batches.
        compressed: Whether it takes them compressed.
    """
    receiver = Receiver(compressed=compressed)
    info = {
        "version": "0.15.0",
        "batch_ingest_config": {
            "use_multipart_endpoint": multipart,
            "scale_up_qsize_trigger": 1000,
            "scale_up_nthreads_limit": 16,
            "scale_down_nempty_trigger": 4,
            "size_limit": 100,
            "size_limit_bytes": 20_971_520,
        },
        "instance_flags": {"zstd_compression_enabled": compressed},
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(receiver, info))
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def tracing_client(receiver: Receiver) -> Iterator[Client]:
    """Make the real client; what it has not sent is sent at the end."""
    client = Client(api_url=receiver.url, api_key="lsv2_pt_00000000000000000000")
    try:
        while receiver.compressed and client.compressed_traces is None:
            time.sleep(0.005)  # it asks what the server takes in a thread of its own
        yield client
        client.flush()
    finally:
        client.close()
