#!/usr/bin/python3
"""Configures the host's MariaDB server and applies its database, users and role: infra-mariadb SETTINGS, as JSON.

infra-start runs it with the passwords in the environment at every start of the host, and repeats it until it succeeds. New
data of a standby is a copy of its primary's, a consistent dump: mariadb-backup reads the files of a server and cannot copy
them over a network.
"""
import ipaddress, json, os, pathlib, shutil, subprocess, sys, time

SETTINGS = pathlib.Path("/etc/mysql/mariadb.conf.d/90-infra.cnf")
CERTIFICATE, KEY = pathlib.Path("/etc/mysql/infra.pem"), pathlib.Path("/etc/mysql/infra.key")
DATA = pathlib.Path("/var/lib/mysql")
# A standby with a copy, and one that has replicated.
COPIED, COMPLETE = DATA / "infra-copied", DATA / "infra-standby"
DUMP = DATA / "infra-dump.sql"
# Seconds until a standby replicates from a primary that accepts connections.
LIMIT = 120
# The provider looks for this line on the console.
STREAMING = "infra: the standby streams from its primary"
# Error of a primary without the part of its log that the standby lacks.
REMOVED = "1236"
COMMON = """[mariadbd]
bind-address = 0.0.0.0
port = {port}
server_id = {server_id}
skip-name-resolve
require_secure_transport = ON
ssl_cert = {certificate}
ssl_key = {key}
"""
# The log is kept for a day, which bounds the absence of a standby.
PRIMARY = """log_bin = binlog
binlog_format = ROW
binlog_expire_logs_seconds = 86400
"""
STANDBY = "read_only = 1\n"


def sql(statements, *options):
    """Executes statements as root, who needs no password. They contain passwords, so they are no arguments."""
    command = ["mariadb", "--no-defaults", "--batch", *options]
    return subprocess.run(command, check=True, input=statements, stdout=subprocess.PIPE, text=True).stdout


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def write(path, text):
    """Writes a file that only root and the server read. Returns whether it has changed."""
    if path.exists() and path.read_text() == text:
        return False
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.chmod(0o640)
    shutil.chown(part, "root", "mysql")
    part.replace(path)
    return True


def configure():
    if not KEY.exists():
        part = KEY.with_name(KEY.name + ".part")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36500", "-subj", "/CN=mariadb",
                        "-keyout", str(part), "-out", str(CERTIFICATE)], check=True, stderr=subprocess.DEVNULL)
        CERTIFICATE.chmod(0o644)
        part.chmod(0o640)
        shutil.chown(part, "root", "mysql")
        part.replace(KEY)
    addresses = subprocess.run(["hostname", "-I"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    if not addresses:
        sys.exit("infra-mariadb: the host has no address yet")
    server_id = int(ipaddress.IPv4Address(addresses[0]))
    text = COMMON.format(port=database["port"], server_id=server_id, certificate=CERTIFICATE, key=KEY)
    text += STANDBY if primary else PRIMARY if replication else ""
    if write(SETTINGS, text):
        subprocess.run(["systemctl", "restart", "mariadb.service"], check=True)


def apply_primary():
    name, user = "`" + database["database"].replace("`", "``") + "`", literal(database["user"]) + "@'%'"
    statements = [f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4", f"CREATE USER IF NOT EXISTS {user}",
                  f"ALTER USER {user} IDENTIFIED BY {literal(os.environ['PASSWORD'])}",
                  f"GRANT ALL PRIVILEGES ON {name}.* TO {user}"]
    if replication:
        # Besides the log, a standby reads all data once.
        rights = "REPLICATION SLAVE, BINLOG MONITOR, SELECT, RELOAD, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT, PROCESS"
        statements += ["CREATE USER IF NOT EXISTS 'replicator'@'%'",
                       f"ALTER USER 'replicator'@'%' IDENTIFIED BY {literal(replication)}",
                       f"GRANT {rights} ON *.* TO 'replicator'@'%'"]
    sql(";\n".join(statements) + ";\n")


def copy():
    """Replaces the data by a copy of the primary's, with the position in its log, and follows the primary from there."""
    COPIED.unlink(missing_ok=True)
    command = ["mariadb-dump", "--no-defaults", "--protocol=tcp", "--ssl", "--skip-ssl-verify-server-cert", "--host", primary,
               "--port", port, "--user", "replicator", "--all-databases", "--single-transaction",
               "--gtid", "--master-data=1", "--flush-privileges", "--routines", "--events", "--hex-blob",
               f"--result-file={DUMP}"]
    subprocess.run(command, check=True, env={**os.environ, "MYSQL_PWD": replication})
    sql("STOP SLAVE; RESET SLAVE ALL;\n")
    sql("", f"--execute=source {DUMP}")
    DUMP.unlink()
    sql(f"CHANGE MASTER TO MASTER_HOST='{primary}', MASTER_PORT={port}, MASTER_USER='replicator', "
        f"MASTER_PASSWORD={literal(replication)}, MASTER_SSL=1, MASTER_SSL_VERIFY_SERVER_CERT=0, MASTER_CONNECT_RETRY=5, "
        "MASTER_USE_GTID=slave_pos; START SLAVE;\n")
    COPIED.touch()


def state():
    """Returns the fields of SHOW SLAVE STATUS."""
    fields = (line.partition(":") for line in sql("SHOW SLAVE STATUS;\n", "--vertical").splitlines())
    return {name.strip(): value.strip() for name, _, value in fields}


def streams(now):
    running = {now.get("Slave_IO_Running"), now.get("Slave_SQL_Running")}
    return running == {"Yes"} and now.get("Seconds_Behind_Master") == "0"


def is_reachable():
    command = ["mariadb", "--no-defaults", "--protocol=tcp", "--ssl", "--skip-ssl-verify-server-cert", "--connect-timeout=5",
               "--host", primary, "--port", port, "--user", "replicator", "--execute=SELECT 1"]
    done = subprocess.run(command, env={**os.environ, "MYSQL_PWD": replication}, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    return done.returncode == 0


def follow():
    if not COPIED.exists() or state().get("Master_Host") != primary:
        copy()
    if COMPLETE.exists() and not is_reachable():
        # It serves reads, and replicates as soon as the primary is back.
        return
    end = time.monotonic() + LIMIT
    while not streams(now := state()):
        if now.get("Last_IO_Errno") == REMOVED:
            print("infra-mariadb: the primary has removed a part of its log that is needed: its data is copied again")
            copy()
            end = time.monotonic() + LIMIT
        elif time.monotonic() > end:
            if COMPLETE.exists():
                return
            sys.exit(f"infra-mariadb: no replication from {primary} within {LIMIT} s: {now.get('Last_IO_Error', '')}")
        time.sleep(1)
    if not COMPLETE.exists():
        COMPLETE.touch()
        print(STREAMING, flush=True)


os.umask(0o077)
database = json.loads(sys.argv[1])
port, primary = str(database["port"]), database.get("primary")
replication = os.environ.get("REPLICATION_PASSWORD")
try:
    configure()
    follow() if primary else apply_primary()
except subprocess.CalledProcessError as error:
    # Without the traceback: it would show nothing that the command has not printed.
    sys.exit(f"infra-mariadb: {error.cmd[0]} exited with {error.returncode}")
