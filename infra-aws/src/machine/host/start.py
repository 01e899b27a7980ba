#!/usr/bin/python3
"""Writes the services' addresses and secrets below /run and applies the database's password.

infra.service runs it at every start of the host and repeats it until it succeeds; the services start afterwards.
"""
import json, os, pathlib, subprocess, sys

PARTS = pathlib.Path("/etc/infra/start")
# The limit of GetParameters.
BATCH = 10

SQL = r"""\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
\getenv replication REPLICATION_PASSWORD
\if :{?replication}
SELECT 'CREATE ROLE replicator' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'replicator') \gexec
ALTER ROLE replicator LOGIN REPLICATION PASSWORD :'replication';
\endif
"""


def fetch(names):
    """Returns the values of parameters given as NAME:VERSION."""
    values = {}
    for start in range(0, len(names), BATCH):
        command = ["aws", "ssm", "get-parameters", "--with-decryption", "--output", "json",
                   "--cli-connect-timeout", "5", "--cli-read-timeout", "30", "--names", *names[start:start + BATCH]]
        answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        values |= {f"{found['Name']}:{found['Version']}": found["Value"] for found in answer["Parameters"]}
    absent = [name for name in names if name not in values]
    if absent:
        sys.exit(f"infra-start: there is no parameter {', '.join(absent)}")
    return values


def address():
    addresses = subprocess.run(["hostname", "-I"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    if not addresses:
        sys.exit("infra-start: the host has no address yet")
    return addresses[0]


def quoted(value):
    return '"' + "".join("\\" + c if c in '\\"$`' else c for c in value) + '"'


def write_environment(path, variables):
    """Writes beside the file and renames, so that a service never sees half of its environment."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text("".join(f"{name}={quoted(value)}\n" for name, value in variables.items()))
    part.replace(path)


def apply_mariadb(mariadb, variables):
    subprocess.run(["infra-mariadb", json.dumps(mariadb)], check=True, env={**os.environ, **variables})


def apply_postgres(postgres, variables):
    # Passwords are passed through the environment and quoted by psql; they are on no command line.
    environment = {**os.environ, **variables}
    if postgres.get("primary"):
        subprocess.run(["infra-standby", str(postgres["port"]), postgres["primary"]], check=True, env=environment)
        return
    command = ["runuser", "-u", "postgres", "--", "psql", "--quiet", "--no-psqlrc", "--port", str(postgres["port"]),
               "--dbname", "postgres", "--set", "ON_ERROR_STOP=1", "--set", f"role={postgres['user']}",
               "--set", f"database={postgres['database']}"]
    subprocess.run(command, check=True, input=SQL, text=True, cwd="/", env=environment)


os.umask(0o077)
parts = [json.loads(path.read_text()) for path in sorted(PARTS.glob("*.json"))]
names = sorted({name for part in parts for name in part["secrets"].values()})
try:
    values = fetch(names)
    for part in parts:
        variables = {variable: values[name] for variable, name in part["secrets"].items()}
        if part.get("postgres"):
            apply_postgres(part["postgres"], variables)
        elif part.get("mariadb"):
            apply_mariadb(part["mariadb"], variables)
        else:
            ports = part["ports"]
            listen = {variable: f"{address()}:{port}" for variable, port in ports.items()}
            write_environment(pathlib.Path(part["environment"]), listen | variables)
except subprocess.CalledProcessError as error:
    # Without the traceback: it would show nothing that the command has not printed.
    sys.exit(f"infra-start: {error.cmd[0]} exited with {error.returncode}")
