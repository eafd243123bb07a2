"""A small OpenID Connect provider: it signs in whoever it is told to, without asking, with real signed tokens."""

import contextlib
import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlparse

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "cnnviz", "not-a-secret"


class Provider(ThreadingHTTPServer):
    """Its address is `url`; `claims` are those of who signs in next."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.claims: dict = {}
        self.codes: dict[str, dict] = {}

    def secrets(self, app: str) -> str:
        """What .streamlit/secrets.toml holds for an app at this address."""
        return f"""[auth]
redirect_uri = "{app}/oauth2callback"
cookie_secret = "{"x" * 32}"
client_id = "{CLIENT}"
client_secret = "{SECRET}"
server_metadata_url = "{self.url}/.well-known/openid-configuration"
"""


class Answers(BaseHTTPRequestHandler):
    """The five addresses that the code flow needs."""

    server: Provider

    def log_message(self, *_) -> None:
        """Nothing into the terminal."""

    def send(self, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        url, provider = urlparse(self.path), self.server
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/.well-known/openid-configuration":
            self.send({"issuer": provider.url, "authorization_endpoint": f"{provider.url}/authorize",
                       "token_endpoint": f"{provider.url}/token", "jwks_uri": f"{provider.url}/keys",
                       "response_types_supported": ["code"], "subject_types_supported": ["public"],
                       "id_token_signing_alg_values_supported": ["RS256"]})  # fmt: skip
        elif url.path == "/keys":
            self.send({"keys": [provider.key.as_dict(private=False)]})
        else:
            code = f"code{len(provider.codes)}"
            provider.codes[code] = {**provider.claims, "nonce": query.get("nonce")}
            self.send_response(302)
            back = urlencode({"code": code, "state": query["state"]})
            self.send_header("Location", f"{query['redirect_uri']}?{back}")
            self.end_headers()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        name, _, secret = b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
        assert (unquote(name), unquote(secret)) == (CLIENT, SECRET)
        now = int(time.time())
        claims = {"iss": self.server.url, "aud": CLIENT, "iat": now, "exp": now + 600}
        claims |= self.server.codes.pop(form["code"][0])
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.server.key)
        self.send({"access_token": "none", "token_type": "Bearer", "expires_in": 600, "id_token": token})


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider that answers until the end of the block."""
    with Provider() as provider:
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        yield provider
        provider.shutdown()
