"""A local server in the place of those that data sets are downloaded from."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

CUT = object()
"""In the place of a file's bytes: the connection breaks off after the first half of a megabyte of two."""

SLOW = object()
"""The same, but what is missing is still awaited."""


@contextlib.contextmanager
def mirror(folder: Path) -> Iterator[tuple[dict[str, object], dict[str, str]]]:
    """(files by name, environment): a process with that environment finds these files under every address."""
    files: dict[str, object] = {}
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = files.get(self.path.rsplit("/", 1)[-1])
            self.send_response(200 if body is not None else 404)
            half = body in (CUT, SLOW)
            self.send_header("Content-Length", str(2_000_000 if half else len(body or b"")))
            self.end_headers()
            self.wfile.write(b"x" * 500_000 if half else body or b"")
            if body is SLOW:
                over.wait()

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    # Python runs this file first in every process.
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import urllib.request\n"
        "from urllib.parse import urlsplit\n"
        "real = urllib.request.urlopen\n"
        "def here(url, *rest, **more):\n"
        f"    return real('http://127.0.0.1:{httpd.server_port}' + urlsplit(url).path, *rest, **more)\n"
        "urllib.request.urlopen = here\n"
    )
    try:
        yield files, {"PYTHONPATH": str(folder), "no_proxy": "127.0.0.1"}
    finally:
        over.set()
        httpd.shutdown()
        httpd.server_close()
