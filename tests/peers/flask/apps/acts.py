"""The measured routes of SelfieLessActs' service `acts`.

STATEMENTS=same sends the statements of `acts`: it counts every request in the database, and reads the size of a list before its
acts. STATEMENTS=fewest counts nothing, and reads only the category and the acts of a list.
"""

import json
import os

from connection import execute, worker
from flask import Flask, Response, request

MOST = 100
SAME = {"same": True, "fewest": False}[os.environ["STATEMENTS"]]
ACTS = """
    SELECT a.id, a.act_id, a.username, a.taken_at, a.caption, a.upvotes, c.name, a.image
    FROM selfieless_act a LEFT JOIN selfieless_category c ON c.id = a.category_id
    WHERE a.category_id = %s
"""
SUMMARY = """
    SELECT id, (SELECT COUNT(*) FROM selfieless_act WHERE category_id = category.id),
        (SELECT CAST(COALESCE(SUM(OCTET_LENGTH(image)), 0) AS BIGINT) FROM (
            SELECT image FROM selfieless_act WHERE category_id = category.id ORDER BY taken_at DESC, id DESC LIMIT %s
        ) AS listed)
    FROM selfieless_category AS category WHERE name = %s
"""
ORDER = "ORDER BY a.taken_at DESC, a.id DESC LIMIT %s"

app = Flask(__name__)


def answer(document, status=200):
    return Response(json.dumps(document, separators=(",", ":")), status, content_type="application/json")


def refuse(reason, status=400):
    return answer({"detail": reason}, status)


@app.before_request
def count():
    if SAME and not request.path.endswith("/_health"):
        execute("""INSERT INTO selfieless_acts_count (instance, requests) VALUES (%s, 1)
                   ON CONFLICT (instance) DO UPDATE SET requests = selfieless_acts_count.requests + excluded.requests""",
                (worker(),))


@app.after_request
def protect(response):
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@app.get("/api/v1/_health")
def health():
    execute("SELECT 1")
    return answer({})


@app.post("/api/v1/acts/upvote")
def upvote():
    try:
        body = json.loads(request.get_data())
    except ValueError as error:
        return refuse(f"The body is not JSON: {error}.")
    if not isinstance(body, list) or len(body) != 1:
        return refuse("The body is not a JSON array that contains only the actId of an act.")
    act_id = body[0]
    if type(act_id) is not int or not 0 <= act_id < 2 ** 53:
        return refuse("the actId of an act is not an integer from 0 to 9007199254740991.")
    done = execute("UPDATE selfieless_act SET upvotes = upvotes + 1 WHERE act_id = %s", (act_id,))
    return answer({}) if done.rowcount else refuse(f"There is no act {act_id}.")


@app.get("/api/v1/categories/<name>/acts")
def acts(name):
    if SAME:
        category = execute(SUMMARY, (MOST, name)).fetchone()
    else:
        category = execute("SELECT id FROM selfieless_category WHERE name = %s LIMIT 1", (name,)).fetchone()
    if not category:
        return refuse(f'There is no category "{name}".')
    if SAME:
        size = category[1]
        rows = execute(ACTS + ORDER, (category[0], MOST)).fetchall() if size <= MOST else []
    else:
        rows = execute(ACTS + ORDER, (category[0], MOST + 1)).fetchall()
        size = len(rows)
    if size > MOST:
        return refuse(f"The category has more than {MOST} acts.", 413)
    return answer([shown(*row) for row in rows]) if rows else Response(status=204)


def shown(_, act_id, username, taken_at, caption, upvotes, category, image):
    return {"actId": act_id, "username": username, "timestamp": f"{taken_at:%d-%m-%Y:%S-%M-%H}", "caption": caption,
            "upvotes": upvotes, "categoryName": category, "imgB64": image}
