"""A guestbook as people write one for http.server: `salver handler:examples/tour/guestbook.py:Guestbook`.

It needs nothing of salver; `python3 guestbook.py` serves it by http.server itself.
"""

from __future__ import annotations

import html
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Guestbook</title>
<h1>Guestbook</h1><ul>{entries}</ul>
<form method="post"><label>Your line <input name="line" maxlength="200" required></label> <button>Sign</button></form>
"""

entries: list[str] = []


class Guestbook(BaseHTTPRequestHandler):
    """Shows the last entries, and takes new ones."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page."""
        shown = "".join(f"<li>{html.escape(entry)}</li>" for entry in entries[-50:])
        body = PAGE.format(entries=shown).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """A new entry, then the page again."""
        length = min(int(self.headers.get("Content-Length", 0)), 10_000)
        form = parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
        entries.extend(line.strip()[:200] for line in form.get("line", []))
        self.send_response(303)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8000), Guestbook).serve_forever()
