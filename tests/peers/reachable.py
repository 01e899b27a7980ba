"""Opens a connection from every network interface of a local cloud, and from the internet, to every other interface, on all
ports that a program listens on or a rule names. Exactly the connections that the declared network permits must get through.

The only argument is the directory of the cloud. It must run on network namespaces.
"""

import concurrent.futures
import json
import pathlib
import sys
import urllib.request

import boto3
from botocore.config import Config

# Ports of SSH and HTTP, which are tested even if no rule names them.
ALWAYS = {22, 80}
WORKERS = 64

directory = pathlib.Path(sys.argv[1])
endpoint = json.loads((directory / "daemon.json").read_text())["endpoint"]
credentials = json.loads((directory / "credentials.json").read_text())


def administration(path, body=None):
    request = urllib.request.Request(
        f"{endpoint}/_infra/{path}", data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {credentials['token']}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def client(service, region):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, aws_access_key_id=credentials["access_key_id"],
        aws_secret_access_key=credentials["secret_access_key"], config=Config(retries={"max_attempts": 2}))


def ports_of_rules(region):
    rules = client("ec2", region).describe_security_group_rules()["SecurityGroupRules"]
    ranges = ((rule["FromPort"], rule["ToPort"]) for rule in rules if rule["IpProtocol"] == "tcp")
    # The ends of a range, and the ports next to it.
    ports = {port for low, high in ranges for port in (low - 1, low, high, high + 1)}
    return {port for port in ports if 0 < port < 65536}


def main():
    status = administration("status")
    regions = status["regions"]
    ports, interfaces = set(ALWAYS), []
    for region, content in regions.items():
        ports |= ports_of_rules(region)
        ports |= {service["port"] for instance in content["instances"] for service in instance["services"]
                  if service.get("port")}
        for interface in client("ec2", region).describe_network_interfaces()["NetworkInterfaces"]:
            interfaces.append(interface["NetworkInterfaceId"])
    sources = [*interfaces, "internet"]
    wanted = [{"from": source, "to": target, "port": port, "probe": True}
              for source in sources for target in interfaces for port in sorted(ports) if source != target]
    assert len(interfaces) > 2 and len(ports) > 2, (interfaces, ports)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(lambda request: administration("reach", request), wanted))
    permitted = 0
    for request, result in zip(wanted, results):
        is_permitted = result["blocked"] is None
        permitted += is_permitted
        assert result["probed"] == is_permitted, (request, result)
    assert 0 < permitted < len(wanted), f"{permitted} of {len(wanted)}"
    print(f"ok  {len(wanted)} connections between {len(interfaces)} interfaces on {len(ports)} ports: "
          f"the declared network permits {permitted}, and exactly those get through")


main()
