"""The scenarios of the hosts; see `run`, which executes this as process 1 of separate namespaces."""
import argparse
import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

import cloud
from host import Failure, Host, wait_for

MOTO = 5000
PORT = 8080
CLIENTS = "hostssl all all 0.0.0.0/0 scram-sha-256"
OBSOLETE = "host all all 0.0.0.0/0 scram-sha-256"
STREAMING = "infra: the standby streams from its primary"
# cloud-init detects EC2 by the firmware, which a container does not have.
FIRMWARE = """

def read_dmi_data(key):
    uuid = "ec2f1d2c-0000-4000-8000-000000000000"
    return {"system-uuid": uuid, "system-serial-number": uuid}.get(key)
"""
CLOUD_INIT = """datasource_list: [Ec2]
network: {config: disabled}
apt: {preserve_sources_list: true}
"""


class World:
    """The program's deployment, the services around the hosts, and the hosts."""

    def __init__(self, work, kept, stack, replicated):
        self.work, self.kept, self.stack, self.replicated = Path(work), Path(kept), stack, replicated
        self.hosts, self.moto = [], None

    def deploy(self):
        """Deploys the default program and the example with a standby to moto."""
        self.moto = subprocess.Popen(["moto_server", "-H", "127.0.0.1", "-p", str(MOTO)], stdout=subprocess.DEVNULL,
                                     stderr=(self.work / "moto.log").open("w"))
        endpoint = f"http://127.0.0.1:{MOTO}"
        wait_for("moto", 60, lambda: urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5).status == 200)
        os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
        # moto loads the data of a region at its first request, which can take longer than the timeout of a client.
        patient = Config(read_timeout=300, retries={"max_attempts": 0})
        for region in ("us-east-1", "us-east-2"):
            boto3.client("ec2", region, endpoint_url=endpoint, config=patient).describe_images()
        on_moto = ["--directory", self.work / "infra", "--target", "aws", "--endpoint", endpoint, "--readiness",
                   "control-plane"]
        for up in ([self.stack, *on_moto, "--program", "multicloud-orm", "up", "--yes"],
                   [self.replicated, *on_moto, "up", "--yes", "-c", "region=us-east-1"]):
            # On a busy machine, the upload of the executable to moto may time out.
            if not any(subprocess.run(up).returncode == 0 for _ in range(3)):
                raise Failure(f"the program could not be deployed to moto: {up}")
        self.instances = []
        for region in ("us-east-1", "us-east-2"):
            ec2 = boto3.client("ec2", region, endpoint_url=endpoint)
            for reservation in ec2.describe_instances()["Reservations"]:
                for instance in reservation["Instances"]:
                    found = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
                    data = base64.b64decode(found["UserData"].get("Value", "")).decode()
                    address = instance.get("PrivateIpAddress")
                    self.instances.append((region, instance["InstanceId"], address, data))
        s3 = boto3.client("s3", endpoint_url=endpoint)
        self.buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        self.secrets = []
        for region in ("us-east-1", "us-east-2"):
            ssm = boto3.client("ssm", region, endpoint_url=endpoint)
            names = [parameter["Name"] for parameter in ssm.describe_parameters()["Parameters"]]
            answer = ssm.get_parameters(Names=names, WithDecryption=True)
            self.secrets += [parameter["Value"] for parameter in answer["Parameters"]]

    def instance(self, region, condition):
        """Returns the id, address and user data of an instance."""
        found = [rest for at, *rest in self.instances if at == region and condition(rest[-1])]
        if not found:
            raise Failure(f"the program has no such instance in {region}: {self.instances}")
        return found[0]

    def serve(self):
        cloud.create_bridge()
        regional = [f"{service}.{region}.amazonaws.com" for service in ("ssm", "s3")
                    for region in ("us-east-1", "us-east-2")]
        wildcards = [f"*.{name}" for name in regional if name.startswith("s3.")]
        context, authority = cloud.certificates(self.work, [*regional, *wildcards])
        self.metadata, self.ssm, self.s3 = cloud.Metadata(), cloud.Service(MOTO), cloud.Service(MOTO)
        self.mirror = cloud.Mirror(self.kept / "mirror", online=False)
        self.metadata.serve(cloud.METADATA, 80)
        self.ssm.serve(cloud.SSM, 443, context)
        self.s3.serve(cloud.S3, 443, context)
        self.mirror.serve(cloud.MIRROR, 80)
        names = {name: cloud.S3 if name.startswith("s3.") else cloud.SSM for name in regional}
        names |= {f"{bucket}.{name}": cloud.S3 for bucket in self.buckets for name in regional if names[name] == cloud.S3}
        names |= {"deb.debian.org": cloud.MIRROR, "localhost": "127.0.0.1"}
        self.create_layer("".join(f"{address} {name}\n" for name, address in names.items()), authority)

    def create_layer(self, hosts, authority):
        """Adds the files to the tree that differ between runs: names, the certificate authority, cloud-init's environment."""
        layer, mounted, scratch = (self.work / name for name in ("layer", "layer-root", "layer-work"))
        for path in (layer, mounted, scratch):
            path.mkdir()
        mount = f"lowerdir={self.kept / 'tree'},upperdir={layer},workdir={scratch}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", mount, mounted], check=True)
        try:
            (mounted / "etc/hosts").write_text(hosts)
            (mounted / "etc/cloud/cloud.cfg.d/95_test.cfg").write_text(CLOUD_INIT)
            with (mounted / "usr/lib/python3/dist-packages/cloudinit/dmi.py").open("a") as dmi:
                dmi.write(FIRMWARE)
            shutil.copy(authority, mounted / "usr/local/share/ca-certificates/test.crt")
            # An image has no machine id.
            (mounted / "etc/machine-id").write_text("")
            subprocess.run(["chroot", mounted, "update-ca-certificates"], check=True, stdout=subprocess.DEVNULL)
        finally:
            subprocess.run(["umount", mounted], check=True)
        self.tree = f"{layer}:{self.kept / 'tree'}"

    def host(self, name, address, instance_id, region, user_data, disk=None):
        """Boots a host."""
        self.metadata.add(address, instance_id, region, user_data or None)
        host = Host(self.work, self.tree, name, address, disk)
        self.hosts.append(host)
        host.power_on()
        return host

    def end_hosts(self):
        for host in self.hosts:
            host.clean_up()

    def end(self):
        self.end_hosts()
        if self.moto:
            self.moto.kill()


