"""Helpers of the boto3_*.py scripts. The only argument of a script is the endpoint of the local cloud. The variables
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY contain the cloud's access key, INFRA_LOCAL_TOKEN its administration token."""

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
# Suffix of the names of all resources that a script creates, so that it can run repeatedly.
SUFFIX = uuid.uuid4().hex[:8]


def client(service, region="us-east-1", **config):
    """Returns a client without retries."""
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name=region,
        config=Config(retries={"max_attempts": 0}, **config))


def administration(path):
    """Returns the document of the path below `/_infra/`."""
    token = os.environ["INFRA_LOCAL_TOKEN"]
    request = urllib.request.Request(f"{ENDPOINT}/_infra/{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def status():
    """Returns the status that the cloud reports."""
    return administration("status")


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
