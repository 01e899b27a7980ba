"""Draws the pictures of the chapters on the example systems: the graphs of all programs, the pages of SelfieLessActs and the
catalog of the Bookstore.

    target/peers/browser/bin/python tests/peers/systems/pictures.py [DIRECTORY]

The directory is docs/src/images by default. tests/peers/selfieless installs selenium in the environment above; the
programs are those of the last `cargo build --workspace --bins`.
"""

import base64
import hashlib
import struct
import sys
import zlib
from pathlib import Path

from system import ROOT, System, check

sys.path.insert(0, str(ROOT / "tests/peers"))
from selfieless import browser, cards, find, text, until  # noqa: E402

API = "/api/v1"
ACTS = [
    ("An apple tree for the school yard", "29-11-2026:56-34-12", "apple"),
    ("Three oaks along the road to the lake", "29-11-2026:10-02-15", "oaks"),
    ("A sapling from my own balcony", "29-11-2026:41-30-17", "sapling"),
]
BOOKS = [
    ("Don Quijote de la Mancha", "Miguel de Cervantes", "An edition of 1605, restored.", "12.50", 1),
    ("Cien años de soledad", "Gabriel García Márquez", "The story of the Buendía family in Macondo.", "18.90", 5),
    ("La casa de los espíritus", "Isabel Allende", "Three generations of the Trueba family.", "15.00", 2),
    ("Ficciones", "Jorge Luis Borges", "Libraries, labyrinths and mirrors.", "9.75", 8),
    ("Pedro Páramo", "Juan Rulfo", "A son looks for his father in Comala.", "11.20", 1),
    ("Rayuela", "Julio Cortázar", "A novel to read in two orders.", "14.30", 0),
]
BROWN, DARK, GREEN, LIGHT = (121, 85, 72), (46, 125, 50), (124, 179, 66), (102, 187, 106)


def main():
    images = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/src/images"
    for program in ("multicloud-orm", "selfieless-acts", "bookstore", "db-patterns"):
        graph(program, images / f"graph-{program}.svg")
    with System("selfieless-acts", time_scale=1) as system:
        acts(system, images / "selfieless-acts.png")
        system.destroyed()
    with System("bookstore", time_scale=1) as system:
        catalog(system, images / "bookstore-catalog.png")
        system.destroyed()


def graph(program, file):
    """Draws a program that is not deployed."""
    system = System(program)
    with system.place:
        drawn = system.run("graph")
        check(drawn.returncode == 0, drawn.stderr)
        file.write_text(drawn.stdout)


def send(system, path, body, token=None):
    status, answer = system.json("POST", path, body, headers={"Authorization": f"Bearer {token}"} if token else None)
    check(status < 400, f"POST {path}: {status} {answer}")
    return answer


def acts(system, file):
    password = hashlib.sha1(b"a password").hexdigest()
    send(system, f"{API}/users", {"username": "alice", "password": password})
    for category in ("trees", "meals"):
        send(system, f"{API}/categories", [category])
    for number, (caption, timestamp, drawing) in enumerate(ACTS, 1):
        send(system, f"{API}/acts", {"actId": number, "username": "alice", "timestamp": timestamp, "caption": caption,
                                     "categoryName": "trees", "imgB64": base64.b64encode(png(drawing)).decode()})
    send(system, f"{API}/acts/upvote", [1])
    with browser((1000, 730, 1, False), "light") as driver:
        driver.get(system.url)
        driver.execute_script("sessionStorage.setItem('user', 'alice')")
        driver.get(system.url)
        until(driver, lambda: "trees (3)" in text(driver))
        find(driver, ".chips button").click()
        until(driver, lambda: cards(driver) == 3)
        until(driver, lambda: driver.execute_script("return [...document.querySelectorAll('.picture')].every(p => p.complete)"))
        driver.get_screenshot_as_file(str(file))


def catalog(system, file):
    person = {"name": "Ana", "email": "ana@example.org", "password": "correct horse"}
    send(system, "/api/register", person)
    token = send(system, "/api/login", person)["token"]
    for book in BOOKS:
        send(system, "/api/books", dict(zip(("title", "author", "description", "price", "stock"), book)), token)
    with browser((1000, 620, 1, False), "light") as driver:
        # Lists are read from a reader, which may lag behind the writer.
        until(driver, lambda: driver.get(f"{system.url}/book/catalog") or all(book[0] in text(driver) for book in BOOKS))
        driver.get_screenshot_as_file(str(file))


def png(drawing, width=480, height=300):
    """Returns a PNG file with trees."""
    def rows():
        for y in range(height):
            yield b"\0" + b"".join(bytes(map(int, colour(drawing, x / width, y / height))) for x in range(width))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows()), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in content)


def colour(drawing, x, y):
    """Returns the colour of a point, whose coordinates are between 0 and 1."""
    trunks = {"apple": [0.5], "oaks": [0.18, 0.5, 0.82], "sapling": [0.5]}[drawing]
    leaves = {"apple": [(0.5, 0.38, 0.24)], "oaks": [(at, 0.45, 0.13) for at in trunks],
              "sapling": [(0.45, 0.45, 0.08), (0.55, 0.36, 0.08)]}[drawing]
    if any(((x - left) * 1.6) ** 2 + (y - top) ** 2 < (size * 1.3) ** 2 for left, top, size in leaves):
        return LIGHT if drawing == "sapling" else DARK
    if any(abs(x - trunk) < 0.015 for trunk in trunks) and 0.38 < y < 0.8:
        return BROWN
    if y > 0.78:
        return BROWN if drawing == "sapling" else GREEN
    return (255, 236 - 60 * y, 179) if drawing == "oaks" else (225 - 60 * y, 245, 254)


if __name__ == "__main__":
    main()
