"""docs/nginx.conf in a real nginx, before one server and before two; one of the two is killed."""

import os
import re
import signal
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlparse
from uuid import uuid4

import httpx
import psutil
import pytest
from playwright.sync_api import expect
from proxy import NAME, NGINX, SITE, Proxy, running_proxy
from test_pictures_page import picture, upload
from walking import answered, at_epoch, start_training, until

pytestmark = pytest.mark.skipif(not NGINX, reason="there is no nginx: on Debian, apt-get install nginx-light")
SEVEN = [[(0.3, 0.25), (0.5, 0.24), (0.7, 0.26), (0.6, 0.5), (0.5, 0.8)]]
PAGES = "step", "convolution", "pooling", "learning", "layers", "training", "runs", ""
ANSWER = re.compile(r"^\s*7")
VISITOR = "0123456789abcdef" * 2


@dataclass(frozen=True)
class ClassRoom:
    """Two servers with one folder of runs behind nginx, by their ports; `start` starts one on a port that is free."""

    proxy: Proxy
    servers: dict
    start: Callable


@pytest.fixture(scope="module")
def class_room(running_app, free_port, tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    settings = {"STREAMLIT_BROWSER_SERVER_ADDRESS": NAME, "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
                "STREAMLIT_SERVER_COOKIE_SECRET": "x" * 40, "CNNVIZ_RUNS": str(folder / "runs")}  # fmt: skip
    servers = {}
    with ExitStack() as running:

        def start(port):
            servers[port] = running.enter_context(running_app(folder / f"{port}.txt", port=port, **settings))

        ports = free_port(), free_port()
        for port in ports:
            start(port)
        yield ClassRoom(running.enter_context(running_proxy(folder, (free_port(), free_port()), ports)), servers, start)


@pytest.fixture
def client(class_room):
    """client(): a browser's worth of cookies, at the proxy."""
    proxy = class_room.proxy
    clients = []

    def opened() -> httpx.Client:
        port = proxy.https.rpartition(":")[2]
        clients.append(httpx.Client(verify=False, base_url=f"https://127.0.0.1:{port}", headers={"Host": NAME}))
        return clients[-1]

    yield opened
    for one in clients:
        one.close()


def test_plain_http_is_sent_to_tls_and_every_answer_has_the_headers(class_room, client):
    proxy = class_room.proxy
    plain = httpx.get(f"http://127.0.0.1:{proxy.http.rpartition(':')[2]}/runs?a=b", headers={"Host": NAME})
    assert (plain.status_code, plain.headers["location"]) == (301, f"https://{NAME}/runs?a=b")
    for path in "/", "/_stcore/health":
        answer = client().get(path)
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["permissions-policy"] == "camera=(self), microphone=(), geolocation=()"
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["server"] == "nginx"
        assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(answer.headers["set-cookie"].split("; "))


@pytest.mark.parametrize(("size", "refused"), [(10 * 2**20, False), (10 * 2**20 + 1, True)])
def test_an_upload_of_ten_megabytes_goes_through_and_one_byte_more_does_not(class_room, client, size, refused):
    path = f"/_stcore/upload_file/none/{size}"
    answer = client().put(path, content=b"\0" * size)
    assert (answer.status_code == 413) == refused
    assert (class_room.proxy.server_of(path) == "-") == refused


def test_a_class_has_as_many_connections_as_the_site_allows_and_one_more_is_refused(class_room, client):
    """Each in the middle of an upload, of which no server hears before it is whole."""
    host, port = "127.0.0.1", int(class_room.proxy.https.rpartition(":")[2])
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    most = int(re.search(r"limit_conn cnnviz_people (\d+);", SITE.read_text())[1])

    def opened(running: ExitStack) -> socket.socket:
        line = running.enter_context(tls.wrap_socket(socket.create_connection((host, port))))
        line.sendall(f"PUT /_stcore/upload_file/none/x HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 9\r\n\r\n".encode())
        return line

    another = client()

    def answers() -> int:
        return another.get("/_stcore/health").status_code

    with ExitStack() as running:
        lines = [opened(running) for _ in range(most - 1)]
        for line in lines:
            line.settimeout(0)
            with pytest.raises(ssl.SSLWantReadError):  # not refused
                line.recv(1)
        assert answers() == 200
        opened(running)
        deadline = time.monotonic() + 10
        while answers() != 503:
            assert time.monotonic() < deadline
        lines[0].close()
        while answers() != 200:
            assert time.monotonic() < deadline


def test_a_browser_stays_with_its_server_and_many_are_shared_out(class_room, client):
    proxy, servers = class_room.proxy, class_room.servers
    before = len(proxy.servers())
    one = client()
    for _ in range(8):
        one.get("/_stcore/health")
    assert len(set(proxy.servers()[before:])) == 1
    for _ in range(16):
        client().get("/_stcore/health")
    assert len(set(proxy.servers()[before:])) == len(servers)


def test_a_forged_route_leads_to_none_but_the_servers(class_room, client):
    for forged in "127.0.0.1:9", "cnnviz", "example.org", f"127.0.0.1:{list(class_room.servers)[0]}@example.org":
        answer = client().get("/_stcore/health", headers={"Cookie": f"cnnviz_route={forged}"})
        assert answer.status_code == 200
        port = re.search(r"cnnviz_route=127\.0\.0\.1:(\d+);", answer.headers["set-cookie"])[1]
        assert int(port) in class_room.servers


def newcomer(client, proxy, port):
    """The cookies of somebody whom the proxy has sent to the server on that port; None: it has sent them elsewhere."""
    one, path = client(), f"/_stcore/health?{uuid4()}"
    one.get(path)
    return dict(one.cookies) if proxy.server_of(path).endswith(f":{port}") else None


def at(context, client, proxy, port, **cookies):
    """Give a window the cookies of somebody who is at the server on that port, and more cookies."""
    while not (route := newcomer(client, proxy, port)):
        pass
    cookies |= route
    context.add_cookies([{"name": name, "value": value, "url": proxy.https} for name, value in cookies.items()])


def kill(server):
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=20)


