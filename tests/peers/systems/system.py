"""A program of stacks/, deployed to a local cloud of its own, and the requests of its clients."""

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
# Services of all programs, which would otherwise be built by each `up`.
SERVICES = ["tasks", "users", "acts", "orchestrator", "bookstore", "gatekeeper", "trusted-host", "proxy", "patterns"]


class Failed(Exception):
    """A promise that the system does not keep."""


def check(promise, otherwise):
    if not promise:
        raise Failed(otherwise)


def until(look, otherwise, seconds=60):
    """Waits until a function returns a true value, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        check(time.monotonic() < deadline, f"{otherwise} (after {seconds} s)")
        time.sleep(0.05)


class System:
    """The deployed program. Leaving it resets the local cloud."""

    def __init__(self, program, *, seconds=10, time_scale=30, config=()):
        self.program, self.seconds, self.time_scale, self.config = program, seconds, time_scale, config
        self.place = tempfile.TemporaryDirectory()
        # The user of the databases must be able to enter the directory.
        os.chmod(self.place.name, 0o755)
        self.directory = Path(self.place.name) / "infra"
        # The variables of the caller's shell must not change the stack or its target.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("INFRA_")}
        for name in SERVICES:
            self.environment[f"INFRA_ARTIFACT_{name.upper().replace('-', '_')}"] = str(PROGRAMS / name)

    def __enter__(self):
        try:
            self.deploy()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def deploy(self):
        self.stack("local", "start", "--time-scale", str(self.time_scale))
        began = time.monotonic()
        settings = [word for setting in self.config for word in ("-c", setting)]
        self.first_up = self.stack("up", "--yes", *settings)
        self.url = self.output("url")
        self.passed(f"deployed in {time.monotonic() - began:.1f} s")

    def __exit__(self, kind, *_):
        if kind:
            logs = sorted(self.directory.glob("local/instances/*/*.log"))
            for log in logs:
                print(f"--- {log}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
        subprocess.run([*self.command(), "local", "reset", "--yes"], env=self.environment, capture_output=True)
        self.place.cleanup()

    def command(self):
        return [PROGRAMS / "stack", "--directory", self.directory, "--program", self.program]

    def run(self, *arguments):
        return subprocess.run([*self.command(), *map(str, arguments)], env=self.environment, capture_output=True, text=True,
                              timeout=600)

    def stack(self, *arguments):
        done = self.run(*arguments)
        words = " ".join(map(str, arguments))
        check(not done.returncode, f"stack {words}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout + done.stderr

    def output(self, name):
        return self.run("output", name, "--show-secrets").stdout.strip()

    def passed(self, what):
        print(f"ok  {self.program}: {what}", flush=True)

    # The local cloud

    def status(self):
        return json.loads(self.run("local", "status", "--json").stdout)

    def regions(self):
        return self.status()["regions"].values()

    def instances(self, name=None):
        """Returns the running instances: those of the group or declaration of this name."""
        instances = [instance for region in self.regions() for instance in region["instances"]]
        return [instance for instance in instances
                if instance["state"] == "running" and (name is None or instance["name"] == name)]

    def has_namespaces(self):
        return self.status()["network"]["namespaces"]

    def fault(self, *arguments):
        self.stack("local", "fault", *arguments)

    def reaches(self, source, target, port):
        """Returns whether packets get from one place to another, by a real connection."""
        answer = self.run("local", "reach", source, target, port, "--probe").stdout
        check("packets get through" in answer or "packets are lost" in answer, f"no answer of reach: {answer}")
        return "packets get through" in answer

    def metrics(self, instance):
        """Returns the metrics of the instance's service, which are read in the instance: nothing else reaches them."""
        read = f"import urllib.request as r; print(r.urlopen('http://{instance['address']}:9090/metrics').read().decode())"
        return self.stack("exec", instance["id"], "--", "python3", "-c", read)

    # Requests

    def request(self, method, path, body=None, headers=None, timeout=30, url=None):
        """Sends a request, and returns the status, the headers and the body. A body that is no text is sent as JSON."""
        location = urllib.parse.urlsplit(url or self.url)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(location.hostname, location.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def json(self, method, path, body=None, **options):
        """Sends a request, and returns the status and the document of the response; None if it has no body."""
        status, _, text = self.request(method, path, body, **options)
        try:
            return status, json.loads(text) if text else None
        except json.JSONDecodeError:
            return status, text

    def table(self, title, rows):
        """Sends the requests of a table. A row has a method, a path, a body, and the status and body of the response;
        a callable judges the body."""
        for method, path, body, status, expected in rows:
            answered = self.json(method, path, body)
            fits = expected(answered[1]) if callable(expected) else answered[1] == expected
            check(answered[0] == status and fits, f"{method} {path} {body}: {answered}, expected {(status, expected)}")
        self.passed(f"{title}: {len(rows)} requests")

    @contextmanager
    def load(self, *requests, threads=4):
        """Repeats requests while the block runs, and yields the list of failures: everything but a status below 500."""
        failures, counts, stop = [], [0] * threads, threading.Event()

        def send(number):
            while not stop.is_set():
                for method, path, body in requests:
                    try:
                        status, _, text = self.request(method, path, body() if callable(body) else body)
                    except (OSError, http.client.HTTPException) as error:
                        status, text = 599, repr(error)
                    counts[number] += 1
                    if status >= 500:
                        failures.append((time.time(), method, path, status, text[:200]))
        workers = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(threads)]
        for worker in workers:
            worker.start()
        load = Load(failures, counts)
        try:
            yield load
        finally:
            stop.set()
            for worker in workers:
                worker.join()

    def rolls_out(self, setting, *requests):
        """Deploys a changed setting and the previous one under load; no request may fail."""
        group = lambda: {instance["id"] for instance in self.instances()}
        before = group()
        with self.load(*requests) as load:
            began = time.monotonic()
            self.stack("up", "--yes", "-c", setting)
            while time.monotonic() < began + self.seconds:
                time.sleep(0.1)
        check(not load.failures, f"{len(load.failures)} of {load.count()} requests failed: {load.failures[:3]}")
        check(before - group(), "the rollout has replaced no instance")
        self.passed(f"rollout of {setting} without a failed request of {load.count()}")

    # The end

    def destroyed(self):
        """Destroys the stack, and checks that no process, no port and no resource is left."""
        pids = [service["pid"] for instance in self.instances() for service in instance["services"] if service["pid"]]
        ports = {(balancer["address"], port) for region in self.regions() for balancer in region["balancers"]
                 for port in balancer["ports"]}
        self.stack("destroy", "--yes")
        gone = lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        until(gone, "processes are left", 20)
        for address, port in ports:
            try:
                self.request("GET", "/", url=f"http://{address}:{port}", timeout=2)
                raise Failed(f"{address}:{port} still answers")
            except OSError:
                pass
        # A cloud without resources stops with the command that has deleted the last one.
        left = self.run("local", "status")
        check(left.returncode, f"resources are left: {left.stdout}")
        self.passed(f"destroyed: {len(pids)} processes have ended, and no resource is left")


class Load:
    def __init__(self, failures, counts):
        self.failures, self.counts = failures, counts

    def count(self):
        return sum(self.counts)


def picture():
    """Returns a small picture in Base64."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()


def form(**fields):
    return urllib.parse.urlencode(fields)


def field(page, name):
    """Returns the value of an input element of a page."""
    found = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', page) or \
        re.search(rf'<input[^>]*value="([^"]*)"[^>]*name="{name}"', page)
    check(found, f"the page has no field {name}: {page[:500]}")
    return found.group(1)
