"""The Bookstore: its pages and its API through the load balancer, buyers that compete, and a database that fails over."""

import http.cookies
import threading
import time

from system import System, check, field, form, until

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def run(**options):
    with System("bookstore", **options) as system:
        contract(system)
        readers_are_read(system)
        buyers_compete(system)
        closed(system)
        zone_fails(system)
        system.rolls_out("adminEmail=owner@example.com", ("GET", "/book/catalog", None), ("GET", "/api/books", None))
        system.destroyed()


class Visitor:
    """A browser without JavaScript: keeps cookies, and follows no redirect."""

    def __init__(self, system):
        self.system, self.cookies = system, {}

    def send(self, method, path, body=None):
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = ({"Cookie": cookies} if cookies else {}) | (FORM if body is not None else {})
        status, headers, page = self.system.request(method, path, body, headers)
        for header in headers.get_all("Set-Cookie") or []:
            for name, morsel in http.cookies.SimpleCookie(header).items():
                self.cookies[name] = morsel.value
        return status, headers["Location"], page

    def submit(self, path, **fields):
        """Fills in the form of a page, and submits it with its hidden fields."""
        _, _, page = self.send("GET", path)
        hidden = {"csrf": field(page, "csrf")}
        return self.send("POST", path, form(**hidden, **fields))


def contract(system):
    visitor = Visitor(system)
    status, _, page = visitor.send("GET", "/")
    check(status == 200, f"GET / is {status}")
    check(visitor.send("GET", "/book/my_books")[:2] == (302, "/login?next=%2Fbook%2Fmy_books")
          or visitor.send("GET", "/book/my_books")[0] == 302, "my_books needs no session")
    check(visitor.send("POST", "/register", form(name="A", email="a@b.c", password="secret-secret"))[0] == 403,
          "a form without a token is accepted")
    person = dict(name="Ana", email="ana@example.com", password="correct horse battery")
    check(visitor.submit("/register", **person)[:2] == (302, "/login"), "register")
    check(visitor.submit("/register", **person)[0] == 200, "a duplicate email")
    check(visitor.submit("/login", email=person["email"], password="wrong password")[0] == 200, "a wrong password")
    check(visitor.submit("/login", email=person["email"], password=person["password"])[:2] == (302, "/book/catalog"),
          "login")
    book = dict(title="Rust", author="Ferris", description="A book", price="12.50", stock="5")
    check(visitor.submit("/book/add_book", **{**book, "price": "many"})[0] == 200, "a bad number")
    check(visitor.submit("/book/add_book", **book)[0] == 302, "add_book")
    check("12.50" in visitor.send("GET", "/book/catalog")[2], "the price of the catalog")
    check(visitor.send("GET", "/admin/users")[0] == 403, "another user sees the users")
    check(visitor.send("GET", "/logout")[:2] == (302, "/login"), "logout")
    system.passed("the pages")

    status, answer = system.json("POST", "/api/login", {"email": person["email"], "password": person["password"]})
    check(status == 200 and answer.get("token"), f"/api/login: {status} {answer}")
    system.token = {"Authorization": f"Bearer {answer['token']}"}
    price = {"title": "Second", "author": "Ferris", "description": "d", "price": "3.10", "stock": 10}
    status, created = system.json("POST", "/api/books", price, headers=system.token)
    check(status == 201, f"POST /api/books: {status} {created}")
    number = created["id"]
    check(system.json("GET", f"/api/books/{number}")[0] == 200, "GET /api/books/N")
    check(system.json("GET", "/api/books/99999")[0] == 404, "an unknown book")
    check(system.json("GET", "/api/check_login")[0] == 401, "check_login without a token")
    check(system.json("GET", "/api/check_login", headers=system.token)[0] == 200, "check_login")
    providers = system.json("GET", "/api/delivery/providers")
    names = sorted(provider["name"] for provider in providers[1])
    check(names == ["DHL", "Envia", "FedEx", "Servientrega"], f"the providers are {providers}")
    status, purchase = buy(system, number, 2, price="0.01")
    check(status in (200, 201), f"buy: {status} {purchase}")
    check(system.json("DELETE", f"/api/books/{number}", headers=system.token)[0] in (204, 409), "DELETE /api/books/N")
    system.passed("the API")


