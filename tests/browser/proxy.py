"""Debian's nginx with docs/nginx.conf, its ports, names and certificate put in place of the example's. Run as a script,
it installs nginx where there is none.
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from find_browser import debian

SITE = Path(__file__).resolve().parents[2] / "docs" / "nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
NAME = "cnnviz.example.org"


@dataclass(frozen=True)
class Proxy:
    """A running nginx: the addresses of its two ports, and a log with the server that each request went to."""

    http: str
    https: str
    log: Path

    def servers(self) -> list[str]:
        """The servers that have answered, "host:port", in order; not what the proxy has answered itself."""
        return [server for line in self.log.read_text().splitlines() if (server := line.rpartition(" ")[2]) != "-"]

    def server_of(self, path: str) -> str:
        """The server that has answered the only request for this path, "-": none but the proxy itself. nginx notes it
        once the answer is gone."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                if line.startswith(f"{path} "):
                    return line.rpartition(" ")[2]
            time.sleep(0.02)
        raise AssertionError(f"no request for {path}")


@contextlib.contextmanager
def running_proxy(folder: Path, ports: tuple[int, int], behind: tuple[int, ...]) -> Iterator[Proxy]:
    """nginx on two ports (plain, TLS) before the servers on the ports `behind`."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)  # fmt: skip
    site = SITE.read_text()
    for example, port in zip((8501, 8502), behind, strict=True):
        assert f"127.0.0.1:{example}" in site
        site = site.replace(f"127.0.0.1:{example}", f"127.0.0.1:{port}")
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{ports[0]};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{ports[1]} ssl http2;",
        "fail_timeout=10s": "fail_timeout=2s",  # a test does not wait for ten
        "/etc/ssl/certs/cnnviz.pem": str(certificate),
        "/etc/ssl/private/cnnviz.key": str(key),
    }.items():
        assert old in site
        site = site.replace(old, new)
    log = folder / "access.log"
    log.touch()
    main = folder / "nginx.conf"
    # Started by root, its workers would be nobody, who may not write here what does not fit into memory.
    user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    main.write_text(f"""
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    log_format served '$request_uri $upstream_addr';
    access_log {log} served;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
""")
    (folder / "site.conf").write_text(site)
    process = subprocess.Popen([NGINX, "-p", folder, "-c", main], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 10
        while not (folder / "nginx.pid").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(process.communicate(timeout=5)[1])
            time.sleep(0.05)
        yield Proxy(f"http://{NAME}:{ports[0]}", f"https://{NAME}:{ports[1]}", log)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__" and not NGINX:
    debian("nginx-light")
