"""Tests the web pages of SelfieLessActs as a user would: signs up, shares acts, votes and deletes. Takes screenshots.

usage: selfieless.py PROGRAMS PICTURES
"""

import contextlib
import http.client
import http.server
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zlib

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

USER = "ana <b>bold</b>"
PASSWORD = "correct horse"
CATEGORY = "Trees & <i>more</i>"
DESKTOP = (1280, 860, 1, False)
PHONE = (390, 844, 2, True)


def main(programs, pictures):
    with tempfile.TemporaryDirectory() as directory, deployed(pathlib.Path(programs).resolve(), directory) as port:
        picture = pathlib.Path(directory, "picture.png")
        picture.write_bytes(png(1600, 1000))
        with browser(DESKTOP, "light") as driver:
            try:
                use(driver, f"http://127.0.0.1:{port}/", str(picture))
            except BaseException:
                driver.get_screenshot_as_file(str(pathlib.Path(pictures, "selfieless-failed.png")))
                raise
        # Plain HTTP of another host, for which a browser has no WebCrypto.
        with browser(DESKTOP, "light") as driver:
            driver.get(f"http://selfieless.test:{port}/")
            assert not driver.execute_script("return Boolean(crypto.subtle)")
            sign(driver, "Sign in", PASSWORD)
            until(driver, lambda: f"Signed in as {USER}" in text(driver))
        for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
            for scheme in ("light", "dark"):
                with browser(size, scheme) as driver:
                    look(driver, f"http://127.0.0.1:{port}/")
                    driver.get_screenshot_as_file(str(pathlib.Path(pictures, f"selfieless-{name}-{scheme}.png")))


@contextlib.contextmanager
def deployed(programs, directory):
    """Runs both services, the orchestrator and a balancer. Returns the port of the balancer."""
    balancer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Balancer)
    balancer.daemon_threads = True
    port = balancer.server_address[1]
    threading.Thread(target=balancer.serve_forever, daemon=True).start()
    # The orchestrator has its own address, so that the ports of its instances are free.
    settings = {
        "DATABASE_URL": f"sqlite:{directory}/test.sqlite?mode=rwc",
        "USERS_URL": f"http://127.0.0.1:{port}",
        "RUST_LOG": "error",
    }
    with contextlib.ExitStack() as stack:
        Balancer.users = stack.enter_context(running(programs / "users", settings | {"LISTEN": "127.0.0.1:0"}))
        host = f"127.210.{os.getpid() % 250}.1"
        Balancer.others = stack.enter_context(running(programs / "orchestrator", settings | {"LISTEN": f"{host}:0"}))
        for _ in range(600):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10)
                break
            threading.Event().wait(0.05)
        yield port
    balancer.shutdown()


@contextlib.contextmanager
def running(program, settings):
    """Runs a program. Returns its address."""
    process = subprocess.Popen([program], env={"PATH": os.environ["PATH"]} | settings, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if " listens on http://" not in line:
            raise SystemExit(f"{program} did not start")
        yield line.rsplit("/", 1)[1].strip()
    finally:
        process.terminate()
        process.wait(15)


class Balancer(http.server.BaseHTTPRequestHandler):
    """Selects the service by the path."""

    protocol_version = "HTTP/1.1"
    users = others = None

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_of_users = self.path.startswith(("/api/v1/users", "/api/v1/validate_user"))
        connection = http.client.HTTPConnection(self.users if is_of_users else self.others, timeout=20)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        connection.close()
        # A page that is closed reads no response.
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_DELETE = forward

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def browser(size, scheme):
    """Starts a browser with this window size and colour scheme."""
    width, height, scale, mobile = size
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP selfieless.test 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        driver.set_page_load_timeout(30)
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        yield driver
        # The policy of the page blocks nothing that the page needs.
        problems = [entry for entry in driver.get_log("browser") if entry["source"] != "network"]
        assert not problems, problems
    finally:
        driver.quit()


def use(driver, address, picture):
    driver.get(address)
    sign(driver, "Create an account", PASSWORD)
    until(driver, lambda: f"Signed in as {USER}" in text(driver))
    write(driver, "#new-category input", CATEGORY)
    press(driver, "Add")
    until(driver, lambda: f"{CATEGORY} (0)" in text(driver))
    for number in range(1, 15):
        find(driver, "summary").click()
        write(driver, "#upload input", picture)
        until(driver, lambda: find(driver, "#preview").is_displayed())
        write(driver, "#upload textarea", f"Oak {number} <script>alert(1)</script>")
        press(driver, "Share")
        until(driver, lambda number=number: f"{CATEGORY} ({number})" in text(driver))
    until(driver, lambda: cards(driver) == 12)
    assert "Oak 14 <script>alert(1)</script>" in find(driver, ".act").text
    assert driver.execute_script("return document.querySelector('.picture').naturalWidth") == 1280
    press(driver, "Show more")
    until(driver, lambda: cards(driver) == 14)
    find(driver, ".vote").click()
    until(driver, lambda: find(driver, ".votes").text == "1")
    find(driver, ".act .delete").click()
    driver.switch_to.alert.accept()
    until(driver, lambda: f"{CATEGORY} (13)" in text(driver))

    # A file that is no picture.
    find(driver, "summary").click()
    write(driver, "#upload input", str(pathlib.Path(picture).with_name("test.sqlite")))
    until(driver, lambda: "not a picture" in text(driver))
    press(driver, "Sign out")
    until(driver, lambda: not find(driver, ".act .delete").is_displayed())
    sign(driver, "Create an account", PASSWORD)
    until(driver, lambda: f"There is already a user \"{USER}\"." in text(driver))
    find(driver, "[name=password]").clear()
    find(driver, "[name=username]").clear()
    sign(driver, "Sign in", "wrong horse")
    until(driver, lambda: "The name or the password is wrong." in text(driver))


def look(driver, address):
    """Shows the category, without a horizontal scroll bar."""
    driver.get(address)
    until(driver, lambda: f"{CATEGORY} (13)" in text(driver))
    find(driver, ".chips button").click()
    until(driver, lambda: cards(driver) == 12)
    until(driver, lambda: driver.execute_script("return document.querySelector('.picture').complete"))
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def sign(driver, button, password):
    write(driver, "[name=username]", USER)
    write(driver, "[name=password]", password)
    press(driver, button)


def find(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


def write(driver, selector, content):
    find(driver, selector).send_keys(content)


def press(driver, label):
    find_all = driver.find_elements(By.TAG_NAME, "button")
    next(button for button in find_all if button.text == label and button.is_displayed()).click()


def cards(driver):
    return len(driver.find_elements(By.CSS_SELECTOR, ".act"))


def text(driver):
    return find(driver, "body").text


def until(driver, condition):
    # The page replaces its cards.
    replaced = (NoSuchElementException, StaleElementReferenceException)
    WebDriverWait(driver, 30, ignored_exceptions=replaced).until(lambda _: condition())


def png(width, height):
    """Returns a picture with a gradient."""

    def row(y):
        return b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 120)) for x in range(width))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"".join(map(row, range(height))))) + chunk(b"IEND", b"")


if __name__ == "__main__":
    main(*sys.argv[1:])
