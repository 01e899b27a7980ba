#!/usr/bin/env python3
"""Drives a running local cloud with Terraform's AWS provider: apply, a plan without change, a change in place, destroy.

Usage: terraform.py ENDPOINT     (wants `terraform` on the PATH and its AWS provider, see plugins.py; else it says so)
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request

import plugins

ENDPOINT = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 600


def main():
    if not shutil.which("terraform"):
        print("SKIPPED Terraform: it is not on the PATH")
        return
    with tempfile.TemporaryDirectory() as place:
        mirror = plugins.configuration(place)
        if not mirror:
            print("SKIPPED Terraform: its AWS provider is not on this machine")
            return
        drive(place, mirror)


def drive(place, mirror):
    directory = os.path.join(place, "stack")
    shutil.copytree(os.path.join(HERE, "terraform/local"), directory)
    key, certificate = os.path.join(place, "key"), os.path.join(place, "certificate")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=local.test", "-keyout", certificate + ".key", "-out", certificate],
        check=True, capture_output=True)
    environment = {
        **os.environ,
        "TF_CLI_CONFIG_FILE": mirror,
        "TF_IN_AUTOMATION": "1",
        "TF_VAR_endpoint": ENDPOINT,
        "TF_VAR_public_key": read(key + ".pub"),
        "TF_VAR_certificate": json.dumps({"body": read(certificate), "key": read(certificate + ".key")}),
        "TF_VAR_artifact": os.path.abspath(__file__),
        "TF_VAR_generation": "1",
    }

    def terraform(*words, codes=(0,)):
        command = ["terraform", *words]
        done = subprocess.run(
            command, cwd=directory, env=environment, timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = done.stdout.decode()
        assert done.returncode in codes, f"{' '.join(command)} ended with {done.returncode}:\n{text[-12000:]}"
        return text

    quiet = ["-no-color", "-input=false"]
    terraform("init", *quiet)
    terraform("apply", "-auto-approve", *quiet)
    print("ok  terraform apply")
    terraform("plan", "-detailed-exitcode", *quiet)
    print("ok  terraform plan: no change")
    url = json.loads(terraform("output", "-json"))["url"]["value"]
    assert urllib.request.urlopen(url + "/generation", timeout=30).read() == b"generation 1"

    environment["TF_VAR_generation"] = "2"
    changes = terraform("plan", "-detailed-exitcode", *quiet, codes=(2,))
    assert "0 to add" in changes and "0 to destroy" in changes, changes[-4000:]
    terraform("apply", "-auto-approve", *quiet)
    terraform("plan", "-detailed-exitcode", *quiet)
    assert urllib.request.urlopen(url + "/generation", timeout=30).read() == b"generation 2"
    print("ok  terraform apply: changed in place")
    terraform("destroy", "-auto-approve", *quiet)
    print("ok  terraform destroy")


def read(path):
    with open(path) as file:
        return file.read()


main()
