"""The catalog of the bookstore, with the templates of the service in Jinja. STYLE is the version of the style sheet."""

import os

from connection import execute
from flask import Flask, Response, render_template, request

PAGE = 24
SECTIONS = [("/book/catalog", "Catalog"), ("/book/my_books", "My books"), ("/book/add_book", "Sell a book")]
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
                               "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# The price as text, as the service reads it: faster than a Decimal.
BOOKS = """
    SELECT id, title, author, description, price::text, stock, seller_id, is_deleted FROM bookstore_book
    WHERE is_deleted = FALSE ORDER BY id DESC LIMIT %s OFFSET %s
"""
NAMES = ("id", "title", "author", "description", "price", "stock", "seller_id", "is_deleted")

app = Flask(__name__)


@app.after_request
def protect(response):
    response.headers.update(HEADERS)
    return response


@app.get("/book/catalog")
def catalog():
    number = request.args.get("page", 1, int)
    if not 1 <= number <= 100_000:
        number = 1
    rows = execute(BOOKS, (PAGE + 1, (number - 1) * PAGE)).fetchall()
    books = [dict(zip(NAMES, row)) for row in rows[:PAGE]]
    page = render_template("catalog.html", title="Catalog", section="/book/catalog", sections=SECTIONS,
                           style=os.environ["STYLE"], books=books, number=number, has_next=len(rows) > PAGE)
    return Response(page, content_type="text/html; charset=utf-8")
