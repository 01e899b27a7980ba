"""The compared systems: how both sides start, their data, the requests whose responses must be equal, and the load."""

import hashlib
import os
import secrets
from pathlib import Path

from measure import ROOT, Side, free_port, gunicorn, install, release

APPS = Path(__file__).resolve().parent / "apps"
ENVIRONMENT = ROOT / "target/peers/flask"


class System:
    """A system, with its defaults. Both sides use the same tables of the same database."""

    # Name of the system, and of its database.
    name = database = None
    # The Flask applications to compare, and what the table calls them.
    variants = {"": ""}
    # Those that do less than the service's contract demands, which no ratio is required of.
    informative = set()
    # Kinds of requests, as scripts of wrk.
    loads = {}
    # Requests whose responses must be equal, and the names of headers that must be equal too.
    requests, headers = [], ["Content-Type", "X-Content-Type-Options"]
    # Statements that restore the rows.
    rows = None

    def __init__(self, postgres, directory):
        self.postgres, self.directory = postgres, directory

    def ours(self, stack):
        """Starts the service of this repository."""
        raise NotImplementedError

    def flask(self, stack, variant, choice):
        """Starts the Flask application under gunicorn."""
        raise NotImplementedError

    def settle(self):
        self.postgres.query(self.database, self.rows)

    def lines(self, body):
        """Returns the lines of a response for the comparison."""
        return body.decode().splitlines()

    def check(self, variant, kind, requests):
        """Checks that the requests of a load had their effects."""

    def start_ours(self, stack, side, program, port, ready="/healthz", **variables):
        """Starts a program of a release build. Its log has a line for each request, and is written to a file."""
        log = stack.enter_context(open(self.directory / f"{program}.log", "w"))
        variables = {"PATH": os.environ["PATH"], "LISTEN": f"127.0.0.1:{port}",
                     "METRICS_LISTEN": f"127.0.0.1:{free_port()}", **variables}
        side.start(stack, [release(program)], f"http://127.0.0.1:{port}{ready}", env=variables, stderr=log, cwd=self.directory)

    def start_flask(self, stack, side, module, port, ready, choice, **variables):
        install(ENVIRONMENT, "flask>=3.1", "gunicorn[fast]>=23", "psycopg[binary]>=3.2", "requests>=2.32")
        variables = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(self.directory),
                     "PGHOST": str(self.postgres.directory), "PGUSER": "postgres", "PGDATABASE": self.database, **variables}
        command = gunicorn(ENVIRONMENT, port, *choice, f"{module}:app")
        side.start(stack, command, f"http://127.0.0.1:{port}{ready}", env=variables, cwd=APPS)


class SelfieLessActs(System):
    name, database = "SelfieLessActs", "acts"
    variants = {"same": "the same statements", "fewest": "Flask without counts"}
    informative = {"fewest"}
    loads = {
        "upvote": """
local requests, turn = {}, 0
function init()
    for id = 1, 100 do requests[id] = wrk.format("POST", "/api/v1/acts/upvote", nil, "[" .. id .. "]") end
end
function request()
    turn = turn % #requests + 1
    return requests[turn]
end
""",
        "list of 100 acts": 'wrk.path = "/api/v1/categories/trees/acts"',
    }
    requests = [
        ("GET", "/api/v1/categories/trees/acts"), ("GET", "/api/v1/categories/none/acts"),
        ("POST", "/api/v1/acts/upvote", [1]), ("POST", "/api/v1/acts/upvote", [101]),
        ("POST", "/api/v1/acts/upvote", ["1"]), ("POST", "/api/v1/acts/upvote", {"actId": 1}),
        ("GET", "/api/v1/acts/upvote"), ("GET", "/api/v1/categories/trees/acts"),
    ]
    # The pictures have 1 KiB.
    rows = """
        TRUNCATE selfieless_act, selfieless_category, selfieless_acts_count RESTART IDENTITY;
        INSERT INTO selfieless_category (name) VALUES ('trees');
        INSERT INTO selfieless_act (act_id, username, taken_at, caption, upvotes, category_id, image)
        SELECT n, 'user-' || n % 10, timestamp '2026-01-02 03:04:05' + n * interval '1 hour',
               'I have planted tree number ' || n, 0, 1, replace(encode(decode(bytes, 'hex'), 'base64'), E'\\n', '')
        FROM generate_series(1, 100) AS n,
             LATERAL (SELECT string_agg(md5(n || '-' || part), '') AS bytes FROM generate_series(1, 64) AS part) AS picture;
        VACUUM ANALYZE selfieless_act, selfieless_category, selfieless_acts_count;
        CHECKPOINT;
    """

    def ours(self, stack):
        port = free_port()
        side = Side("acts", f"http://127.0.0.1:{port}")
        # Neither kind of request asks the service of users.
        self.start_ours(stack, side, "acts", port, DATABASE_URL=self.postgres.url(self.database),
                        USERS_URL="http://127.0.0.1:9")
        return side

    def flask(self, stack, variant, choice):
        port = free_port()
        side = Side("flask", f"http://127.0.0.1:{port}")
        self.start_flask(stack, side, "acts", port, "/api/v1/_health", choice, STATEMENTS=variant)
        return side

    def check(self, variant, kind, requests):
        counts = """SELECT COALESCE(SUM(upvotes), 0) FROM selfieless_act;
                    SELECT COALESCE(SUM(requests), 0) FROM selfieless_acts_count"""
        upvotes, counted = (int(count) for count in self.postgres.query(self.database, counts).split())
        assert kind != "upvote" or upvotes >= requests, f"{requests} upvotes were acknowledged, and {upvotes} are stored"
        assert variant == "fewest" or counted >= requests, f"{requests} requests were answered, and {counted} counted"