def buy(system, book, quantity, **other):
    body = {"book_id": book, "quantity": quantity, **other}
    return system.json("POST", "/api/buy", body, headers=system.token)


def readers_are_read(system):
    """Reads of the catalog use the readers: their statistics grow, which the service counts as well."""
    before = queries(system)
    for _ in range(40):
        system.request("GET", "/book/catalog")
    after = queries(system)
    check(after["reader"] - before["reader"] >= 40, f"queries before {before} and after {after}")
    check(after["writer"] - before["writer"] < 20, f"queries before {before} and after {after}")
    system.passed(f"the catalog is read from the readers: {after['reader'] - before['reader']} queries")


def queries(system):
    """Returns the sums of the services' metrics, which are read inside of the instances."""
    sums = {"reader": 0, "writer": 0}
    for instance in system.instances():
        for line in system.metrics(instance).splitlines():
            for endpoint in sums:
                if line.startswith("database_queries_total{") and f'endpoint="{endpoint}"' in line:
                    sums[endpoint] += int(float(line.rsplit(" ", 1)[1]))
    return sums


def buyers_compete(system):
    body = {"title": "Rare", "author": "F", "description": "d", "price": "1.00", "stock": 25}
    status, book = system.json("POST", "/api/books", body, headers=system.token)
    check(status == 201, f"a rare book: {status} {book}")
    statuses = []
    buyers = [threading.Thread(target=lambda: statuses.append(buy(system, book["id"], 1)[0])) for _ in range(60)]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    sold = sum(status in (200, 201) for status in statuses)
    left = system.json("GET", f"/api/books/{book['id']}")[1]["stock"]
    check(sold == 25 and int(left) == 0, f"{sold} of 25 sold, {left} left: {statuses}")
    system.passed("60 buyers of 25 copies bought 25")


def closed(system):
    if not system.has_namespaces():
        print("    loopback: security groups between instances are not enforced")
        return
    application = system.instances()[0]["id"]
    check(not system.reaches("internet", application, 8080), "the internet reaches an instance")
    writer = system.output("writer_endpoint").split(":")
    system.passed(f"the internet reaches the load balancer only; the writer is {writer[0]}")


def endless(system):
    """Creates a book with many copies, and returns its number."""
    body = {"title": "Endless", "author": "F", "description": "d", "price": "1.00", "stock": 1_000_000}
    status, book = system.json("POST", "/api/books", body, headers=system.token)
    check(status == 201, f"an endless book: {status} {book}")
    return book["id"]


def survives(system, what, fault, limit):
    """Orders are taken again within `limit` seconds after a fault, and no acknowledged one is lost."""
    book, sold, stop = endless(system), [], threading.Event()

    def order():
        while not stop.is_set():
            try:
                status = buy(system, book, 1)[0]
                if status in (200, 201):
                    sold.append(time.monotonic())
            except OSError:
                pass
    buyers = [threading.Thread(target=order, daemon=True) for _ in range(4)]
    for buyer in buyers:
        buyer.start()
    try:
        until(lambda: len(sold) > 20, "no orders are taken")
        began = time.monotonic()
        fault()
        injected = time.monotonic()
        until(lambda: len([at for at in sold if at > injected + 1]) > 20, f"no orders are taken after {what}", limit)
    finally:
        stop.set()
        for buyer in buyers:
            buyer.join()
    gaps = [later - earlier for earlier, later in zip(sold, sold[1:]) if later > began]
    # The page is read from a reader, which may lag behind the writer.
    orders = lambda: 1_000_000 - int(system.json("GET", f"/api/books/{book}")[1]["stock"])
    until(lambda: orders() >= len(sold), f"of {len(sold)} acknowledged orders, some do not exist", 10)
    system.passed(f"{what}: orders paused for {max(gaps):.1f} s, and none of {len(sold)} was lost")


def writer(system):
    return next(database for region in system.regions() for database in region["databases"]
                if database["role"] == "primary")


def zone_fails(system):
    lost = []

    def fault():
        lost.append(writer(system)["zone"])
        system.fault("lose-zone", lost[0])
    survives(system, "the writer's zone is lost", fault, 30)
    system.fault("restore-zone", lost[0])
