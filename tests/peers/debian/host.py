"""A Debian host: a disk on top of the common tree, a network namespace, and systemd as process 1 in systemd-nspawn."""
import ctypes
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from cloud import BRIDGE, METADATA, ip

CGROUPS = [path for path in (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
           if (path / "cgroup.procs").exists()]


class Failure(Exception):
    """A host does not behave as expected."""


class Host:
    def __init__(self, directory, tree, name, address, disk=None):
        """Creates a host that is powered off. `disk` is a host whose disk is copied."""
        self.name, self.address = name, address
        self.directory = Path(directory) / name
        self.tree, self.disk, self.root = tree, self.directory / "disk", self.directory / "root"
        self.console = self.directory / "console"
        self.process, self.cgroups = None, []
        for path in (self.disk, self.directory / "work", self.root):
            path.mkdir(parents=True)
        if disk:
            shutil.rmtree(self.disk)
            subprocess.run(["cp", "--archive", disk.disk, self.disk], check=True)
        ip("netns", "add", name)
        ip("link", "add", f"h-{name}", "type", "veth", "peer", "name", "ens5", "netns", name)
        ip("link", "set", f"h-{name}", "master", BRIDGE, "up")
        for arguments in (["link", "set", "lo", "up"], ["address", "add", f"{address}/8", "dev", "ens5"],
                          ["link", "set", "ens5", "up"], ["route", "add", METADATA, "dev", "ens5"]):
            ip("-netns", name, *arguments)

    def power_on(self):
        mount = f"lowerdir={self.tree},upperdir={self.disk},workdir={self.directory / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", mount, self.root], check=True)
        # Each host needs a separate control group, which is removed afterwards.
        self.cgroups = [path / f"infra-debian{self.directory.parent.suffix.replace('.', '-')}-{self.name}" for path in CGROUPS]
        for cgroup in self.cgroups:
            cgroup.mkdir()

        def enter():
            for cgroup in self.cgroups:
                (cgroup / "cgroup.procs").write_text("0")
            # The kernel kills the host when this process terminates for any reason.
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)

        command = ["systemd-nspawn", "--quiet", "--directory", self.root, "--machine", self.name, "--register=no",
                   "--keep-unit", "--boot", "--console=read-only", "--resolv-conf=off", "--timezone=off",
                   f"--network-namespace-path=/run/netns/{self.name}"]
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                            preexec_fn=enter)

    def wait_until_off(self, seconds):
        """Waits until the host has powered off."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} is still on after {seconds} s") from None
        self.clean_up()

    def power_off(self):
        """Powers off as EC2 does when an instance is stopped."""
        self.run("systemctl", "poweroff", "--no-block")
        self.wait_until_off(300)

    def reboot(self):
        """Reboots the host with the same disk and address."""
        self.run("systemctl", "reboot", "--no-block")
        try:
            # systemd-nspawn exits at a reboot and expects its unit to start it again.
            self.process.wait(300)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} has not shut down for the reboot") from None
        self.clean_up()
        self.power_on()

    def clean_up(self):
        if self.process and self.process.poll() is None:
            # systemd-nspawn exits when its host is killed; the host would survive a kill of systemd-nspawn.
            try:
                os.kill(int(self.leader()), signal.SIGKILL)
                self.process.wait(60)
            except (Failure, ProcessLookupError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.process = None
        for cgroup in self.cgroups:
            for inner in sorted(cgroup.rglob("cgroup.procs"), key=lambda path: -len(path.parts)):
                remove_cgroup(inner.parent)
        self.cgroups = []
        if os.path.ismount(self.root):
            subprocess.run(["umount", self.root], check=True)

    def leader(self):
        """Returns the process that is process 1 on the host."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children:
            raise Failure(f"{self.name} is not running")
        return children[0]

    def run(self, *command, check=True, text=None):
        """Runs a command on the host and returns what it prints."""
        enter = ["nsenter", "--target", self.leader(), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(enter + list(command), input=text, capture_output=True, text=True, env=environment)
        if check and done.returncode:
            raise Failure(f"{self.name}: {' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def wait_for(self, what, seconds, condition):
        """Waits until the condition holds and returns its result."""
        return wait_for(f"{self.name}: {what}", seconds, condition)

def wait_for(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := condition():
                return result
            last = ""
        except (Failure, OSError) as error:
            last = f" ({error})"
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s{last}")
        time.sleep(0.5)


def remove_cgroup(cgroup):
    # The kernel needs a moment to remove processes that have just been killed.
    for _ in range(100):
        try:
            return cgroup.rmdir()
        except FileNotFoundError:
            return None
        except OSError:
            time.sleep(0.1)
    return None
