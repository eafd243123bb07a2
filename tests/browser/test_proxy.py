"""docs/nginx.conf in a real nginx, before one server and before two; one of the two is killed."""

import os
import re
import signal

import httpx
import psutil
import pytest
from playwright.sync_api import expect
from proxy import NAME, NGINX, running_proxy
from walking import at_epoch, choose, until

pytestmark = pytest.mark.skipif(not NGINX, reason="there is no nginx: on Debian, apt-get install nginx-light")
SEVEN = [[(0.3, 0.25), (0.5, 0.24), (0.7, 0.26), (0.6, 0.5), (0.5, 0.8)]]
PAGES = "step", "convolution", "pooling", "learning", "layers", "training", "runs", ""
ANSWER = re.compile(r"^\s*7")
VISITOR = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def class_room(running_app, free_port, tmp_path_factory):
    """(proxy, servers by port): two servers with one folder of runs behind nginx."""
    folder = tmp_path_factory.mktemp("proxy")
    settings = {"STREAMLIT_BROWSER_SERVER_ADDRESS": NAME, "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
                "STREAMLIT_SERVER_COOKIE_SECRET": "x" * 40, "CNNVIZ_RUNS": str(folder / "runs")}  # fmt: skip
    with running_app(folder / "one.txt", **settings) as one, running_app(folder / "two.txt", **settings) as two:
        servers = {int(server.url.rpartition(":")[2]): server for server in (one, two)}
        with running_proxy(folder, (free_port(), free_port()), tuple(servers)) as proxy:
            yield proxy, servers


@pytest.fixture
def client(class_room):
    """client(): a browser's worth of cookies, at the proxy."""
    proxy, _ = class_room
    clients = []

    def opened() -> httpx.Client:
        port = proxy.https.rpartition(":")[2]
        clients.append(httpx.Client(verify=False, base_url=f"https://127.0.0.1:{port}", headers={"Host": NAME}))
        return clients[-1]

    yield opened
    for one in clients:
        one.close()


def test_plain_http_is_sent_to_tls_and_every_answer_has_the_headers(class_room, client):
    proxy, _ = class_room
    plain = httpx.get(f"http://127.0.0.1:{proxy.http.rpartition(':')[2]}/runs?a=b", headers={"Host": NAME})
    assert (plain.status_code, plain.headers["location"]) == (301, f"https://{NAME}/runs?a=b")
    for path in "/", "/_stcore/health":
        answer = client().get(path)
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["server"] == "nginx"
        assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(answer.headers["set-cookie"].split("; "))


@pytest.mark.parametrize(("size", "refused"), [(10 * 2**20, False), (10 * 2**20 + 1, True)])
def test_an_upload_of_ten_megabytes_goes_through_and_one_byte_more_does_not(client, size, refused):
    answer = client().put("/_stcore/upload_file/none/none", content=b"\0" * size)
    assert (answer.status_code == 413) == refused


def test_a_browser_stays_with_its_server_and_many_are_shared_out(class_room, client):
    proxy, servers = class_room
    before = len(proxy.servers())
    one = client()
    for _ in range(8):
        one.get("/_stcore/health")
    assert len(set(proxy.servers()[before:])) == 1
    for _ in range(16):
        client().get("/_stcore/health")
    assert len(set(proxy.servers()[before:])) == len(servers)


def at(context, proxy, port, route=0):
    """Give a window the cookies of a visitor whom the proxy sends to the server on that port."""
    while True:
        route += 1
        cookies = {"cnnviz_route": f"{route:032x}", "cnnviz_visitor": VISITOR}
        before = len(proxy.servers())
        httpx.get(f"https://127.0.0.1:{proxy.https.rpartition(':')[2]}/_stcore/health", verify=False,
                  headers={"Host": NAME, "Cookie": f"cnnviz_route={cookies['cnnviz_route']}"})  # fmt: skip
        if proxy.servers()[before].endswith(f":{port}"):
            context.add_cookies([{"name": name, "value": value, "url": proxy.https} for name, value in cookies.items()])
            return


def test_one_server_is_killed_and_its_users_go_on_at_the_other(class_room, new_page, draw):
    proxy, servers = class_room
    (first, killed), (second, _) = servers.items()
    refused = []

    def window(port):
        page = new_page(base_url=proxy.https, ignore_https_errors=True)
        page.on("console", lambda said: "Content Security Policy" in said.text and refused.append(said.text))
        at(page.context, proxy, port)
        return page

    page = window(first)
    page.goto("/")
    draw(page, SEVEN)
    expect(page.locator(".st-key-prediction")).to_have_text(ANSWER, timeout=60_000)
    page.wait_for_url(re.compile("drawing="))
    page.locator(".st-key-train-form summary").click()
    until(page.locator(".st-key-t_dataset"))
    choose(page, "t_dataset", "Optical digits")
    expect(page.locator(".st-key-train-layers")).to_contain_text("8×8×16")
    epochs = page.locator(".st-key-t_epochs input")
    epochs.fill("60")
    epochs.press("Enter")
    page.locator(".st-key-t_start button").click()
    at_epoch(page, 1)
    link = page.url

    # The same visitor on the other server follows the run.
    other = window(second)
    other.goto(link.removeprefix(proxy.https))
    at_epoch(other, 2)
    for name in PAGES:
        other.goto(f"/{name}")
        until(other.locator(".st-key-train-form"))

    # The trainer goes with its server.
    family = [psutil.Process(killed.pid), *psutil.Process(killed.pid).children(recursive=True)]
    os.kill(killed.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=20)
    progress = page.locator(".st-key-train-progress")
    expect(progress).to_contain_text("was interrupted", timeout=60_000)
    page.locator(".st-key-go-on button").first.click()
    expect(progress).to_contain_text("Test accuracy", timeout=90_000)
    page.get_by_role("link", name="Draw", exact=True).click()
    expect(page.locator(".st-key-prediction")).to_have_text(ANSWER, timeout=60_000)
    assert "drawing=" in page.url
    assert proxy.servers()[-1].endswith(f":{second}")
    assert refused == []
