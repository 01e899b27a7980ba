"""Helpers of comparisons under load: a PostgreSQL server, measured services, and wrk."""

import datetime
import json
import os
import platform
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from skips import skip

ROOT = Path(__file__).resolve().parents[2]
CORES = os.cpu_count()
# Class, workers, threads: the number of workers that gunicorn's documentation recommends, and alternatives.
GUNICORNS = [("sync", CORES, 1), ("sync", 2 * CORES + 1, 1), ("gthread", CORES, 4), ("gthread", 2 * CORES + 1, 2)]
TICK = os.sysconf("SC_CLK_TCK")


class Postgres:
    """A PostgreSQL server with these databases, in a separate directory. It has its default configuration."""

    def __init__(self, stack, binaries, directory, databases):
        self.binaries, self.directory = binaries, directory
        # PostgreSQL refuses to run as root.
        self.user = {}
        if os.getuid() == 0:
            names = {user.pw_name: user for user in pwd.getpwall()}
            user = names.get("postgres") or names["nobody"]
            self.user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(directory, user.pw_uid, user.pw_gid)
        self.call("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses='' -k '{directory}'"
        self.call("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")
        stack.callback(self.call, "pg_ctl", "-D", "data", "-w", "-m", "fast", "stop")
        for name in databases:
            self.query("postgres", f"CREATE DATABASE {name}")

    def call(self, program, *arguments):
        done = subprocess.run([self.binaries / program, *arguments], cwd=self.directory, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **self.user)
        if done.returncode:
            sys.exit(f"{program} failed: {done.stderr}")

    def query(self, database, statements):
        return subprocess.run(
            [self.binaries / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-U", "postgres", "-d",
             database], input=statements, check=True, capture_output=True, text=True).stdout

    def url(self, database):
        return f"postgres://postgres@localhost/{database}?host={self.directory}"

    def seconds(self):
        """Returns the processor time of the server and its connections."""
        return processor_seconds(int((self.directory / "data/postmaster.pid").read_text().split()[0]))


class Side:
    """A measured service: one process with its workers, or several processes behind each other."""

    def __init__(self, name, url):
        self.name, self.url, self.processes = name, url, []

    def start(self, stack, arguments, ready, **options):
        """Starts a process, and waits until the URL `ready` responds with success."""
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
        self.processes.append(process)
        stack.callback(self.end, process)
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(ready, timeout=5).read()
                return
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{self.name} does not start: {error}")
                time.sleep(0.05)

    @staticmethod
    def end(process):
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)

    def send(self, method, path, body=None):
        """Sends a request with a JSON body, and returns the status, the headers and the body of the response."""
        request = urllib.request.Request(self.url + path, method=method, data=body and json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers, answer.read()

    def answer(self, method, path, body=None):
        """Returns the status and the parsed JSON."""
        status, _, text = self.send(method, path, body)
        return status, json.loads(text)

    def memory(self):
        """Returns the proportional set size of its processes in MiB, which counts shared memory once."""
        sizes = [re.search(r"^Pss:\s*(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
                 for process in self.processes for pid in family(process.pid)]
        return sum(int(size[1]) for size in sizes) / 1024

    def seconds(self):
        """Returns the processor time of its processes."""
        return sum(processor_seconds(process.pid) for process in self.processes)


def family(pid):
    """Returns a process and its descendants, except for those that terminate meanwhile."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def processor_seconds(pid):
    """Returns the processor time of a process, its descendants, and its children that have terminated."""
    ticks = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            # Its parent has its time.
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICK


def busy_seconds():
    """Returns the time in which the processors of this machine were not idle."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@dataclass
class Load:
    """Result of wrk. Times are milliseconds; processor times are seconds per second."""

    requests: int
    rate: float
    p50: float
    p99: float
    service: float
    database: float
    # Processor time of everything but the service, the database and wrk.
    other: float


def load(side, postgres, lua, directory, seconds, connections):
    """Sends requests to a service. Every response must succeed."""
    script = directory / "requests.lua"
    script.write_text(lua)
    clocks = side.seconds, postgres.seconds, busy_seconds, children_seconds
    before, began = [clock() for clock in clocks], time.monotonic()
    # With its default of 2 s, wrk would count slow responses as errors, and not in the percentiles.
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "--latency", "-s", script, side.url]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    elapsed = time.monotonic() - began
    service, database, busy, wrk = [(clock() - start) / elapsed for clock, start in zip(clocks, before)]
    errors = re.search(r"(Non-2xx.*|Socket errors.*)", out)
    assert not errors, f"{side.name}: {errors[1]}"
    requests = int(re.search(r"(\d+) requests in", out)[1])
    assert requests, f"{side.name}: no response in {seconds} s"

    def milliseconds(percentile):
        number, unit = re.search(rf"{percentile}%\s*([\d.]+)(us|ms|s)", out).groups()
        return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    return Load(requests, float(re.search(r"Requests/sec:\s*([\d.]+)", out)[1]), milliseconds(50), milliseconds(99),
                service, database, max(0, busy - service - database - wrk))


def children_seconds():
    """Returns the processor time of the terminated children of this process, which includes wrk."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def python():
    """Returns the newest Python in the path, because the newest packages may not support the one that runs this script."""
    found = [shutil.which(f"python3.{minor}") for minor in range(20, 11, -1)] + [sys.executable]
    works = [each for each in found if each and not subprocess.run([each, "-c", ""], capture_output=True).returncode]
    return works[0]


def install(environment, *packages):
    """Installs packages from PyPI in a virtual environment, unless it exists."""
    if not (environment / "bin/gunicorn").exists():
        subprocess.run([python(), "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)


def gunicorn(environment, port, kind, workers, threads, application):
    """Returns the command of a server without an access log."""
    return [environment / "bin/gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", kind, "--workers", str(workers),
            "--threads", str(threads), "--keep-alive", "75", "--preload", "--log-level", "error", application]


def release(program):
    """Returns the path of a program that was built in release mode."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / program


def versions(binaries, environment, names):
    """Prints the machine and the versions."""
    def said(*command):
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"{CORES} processors ({model[1] if model else platform.machine()}), {datetime.date.today():%B %Y}; "
          f"{said(binaries / 'postgres', '--version')}")
    packages = dict(line.split("==") for line in said(environment / "bin/pip", "freeze").splitlines() if "==" in line)
    packages = {name.lower(): version for name, version in packages.items()}
    print(", ".join([said(environment / "bin/python", "--version"),
                     *(f"{name} {packages[name.lower()]}" for name in names)]))


def programs(name):
    """Returns the directory of PostgreSQL's executables. Reports the test as skipped and returns None if they, or wrk, are
    missing."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    folders += Path("/usr/lib/postgresql").glob("*/bin")
    # The executables in PATH may be links to some of them.
    folders = [(folder / "initdb").resolve().parent for folder in folders if (folder / "initdb").is_file()]
    wanted = ("pg_ctl", "postgres", "psql")
    found = next((folder for folder in folders if all((folder / name).is_file() for name in wanted)), None)
    missing = [package for package, there in (("wrk", shutil.which("wrk")), ("postgresql", found)) if not there]
    if missing:
        skip(name, f"{' and '.join(missing)} missing; install them: apt-get install {' '.join(missing)}")
        return None
    return found
