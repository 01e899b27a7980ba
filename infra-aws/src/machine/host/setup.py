#!/usr/bin/python3
"""Sets the host up as /etc/infra/setup.json describes. infra-setup.service repeats it until it succeeds."""
import hashlib, json, os, pathlib, subprocess, sys, time

CONFIGURATION = pathlib.Path("/etc/infra/setup.json")
CLUSTERS = pathlib.Path("/etc/postgresql")
MACHINE_ID = pathlib.Path("/etc/machine-id")
FIRST_ATTEMPT = pathlib.Path("/run/infra-setup")
BUILT = pathlib.Path("/run/infra-built")
TIMEOUT = 15 * 60

APT = ["apt-get", "--yes", "--quiet", "-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=30",
       "-o", "APT::Update::Error-Mode=any", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Options::=--force-confold"]

CLIENTS = "hostssl all all 0.0.0.0/0 scram-sha-256"
STANDBYS = "hostssl replication replicator 0.0.0.0/0 scram-sha-256"
# Earlier versions appended this line, once per instance that used the disk. It accepts passwords without TLS.
OBSOLETE = "host all all 0.0.0.0/0 scram-sha-256"
SETTINGS = """listen_addresses = '*'
port = {port}
password_encryption = 'scram-sha-256'
ssl = on
ssl_cert_file = '/etc/ssl/certs/ssl-cert-snakeoil.pem'
ssl_key_file = '/etc/ssl/private/ssl-cert-snakeoil.key'
"""
# A standby has the settings of its primary. The kept log bounds its absence, and infra-standby reads its messages.
REPLICATION_SETTINGS = """max_wal_senders = 20
wal_keep_size = '1GB'
lc_messages = 'C'
"""


class Permanent(Exception):
    """An error that another attempt does not correct."""


def run(*command):
    subprocess.run(command, check=True)


def install(packages):
    """Installs the packages that are missing. When there are none, apt is not used."""
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages]
    known = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    missing = [name for name in packages if f"{name} installed" not in known.splitlines()]
    if not missing:
        return
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    # The attempt before may have been interrupted.
    run("dpkg", "--configure", "-a")
    run(*APT, "update")
    if subprocess.run([*APT, "--simulate", "install", *missing], stdout=subprocess.DEVNULL).returncode:
        raise Permanent(f"apt cannot install {' '.join(missing)}")
    run(*APT, "install", *missing)


def fetch(program):
    """Downloads a program unless the host has it, for example from its image."""
    path = pathlib.Path(program["path"])
    if path.exists() and digest(path) == program["sha256"]:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    run("aws", "s3", "cp", "--only-show-errors", f"s3://{program['bucket']}/{program['key']}", str(part))
    if digest(part) != program["sha256"]:
        raise Permanent(f"s3://{program['bucket']}/{program['key']} does not have the SHA-256 {program['sha256']}")
    part.chmod(0o755)
    part.replace(path)


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def configure_postgres(port, has_replication):
    clusters = list(CLUSTERS.glob("*/main"))
    if not clusters:
        raise Permanent(f"there is no PostgreSQL cluster in {CLUSTERS}")
    for cluster in clusters:
        settings = cluster / "conf.d" / "infra.conf"
        settings.write_text(SETTINGS.format(port=port) + (REPLICATION_SETTINGS if has_replication else ""))
        settings.chmod(0o644)
        rules = cluster / "pg_hba.conf"
        kept = [line for line in rules.read_text().splitlines() if line not in (CLIENTS, STANDBYS, OBSOLETE)]
        own = [CLIENTS, STANDBYS] if has_replication else [CLIENTS]
        replacement = rules.with_name("pg_hba.conf.infra")
        replacement.write_text("\n".join([*kept, *own, ""]))
        owner = rules.stat()
        os.chown(replacement, owner.st_uid, owner.st_gid)
        replacement.chmod(owner.st_mode & 0o777)
        replacement.replace(rules)
    run("systemctl", "restart", "postgresql.service")


def setup(configuration):
    install(configuration["packages"])
    for program in configuration["programs"]:
        fetch(program)
    if configuration["postgres_port"]:
        configure_postgres(configuration["postgres_port"], configuration["postgres_replication"])
    run("systemctl", "daemon-reload")
    if configuration["units"]:
        run("systemctl", "reenable", *configuration["units"])
    run("systemctl", "disable", "infra-setup.service")
    if configuration["build"]:
        # Every instance of the image generates an id of its own.
        os.truncate(MACHINE_ID, 0)
        BUILT.touch()
    elif configuration["units"]:
        # Starting infra.service starts the services.
        run("systemctl", "restart", "--no-block", "infra.service")


os.umask(0o022)
if not FIRST_ATTEMPT.exists():
    FIRST_ATTEMPT.touch()
try:
    setup(json.loads(CONFIGURATION.read_text()))
except Exception as error:
    print(f"infra-setup: {error}", file=sys.stderr)
    if isinstance(error, Permanent) or time.time() - FIRST_ATTEMPT.stat().st_mtime > TIMEOUT:
        # The provider looks for this line on a builder's console.
        print("infra-setup failed", file=sys.stderr)
    sys.exit(1)
