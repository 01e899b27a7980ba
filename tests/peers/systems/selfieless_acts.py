"""SelfieLessActs: the routes of both services through the load balancer, the orchestrator's processes, and the database."""

import hashlib
import itertools
import time
import urllib.parse

from system import System, check, picture, until

API = "/api/v1"
PASSWORD = hashlib.sha1(b"a password").hexdigest()


def run(**options):
    # The window is long enough for one to begin and end while the scaling is tested.
    with System("selfieless-acts", **options, config=("windowSeconds=4", "requestsPerInstance=10")) as system:
        contract(system)
        pages(system)
        closed(system)
        crash(system)
        scales_processes(system)
        lost_instance(system)
        rollout(system)
        system.destroyed()


def act(number, **other):
    return {"actId": number, "username": "alice", "timestamp": "29-11-2026:56-34-12", "caption": f"Act {number}",
            "categoryName": "trees", "imgB64": picture(), **other}


def contract(system):
    new = {"username": "alice", "password": PASSWORD}
    stored = {**act(1), "upvotes": 0}
    anything = lambda _: True
    system.table("the routes of users", [
        ("GET", f"{API}/users", None, 204, None),
        ("POST", f"{API}/users", new, 201, {}),
        ("POST", f"{API}/users", new, 400, anything),
        ("POST", f"{API}/users", {"username": "bob", "password": "short"}, 400, anything),
        ("POST", f"{API}/users", {"username": "bob"}, 400, anything),
        ("GET", f"{API}/users", None, 200, ["alice"]),
        ("PUT", f"{API}/users", None, 405, anything),
        ("POST", f"{API}/validate_user", new, 200, {}),
        ("POST", f"{API}/validate_user", {**new, "username": "nobody"}, 204, None),
        ("POST", f"{API}/validate_user", {**new, "password": "0" * 40}, 400, anything),
        ("DELETE", f"{API}/users/bob", None, 400, anything),
    ])
    many = urllib.parse.urlencode({"start": 1, "end": 101})
    system.table("the routes of acts", [
        ("GET", f"{API}/categories", None, 204, None),
        ("POST", f"{API}/categories", ["trees"], 201, {}),
        ("POST", f"{API}/categories", ["trees"], 400, anything),
        ("POST", f"{API}/categories", [""], 400, anything),
        ("POST", f"{API}/categories", ["meals"], 201, {}),
        ("GET", f"{API}/categories", None, 200, {"trees": 0, "meals": 0}),
        ("GET", f"{API}/categories/trees/acts", None, 204, None),
        ("GET", f"{API}/categories/none/acts", None, 400, anything),
        ("POST", f"{API}/acts", act(1), 201, {}),
        ("POST", f"{API}/acts", act(1), 400, anything),
        ("POST", f"{API}/acts", act(2, username="nobody"), 400, anything),
        ("POST", f"{API}/acts", act(2, upvotes=1), 400, anything),
        ("POST", f"{API}/acts", act(2, imgB64="?"), 400, anything),
        ("POST", f"{API}/acts", act(2, timestamp="31-02-2026:00-00-00"), 400, anything),
        ("POST", f"{API}/acts", act(2), 201, {}),
        ("GET", f"{API}/categories/trees/acts", None, 200, [{**act(2), "upvotes": 0}, stored]),
        ("GET", f"{API}/categories/trees/acts?start=2&end=2", None, 200, [stored]),
        ("GET", f"{API}/categories/trees/acts?{many}", None, 413, anything),
        ("GET", f"{API}/categories/trees/acts?start=2&end=3", None, 400, anything),
        ("GET", f"{API}/categories/trees/acts/size", None, 200, [2]),
        ("POST", f"{API}/acts/upvote", [1], 200, {}),
        ("POST", f"{API}/acts/upvote", [9], 400, anything),
        ("GET", f"{API}/acts/upvote", None, 405, anything),
        ("DELETE", f"{API}/acts/upvote", None, 405, anything),
        ("GET", f"{API}/acts/count", None, 200, [2]),
        ("GET", f"{API}/list_act_user/alice", None, 200, lambda acts: [one["actId"] for one in acts] == [2, 1]),
        ("GET", f"{API}/list_act_user/bob", None, 204, None),
        ("DELETE", f"{API}/acts/2", None, 200, {}),
        ("DELETE", f"{API}/acts/2", None, 400, anything),
        ("DELETE", f"{API}/categories/trees", None, 200, {}),
        ("GET", f"{API}/acts/count", None, 200, [0]),
        ("DELETE", f"{API}/_count", None, 200, {}),
        ("GET", f"{API}/categories", None, 200, {"meals": 0}),
        ("GET", f"{API}/categories/none/acts", None, 400, anything),
        ("GET", f"{API}/_count", None, 200, [2]),
        ("GET", f"{API}/_health", None, 200, anything),
    ])


