"""Helpers of the boto3_*.py scripts. The only argument of a script is the endpoint of the local cloud. The variables
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY contain the cloud's access key, INFRA_LOCAL_TOKEN its administration token."""

import functools
import http.client
import json
import os
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1] if len(sys.argv) == 2 else sys.exit(sys.modules["__main__"].__doc__)
# Suffix of the names of all resources that a script creates, so that it can run repeatedly.
SUFFIX = uuid.uuid4().hex[:8]


def client(service, region="us-east-1", **config):
    """Returns a client without retries."""
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name=region,
        config=Config(retries={"max_attempts": 0}, **config))


def administration(path, body=None):
    """Returns the document of the path below `/_infra/`, or the response to a request with this document."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{ENDPOINT}/_infra/{path}", data, {"Authorization": f"Bearer {token()}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def token():
    return os.environ["INFRA_LOCAL_TOKEN"]


def status():
    """Returns the status that the cloud reports."""
    return administration("status")


@functools.cache
def fabric():
    """Returns what connects instances, load balancers and databases: `namespaces` or `loopback`."""
    return "namespaces" if status()["network"]["namespaces"] else "loopback"


def has_private_addresses():
    """Returns whether instances have addresses of their subnets. They all have addresses of 127.0.0.0/8 otherwise."""
    return fabric() == "namespaces"


def connect(address, port, timeout=30):
    """Opens a connection to a public address, or to a private one by a tunnel.

    A tunnel is an administrator's: security groups do not apply to it, see `reaches`."""
    if address.startswith("127."):
        return socket.create_connection((address, port), timeout)
    endpoint = urllib.parse.urlsplit(ENDPOINT)
    stream = socket.create_connection((endpoint.hostname, endpoint.port), timeout)
    try:
        query = urllib.parse.urlencode({"to": address, "port": port})
        lines = [f"POST /_infra/tunnel?{query} HTTP/1.1", f"Host: {endpoint.netloc}", f"Authorization: Bearer {token()}",
                 "Upgrade: tcp", "Connection: upgrade", "", ""]
        stream.sendall("\r\n".join(lines).encode())
        # The bytes behind the head of the response belong to the connection, so no byte more is read.
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = stream.recv(1)
            if not byte:
                raise ConnectionResetError(f"the cloud closed the tunnel to {address} port {port}")
            head += byte
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionRefusedError(f"no tunnel to {address} port {port}: {head.splitlines()[0].decode()}")
        return stream
    except BaseException:
        stream.close()
        raise


def get(address, path="/", port=80, headers=None, timeout=30):
    """Sends a request to a public or private address, and returns the status and the body."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    connection.sock = connect(address, port, timeout)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{address} port {port} sent no response: {error!r}") from error
    finally:
        connection.close()


@contextmanager
def forwarded(address, port):
    """Yields an address and a port of this machine that lead there, for programs that cannot use `connect`."""
    if address.startswith("127."):
        yield address, port
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=forward, args=(listener, address, port), daemon=True).start()
        try:
            yield listener.getsockname()
        finally:
            # Wakes the thread, which a mere `close` does not.
            listener.shutdown(socket.SHUT_RDWR)


def forward(listener, address, port):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            server = connect(address, port)
        except OSError:
            client.close()
            continue
        server.settimeout(None)
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=copy, args=(source, target), daemon=True).start()


def copy(source, target):
    """Copies bytes until a side ends."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            end.close()


def reaches(source, target, port):
    """Returns whether the network lets connections of one resource to another through: routes, security groups and network
    ACLs decide, and not whether a program listens. With private addresses, a real connection must confirm it."""
    request = {"from": source, "to": target, "port": port, "probe": has_private_addresses()}

    def agreed():
        answer = administration("reach", request)
        is_permitted = answer["blocked"] is None
        return answer if answer["probed"] in (None, is_permitted) else None

    return eventually(f"a connection confirms what is declared for {request}", agreed)["blocked"] is None


@contextmanager
def refused(code, *words):
    """Asserts that the block fails with this error code and a message that contains these words."""
    try:
        yield
    except ClientError as error:
        details = error.response["Error"]
        assert details["Code"] == code, f"expected {code}, got {error}"
        assert all(word in details["Message"] for word in words), f"expected {words} in {details['Message']!r}"
    else:
        raise AssertionError(f"expected {code}, but the call succeeded")


def eventually(condition, poll, seconds=60):
    """Polls until the result is true, and returns it. `condition` describes it for the error message."""
    deadline = time.monotonic() + seconds
    while True:
        result = poll()
        if result:
            return result
        assert time.monotonic() < deadline, f"{condition}: still {result!r} after {seconds} s"
        time.sleep(0.05)


# Start of the programs that run on instances: `serve(Handler)` answers HTTP requests on the address LISTEN. The server
# class of `http.server` looks up the name of its address before it listens, which takes seconds where no resolver answers.
SERVER = b"""#!/usr/bin/env python3
import os, socketserver, sys, time
from http.server import BaseHTTPRequestHandler

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

def serve(handler):
    host, port = os.environ["LISTEN"].rsplit(":", 1)
    Server((host, int(port)), handler).serve_forever()
"""
