"""The services of a Debian host on EC2: the metadata service, SSM and S3 over TLS in front of moto, and a package mirror.

Each service has a separate address on the bridge, so that each can be made unreachable.
"""
import http.client
import http.server
import json
import socketserver
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

UPSTREAM = "http://deb.debian.org"
BRIDGE = "cloud"
METADATA, SSM, S3, MIRROR = "169.254.169.254", "10.255.0.2", "10.255.0.3", "10.255.0.4"


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Mirror:
    """A package mirror that stores the files that were requested while Debian's mirror was reachable."""

    def __init__(self, directory, online):
        self.directory, self.online, self.requests = Path(directory), online, []

    def file(self, path):
        """Returns the content of a file, or None when the mirror does not have it."""
        kept = self.directory / path.lstrip("/")
        if ".." in kept.parts:
            return None
        # Indices are downloaded again because they change; packages do not.
        index = "/dists/" in path
        if kept.is_file() and not (index and self.online):
            return kept.read_bytes()
        if not self.online:
            return None
        try:
            with urllib.request.urlopen(UPSTREAM + path, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            return None
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"{kept.name}.{threading.get_ident()}.part")
        part.write_bytes(content)
        part.replace(kept)
        return content

    def serve(self, address, port):
        mirror = self

        class Files(Handler):
            def do_GET(self):
                # A client that uses the mirror as a proxy sends the complete URL.
                path = self.path.removeprefix(UPSTREAM)
                mirror.requests.append(path)
                content = mirror.file(path)
                self.reply(404) if content is None else self.reply(200, content)

        return serve(address, port, Files)


class Metadata:
    """EC2's metadata service, version 2. It identifies a host by its address."""

    def __init__(self):
        self.hosts = {}

    def add(self, address, instance_id, region, user_data):
        zone = f"{region}a"
        identity = {"instanceId": instance_id, "region": region, "availabilityZone": zone, "privateIp": address,
                    "accountId": "123456789012", "architecture": "x86_64", "imageId": "ami-0debian12amd64001"}
        credentials = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAHOST", "SecretAccessKey": "secret",
                       "Token": "token", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"}
        self.hosts[address] = {
            "user-data": user_data,
            "dynamic": {"instance-identity": {"document": json.dumps(identity)}},
            "meta-data": {
                "ami-id": "ami-0debian12amd64001",
                "hostname": f"ip-{address.replace('.', '-')}.ec2.internal",
                "iam": {"security-credentials": {"host": json.dumps(credentials)}},
                "instance-id": instance_id,
                "instance-type": "t3.micro",
                "local-hostname": f"ip-{address.replace('.', '-')}.ec2.internal",
                "local-ipv4": address,
                "placement": {"availability-zone": zone, "region": region},
            },
        }

    def document(self, address, path):
        node = self.hosts.get(address)
        # The first component is the version of the service.
        for name in path.strip("/").split("/")[1:]:
            node = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, dict):
            return "\n".join(f"{name}/" if isinstance(inner, dict) else name for name, inner in node.items())
        return node

    def serve(self, address, port):
        metadata = self

        class Documents(Handler):
            def do_PUT(self):
                found = self.path == "/latest/api/token"
                headers = [("X-aws-ec2-metadata-token-ttl-seconds", "21600")]
                self.reply(200, b"a-token", headers) if found else self.reply(404)

            def do_GET(self):
                if self.headers.get("X-aws-ec2-metadata-token") != "a-token":
                    return self.reply(401)
                document = metadata.document(self.client_address[0], self.path)
                return self.reply(404) if document is None else self.reply(200, document.encode())

        return serve(address, port, Documents)


class Service:
    """Forwards an AWS service to moto and records the address and operation of each request."""

    def __init__(self, moto_port):
        self.moto_port, self.requests = moto_port, []

    def serve(self, address, port, context):
        service = self

        class Requests(Handler):
            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                operation = self.headers.get("X-Amz-Target", self.command)
                service.requests.append((self.client_address[0], operation))
                moto = http.client.HTTPConnection("127.0.0.1", service.moto_port, timeout=60)
                moto.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    moto.putheader(name, value)
                moto.endheaders(body)
                answer = moto.getresponse()
                content = answer.read()
                omitted = {"content-length", "connection", "transfer-encoding", "date", "server"}
                headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in omitted]
                if self.command == "HEAD":
                    self.send_response(answer.status)
                    for name, value in [*headers, ("Content-Length", answer.getheader("Content-Length", "0"))]:
                        self.send_header(name, value)
                    self.end_headers()
                else:
                    self.reply(answer.status, content, headers)
                moto.close()

            do_GET = do_HEAD = do_POST = do_PUT = forward

        return serve(address, port, Requests, context)


def serve(address, port, handler, context=None):
    server = Server((address, port), handler)
    if context:
        # The thread of the connection does the handshake.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def certificates(directory, names):
    """Creates a certificate authority and a certificate for the names; returns the TLS context and the authority's file."""
    directory = Path(directory)
    (directory / "extensions").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test authority",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=amazonaws.com", "-keyout", "key.pem", "-out", "request")
    openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", "certificate.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    return context, directory / "ca.pem"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def create_bridge():
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("link", "set", BRIDGE, "up")
    for address in (f"{METADATA}/32", "10.255.0.1/8", f"{SSM}/8", f"{S3}/8", f"{MIRROR}/8"):
        ip("address", "add", address, "dev", BRIDGE)


def take_away(address):
    """Makes a service unreachable, so that packets to it are dropped."""
    ip("address", "delete", f"{address}/8", "dev", BRIDGE)


def give_back(address):
    """Makes a service reachable again."""
    ip("address", "add", f"{address}/8", "dev", BRIDGE)


if __name__ == "__main__":
    # Usage: cloud.py DIRECTORY PORT-FILE. Runs the mirror during the build of the tree.
    import sys
    server = Mirror(sys.argv[1], online=True).serve("127.0.0.1", 0)
    part = Path(sys.argv[2] + ".part")
    part.write_text(str(server.server_address[1]))
    part.replace(sys.argv[2])
    threading.Event().wait()
