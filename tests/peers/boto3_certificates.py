#!/usr/bin/env python3
"""Tests certificates, HTTPS listeners and rules of a running local cloud with boto3 and Python's TLS.

Usage: boto3_certificates.py ENDPOINT          (needs: pip install boto3, and openssl on the PATH)

All resources that it creates have a random suffix and are deleted again. The targets are instances with small servers.
"""

import base64
import hashlib
import http.client
import json
import socket
import ssl
import struct
import subprocess
import tempfile
from pathlib import Path

from botocore.exceptions import ClientError

from common import SERVER, SUFFIX, client, eventually, get, refused

PORT = 8080

ec2, elb, acm, s3 = client("ec2"), client("elbv2"), client("acm"), client("s3")


# The service on the instances: responds with its name and properties of the request, supports WebSocket, and sets a session
# cookie on /login.
PROGRAM = SERVER + rb"""
import base64, hashlib, struct

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            return self.echo()
        name, protocol, port = (
            os.environ["NAME"], self.headers["X-Forwarded-Proto"], self.headers["X-Forwarded-Port"])
        body = f"{name} {protocol} {port}".encode()
        self.send_response(200)
        if self.path == "/login":
            self.send_header("Set-Cookie", "session=1; Path=/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo(self):
        # Receives a text frame and returns it in upper case.
        seed = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(seed.encode()).digest()).decode()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        length = self.rfile.read(2)[1] & 0x7F
        mask = self.rfile.read(4)
        text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length))).upper()
        self.wfile.write(struct.pack("!BB", 0x81, len(text)) + text)
        self.close_connection = True

    def log_message(self, *arguments):
        pass

serve(Handler)
"""


def user_data(bucket, name):
    service = {"name": "program", "listen": PORT, "environment": {"NAME": name}, "artifact": {
        "bucket": bucket, "key": "program", "sha256": hashlib.sha256(PROGRAM).hexdigest()}}
    machine = {"machine": 1, "image": "debian-12", "packages": [], "files": [], "services": [service]}
    files = [{"path": "/etc/infra/machine.json", "content": json.dumps(machine)}]
    return "#cloud-config\n" + json.dumps({"write_files": files})


