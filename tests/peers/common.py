"""Helpers of the boto3_*.py scripts. The script's one argument is the endpoint of the local cloud; its access key is in
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, its administration token in INFRA_LOCAL_TOKEN."""

import json
import os
import sys
import time
import urllib.request
import uuid
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1] if len(sys.argv) == 2 else sys.exit(sys.modules["__main__"].__doc__)
# Part of the name of everything a script makes, so that it can run any number of times.
SUFFIX = uuid.uuid4().hex[:8]


def client(service, region="us-east-1", **config):
    """A client that tries everything once."""
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name=region,
        config=Config(retries={"max_attempts": 0}, **config))


def status():
    """What runs in the cloud, by its own account."""
    token = os.environ["INFRA_LOCAL_TOKEN"]
    request = urllib.request.Request(f"{ENDPOINT}/_infra/status", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@contextmanager
def refused(code, *words):
    """The block must fail with this error code, and a message that has these words."""
    try:
        yield
    except ClientError as error:
        told = error.response["Error"]
        assert told["Code"] == code, f"expected {code}, got {error}"
        assert all(word in told["Message"] for word in words), f"expected {words} in {told['Message']!r}"
    else:
        raise AssertionError(f"expected {code}, but it succeeded")


def eventually(what, look, seconds=60):
    """Asks again until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: still {answer!r} after {seconds} s"
        time.sleep(0.05)