class Bookstore(System):
    name = database = "bookstore"
    loads = {"catalog page": 'wrk.path = "/book/catalog"'}
    requests = [("GET", f"/book/catalog{query}") for query in ("", "?page=2", "?page=3", "?page=4", "?page=0", "?page=x")]
    headers = [*System.headers, "Content-Security-Policy", "X-Frame-Options", "Referrer-Policy", "Cache-Control",
               "Cross-Origin-Opener-Policy"]
    rows = """
        TRUNCATE bookstore_user, bookstore_book RESTART IDENTITY CASCADE;
        INSERT INTO bookstore_user (name, email, password_hash, is_admin, created_at)
        VALUES ('Ana', 'ana@example.org', '-', FALSE, now());
        INSERT INTO bookstore_book (title, author, description, price, stock, seller_id, is_deleted)
        SELECT 'The Art of "Computing", Part ' || n, 'Conan O''Brien & <Sons> ' || n % 7,
               CASE WHEN n % 10 = 0 THEN '' ELSE repeat('A book about everything that a reader wants to know. ', 4) END,
               n + n % 4 * 0.25, n % 5, 1, FALSE
        FROM generate_series(1, 50) AS n;
        VACUUM ANALYZE bookstore_book;
        CHECKPOINT;
    """

    def ours(self, stack):
        port = free_port()
        side = Side("bookstore", f"http://127.0.0.1:{port}")
        self.start_ours(stack, side, "bookstore", port, "/book/catalog", WRITE_ENGINE=self.postgres.url(self.database),
                        SECRET_KEY=secrets.token_hex(32))
        return side

    def flask(self, stack, variant, choice):
        port = free_port()
        side = Side("flask", f"http://127.0.0.1:{port}")
        style = hashlib.sha256((ROOT / "app/bookstore/templates/style.css").read_bytes()).digest()[:6].hex()
        self.start_flask(stack, side, "bookstore", port, "/book/catalog", choice, STYLE=style)
        return side

    def lines(self, body):
        # Jinja writes the names of characters, and askama their numbers.
        text = body.decode()
        for number, name in (("&#38;", "&amp;"), ("&#60;", "&lt;"), ("&#62;", "&gt;")):
            text = text.replace(number, name)
        return text.splitlines()


class Patterns(System):
    name = database = "patterns"
    loads = {"fetch of 20 rows": """
wrk.method, wrk.path = "POST", "/fetch_direct"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{"sql": "SELECT id, column1, column2 FROM direct_table ORDER BY id DESC LIMIT 20"}]]
"""}
    requests = [("POST", "/fetch_direct", {"sql": sql}) for sql in (
        "SELECT id, column1, column2 FROM direct_table ORDER BY id DESC LIMIT 20", "SELECT * FROM direct_table WHERE id = 7",
        "SELECT count(*) FROM direct_table", "SELECT * FROM direct_table WHERE id > 100", "DROP TABLE direct_table",
        "SELECT * FROM pg_user", "SELECT * FROM direct_table; SELECT 1", "",
    )] + [("POST", "/fetch_direct", {"query": "SELECT 1"}), ("GET", "/fetch_direct")]
    headers = [*System.headers, "X-Db-Node"]
    rows = """
        TRUNCATE direct_table RESTART IDENTITY;
        INSERT INTO direct_table (column1, column2)
        SELECT 'value ' || n, 'another value of row ' || n FROM generate_series(1, 20) AS n;
        VACUUM ANALYZE direct_table;
        CHECKPOINT;
    """
    # The proxy remembers at most 500,000 signatures in twice this time.
    SKEW_SECONDS = "5"

    def ours(self, stack):
        ports = [free_port() for _ in range(3)]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        side, key, url = Side("patterns", urls[0]), secrets.token_hex(32), self.postgres.url(self.database)
        self.start_ours(stack, side, "proxy", ports[2], SIGNING_KEY=key, SIGNING_SKEW_SECONDS=self.SKEW_SECONDS,
                        MANAGER_URL=url, WORKER_URLS=url)
        self.start_ours(stack, side, "trusted-host", ports[1], SIGNING_KEY=key, PROXY_URL=urls[2])
        self.start_ours(stack, side, "gatekeeper", ports[0], TRUSTED_HOST_URL=urls[1])
        return side

    def flask(self, stack, variant, choice):
        ports = [free_port() for _ in range(3)]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        side, key = Side("flask", urls[0]), secrets.token_hex(32)
        for tier, port, following in zip(("proxy", "trusted_host", "gatekeeper"), ports[::-1], (None, urls[2], urls[1])):
            variables = {"TIER": tier}
            if tier != "gatekeeper":
                variables["SIGNING_KEY"] = key
            if following:
                variables["NEXT"] = following
            self.start_flask(stack, side, "tiers", port, "/health_check", choice, **variables)
        return side


SYSTEMS = {"selfieless": SelfieLessActs, "bookstore": Bookstore, "patterns": Patterns}
