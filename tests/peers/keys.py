"""The access key of a local cloud, and AWS Signature Version 4 with only the standard library."""

import datetime
import hashlib
import hmac
import json
from pathlib import Path


def read(directory):
    """Returns the content of the cloud's credentials.json: access_key_id, secret_access_key, token."""
    return json.loads((Path(directory) / "credentials.json").read_text())


def signed(key, service, host, body, headers, method="POST", path="/", region="us-east-1", payload=None):
    """Returns the headers of a signed request. `payload` replaces the hash of the body, where S3 allows other values."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = payload or hashlib.sha256(body).hexdigest()
    own = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
    names = ";".join(sorted(own))
    canonical = "".join(f"{name}:{own[name]}\n" for name in sorted(own))
    request = f"{method}\n{path}\n\n{canonical}\n{names}\n{digest}"
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    secret = b"AWS4" + key["secret_access_key"].encode()
    for part in scope.split("/"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    credential = f"{key['access_key_id']}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**own, "authorization": authorization, **headers}