class Authority:
    """Certificates created by openssl."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.root, self.root_key = self.make("root", "/CN=Root", ca=True)

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def make(self, file, subject, ca=False, kind="rsa:2048"):
        basic = "critical,CA:TRUE" if ca else "CA:FALSE"
        self.run("req", "-x509", "-newkey", kind, "-nodes", "-days", "30", "-subj", subject, "-keyout",
                 f"{file}.key", "-out", f"{file}.pem", "-addext", f"basicConstraints={basic}")
        return self.read(f"{file}.pem"), self.read(f"{file}.key")

    def issue(self, file, name):
        self.run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{file}.key", "-out",
                 f"{file}.csr")
        (self.directory / "names").write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")
        self.run("x509", "-req", "-in", f"{file}.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "30",
                 "-extfile", "names", "-out", f"{file}.pem")
        return self.read(f"{file}.pem"), self.read(f"{file}.key")

    def read(self, file):
        return (self.directory / file).read_bytes()


def check_certificates(authority):
    certificate, key = authority.issue("a", "a.example.org")
    other, other_key = authority.issue("b", "*.b.example.org")
    with refused("ValidationException", "does not match"):
        acm.import_certificate(Certificate=certificate, PrivateKey=other_key, CertificateChain=authority.root)
    with refused("ValidationException", "self signed"):
        acm.import_certificate(Certificate=certificate, PrivateKey=key)
    with refused("ValidationException", "chain"):
        acm.import_certificate(Certificate=certificate, PrivateKey=key, CertificateChain=other)
    tags = [{"Key": "team", "Value": SUFFIX}]
    arns = []
    for body, private in ((certificate, key), (other, other_key)):
        made = acm.import_certificate(
            Certificate=body, PrivateKey=private, CertificateChain=authority.root, Tags=tags)
        arns.append(made["CertificateArn"])
    detail = acm.describe_certificate(CertificateArn=arns[0])["Certificate"]
    assert detail["DomainName"] == "a.example.org" and detail["Type"] == "IMPORTED", detail
    assert detail["KeyAlgorithm"] in ("RSA_2048", "RSA-2048") and detail["Issuer"] == "Root", detail
    assert detail["SignatureAlgorithm"] == "SHA256WITHRSA" and detail["InUseBy"] == [], detail
    assert detail["NotAfter"] > detail["NotBefore"] and detail["Status"] == "ISSUED"
    got = acm.get_certificate(CertificateArn=arns[0])
    assert got["Certificate"].encode() == certificate and got["CertificateChain"].encode() == authority.root
    pages = acm.get_paginator("list_certificates").paginate(PaginationConfig={"PageSize": 1})
    listed = [summary["CertificateArn"] for page in pages for summary in page["CertificateSummaryList"]]
    assert set(arns) <= set(listed) and len(listed) == len(set(listed))
    assert acm.list_tags_for_certificate(CertificateArn=arns[0])["Tags"] == tags
    renewed, renewed_key = authority.issue("c", "a.example.org")
    again = acm.import_certificate(
        CertificateArn=arns[0], Certificate=renewed, PrivateKey=renewed_key, CertificateChain=authority.root)
    assert again["CertificateArn"] == arns[0]
    with refused("ResourceNotFoundException"):
        acm.describe_certificate(CertificateArn=arns[0][:-4] + "0000")
    return arns


# Targets that do not exist: AWS has no private addresses in 192.0.2.0/24.
ABSENT = {"instance": "i-0123456789abcdef0", "ip": "192.0.2.1"}


class Balancer:
    """A load balancer with two target groups of one instance each, one by its id and one by its private address."""

    def __init__(self):
        vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
        subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        self.access = ec2.create_security_group(GroupName=f"tls-{SUFFIX}", Description="d", VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=self.access, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 9000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        made = elb.create_load_balancer(
            Name=f"tls-{SUFFIX}", Subnets=[subnet["SubnetId"] for subnet in subnets[:2]],
            SecurityGroups=[self.access])["LoadBalancers"][0]
        self.arn, self.address = made["LoadBalancerArn"], made["DNSName"]
        self.bucket = f"certificates-{SUFFIX}"
        s3.create_bucket(Bucket=self.bucket)
        s3.put_object(Bucket=self.bucket, Key="program", Body=PROGRAM)
        image = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
        instances = [ec2.run_instances(
            ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, SecurityGroupIds=[self.access],
            UserData=user_data(self.bucket, name))["Instances"][0] for name in ("one", "two")]
        self.instances, self.groups = [instance["InstanceId"] for instance in instances], {}
        for instance, name, kind in zip(instances, ("one", "two"), ("instance", "ip")):
            eventually(f"the program {name} answers", lambda: serves(instance["PrivateIpAddress"]))
            ec2.get_waiter("instance_running").wait(InstanceIds=[instance["InstanceId"]], WaiterConfig={"Delay": 1})
            group = elb.create_target_group(
                Name=f"{name}-{SUFFIX}", Protocol="HTTP", Port=80, VpcId=vpc, TargetType=kind)["TargetGroups"][0]
            self.groups[name] = group["TargetGroupArn"]
            target = {"instance": instance["InstanceId"], "ip": instance["PrivateIpAddress"]}[kind]
            with refused("InvalidTarget"):
                elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": ABSENT[kind]}])
            elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": target, "Port": PORT}])

    def listen(self, port, certificate=None, **more):
        secure = {"Certificates": [{"CertificateArn": certificate}]} if certificate else {}
        actions = more.pop("DefaultActions", [{"Type": "forward", "TargetGroupArn": self.groups["one"]}])
        return elb.create_listener(
            LoadBalancerArn=self.arn, Protocol="HTTPS" if certificate else "HTTP", Port=port,
            DefaultActions=actions, **secure, **more)["Listeners"][0]

    def delete(self):
        elb.delete_load_balancer(LoadBalancerArn=self.arn)
        for group in self.groups.values():
            elb.delete_target_group(TargetGroupArn=group)
        ec2.terminate_instances(InstanceIds=self.instances)
        s3.delete_object(Bucket=self.bucket, Key="program")
        s3.delete_bucket(Bucket=self.bucket)

        def gone():
            try:
                ec2.delete_security_group(GroupId=self.access)
                return True
            except ClientError as error:
                assert error.response["Error"]["Code"] == "DependencyViolation", error
                return False
        eventually("the security group is free", gone)


def serves(address):
    try:
        return get(address, port=PORT, timeout=5)[0] == 200
    except OSError:
        return False


def secured(address, name, authority, port=8443, alpn=("http/1.1",)):
    """Opens a TLS connection to the load balancer for this host name."""
    context = ssl.create_default_context(cadata=authority.root.decode())
    context.set_alpn_protocols(list(alpn))
    return context.wrap_socket(socket.create_connection((address, port), timeout=30), server_hostname=name)


def ask(connection, path="/", host="h", headers=()):
    """Sends a request on an open connection and returns the status, headers and body."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers), "", ""]
    connection.sendall("\r\n".join(lines).encode())
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.headers, answer.read().decode()


def plain(address, port):
    return socket.create_connection((address, port), timeout=30)