def expect(condition, message):
    if not condition:
        raise Failure(message)


def psql(host, database, sql):
    return host.run("runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql)


def login(host, password, mode):
    """Connects to the database over the network, as an application does."""
    url = f"postgres://cloud:{password}@{host.address}/tasks?sslmode={mode}"
    return host.run("psql", "-XAtq", "-d", url, "-c", "SELECT 'accepted'", check=False)


def status(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code


def active(host, unit):
    return host.run("systemctl", "is-active", unit, check=False).strip() == "active"


def database(world, outage):
    """The first boot, while the mirror is unreachable."""
    instance_id, address, user_data = world.instance("us-east-2", lambda data: "00-postgres" in data)
    cloud.take_away(cloud.MIRROR)
    began = time.monotonic()
    host = world.host("database", address, instance_id, "us-east-2", user_data)
    host.wait_for("a failed attempt", 400, lambda: "infra-setup: " in host.run("journalctl", "-u", "infra-setup.service"))
    time.sleep(max(0, outage - (time.monotonic() - began)))
    expect(not world.mirror.requests, "the mirror was reachable")
    cloud.give_back(cloud.MIRROR)
    host.wait_for("the database", 900, lambda: psql(host, "tasks", "SELECT 1") and active(host, "infra.service"))
    password = next(secret for secret in world.secrets if login(host, secret, "require").strip() == "accepted")
    refused = login(host, password, "disable")
    expect("no encryption" in refused, f"the database accepts a password without TLS: {refused}")
    expect_rules(host)
    expect(calls(world, address) == ["AmazonSSM.GetParameters"], f"calls to SSM: {calls(world, address)}")
    return host, password


def calls(world, address):
    return [operation for client, operation in world.ssm.requests if client == address]


def expect_rules(host):
    rules = host.run("sh", "-c", "cat /etc/postgresql/*/main/pg_hba.conf").splitlines()
    expect(rules.count(CLIENTS) == 1 and OBSOLETE not in rules, f"pg_hba.conf: {rules}")


def builder(world):
    """The builder of the application's image."""
    before = len(world.mirror.requests)
    instance_id, address, user_data = world.instance("us-east-1", lambda data: '"power_state"' in data)
    host = world.host("builder", address, instance_id, "us-east-1", user_data)
    host.wait_until_off(900)
    expect(len(world.mirror.requests) == before, f"apt was used: {world.mirror.requests[before:]}")
    program = host.disk / "opt/infra/tasks"
    expect(program.stat().st_mode & 0o777 == 0o755, "the program is not executable")
    expect((host.disk / "etc/machine-id").read_text() == "", "the image has a machine id")
    for secret in world.secrets:
        found = subprocess.run(["grep", "--recursive", "--files-with-matches", "--fixed-strings", "-e", secret,
                                host.disk / "etc", host.disk / "var", host.disk / "opt"], capture_output=True, text=True)
        expect(not found.stdout, f"the image contains a secret: {found.stdout}")
    return host


def application(world, image, outage, store):
    """A host of the image, while SSM is unreachable; then a reboot."""
    cloud.take_away(cloud.SSM)
    began = time.monotonic()
    address = "10.1.0.77"
    host = world.host("application", address, "i-0application000001", "us-east-1", "", image)
    attempts = lambda: host.run("journalctl", "-u", "infra.service").count("infra-start: aws exited with")
    host.wait_for("two failed attempts", 400, lambda: attempts() >= 2)
    while time.monotonic() - began < outage:
        expect(not host.run("sh", "-c", "ls /run/infra").strip(), "an environment was written without SSM")
        expect(not active(host, "infra-tasks.service"), "the service runs without its secrets")
        time.sleep(2)
    expect(refuses(address), "the service answers without its secrets")
    expect(not calls(world, address), "SSM was reachable")
    cloud.give_back(cloud.SSM)
    serves(host)
    expect(calls(world, address) == ["AmazonSSM.GetParameters"], f"calls to SSM: {calls(world, address)}")
    expect_environment(host, store)
    host.reboot()
    serves(host)
    expect_environment(host, store)
    return host


def refuses(address):
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex((address, PORT)) != 0


def serves(host):
    url = f"http://{host.address}:{PORT}"
    host.wait_for("the service", 400, lambda: status(f"{url}/healthz") == 200 and status(f"{url}/tasks/") == 200)


def expect_environment(host, store):
    environment = host.run("cat", "/run/infra/tasks.env")
    names = re.findall("^([A-Z_]+)=", environment, re.MULTILINE)
    expect(names == ["LISTEN", "ADMIN_PASSWORD", "DATABASE_URL"], f"the environment has {names}")
    expect(f'LISTEN="{host.address}:{PORT}"\n' in environment, "the environment does not contain the host's address")
    encrypted = psql(store, "postgres", "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                        f"WHERE datname = 'tasks' AND ssl AND client_addr = '{host.address}'")
    expect(int(encrypted) > 0, "the service has no TLS connection to the database")


def kept_disk(world, previous, password):
    """The database's disk, as an earlier version of the setup left it, on another instance."""
    psql(previous, "tasks", "CREATE TABLE kept (value text); INSERT INTO kept VALUES ('still here')")
    previous.run("sh", "-c", f"for _ in 1 2; do echo '{OBSOLETE}' >>$(echo /etc/postgresql/*/main/pg_hba.conf); done")
    previous.power_off()
    _, _, user_data = world.instance("us-east-2", lambda data: "00-postgres" in data)
    host = world.host("kept", "10.2.0.78", "i-0kept0000000000001", "us-east-2", user_data, previous)
    host.wait_for("its setup", 900, lambda: active(host, "infra-setup.service") and active(host, "infra.service"))
    expect_rules(host)
    expect(psql(host, "tasks", "SELECT value FROM kept").strip() == "still here", "the data is lost")
    expect(login(host, password, "require").strip() == "accepted", "the database refuses its password")
    expect("no encryption" in login(host, password, "disable"), "the database accepts a password without TLS")


def replication(world):
    """A primary and its standby, which boot at the same time."""
    is_standby = lambda data: "/usr/local/sbin/infra-standby" in data
    hosts = {"standby": is_standby, "primary": lambda data: "00-postgres" in data and not is_standby(data)}
    for name, condition in hosts.items():
        instance_id, address, user_data = world.instance("us-east-1", condition)
        hosts[name] = world.host(name, address, instance_id, "us-east-1", user_data)
    standby, primary = hosts["standby"], hosts["primary"]
    reports = lambda: standby.console.read_text(errors="replace").count(STREAMING)
    standby.wait_for("a standby that streams", 900, reports)
    primary.wait_for("the primary", 60, lambda: active(primary, "infra.service"))
    encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) WHERE ssl AND state = 'streaming'"
    expect(psql(primary, "postgres", encrypted).strip() == "1", "the standby has no TLS connection to its primary")
    expect(any("no encryption" in replicates(standby, primary, secret, "disable") for secret in world.secrets),
           "the primary admits standbys without TLS")
    expect("no pg_hba.conf entry" not in replicates(standby, primary, world.secrets[0], "require"),
           "the primary does not admit standbys over TLS")
    psql(primary, "tasks", "CREATE TABLE replicated AS SELECT 1 AS number")
    rows = lambda: psql(standby, "tasks", "SELECT count(*) FROM replicated").strip()
    standby.wait_for("the first row", 60, lambda: rows() == "1")

    primary.power_off()
    expect(rows() == "1", "the standby does not serve reads without its primary")
    standby.reboot()
    standby.wait_for("its start without the primary", 300, lambda: rows() == "1" and active(standby, "infra.service"))
    primary.power_on()
    primary.wait_for("the primary again", 300, lambda: psql(primary, "tasks", "INSERT INTO replicated VALUES (2)") == "")
    standby.wait_for("the second row", 60, lambda: int(rows()) > 1)
    expect(reports() == 1, "the standby has copied its primary again")


def replicates(client, server, password, mode):
    """Logs in as a standby does, and returns the output."""
    url = f"postgres://replicator:{password}@{server.address}/?replication=true&sslmode={mode}"
    return client.run("psql", "-XAtq", "-d", url, "-c", "IDENTIFY_SYSTEM", check=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work")
    parser.add_argument("kept")
    parser.add_argument("stack")
    parser.add_argument("replicated")
    parser.add_argument("--short", action="store_true", help="outages of seconds instead of minutes")
    parser.add_argument("--only", choices=["replication"], help="one scenario alone")
    options = parser.parse_args()
    away = {"mirror": 15, "SSM": 40} if options.short else {"mirror": 60, "SSM": 240}
    # A private /run, which is removed with the mount namespace.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    cloud.ip("link", "set", "lo", "up")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    world = World(options.work, options.kept, options.stack, options.replicated)
    began = time.monotonic()

    def scenario(name, function, *arguments):
        started = time.monotonic()
        result = function(*arguments)
        print(f"-- {name}: {time.monotonic() - started:.0f} s", flush=True)
        return result

    try:
        scenario("the program, on moto", world.deploy)
        scenario("the services", world.serve)
        if not options.only:
            store, password = scenario("database, mirror unreachable", database, world, away["mirror"])
            image = scenario("builder", builder, world)
            host = scenario("application, SSM unreachable; reboot", application, world, image, away["SSM"], store)
            host.power_off()
            scenario("kept disk", kept_disk, world, store, password)
            world.end_hosts()
        scenario("replication", replication, world)
    except Exception as error:
        for host in world.hosts:
            print(f"== console of {host.name}\n{host.console.read_text(errors='replace')[-6000:]}", file=sys.stderr)
            if host.process and host.process.poll() is None:
                print(host.run("journalctl", "--no-pager", "-n", "60", check=False), file=sys.stderr)
        if isinstance(error, Failure):
            sys.exit(f"FAILED: {error}")
        raise
    finally:
        world.end()
    print(f"-- total: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
