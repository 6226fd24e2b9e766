"""A web server on this machine that breaks off, lies, and counts what it is asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server has, and how it behaves.

    `breaks` are numbers of bytes after which answers break off, one for each of the first answers. `claims` is what
    Content-Length says instead of the truth. `refuses` are statuses of the first answers.
    """

    files: dict[str, bytes]
    etag: str = '"one"'
    breaks: list[int] = field(default_factory=list)
    refuses: list[int] = field(default_factory=list)
    claims: int | None = None
    shift: int = 0
    has_ranges: bool = True
    has_length: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0


@contextmanager
def served(site: Site) -> Iterator[str]:
    """Serve a site; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers.get("Range", "")))
            if site.refuses or self.path not in site.files:
                self.send_error(site.refuses.pop(0) if site.refuses else 404)
                return
            content, start = site.files[self.path], 0
            asked = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
            if asked and site.has_ranges and self.headers.get("If-Range", site.etag) == site.etag:
                start = int(asked)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start + site.shift}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            if site.has_length:
                length = len(content) - start if site.claims is None else site.claims
                self.send_header("Content-Length", str(length))
            if site.etag:
                self.send_header("ETag", site.etag)
            self.end_headers()
            rest = content[start:]
            rest = rest[: site.breaks.pop(0)] if site.breaks else rest
            site.sent += len(rest)
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