def pages(system):
    status, headers, page = system.request("GET", "/")
    check(status == 200 and "SelfieLessActs" in page, f"the page is {status}: {page[:300]}")
    policy = headers["Content-Security-Policy"] or ""
    check("script-src" in policy and "unsafe-inline" not in policy, f"the policy is {policy}")
    system.passed("the web page, without inline scripts")


def closed(system):
    """The database admits the services only, and the services the load balancer only."""
    if not system.has_namespaces():
        print("    loopback: security groups between instances are not enforced")
        return
    service = system.instances("users/group")[0] if system.instances("users/group") else system.instances()[0]
    check(not system.reaches("internet", service["id"], 8080), "the internet reaches a service")
    check(not system.reaches("internet", service["id"], 22), "the internet reaches SSH")
    system.passed("the internet reaches the load balancer only")


def orchestrator(system):
    return system.json("GET", "/_orchestrator")[1]


def crash(system):
    """A crashed process answers 500 until the orchestrator has replaced it, on the same port."""
    status, _ = system.json("POST", f"{API}/_crash")
    check(status == 200, f"_crash answered {status}")
    healthy = lambda: all(system.request("GET", f"{API}/categories")[0] == 200 for _ in range(20))
    until(healthy, "the crashed process is not replaced", 20)
    ports = [instance["port"] for instance in orchestrator(system)["instances"]]
    check(8000 in ports, f"the processes have the ports {ports}")
    system.passed("a crashed process is replaced on its port")


def scales_processes(system):
    sizes = set()

    def grown():
        for _ in range(30):
            system.request("GET", f"{API}/categories")
        sizes.add(len(orchestrator(system)["instances"]))
        return max(sizes) >= 3
    until(grown, f"the orchestrators do not start processes: {sizes}", 60)
    system.passed(f"an orchestrator runs {max(sizes)} processes under load")
    until(lambda: [len(orchestrator(system)["instances"]) for _ in range(4)] == [1] * 4 or time.sleep(0.5),
          "the orchestrators do not stop processes", 60)
    system.passed("without load, each orchestrator runs one process")


def lost_instance(system):
    victim = next(instance for instance in system.instances() if "orchestrator" in
                  [service["name"] for service in instance["services"]])["id"]
    system.fault("kill-instance", victim)
    answers = lambda: all(system.request("GET", f"{API}/categories")[0] == 200 for _ in range(20))
    until(answers, "the service does not recover")
    replaced = lambda: len([1 for instance in system.instances() for service in instance["services"]
                            if service["name"] == "orchestrator" and service["state"] == "running"]) == 2
    until(replaced, "the instance is not replaced")
    system.passed("a lost instance is replaced")


def rollout(system):
    numbers = itertools.count(1000)
    status, _ = system.json("POST", f"{API}/categories", ["rollout"])
    check(status == 201, f"a category: {status}")
    created = lambda: act(next(numbers), categoryName="rollout")
    system.rolls_out("requestsPerInstance=1000", ("GET", f"{API}/categories", None), ("POST", f"{API}/acts", created))
    expected = next(numbers) - 1000
    size = system.json("GET", f"{API}/categories/rollout/acts/size")
    check(size == (200, [expected]), f"{expected} acts were acknowledged, and {size} exist")
