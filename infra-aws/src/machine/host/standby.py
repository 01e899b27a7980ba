#!/usr/bin/python3
"""Makes the host's PostgreSQL server a standby: infra-standby PORT PRIMARY, with REPLICATION_PASSWORD in the environment.

infra-start runs it at every start of the host and repeats it until it succeeds. New data is a copy of the primary's.
"""
import os, pathlib, shutil, subprocess, sys, time

CLUSTERS = pathlib.Path("/etc/postgresql")
DATA = pathlib.Path("/var/lib/postgresql")
LOGS = pathlib.Path("/var/log/postgresql")
PASSFILE = pathlib.Path("/run/infra-postgres/passfile")
# Seconds until a standby streams from a primary that accepts connections.
LIMIT = 120
# The provider looks for this line on the console.
STREAMING = "infra: the standby streams from its primary"
# Message of a primary without the part of its log that the standby lacks.
REMOVED = "has already been removed"
# A standby that streams and is less than 1 MiB behind. The end of the primary's log is null until it has sent something.
QUERY = """SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'
    AND coalesce(pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()) < 1048576, true)"""


def as_postgres(*command, **options):
    return subprocess.run(["runuser", "-u", "postgres", "--", *command], cwd="/", text=True, **options)


def systemctl(verb):
    subprocess.run(["systemctl", verb, f"postgresql@{version}-main.service"], check=True)


def write(path, text):
    """Writes a file that only PostgreSQL reads. Returns whether it has changed."""
    if path.exists() and path.read_text() == text:
        return False
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.chmod(0o600)
    shutil.chown(part, "postgres", "postgres")
    part.replace(path)
    return True


def copy():
    """Replaces the data by a copy of the primary's. The previous data is kept until the copy is complete."""
    target, former = data.with_name("main.new"), data.with_name("main.old")
    for path in (target, former):
        shutil.rmtree(path, ignore_errors=True)
    as_postgres("pg_basebackup", "--dbname", connection, "--pgdata", str(target), "--wal-method=stream",
                "--checkpoint=fast", "--no-password", check=True)
    # The primary may be a former standby.
    (target / complete.name).unlink(missing_ok=True)
    write(target / signal.name, "")
    systemctl("stop")
    if data.exists():
        data.rename(former)
    target.rename(data)
    shutil.rmtree(former, ignore_errors=True)
    systemctl("start")


def streams():
    query = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--port", port, "--dbname", "postgres",
             "--command", QUERY]
    return as_postgres(*query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip() == "1"


def log_size():
    return log.stat().st_size if log.exists() else 0


def is_outdated(since):
    if log_size() <= since:
        return False
    with log.open("rb") as file:
        file.seek(since)
        return REMOVED.encode() in file.read(1 << 20)


def follow():
    if not signal.exists():
        if complete.exists():
            print("infra-standby: the standby was promoted and is left as it is")
            return
        copy()
    ready = ["pg_isready", "--quiet", "--timeout", "5", "--host", primary, "--port", port]
    if complete.exists() and subprocess.run(ready).returncode:
        # It serves reads, and streams as soon as the primary is back.
        return
    since, end = log_size(), time.monotonic() + LIMIT
    while not streams():
        if is_outdated(since):
            print("infra-standby: the primary has removed a part of its log that is needed: its data is copied again")
            copy()
            since, end = log_size(), time.monotonic() + LIMIT
        elif time.monotonic() > end:
            if complete.exists():
                return
            sys.exit(f"infra-standby: no log was received from {primary} within {LIMIT} s")
        time.sleep(1)
    if not complete.exists():
        write(complete, "")
        print(STREAMING, flush=True)


os.umask(0o077)
port, primary = sys.argv[1:]
clusters = list(CLUSTERS.glob("*/main"))
if len(clusters) != 1:
    sys.exit(f"infra-standby: there is not exactly one PostgreSQL cluster in {CLUSTERS}")
version = clusters[0].parent.name
data, log = DATA / version / "main", LOGS / f"postgresql-{version}-main.log"
signal, complete = data / "standby.signal", data / "infra-standby"
connection = (f"host={primary} port={port} user=replicator passfile={PASSFILE} sslmode=require connect_timeout=10 "
              "tcp_user_timeout=60000")
try:
    PASSFILE.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(PASSFILE.parent, "postgres", "postgres")
    password = os.environ["REPLICATION_PASSWORD"].replace("\\", "\\\\").replace(":", "\\:")
    write(PASSFILE, f"*:*:*:replicator:{password}\n")
    if write(clusters[0] / "conf.d" / "infra-standby.conf", f"primary_conninfo = '{connection}'\n"):
        systemctl("reload")
    follow()
except subprocess.CalledProcessError as error:
    # Without the traceback: it would show nothing that the command has not printed.
    sys.exit(f"infra-standby: {error.cmd[4] if error.cmd[0] == 'runuser' else error.cmd[0]} exited with {error.returncode}")
