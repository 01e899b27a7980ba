"""The three tiers of the database patterns, each of which is a service: TIER is `gatekeeper`, `trusted_host` or `proxy`.

NEXT is the URL of the next tier, SIGNING_KEY the key of the trusted host and the proxy. A check of a statement is a regular
expression, which admits less than the parser of the measured service, and takes less time.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time

import requests
from connection import execute
from flask import Flask, Response, request

TIER, NEXT = os.environ["TIER"], os.environ.get("NEXT")
KEY = os.environ.get("SIGNING_KEY", "").encode()
SKEW_MILLISECONDS = 5000
SELECT = re.compile(r"SELECT [\w*, ()]+ FROM (direct|random|customized)_table( WHERE \w+ (=|<|>|<=|>=) \d+)?"
                    r"( ORDER BY \w+( DESC)?)?( LIMIT \d+)?", re.ASCII)

app = Flask(__name__)
threads = threading.local()


class Refused(Exception):
    """Refusal of a request, with its status and reason."""


@app.errorhandler(Refused)
def refuse(refusal):
    status, reason = refusal.args
    return answer(json.dumps({"error": reason}), status)


def answer(text, status=200):
    response = Response(text, status, content_type="application/json")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@app.get("/health_check")
def health_check():
    return Response(f"<!doctype html><title>{TIER}</title>", content_type="text/html; charset=utf-8")


@app.post("/fetch_direct")
def fetch_direct():
    body = request.get_data()
    if TIER == "proxy":
        verify(body)
        return fetch(json.loads(body)["sql"])
    sql = checked(body)
    body = json.dumps({"sql": sql}, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json"}
    if TIER == "trusted_host":
        moment, nonce = str(milliseconds()), secrets.token_hex(16)
        headers |= {"X-Signature-Time": moment, "X-Signature-Nonce": nonce, "X-Signature": signature(body, moment, nonce)}
    return forward(body, headers)


def checked(body):
    """Returns the statement of a body."""
    try:
        sql = json.loads(body)["sql"]
    except (ValueError, TypeError, KeyError):
        raise Refused(400, "No SQL query provided") from None
    if not isinstance(sql, str) or not SELECT.fullmatch(sql):
        raise Refused(400, "The statement is not accepted")
    return sql


def forward(body, headers):
    """Sends a request to the next tier, over a connection that stays open if the tier keeps it."""
    try:
        session = threads.session
    except AttributeError:
        session = threads.session = requests.Session()
        # Otherwise it reads the proxy's variables and .netrc for every request.
        session.trust_env = False
    try:
        received = session.post(NEXT + request.path, data=body, headers=headers, timeout=6)
    except requests.RequestException as error:
        raise Refused(502, "The next tier does not answer") from error
    response = answer(received.content, received.status_code)
    if node := received.headers.get("X-Db-Node"):
        response.headers["X-Db-Node"] = node
    return response


def verify(body):
    """Verifies the signature. Unlike the measured service, it does not remember nonces, which several workers would share."""
    try:
        moment, nonce, given = (request.headers[name] for name in ("X-Signature-Time", "X-Signature-Nonce", "X-Signature"))
    except KeyError:
        raise Refused(401, "The request is not signed") from None
    if not hmac.compare_digest(signature(body, moment, nonce), given):
        raise Refused(403, "The signature is wrong")
    if abs(milliseconds() - int(moment)) > SKEW_MILLISECONDS:
        raise Refused(403, "The signature is stale")


def signature(body, moment, nonce):
    text = f"v1\nPOST\n{request.path}\n{hashlib.sha256(body).hexdigest()}\n{moment}\n{nonce}"
    return hmac.digest(KEY, text.encode(), "sha256").hex()


def milliseconds():
    return time.time_ns() // 1_000_000


def fetch(sql):
    response = answer(json.dumps(execute(sql).fetchall(), separators=(",", ":")))
    response.headers["X-Db-Node"] = "manager"
    return response
