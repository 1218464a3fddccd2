"""The lists of KoboToolbox and ODK Central over real HTTP, page by page, as their own servers answer."""

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

KOBO_PATH = "/api/v2/assets/aUji/data.json"
ODK_PATH = "/v1/projects/1/forms/lapor.svc/Submissions"
TOKEN = "token-formulir-uji"


class FormServer:
    """Serves the same submissions as both do, to whoever has the token; use as a context manager.

    Args:
        submissions: those of KoboToolbox, or rows of ODK Central.
        page: how many stand on a page.

    Attributes:
        breaks_at: number of the page, from 0, that is not served; `None`: all are.
        how: in which way: `status` (502), `cut` (the connection ends in the middle), `garbage` (no JSON), `login` (sent
            on to a page of its own).
        asked: paths of the requests, in order.
    """

    def __init__(self, submissions: Sequence[dict[str, Any]], *, page: int = 2) -> None:
        self.submissions = list(submissions)
        self.breaks_at: int | None = None
        self.how = "status"
        self.asked: list[str] = []
        self._page = page
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server._answer(self)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        given, query = request.headers.get("authorization", ""), parse_qs(parts.query)
        if parts.path == KOBO_PATH:
            if given != f"Token {TOKEN}":
                return _send(request, 401, {"detail": "Invalid token."})
            start = int(query.get("start", ["0"])[0])
        elif parts.path == ODK_PATH:
            if given != f"Bearer {TOKEN}":
                words = "Could not authenticate with the provided credentials."
                return _send(request, 401, {"message": words, "code": 401.2})
            start = int(query.get("$skiptoken", ["0"])[0])
        else:
            return _send(request, 404, {"detail": "Not found."})
        if self.breaks_at is not None and start == self.breaks_at * self._page:
            return self._break(request)
        return _send(request, 200, self._listed(parts.path, start))

    def _listed(self, path: str, start: int) -> dict[str, Any]:
        end = start + self._page
        some, more = self.submissions[start:end], end < len(self.submissions)
        if path == KOBO_PATH:
            following = f"{self.url}{path}?{urlencode({'limit': self._page, 'start': end})}" if more else None
            return {"count": len(self.submissions), "next": following, "previous": None, "results": some}
        listed = {"@odata.context": f"{self.url}{path.removesuffix('Submissions')}$metadata#Submissions", "value": some}
        return {**listed, "@odata.nextLink": f"{self.url}{path}?%24skiptoken={end}"} if more else listed

    def _break(self, request: BaseHTTPRequestHandler) -> None:
        if self.how == "status":
            _send(request, 502, {"detail": "Bad gateway"})
        elif self.how == "login":
            request.send_response(302)
            request.send_header("location", "/accounts/login/")
            request.send_header("content-length", "0")
            request.end_headers()
        else:
            request.send_response(200)
            request.send_header("content-type", "application/json")
            request.send_header("content-length", "5000" if self.how == "cut" else "7")
            request.end_headers()
            request.wfile.write(b'{"resul')
            request.close_connection = True


def _send(request: BaseHTTPRequestHandler, status: int, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