def test_who_has_gone_on_at_another_server_stays_there_when_the_first_is_back(class_room, new_page, client):
    proxy, servers = class_room.proxy, class_room.servers
    first, second = servers
    page = new_page(base_url=proxy.https, ignore_https_errors=True)
    at(page.context, client, proxy, first)
    page.goto("/")
    until(page.locator(".st-key-train-form"))
    page.wait_for_function("document.cookie.includes('cnnviz_visitor=')")
    assert all(cookie["secure"] for cookie in page.context.cookies() if cookie["name"] == "cnnviz_visitor")
    with page.expect_websocket(timeout=60_000):
        kill(servers[first])
    class_room.start(first)
    deadline = time.monotonic() + 20
    while not newcomer(client, proxy, first):
        assert time.monotonic() < deadline, "the proxy leaves the new server out"
    page.get_by_role("radio", name="Picture").or_(page.get_by_role("button", name="Picture")).first.click()
    until(page.locator("[data-testid=stFileUploader]"))
    with page.expect_response(lambda answer: answer.request.method == "PUT") as put:
        upload(page, "two.png", picture())
    assert (put.value.ok, proxy.server_of(urlparse(put.value.url).path)) == (True, f"127.0.0.1:{second}")
    answered(page, "^2")
    expect(page.locator("[data-testid=stAlert], [data-testid=stFileChipIconError]")).to_have_count(0)


def test_one_server_is_killed_and_its_users_go_on_at_the_other(class_room, new_page, draw, client):
    proxy, servers = class_room.proxy, class_room.servers
    (first, killed), (second, _) = servers.items()
    refused = []

    def window(port):
        page = new_page(base_url=proxy.https, ignore_https_errors=True)
        page.on("console", lambda said: "Content Security Policy" in said.text and refused.append(said.text))
        at(page.context, client, proxy, port, cnnviz_visitor=VISITOR)
        return page

    page = window(first)
    page.goto("/")
    draw(page, SEVEN)
    expect(page.locator(".st-key-prediction")).to_have_text(ANSWER, timeout=60_000)
    page.wait_for_url(re.compile("drawing="))
    other = window(second)
    for name in PAGES:
        other.goto(f"/{name}")
        until(other.locator(".st-key-train-form"))

    # The same visitor on the other server follows the run.
    start_training(page, 30)
    at_epoch(page, 1)
    other.goto(page.url.removeprefix(proxy.https))
    at_epoch(other, 2)
    expect(other.locator(".st-key-own-progress")).to_be_visible()  # so that no second one can be started there
    other.close()

    # The trainer goes with its server.
    kill(killed)
    progress = page.locator(".st-key-train-progress")
    expect(progress).to_contain_text("was interrupted", timeout=60_000)
    page.locator(".st-key-go-on button").first.click()
    expect(progress).to_contain_text("Test accuracy", timeout=90_000)
    page.get_by_role("link", name="Draw", exact=True).click()
    expect(page.locator(".st-key-prediction")).to_have_text(ANSWER, timeout=60_000)
    assert "drawing=" in page.url
    assert proxy.servers()[-1].endswith(f":{second}")
    assert refused == []
