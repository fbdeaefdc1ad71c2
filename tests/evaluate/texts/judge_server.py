"""A server on the same machine that answers as a judge model behind an endpoint would."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "sk-very-secret"


class Server:
    """Answers with what `behave` makes of the number of the request and its record."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.behave: Callable[[int, dict[str, Any]], Any] = longer_wins
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.lock:
                    number = len(server.requests)
                    server.requests.append(body)
                    server.keys.append(self.headers.get("Authorization"))
                status, headers, content = _answer(server.behave(number, body))
                with suppress(ConnectionError):  # whoever asked may be tired of waiting
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *given: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def _answer(given: Any) -> tuple[int, dict[str, str], bytes]:
    if isinstance(given, tuple):
        return given
    return 200, {}, given if isinstance(given, bytes) else json.dumps(given).encode()


def chat(text: str | None, **message: Any) -> dict[str, Any]:
    return {
        "choices": [{"message": {"content": text, **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    }


def texts_of(body: dict[str, Any]) -> list[str]:
    asked = body["messages"][1]["content"]
    return [asked.split(f"<text_{k}>\n")[1].split(f"\n</text_{k}>")[0] for k in (1, 2)]


def longer_wins(number: int, body: dict[str, Any]) -> Any:
    one, two = texts_of(body)
    return chat(json.dumps({"winner": "1" if len(one) > len(two) else "2"}))