def check_tls(balancer, authority, arns):
    with refused("ValidationError", "certificate"):
        elb.create_listener(LoadBalancerArn=balancer.arn, Protocol="HTTPS", Port=8443, DefaultActions=[
            {"Type": "forward", "TargetGroupArn": balancer.groups["one"]}])
    with refused("CertificateNotFound"):
        balancer.listen(8443, arns[0][:-4] + "0000")
    with refused("SSLPolicyNotFound"):
        balancer.listen(8443, arns[0], SslPolicy="no-such")
    listener = balancer.listen(8443, arns[0], SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
    arn = listener["ListenerArn"]
    assert listener["Certificates"] == [{"CertificateArn": arns[0]}], listener
    elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": arns[1]}])
    shown = elb.describe_listener_certificates(ListenerArn=arn)["Certificates"]
    assert {one["CertificateArn"]: one["IsDefault"] for one in shown} == {arns[0]: True, arns[1]: False}
    with refused("ResourceInUseException"):
        acm.delete_certificate(CertificateArn=arns[1])
    assert acm.describe_certificate(CertificateArn=arns[0])["Certificate"]["InUseBy"] == [balancer.arn]

    def answers():
        try:
            with secured(balancer.address, "a.example.org", authority) as connection:
                return ask(connection)[0] == 200
        except OSError:
            return False
    eventually("the listener is up and its target healthy", answers)
    for name in ("a.example.org", "x.b.example.org"):
        with secured(balancer.address, name, authority) as connection:
            assert connection.version() == "TLSv1.3"
            assert ask(connection)[2] == "one https 8443"
            assert ask(connection)[2] == "one https 8443", "the connection is kept"
    try:
        secured(balancer.address, "other.example.org", authority)
    except ssl.SSLCertVerificationError:
        pass
    else:
        raise AssertionError("the default certificate stands for another name")
    with secured(balancer.address, "a.example.org", authority, alpn=("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "h2"

    elb.remove_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": arns[1]}])
    elb.modify_listener(ListenerArn=arn, SslPolicy="ELBSecurityPolicy-2016-08")

    def older():
        with secured(balancer.address, "a.example.org", authority) as connection:
            return connection.version() == "TLSv1.2"
    eventually("the policy is applied", older)
    policies = elb.describe_ssl_policies(Names=["ELBSecurityPolicy-TLS13-1-2-2021-06"])["SslPolicies"]
    assert policies[0]["SslProtocols"] == ["TLSv1.2", "TLSv1.3"] and policies[0]["Ciphers"], policies
    return arn


def check_websocket(balancer, authority):
    key = base64.b64encode(b"0123456789abcdef").decode()
    headers = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
               ("Sec-WebSocket-Key", key))
    with secured(balancer.address, "a.example.org", authority) as connection:
        lines = ["GET /chat HTTP/1.1", "Host: h", *(f"{name}: {value}" for name, value in headers), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        stream = connection.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 101"), "no upgrade"
        answered = {}
        while (line := stream.readline().strip()):
            name, value = line.decode().split(": ", 1)
            answered[name.lower()] = value
        expected = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert answered["sec-websocket-accept"] == base64.b64encode(expected).decode(), answered
        mask, text = b"abcd", b"hello"
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        connection.sendall(struct.pack("!BB", 0x81, 0x80 | len(text)) + mask + masked)
        assert stream.read(2 + len(text)) == struct.pack("!BB", 0x81, len(text)) + b"HELLO"


def rule(listener, priority, field, values, action, **more):
    conditions = [{"Field": field, "Values": values}] if values else [more]
    return elb.create_rule(
        ListenerArn=listener, Priority=priority, Conditions=conditions, Actions=[action])["Rules"][0]["RuleArn"]


def check_rules(balancer):
    to_https = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    balancer.listen(8081, DefaultActions=[to_https])
    listener = balancer.listen(8080)["ListenerArn"]
    forward = {"Type": "forward", "TargetGroupArn": balancer.groups["two"]}
    closed = {"Type": "fixed-response", "FixedResponseConfig": {
        "StatusCode": "503", "ContentType": "application/json", "MessageBody": '{"closed":true}'}}
    by_path = rule(listener, 20, "path-pattern", ["/two/*"], forward)
    by_host = rule(listener, 30, "host-header", ["two.*"], forward)
    shut = rule(listener, 10, "path-pattern", ["/closed"], closed)
    rule(listener, 40, None, None, forward, Field="http-header", HttpHeaderConfig={
        "HttpHeaderName": "X-Group", "Values": ["two"]})
    rule(listener, 50, None, None, forward, Field="query-string", QueryStringConfig={
        "Values": [{"Key": "group", "Value": "two"}]})
    rule(listener, 60, None, None, closed, Field="source-ip", SourceIpConfig={"Values": ["203.0.113.0/24"]})
    with refused("PriorityInUse"):
        rule(listener, 10, "path-pattern", ["/x"], forward)
    with refused("InvalidLoadBalancerAction"):
        rule(listener, 70, "path-pattern", ["/x"], {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_302"}})
    shown = elb.describe_rules(ListenerArn=listener)["Rules"]
    assert [one["Priority"] for one in shown] == ["10", "20", "30", "40", "50", "60", "default"], shown
    assert shown[1]["Conditions"][0]["PathPatternConfig"]["Values"] == ["/two/*"], shown[1]

    def get(path="/", host="h", headers=(), port=8080):
        with plain(balancer.address, port) as connection:
            return ask(connection, path, host, headers)

    def both():
        try:
            return get()[2].startswith("one ") and get("/two/x")[2].startswith("two ")
        except OSError:
            return False
    eventually("both groups serve", both)
    assert get(host="two.example.org")[2].startswith("two ")
    assert get(headers=(("x-group", "two"),))[2].startswith("two ")
    assert get("/?group=two")[2].startswith("two ") and get("/?group=one")[2].startswith("one ")
    status, headers, body = get("/closed")
    assert (status, headers["Content-Type"], body) == (503, "application/json", '{"closed":true}')
    status, headers, _ = get("/a?b=c", "shop.example.org", port=8081)
    assert (status, headers["Location"]) == (301, "https://shop.example.org:443/a?b=c"), headers["Location"]

    elb.set_rule_priorities(RulePriorities=[
        {"RuleArn": by_path, "Priority": 30}, {"RuleArn": by_host, "Priority": 20}])
    elb.modify_rule(RuleArn=shut, Conditions=[{"Field": "path-pattern", "Values": ["/shut"]}])
    eventually("the rule has changed", lambda: get("/shut")[0] == 503 and get("/closed")[0] == 200)
    elb.delete_rule(RuleArn=shut)
    eventually("the rule is gone", lambda: get("/shut")[0] == 200)
    with refused("RuleNotFound"):
        elb.delete_rule(RuleArn=shut)
    with refused("OperationNotPermitted"):
        elb.delete_rule(RuleArn=shown[-1]["RuleArn"])
    elb.modify_listener_attributes(ListenerArn=listener, Attributes=[
        {"Key": "routing.http.response.x_frame_options.header_value", "Value": "DENY"}])
    eventually("the header is added", lambda: get()[1]["X-Frame-Options"] == "DENY")
    limits = {one["Name"]: one["Max"] for one in elb.describe_account_limits()["Limits"]}
    assert limits["rules-per-application-load-balancer"] == "100", limits
    return listener


def check_stickiness(balancer, listener):
    one, two = balancer.groups["one"], balancer.groups["two"]
    elb.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "ForwardConfig": {
        "TargetGroups": [{"TargetGroupArn": one, "Weight": 1}, {"TargetGroupArn": two, "Weight": 1}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60}}}])
    for arn in (one, two):
        elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
            {"Key": "stickiness.enabled", "Value": "true"},
            {"Key": "stickiness.app_cookie.cookie_name", "Value": "session"},
            {"Key": "stickiness.type", "Value": "app_cookie"}])

    def get(path="/", cookies=""):
        with plain(balancer.address, 8080) as connection:
            return ask(connection, path, headers=(("Cookie", cookies),) if cookies else ())

    def cookies(headers):
        return "; ".join(cookie.split(";")[0] for cookie in headers.get_all("Set-Cookie", []))
    eventually("clients receive a stickiness cookie", lambda: "AWSALBTG=" in cookies(get()[1]))
    seen = {get()[2].split()[0] for _ in range(40)}
    assert seen == {"one", "two"}, seen
    eventually("a session receives an application cookie", lambda: "AWSALBAPP-0=" in cookies(get("/login")[1]))
    assert "AWSALBAPP-0=" not in cookies(get()[1]), "no session, no cookie"
    _, headers, body = get("/login")
    for _ in range(10):
        assert get(cookies=cookies(headers))[2] == body


def main():
    with tempfile.TemporaryDirectory() as directory:
        authority = Authority(directory)
        arns = check_certificates(authority)
        balancer = Balancer()
        secure = check_tls(balancer, authority, arns)
        check_websocket(balancer, authority)
        listener = check_rules(balancer)
        check_stickiness(balancer, listener)
        elb.delete_listener(ListenerArn=secure)
        balancer.delete()
        for arn in arns:
            acm.delete_certificate(CertificateArn=arn)
        with refused("ResourceNotFoundException"):
            acm.delete_certificate(CertificateArn=arns[0])
    print("ok  certificates, HTTPS listeners and rules")


if __name__ == "__main__":
    main()
