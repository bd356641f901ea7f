"""A file server on 127.0.0.1 that misbehaves as told, and remembers what it was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """What the server does when it is asked for a file.

    Attributes:
        body: The file.
        status: Another status than 200 or 206.
        headers: Further headers.
        ranges: Whether Range requests are served.
        cut: The connection ends after so many bytes, short of what was announced.
        length: Whether Content-Length is sent.
        delay: Seconds to sleep after half of the body.
    """

    body: bytes = b""
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    cut: int | None = None
    length: bool = True
    delay: float = 0.0


@dataclass
class FileServer:
    """A running server.

    Attributes:
        address: Its root, without the final slash.
        answers: For each path what to do at the first, second, ... request; the last one stays.
        asked: Paths and Range headers of the requests so far.
    """

    address: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def next_answer(self, path: str, wanted: str | None) -> Answer:
        self.asked.append((path, wanted))
        answers = self.answers.get(path, [Answer(b"not found", status=404)])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def serve() -> Generator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            answer = server.next_answer(self.path, wanted)
            first = int(wanted[6:-1]) if wanted and answer.ranges else 0
            if first >= len(answer.body) > 0:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = answer.body[first:]
            self.send_response(answer.status or (206 if first else 200))
            if first:
                last, size = len(answer.body) - 1, len(answer.body)
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            if answer.length:
                self.send_header("Content-Length", str(len(body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            sent = body if answer.cut is None else body[: answer.cut]
            half = len(sent) // 2
            self.wfile.write(sent[:half])
            if answer.delay:
                self.wfile.flush()
                time.sleep(answer.delay)
            self.wfile.write(sent[half:])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Silent."""

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server = FileServer(f"http://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
