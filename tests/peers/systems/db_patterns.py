"""Database patterns: the tiers in front of a replicated database, which paths are closed, and the loss of a worker."""

from system import System, check, until

SELECT = {"sql": "SELECT id, column1, column2 FROM direct_table ORDER BY id LIMIT 1"}


def run(**options):
    whole(**options)
    on_mariadb(**options)


def on_mariadb(**options):
    with System("db-patterns", config=["engine=mariadb"], **options) as system:
        demonstration(system)
        contract(system)
        modes(system)
        worker_is_lost(system)
        system.destroyed()


def whole(**options):
    with System("db-patterns", **options) as system:
        demonstration(system)
        contract(system)
        modes(system)
        closed(system)
        bench(system)
        worker_is_lost(system)
        system.destroyed()


def demonstration(system):
    lines = [line for line in system.first_up.splitlines() if line.startswith("Write request ") and line.endswith(" successful.")]
    check(len(lines) == 60, f"the demonstration has {len(lines)} write requests:\n{system.first_up[-2000:]}")
    check("Write request " not in system.stack("up", "--yes"), "a second `up` demonstrates again")
    system.passed("send-requests after the first deployment")


def contract(system):
    refused = lambda body: isinstance(body, dict) and bool(body.get("error"))
    insert = {"sql": "INSERT INTO {table} (column1, column2) VALUES ('a', 'b')", "table": "random_table"}
    # The demonstration has written the first row.
    first = lambda rows: rows == [[1, "column1_value_1", "column2_value_1"]]
    inserted = {"message": "Insert query executed successfully in random_table"}
    system.table("the routes", [
        ("GET", "/health_check", None, 200, lambda page: "gatekeeper" in page.lower()),
        ("POST", "/populate_tables", insert, 200, inserted),
        ("POST", "/populate_tables", {}, 400, {"error": "No SQL query provided"}),
        ("POST", "/fetch_direct", SELECT, 200, first),
        ("POST", "/fetch_random", SELECT, 200, first),
        ("POST", "/fetch_customized", SELECT, 200, first),
        ("POST", "/fetch_direct", {"sql": "DELETE FROM direct_table"}, 400, refused),
        ("POST", "/fetch_direct", {"sql": "SELECT 1; SELECT 2"}, 400, refused),
        ("POST", "/fetch_direct", {"sql": "SELECT * FROM pg_shadow"}, 400, refused),
        ("POST", "/fetch_direct", {"sql": "SELECT pg_sleep(5) FROM direct_table"}, 400, refused),
        ("POST", "/populate_tables", {"sql": f"INSERT INTO {{table}} (column1) VALUES ('{'x' * 256}')"}, 500, refused),
    ])


def nodes(system, path, count=40):
    """Returns the nodes that answered, with their numbers of answers."""
    found = {}
    for _ in range(count):
        status, headers, body = system.request("POST", path, SELECT)
        check(status == 200, f"{path}: {status} {body}")
        found[headers["X-Db-Node"]] = found.get(headers["X-Db-Node"], 0) + 1
    return found


def modes(system):
    check(set(nodes(system, "/fetch_direct")) == {"manager"}, "direct reads do not use the manager alone")
    drawn = nodes(system, "/fetch_random", 60)
    check(set(drawn) == {"worker-0", "worker-1", "worker-2"}, f"random reads use {drawn}")
    check(nodes(system, "/fetch_customized"), "customized reads")
    system.passed(f"random reads are spread over the workers: {dict(sorted(drawn.items()))}")


def closed(system):
    """Each host admits the tier before it, and no other host of the network."""
    if not system.has_namespaces():
        print("    loopback: security groups between instances are not enforced")
        return
    hosts = {instance["name"]: instance["id"] for instance in system.instances()}
    databases = [name for name in hosts if name.startswith(("cluster/", "standalone/"))]
    check(len(databases) == 5, f"the hosts are {sorted(hosts)}")
    open_paths = {("internet", "gatekeeper"), ("gatekeeper", "trusted-host"), ("trusted-host", "proxy")}
    open_paths |= {("proxy", database) for database in databases}
    open_paths |= {(one, other) for one in databases for other in databases
                   if one.startswith("cluster/") and other.startswith("cluster/")}
    ports = {name: 5432 if name in databases else 8080 for name in hosts}
    pairs = [(source, target) for source in [*hosts, "internet"] for target in hosts if source != target]
    for source, target in pairs:
        admitted = system.reaches(hosts.get(source, source), hosts[target], ports[target])
        # The gatekeeper is public, also for hosts that connect to its private address: its group admits all addresses.
        expected = (source, target) in open_paths or target == "gatekeeper"
        check(admitted == expected, f"{source} {'reaches' if admitted else 'does not reach'} {target}")
    system.passed(f"of {len(pairs)} pairs of hosts, exactly the declared ones connect")


def bench(system):
    """The comparison runs on the proxy's host, which alone reaches the databases, with the environment of the proxy."""
    table = system.stack("exec", "proxy", "--", "sh", "-c", '"$CLIENT" bench --seconds 1 --concurrency 4')
    check("standalone" in table and "cluster" in table, f"bench printed: {table}")
    system.passed("bench compares the standalone server and the cluster")


def worker_is_lost(system):
    with system.load(("POST", "/fetch_customized", SELECT), threads=2) as load:
        victim = next(instance for instance in system.instances() if instance["name"] == "cluster/replica-1")
        system.fault("kill-instance", victim["id"])
        insert = {"sql": "INSERT INTO {table} (column1, column2) VALUES ('later', 'x')", "table": "direct_table"}
        check(system.json("POST", "/populate_tables", insert)[0] == 200, "a write without a worker")
        until(lambda: "worker-1" not in nodes(system, "/fetch_customized", 20), "customized reads use a lost worker", 10)
    late = load.failures[-1][0] - load.failures[0][0] if load.failures else 0
    check(late <= 1.5, f"customized reads failed for {late:.1f} s: {load.failures[:3]}")
    system.passed(f"a lost worker: {len(load.failures)} of {load.count()} customized reads failed")
    system.stack("up", "--yes", "--refresh")
    seen = until(lambda: "worker-1" in nodes(system, "/fetch_random", 30) and "back", "the worker does not come back")
    system.passed(f"`up` starts the worker again with the data of the manager: it is {seen}")
