#!/usr/bin/env python3
"""Tests the object store of a running local cloud with boto3, AWS's Python SDK: versions, multipart uploads, presigned
requests, attributes of objects, configurations of buckets, and errors.

Usage: boto3_objects.py ENDPOINT          (needs: pip install boto3)

All buckets that it creates have a random suffix and are deleted again.
"""

import datetime
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
import zlib

from common import ENDPOINT, SUFFIX, client, refused

MEBIBYTE = 1024 * 1024


def bucket(s3, kind, **more):
    name = f"{kind}-{SUFFIX}"
    s3.create_bucket(Bucket=name, **more)
    return name


def empty(s3, name, **more):
    """Deletes all versions and uploads, page by page."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name, PaginationConfig={"PageSize": 2}):
        for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"], **more)
    for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    s3.delete_bucket(Bucket=name)


def request(method, url, body=None, headers=None):
    """Sends a request, and returns the status, the headers and the body."""
    parsed = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parsed.netloc, timeout=30)
    connection.request(method, url.removeprefix(f"{parsed.scheme}://{parsed.netloc}"), body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def versions():
    s3 = client("s3")
    name = bucket(s3, "versions")
    s3.put_object(Bucket=name, Key="k", Body=b"zero")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket=name, Key="k", Body=b"one", Tagging="n=1")["VersionId"]
    two = s3.put_object(Bucket=name, Key="k", Body=b"two")["VersionId"]
    read = lambda **which: s3.get_object(Bucket=name, Key="k", **which)
    assert [read(VersionId=which)["Body"].read() for which in ("null", one, two)] == [b"zero", b"one", b"two"]
    assert read()["VersionId"] == two and s3.head_object(Bucket=name, Key="k", VersionId=one)["ContentLength"] == 3
    with refused("InvalidArgument"):
        read(VersionId="nonsense")
    with refused("NoSuchVersion"):
        read(VersionId="0" * 32)

    marker = s3.delete_object(Bucket=name, Key="k")
    assert marker["DeleteMarker"] and marker["VersionId"]
    with refused("NoSuchKey") as error:
        read()
    with refused("MethodNotAllowed"):
        read(VersionId=marker["VersionId"])
    head = client("s3").generate_presigned_url("head_object", Params={"Bucket": name, "Key": "k"})
    status, headers, _ = request("HEAD", head)
    assert status == 404 and headers["x-amz-delete-marker"] == "true" and headers["x-amz-version-id"], headers
    assert "Contents" not in s3.list_objects_v2(Bucket=name)
    listed = s3.list_object_versions(Bucket=name)
    assert [version["VersionId"] for version in listed["Versions"]] == [two, one, "null"], listed
    assert [(one["VersionId"], one["IsLatest"]) for one in listed["DeleteMarkers"]] == [(marker["VersionId"], True)]
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=name, PaginationConfig={"PageSize": 1}))
    assert len(pages) == 4 and pages[1]["Versions"][0]["VersionId"] == two, pages
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket=name)

    again = s3.delete_object(Bucket=name, Key="k", VersionId=marker["VersionId"])
    assert again["DeleteMarker"] and read()["Body"].read() == b"two"
    copied = s3.copy_object(Bucket=name, Key="k", CopySource={"Bucket": name, "Key": "k", "VersionId": one})
    assert copied["CopySourceVersionId"] == one and copied["VersionId"] and read()["Body"].read() == b"one"
    assert s3.get_object_tagging(Bucket=name, Key="k", VersionId=one)["TagSet"] == [{"Key": "n", "Value": "1"}]
    tagged = s3.put_object_tagging(Bucket=name, Key="k", VersionId=two, Tagging={"TagSet": [{"Key": "n", "Value": "2"}]})
    assert tagged["VersionId"] == two and s3.get_object_tagging(Bucket=name, Key="k", VersionId=two)["TagSet"][0]["Value"] == "2"
    gone = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "k", "VersionId": two}, {"Key": "new"}]})["Deleted"]
    assert gone[0] == {"Key": "k", "VersionId": two} and gone[1]["DeleteMarker"] and gone[1]["DeleteMarkerVersionId"], gone
    assert s3.delete_objects(Bucket=name, Delete={"Quiet": True, "Objects": [{"Key": "k", "VersionId": one}]}).get("Deleted") is None

    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    assert s3.put_object(Bucket=name, Key="k", Body=b"three")["VersionId"] == "null"
    assert s3.delete_object(Bucket=name, Key="k") | {"ResponseMetadata": None} == {
        "DeleteMarker": True, "VersionId": "null", "ResponseMetadata": None}
    with refused("NoSuchKey"):
        read()
    empty(s3, name)


def multipart():
    s3 = client("s3")
    name = bucket(s3, "multipart")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    source = bytes(range(256)) * (5 * MEBIBYTE // 256 + 1)
    s3.put_object(Bucket=name, Key="source", Body=source)
    begun = s3.create_multipart_upload(
        Bucket=name, Key="dir/k", StorageClass="STANDARD_IA", ContentType="text/x", Metadata={"a": "b"}, ChecksumAlgorithm="SHA256")
    which = {"Bucket": name, "Key": "dir/k", "UploadId": begun["UploadId"]}
    first = s3.upload_part(PartNumber=1, Body=source, ChecksumAlgorithm="SHA256", **which)
    copied = s3.upload_part_copy(
        PartNumber=3, CopySource={"Bucket": name, "Key": "source"}, CopySourceRange="bytes=5-14", **which)["CopyPartResult"]
    small = s3.upload_part(PartNumber=2, Body=b"small", ChecksumAlgorithm="SHA256", **which)
    with refused("InvalidArgument"):
        s3.upload_part_copy(PartNumber=3, CopySource={"Bucket": name, "Key": "source"}, CopySourceRange="bytes=5-99999999", **which)
    page = s3.list_parts(MaxParts=2, **which)
    assert [part["PartNumber"] for part in page["Parts"]] == [1, 2] and page["IsTruncated"] and page["StorageClass"] == "STANDARD_IA"
    assert page["Parts"][0]["ChecksumSHA256"] == first["ChecksumSHA256"] and page["ChecksumAlgorithm"] == "SHA256"
    rest = s3.list_parts(PartNumberMarker=page["NextPartNumberMarker"], **which)
    assert [(part["PartNumber"], part["Size"]) for part in rest["Parts"]] == [(3, 10)]

    other = [s3.create_multipart_upload(Bucket=name, Key=key)["UploadId"] for key in ("a", "dir/k", "dir/l")]
    listed = s3.list_multipart_uploads(Bucket=name, Delimiter="/")
    assert [upload["Key"] for upload in listed["Uploads"]] == ["a"] and listed["CommonPrefixes"] == [{"Prefix": "dir/"}]
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=name, Prefix="dir/", PaginationConfig={"PageSize": 1})
    assert [upload["UploadId"] for page in pages for upload in page["Uploads"]] == [begun["UploadId"], other[1], other[2]]
    s3.abort_multipart_upload(Bucket=name, Key="a", UploadId=other[0])
    with refused("NoSuchUpload"):
        s3.list_parts(Bucket=name, Key="a", UploadId=other[0])

    part = lambda number, answer: {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": answer["ChecksumSHA256"]}
    complete = lambda *parts: s3.complete_multipart_upload(MultipartUpload={"Parts": list(parts)}, **which)
    with refused("EntityTooSmall"):
        complete(part(2, small), part(3, copied))
    with refused("InvalidPartOrder"):
        complete(part(3, copied), part(1, first))
    with refused("InvalidPart"):
        complete(part(1, small))
    done = complete(part(1, first), part(3, copied))
    assert done["ETag"].endswith('-2"') and done["VersionId"] and done["ChecksumType"] == "COMPOSITE"
    repeated = complete(part(1, first), part(3, copied))
    assert (repeated["ETag"], repeated["VersionId"]) == (done["ETag"], done["VersionId"])
    got = s3.get_object(Bucket=name, Key="dir/k", ChecksumMode="ENABLED")
    assert got["Body"].read() == source + source[5:15] and got["StorageClass"] == "STANDARD_IA" and got["Metadata"] == {"a": "b"}
    assert got["ChecksumSHA256"] == done["ChecksumSHA256"] and got["ChecksumType"] == "COMPOSITE"
    second = s3.get_object(Bucket=name, Key="dir/k", PartNumber=2)
    assert second["Body"].read() == source[5:15] and second["PartsCount"] == 2
    with refused("InvalidPartNumber"):
        s3.get_object(Bucket=name, Key="dir/k", PartNumber=3)
    shown = s3.get_object_attributes(
        Bucket=name, Key="dir/k", ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"])
    assert shown["ObjectParts"]["TotalPartsCount"] == 2 and shown["ObjectSize"] == len(source) + 10
    assert [one["PartNumber"] for one in shown["ObjectParts"]["Parts"]] == [1, 3] and shown["StorageClass"] == "STANDARD_IA"
    assert shown["Checksum"]["ChecksumSHA256"] == done["ChecksumSHA256"] and shown["ETag"] == done["ETag"].strip('"')
    empty(s3, name)


def presigned():
    """Signature Version 2 is boto3's default for presigned URLs and forms in us-east-1."""
    for version in (None, "s3v4"):
        s3 = client("s3", **({"signature_version": version} if version else {}))
        name = bucket(s3, f"presigned-{version or 'default'}")
        s3.put_object(Bucket=name, Key="a b/\u00fc", Body=b"content")
        get = {"Bucket": name, "Key": "a b/\u00fc", "ResponseContentType": "text/plain; charset=x", "ResponseContentDisposition": "attachment"}
        url = s3.generate_presigned_url("get_object", Params=get, ExpiresIn=60)
        assert ("AWSAccessKeyId=" in url) == (version != "s3v4"), url
        status, headers, body = request("GET", url)
        assert (status, body, headers["Content-Type"]) == (200, b"content", "text/plain; charset=x"), (status, body)
        assert headers["Content-Disposition"] == "attachment"
        status, _, body = request("GET", url.replace("attachment", "inline"))
        assert status == 403 and b"SignatureDoesNotMatch" in body, body
        status, _, body = request("GET", s3.generate_presigned_url("get_object", Params=get, ExpiresIn=-5)) if version != "s3v4" else (403, None, b"AccessDenied")
        assert status == 403 and b"AccessDenied" in body, body
        put = s3.generate_presigned_url("put_object", Params={"Bucket": name, "Key": "put", "ContentType": "text/x"})
        assert request("PUT", put, b"new", {"Content-Type": "text/x"})[0] == 200
        assert s3.get_object(Bucket=name, Key="put")["Body"].read() == b"new"
        delete = s3.generate_presigned_url("delete_object", Params={"Bucket": name, "Key": "put"})
        assert request("DELETE", delete)[0] == 204
        form = s3.generate_presigned_post(
            name, "up/${filename}", Fields={"acl": "bucket-owner-full-control", "success_action_status": "201", "x-amz-meta-a": "1"},
            Conditions=[["eq", "$acl", "bucket-owner-full-control"], {"success_action_status": "201"}, ["starts-with", "$x-amz-meta-a", ""],
                        ["content-length-range", 2, 8]])
        for content, expected in ((b"12345", 201), (b"1", 400), (b"123456789", 400)):
            status, body = post(form, content)
            assert status == expected, (version, status, body)
        assert s3.head_object(Bucket=name, Key="up/a.txt")["Metadata"] == {"a": "1"}
        form["fields"]["success_action_status"] = "200"
        assert post(form, b"12345")[0] == 403
        empty(s3, name)


