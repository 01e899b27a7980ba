"""A local cloud without programs and databases, for the duration of a run."""

import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PAGE = ROOT / "docs/src/fidelity.md"
# Waiting periods of groups, load balancers and databases are divided by this.
TIME_SCALE = "30"


@contextmanager
def served():
    """Yields the endpoint and the credentials of a new local cloud."""
    command = ["cargo", "build", "--quiet", "--package", "infra-local", "--example", "serve"]
    subprocess.run(command, cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as directory, open(Path(directory, "log"), "w") as log:
        process = subprocess.Popen(
            [TARGET / "debug/examples/serve", directory, "0", TIME_SCALE, "loopback", "control-plane"], stderr=log
        )
        try:
            described, deadline = Path(directory, "daemon.json"), time.monotonic() + 30
            while not (described.exists() and described.stat().st_size):
                assert time.monotonic() < deadline, "the local cloud does not start"
                time.sleep(0.05)
            endpoint = json.loads(described.read_text())["endpoint"]
            yield endpoint, json.loads(Path(directory, "credentials.json").read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
