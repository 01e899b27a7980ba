"""Hostile callers of a local cloud: web pages of other origins in a real browser, and another user of the machine.

    hostile.py SERVE    SERVE is the executable of infra-local's example `serve`

Every attack must be refused, and the cloud must continue to serve the holder of its key.
"""

import contextlib
import http.client
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import keys
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

NOBODY = 65534

# All attacks that a page can try without the cloud's key. Each attempt records its outcome.
PAGE = """<!doctype html><title>attack</title><script>
const endpoint = %(endpoint)s, launch = %(launch)s, attempts = {};
async function attempt(name, act) {
  try { const answer = await act(); attempts[name] = answer.type === 'opaque' ? 'opaque' : answer.status; }
  catch (error) { attempts[name] = 'blocked'; }
}
(async () => {
  await attempt('launch as text', () => fetch(launch, {method: 'POST', mode: 'no-cors', body: %(form)s}));
  await attempt('shutdown', () => fetch(endpoint + '/_infra/shutdown', {method: 'POST', mode: 'no-cors'}));
  await attempt('fault', () => fetch(endpoint + '/_infra/fault', {method: 'POST', mode: 'no-cors', body: '{}'}));
  await attempt('status', () => fetch(endpoint + '/_infra/status'));
  await attempt('parameter', () => fetch(endpoint + '/', {method: 'POST', body: '{}', headers: {
    'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AmazonSSM.GetParameter'}}));
  const frame = document.createElement('iframe');
  frame.name = 'form';
  document.body.append(frame);
  const form = document.createElement('form');
  form.method = 'POST'; form.action = launch; form.target = 'form'; form.enctype = 'text/plain';
  const field = document.createElement('input');
  field.name = 'Action'; field.value = 'RunInstances';
  form.append(field);
  document.body.append(form);
  frame.onload = () => { attempts['form'] = 'answered'; document.title = JSON.stringify(attempts); };
  form.submit();
})();
</script><body>"""


@contextlib.contextmanager
def cloud(serve):
    """Runs a cloud, and yields its endpoint and its directory."""
    with tempfile.TemporaryDirectory() as place:
        # The other user can reach the directory of the cloud, but must not be able to read its files.
        os.chmod(place, 0o755)
        directory = Path(place) / "cloud"
        process = subprocess.Popen([serve, directory, "0"], stderr=open(Path(place) / "log", "w"))
        try:
            described = directory / "daemon.json"
            until("the cloud starts", lambda: described.exists() and described.stat().st_size)
            yield json.loads(described.read_text())["endpoint"], directory
            assert process.poll() is None, "the cloud has stopped"
        finally:
            process.terminate()
            process.wait(timeout=60)


@contextlib.contextmanager
def site(text):
    """Runs a web server of another origin with one page, and yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     # A name of the attacker that resolves to this machine (DNS rebinding).
                     "--host-resolver-rules=MAP evil.example 127.0.0.1"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def until(what, look, seconds=60):
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return answer


def launch_url(endpoint):
    """Returns the presigned URL of an EC2 request with an unknown access key."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return endpoint + "/?" + urllib.parse.urlencode({
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"any/{now[:8]}/us-east-1/ec2/aws4_request",
        "X-Amz-Date": now, "X-Amz-Expires": "600", "X-Amz-SignedHeaders": "host", "X-Amz-Signature": "0" * 64})


def instances(endpoint, directory):
    """Returns the number of instances, as the holder of the key sees it."""
    host, body = endpoint.removeprefix("http://"), b"Action=DescribeInstances&Version=2016-11-15"
    headers = keys.signed(keys.read(directory), "ec2", host, body, {"content-type": "application/x-www-form-urlencoded"})
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status == 200, text
    return text.count("<instanceId>")


def pages(endpoint, directory):
    form = "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=1"
    quoted = {name: json.dumps(value) for name, value in
              {"endpoint": endpoint, "launch": launch_url(endpoint), "form": form}.items()}
    driver = browser()
    try:
        with site(PAGE % quoted) as port:
            for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}", f"http://evil.example:{port}"):
                driver.get(origin)
                title = until("the page has made all attempts", lambda: driver.title != "attack" and driver.title)
                attempts = json.loads(title)
                print(f"   from {origin}: {attempts}")
                for name, outcome in attempts.items():
                    assert outcome in ("opaque", "blocked", "answered", 403), f"{name}: {outcome}"
                assert attempts["status"] == attempts["parameter"] == "blocked", attempts
                frame = driver.find_element("tag name", "iframe")
                driver.switch_to.frame(frame)
                assert "AccessDenied" in driver.page_source, driver.page_source
                driver.switch_to.default_content()
        # A page under the attacker's name, which resolves to the endpoint, has the endpoint's origin: only its Host differs.
        port = endpoint.rsplit(":", 1)[1]
        driver.get(f"http://evil.example:{port}/_infra/status")
        assert "regions" not in driver.page_source and "Host header" in driver.page_source, driver.page_source
    finally:
        driver.quit()
    assert instances(endpoint, directory) == 0


STRANGER = r"""
import http.client, json, sys, urllib.parse
endpoint, directory, launch = sys.argv[1:]
for name in ("credentials.json", "daemon.json", "cloud.json", "options.json"):
    try:
        open(f"{directory}/{name}").read()
        sys.exit(f"{name} can be read")
    except (PermissionError, FileNotFoundError):
        pass
def ask(method, path, headers={}, body=None):
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
path = launch.removeprefix(endpoint)
form = "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=1"
for expected, asked in [
    ((403,), ask("GET", "/_infra/status")),
    ((403,), ask("POST", "/_infra/shutdown")),
    ((403,), ask("POST", "/_infra/fault", body="{}")),
    ((403,), ask("GET", "/_infra/status", {"Authorization": "Bearer guess"})),
    ((401, 403), ask("POST", path, body=form)),
    ((401, 403), ask("POST", "/", {"content-type": "application/x-www-form-urlencoded"}, form)),
]:
    if asked not in expected:
        sys.exit(f"{asked} instead of {expected}")
"""


def stranger(endpoint, directory):
    """Tries the same attacks as another user of this machine."""
    words = [sys.executable, "-c", STRANGER, endpoint, str(directory), launch_url(endpoint)]
    if os.geteuid() != 0:
        sys.exit("root permissions are needed to switch to another user: run this script as root")
    subprocess.run(["/usr/bin/python3", *words[1:]], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=True, timeout=60)
    assert instances(endpoint, directory) == 0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with cloud(sys.argv[1]) as (endpoint, directory):
        print("-- another user of this machine")
        stranger(endpoint, directory)
        print("-- web pages of other origins")
        pages(endpoint, directory)


if __name__ == "__main__":
    main()