def post(form, content):
    parts = [f'--XX\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in form["fields"].items()]
    last = '--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = "".join(parts).encode() + last.encode() + content + b"\r\n--XX--\r\n"
    status, _, answer = request("POST", form["url"], body, {"Content-Type": "multipart/form-data; boundary=XX"})
    return status, answer


def attributes():
    s3 = client("s3")
    name = bucket(s3, "attributes")
    until = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    s3.put_object(
        Bucket=name, Key="k", Body=b"x", StorageClass="STANDARD_IA", CacheControl="no-cache", ContentLanguage="de",
        ContentEncoding="gzip", ContentDisposition="inline", Expires=until, WebsiteRedirectLocation="/other",
        ServerSideEncryption="aws:kms", SSEKMSKeyId="arn:aws:kms:us-east-1:000000000000:key/k", BucketKeyEnabled=True)
    head = s3.head_object(Bucket=name, Key="k")
    assert (head["StorageClass"], head["CacheControl"], head["ContentLanguage"], head["ContentEncoding"], head["ContentDisposition"]) == (
        "STANDARD_IA", "no-cache", "de", "gzip", "inline"), head
    assert head["Expires"] == until and head["WebsiteRedirectLocation"] == "/other" and head["BucketKeyEnabled"]
    assert head["ServerSideEncryption"] == "aws:kms" and head["SSEKMSKeyId"].endswith("key/k")
    assert s3.list_objects_v2(Bucket=name)["Contents"][0]["StorageClass"] == "STANDARD_IA"
    assert s3.list_object_versions(Bucket=name)["Versions"][0]["StorageClass"] == "STANDARD_IA"
    s3.copy_object(Bucket=name, Key="k", CopySource=f"{name}/k", StorageClass="GLACIER")
    with refused("InvalidObjectState"):
        s3.get_object(Bucket=name, Key="k")
    s3.restore_object(Bucket=name, Key="k", RestoreRequest={"Days": 2, "GlacierJobParameters": {"Tier": "Standard"}})
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"x" and "expiry-date" in s3.head_object(Bucket=name, Key="k")["Restore"]
    with refused("InvalidStorageClass"):
        s3.put_object(Bucket=name, Key="k", Body=b"", StorageClass="COLD")
    s3.put_object(Bucket=name, Key="plain", Body=b"x")
    with refused("InvalidRequest"):
        s3.copy_object(Bucket=name, Key="plain", CopySource=f"{name}/plain")
    assert "StorageClass" not in s3.head_object(Bucket=name, Key="plain")
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        put = s3.put_object(Bucket=name, Key=algorithm, Body=b"text", ChecksumAlgorithm=algorithm)
        got = s3.head_object(Bucket=name, Key=algorithm, ChecksumMode="ENABLED")
        assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"] and got["ChecksumType"] == "FULL_OBJECT"
        assert f"Checksum{algorithm}" not in s3.head_object(Bucket=name, Key=algorithm)
    with refused("NotImplemented"):
        s3.put_object(Bucket=name, Key="k", Body=b"", SSECustomerAlgorithm="AES256", SSECustomerKey="0" * 32)
    with refused("MetadataTooLarge"):
        s3.put_object(Bucket=name, Key="k", Body=b"", Metadata={"a": "x" * 2048})
    empty(s3, name)


def conditions():
    s3 = client("s3")
    name = bucket(s3, "conditions")
    e_tag = s3.put_object(Bucket=name, Key="k", Body=b"0123456789", IfNoneMatch="*")["ETag"]
    with refused("PreconditionFailed"):
        s3.put_object(Bucket=name, Key="k", Body=b"", IfNoneMatch="*")
    with refused("NotImplemented"):
        s3.put_object(Bucket=name, Key="k", Body=b"", IfNoneMatch=e_tag)
    with refused("PreconditionFailed"):
        s3.copy_object(Bucket=name, Key="c", CopySource=f"{name}/k", CopySourceIfNoneMatch=e_tag)
    with refused("PreconditionFailed"):
        s3.delete_object(Bucket=name, Key="k", IfMatch='"0"')
    with refused("304"):
        s3.head_object(Bucket=name, Key="k", IfModifiedSince=datetime.datetime(2035, 1, 1))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k"})
    status, headers, body = request("GET", url, headers={"If-None-Match": e_tag})
    assert (status, headers["ETag"], body) == (304, e_tag, b""), (status, headers.items(), body)
    status, headers, body = request("GET", url, headers={"Range": "bytes=10-"})
    assert status == 416 and b"<Code>InvalidRange</Code>" in body and headers["Content-Range"] == "bytes */10", (status, body)
    status, headers, body = request("GET", url, headers={"Range": "bytes=-4"})
    assert (status, body, headers["Content-Range"]) == (206, b"6789", "bytes 6-9/10")
    status, headers, body = request("GET", url, headers={"Range": "bytes=8-100"})
    assert (status, body, headers["Content-Range"]) == (206, b"89", "bytes 8-9/10")
    empty(s3, name)


def configurations():
    s3 = client("s3")
    name = bucket(s3, "configured")
    cases = [
        ("lifecycle_configuration", "NoSuchLifecycleConfiguration", "delete_bucket_lifecycle",
         {"LifecycleConfiguration": {"Rules": [{
             "ID": "r", "Status": "Enabled", "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "k", "Value": "v"}]}},
             "Expiration": {"Days": 90}, "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
             "NoncurrentVersionExpiration": {"NoncurrentDays": 7, "NewerNoncurrentVersions": 2}}]}}),
        ("website", "NoSuchWebsiteConfiguration", "delete_bucket_website",
         {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"},
                                   "RoutingRules": [{"Condition": {"KeyPrefixEquals": "a/"}, "Redirect": {"ReplaceKeyPrefixWith": "b/"}}]}}),
        ("ownership_controls", "OwnershipControlsNotFoundError", "delete_bucket_ownership_controls",
         {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}}),
        ("cors", "NoSuchCORSConfiguration", "delete_bucket_cors",
         {"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}}),
    ]
    s3.delete_bucket_ownership_controls(Bucket=name)
    for kind, missing, delete, configuration in cases:
        get, put = getattr(s3, f"get_bucket_{kind}"), getattr(s3, f"put_bucket_{kind}")
        with refused(missing):
            get(Bucket=name)
        put(Bucket=name, **configuration)
        (wanted,) = configuration.values()
        shown = get(Bucket=name)
        shown = shown.get("OwnershipControls", shown)
        assert {key: shown[key] for key in wanted} == wanted, shown
        getattr(s3, delete)(Bucket=name)
        with refused(missing):
            get(Bucket=name)
    numbered = [
        ("analytics_configuration", {"Id": "a", "StorageClassAnalysis": {}}),
        ("intelligent_tiering_configuration", {"Id": "a", "Status": "Enabled", "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]}),
        ("inventory_configuration", {
            "Id": "a", "IsEnabled": True, "IncludedObjectVersions": "All", "Schedule": {"Frequency": "Daily"},
            "Destination": {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{name}", "Format": "CSV"}}}),
        ("metrics_configuration", {"Id": "a", "Filter": {"Prefix": "x"}}),
    ]
    for kind, wanted in numbered:
        member = "".join(part.capitalize() for part in kind.split("_"))
        getattr(s3, f"put_bucket_{kind}")(Bucket=name, Id="a", **{member: wanted})
        assert getattr(s3, f"get_bucket_{kind}")(Bucket=name, Id="a")[member] == wanted
        assert getattr(s3, f"list_bucket_{kind}s")(Bucket=name)[f"{member}List"] == [wanted]
        getattr(s3, f"delete_bucket_{kind}")(Bucket=name, Id="a")
        with refused("NoSuchConfiguration"):
            getattr(s3, f"get_bucket_{kind}")(Bucket=name, Id="a")

    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=name)
    logging = {"LoggingEnabled": {"TargetBucket": name, "TargetPrefix": "logs/"}}
    s3.put_bucket_logging(Bucket=name, BucketLoggingStatus=logging)
    assert s3.get_bucket_logging(Bucket=name)["LoggingEnabled"] == logging["LoggingEnabled"]
    with refused("InvalidTargetBucketForLogging"):
        s3.put_bucket_logging(Bucket=name, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": f"{name}-none", "TargetPrefix": ""}})
    s3.put_bucket_accelerate_configuration(Bucket=name, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket=name)["Status"] == "Enabled"
    assert s3.get_bucket_request_payment(Bucket=name)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(Bucket=name, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=name)["Payer"] == "Requester"
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={})
    with refused("NotImplemented"):
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})
    with refused("ReplicationConfigurationNotFoundError"):
        s3.get_bucket_replication(Bucket=name)
    rule = {"ID": "r", "Status": "Enabled", "Filter": {}}
    for wrong, code in (({}, "InvalidRequest"), ({"Expiration": {"Days": 0}}, "InvalidArgument"),
                        ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
                        ({"Transitions": [{"Days": 1, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument")):
        with refused(code):
            s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule | wrong]})
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule | {"Expiration": {"Days": 1}}]})
    assert 'rule-id="r"' in s3.put_object(Bucket=name, Key="k", Body=b"")["Expiration"]
    empty(s3, name)


def policies_and_lists():
    s3 = client("s3")
    name = bucket(s3, "policies")
    with refused("NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=name)
    statement = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    policy = lambda **more: json.dumps({"Version": "2012-10-17", "Statement": [statement | more]})
    s3.put_bucket_policy(Bucket=name, Policy=policy())
    assert json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]) == json.loads(policy())
    assert not s3.get_bucket_policy_status(Bucket=name)["PolicyStatus"]["IsPublic"]
    for wrong in ("{", policy(Resource="arn:aws:s3:::other/*"), policy(Principal={"AWS": "x"}), policy(Action="ec2:RunInstances")):
        with refused("MalformedPolicy"):
            s3.put_bucket_policy(Bucket=name, Policy=wrong)
    with refused("AccessDenied"):
        s3.put_bucket_policy(Bucket=name, Policy=policy(Principal="*"))
    s3.delete_public_access_block(Bucket=name)
    s3.put_bucket_policy(Bucket=name, Policy=policy(Principal="*"))
    assert s3.get_bucket_policy_status(Bucket=name)["PolicyStatus"]["IsPublic"]
    s3.delete_bucket_policy(Bucket=name)

    with refused("AccessControlListNotSupported"):
        s3.put_bucket_acl(Bucket=name, ACL="public-read")
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_bucket_acl(Bucket=name, ACL="public-read")
    acl = s3.get_bucket_acl(Bucket=name)
    assert [(grant["Grantee"]["Type"], grant["Permission"]) for grant in acl["Grants"]] == [
        ("CanonicalUser", "FULL_CONTROL"), ("Group", "READ")], acl
    s3.put_bucket_acl(Bucket=name, AccessControlPolicy={"Owner": acl["Owner"], "Grants": acl["Grants"][:1]})
    assert len(s3.get_bucket_acl(Bucket=name)["Grants"]) == 1
    s3.put_object(Bucket=name, Key="k", Body=b"", ACL="public-read")
    assert len(s3.get_object_acl(Bucket=name, Key="k")["Grants"]) == 2
    empty(s3, name)


def object_lock():
    s3 = client("s3")
    name = bucket(s3, "locked", ObjectLockEnabledForBucket=True)
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    assert s3.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"] == lock
    version = s3.put_object(Bucket=name, Key="k", Body=b"x")["VersionId"]
    assert s3.get_object_retention(Bucket=name, Key="k")["Retention"]["Mode"] == "GOVERNANCE"
    assert s3.head_object(Bucket=name, Key="k")["ObjectLockMode"] == "GOVERNANCE"
    with refused("AccessDenied"):
        s3.delete_object(Bucket=name, Key="k", VersionId=version)
    s3.put_object_legal_hold(Bucket=name, Key="k", LegalHold={"Status": "ON"})
    with refused("AccessDenied"):
        s3.delete_object(Bucket=name, Key="k", VersionId=version, BypassGovernanceRetention=True)
    s3.put_object_legal_hold(Bucket=name, Key="k", LegalHold={"Status": "OFF"})
    with refused("InvalidBucketState"):
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    empty(s3, name, BypassGovernanceRetention=True)


def errors():
    s3 = client("s3")
    name = bucket(s3, "errors")
    status, headers, body = request("GET", s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "a&b"}))
    assert status == 404 and b"<Key>a&amp;b</Key>" in body and b"<RequestId>" in body and b"<HostId>" in body, body
    assert headers["x-amz-request-id"], headers
    status, _, body = request("GET", s3.generate_presigned_url("list_objects_v2", Params={"Bucket": f"{name}-none"}))
    assert status == 404 and f"<BucketName>{name}-none</BucketName>".encode() in body, body
    page = s3.list_objects_v2(Bucket=name, MaxKeys=0)
    assert page["KeyCount"] == 0 and not page["IsTruncated"]
    for key in ("a b+\u00fc", "a/1", "a/2", "b"):
        s3.put_object(Bucket=name, Key=key, Body=b"")
    raw = s3.list_objects_v2(Bucket=name, Delimiter="/", FetchOwner=True)
    assert [found["Key"] for found in raw["Contents"]] == ["a b+\u00fc", "b"] and raw["Contents"][0]["Owner"]["ID"]
    first = s3.list_objects_v2(Bucket=name, Delimiter="/", MaxKeys=2)
    assert first["IsTruncated"] and first["KeyCount"] == 2
    rest = s3.list_objects_v2(Bucket=name, Delimiter="/", ContinuationToken=first["NextContinuationToken"])
    assert [found["Key"] for found in rest["Contents"]] == ["b"] and "CommonPrefixes" not in rest
    with refused("InvalidArgument"):
        s3.list_objects_v2(Bucket=name, ContinuationToken="%%%")
    with refused("AccessDenied"):
        s3.list_objects_v2(Bucket=name, ExpectedBucketOwner="123456789012")
    with refused("MalformedXML"):
        s3.delete_objects(Bucket=name, Delete={"Objects": []})
    with refused("InvalidBucketName"):
        s3.create_bucket(Bucket="sthree-reserved-name")
    names = [found["Name"] for found in s3.list_buckets(Prefix=name)["Buckets"]]
    assert names == [name], names
    empty(s3, name)


if __name__ == "__main__":
    for check in (versions, multipart, presigned, attributes, conditions, configurations, policies_and_lists, object_lock, errors):
        check()
        print(f"ok {check.__name__}", flush=True)
