"""Preparations of the examples of S3."""

DISPLAY = "AWS returns no display names since November 2025"
# Differences from the documented outputs, with their reasons.
DIFFERENCES = {
    ("GetBucketVersioning", "MFADelete"): "absent unless MFA delete was enabled, as the API reference says",
    ("GetObjectAcl", "Grants"): "the owner's single grant of full control",
    ("ListMultipartUploads", "Uploads.Initiator.DisplayName"): DISPLAY,
    ("ListMultipartUploads", "Uploads.Owner.DisplayName"): DISPLAY,
    ("ListMultipartUploads", "KeyMarker"): "the input has a marker",
    ("ListMultipartUploads", "UploadIdMarker"): "the input has a marker",
    ("ListParts", "Initiator.DisplayName"): DISPLAY,
    ("ListParts", "Owner.DisplayName"): DISPLAY,
    ("ListParts", "Parts.Size"): "smaller parts",
    ("ListObjects", "NextMarker"): "only with a delimiter, as the API reference says",
    ("ListObjects", "Contents.Owner.DisplayName"): DISPLAY,
    ("ListObjectVersions", "Versions.Owner.DisplayName"): DISPLAY,
}
EXCLUSIVE = {}
# Examples without an answer to compare, with the reason.
IMPOSSIBLE = {
    "GetBucketNotification": "SNS and SQS",
    "PutBucketNotificationConfiguration": "SNS and SQS",
    "GetBucketReplication": "replication, which is refused by name",
    "PutBucketReplication": "replication, which is refused by name",
    "GetObjectTorrent": "BitTorrent, which AWS has retired",
}
CONTENT = b"c" * 3191


def prepare(example):
    given, operation = example.input, example.operation
    if not given.get("Bucket"):
        given["Bucket"] = "examplebucket"
    given.pop("ContentMD5", None)
    bucket = given["Bucket"] = example.actual[given["Bucket"]] = f"{given['Bucket'].lower()}-{example.suffix}"
    if operation == "CreateBucket":
        return
    region = (example.output or {}).get("LocationConstraint")
    example.call(
        "CreateBucket",
        Bucket=bucket,
        **({"CreateBucketConfiguration": {"LocationConstraint": region}} if region else {}),
    )
    if "ACL" in given:
        allow_acls(example, bucket)
    if (
        "VersionId" in str(given)
        or "VersionId" in (example.output or {})
        and example.output["VersionId"] != "null"
        or "DeleteMarker" in str(example.output)
    ):
        example.call("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if "Key" in given and operation not in ("PutObject", "CreateMultipartUpload"):
        versions(example, given, given["Key"])
    if (example.output or {}).get("VersionId") == "null":
        example.call("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ARRANGED.get(operation, lambda example, bucket: None)(example, bucket)


def versions(example, given, key):
    kind = (example.output or {}).get("ContentType", "binary/octet-stream")
    length = 43 if "Range" in given else len(CONTENT)
    tagging = "&".join(f"k{number}=v" for number in range((example.output or {}).get("TagCount", 0)))
    more = {"Tagging": tagging} if tagging else {}
    if example.operation == "RestoreObject":
        more["StorageClass"] = "GLACIER"
    made = example.call(
        "PutObject", Bucket=example.input["Bucket"], Key=key, Body=CONTENT[:length], ContentType=kind, **more
    )
    if "VersionId" in given:
        example.actual[given["VersionId"]] = made["VersionId"]


def put(operation, member, wrap=lambda output: output):
    """Stores the documented output as the bucket's configuration."""

    def arrange(example, bucket):
        example.call(operation, Bucket=bucket, **{member: wrap(example.output)})

    return arrange


def upload(example, bucket):
    key = example.input["Key"]
    made = example.call("CreateMultipartUpload", Bucket=bucket, Key=key)["UploadId"]
    example.actual[example.input["UploadId"]] = made
    if "CopySource" in example.input:
        source(example, bucket)
    if example.operation in ("ListParts", "CompleteMultipartUpload"):
        parts = (example.output or {}).get("Parts") or example.input["MultipartUpload"]["Parts"]
        for part in parts:
            body = b"p" * (5 << 20)
            example.actual[part["ETag"]] = example.call(
                "UploadPart", Bucket=bucket, Key=key, UploadId=made, PartNumber=int(part["PartNumber"]), Body=body
            )["ETag"]


def source(example, bucket):
    documented = example.input["CopySource"]
    _, name, key = documented.split("/")
    origin = f"{name}-{example.suffix}-source"
    example.call("CreateBucket", Bucket=origin)
    example.call("PutObject", Bucket=origin, Key=key, Body=b"s" * 200_000)
    example.actual[documented] = f"/{origin}/{key}"


def uploads(example, bucket):
    for _ in range(3):
        example.call("CreateMultipartUpload", Bucket=bucket, Key="JavaFile")
    if "UploadIdMarker" in example.input:
        marker = example.call("ListMultipartUploads", Bucket=bucket, MaxUploads=1)
        example.actual[example.input["KeyMarker"]] = "A"
        example.actual[example.input["UploadIdMarker"]] = marker["NextUploadIdMarker"]


def two_versions(example, bucket):
    example.call("PutObject", Bucket=bucket, Key=example.input["Prefix"], Body=CONTENT)
    example.call("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    example.call("PutObject", Bucket=bucket, Key=example.input["Prefix"], Body=CONTENT)


def listed(example, bucket):
    for found in example.output["Contents"]:
        example.call("PutObject", Bucket=bucket, Key=found["Key"], Body=b"x" * found["Size"])
    example.call("PutObject", Bucket=bucket, Key="zz", Body=b"")


def deleted(example, bucket):
    for one in example.input["Delete"]["Objects"]:
        versions(example, one, one["Key"])


def acl_owner(example, bucket):
    owner = example.call("GetBucketAcl", Bucket=bucket)["Owner"]["ID"]
    for member in ("GrantFullControl", "GrantRead", "GrantWrite"):
        if example.input.get(member, "").startswith(("id=", "email")):
            example.actual[example.input[member]] = f"id={owner}"
    example.input.pop("AccessControlPolicy", None)
    allow_acls(example, bucket)


def allow_acls(example, bucket):
    example.call(
        "PutBucketOwnershipControls",
        Bucket=bucket,
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
    )
    example.call("DeletePublicAccessBlock", Bucket=bucket)


def object_tags(example, bucket):
    more = {"VersionId": example.actual[example.input["VersionId"]]} if "VersionId" in example.input else {}
    example.call(
        "PutObjectTagging",
        Bucket=bucket,
        Key=example.input["Key"],
        Tagging={"TagSet": example.output["TagSet"]},
        **more,
    )


def target(example, bucket):
    logging = example.input["BucketLoggingStatus"]["LoggingEnabled"]
    logging["TargetBucket"] = f"{logging['TargetBucket']}-{example.suffix}"
    example.call("CreateBucket", Bucket=logging["TargetBucket"])


def policy(example, bucket):
    text = (example.input or {}).get("Policy") or example.output["Policy"]
    account = example.world.call("sts", "GetCallerIdentity")["Account"]
    actual = (
        text.replace("acl3", bucket)
        .replace("policytest1", bucket)
        .replace("123456789012", account)
        .replace("111122223333", account)
        .replace('"Sid":"Enables the log delivery group to publish logs to your bucket "', '"Sid":"1"')
        .replace("id-1", "id1")
    )
    example.actual[text] = actual
    if example.operation == "GetBucketPolicy":
        example.call("PutBucketPolicy", Bucket=bucket, Policy=actual)


ARRANGED = {
    "GetBucketCors": put("PutBucketCors", "CORSConfiguration"),
    "GetBucketLifecycle": put("PutBucketLifecycleConfiguration", "LifecycleConfiguration"),
    "GetBucketLifecycleConfiguration": put("PutBucketLifecycleConfiguration", "LifecycleConfiguration"),
    "GetBucketTagging": put("PutBucketTagging", "Tagging"),
    "GetBucketVersioning": put("PutBucketVersioning", "VersioningConfiguration"),
    "GetBucketWebsite": put("PutBucketWebsite", "WebsiteConfiguration"),
    "GetBucketPolicy": policy,
    "PutBucketPolicy": policy,
    "AbortMultipartUpload": upload,
    "CompleteMultipartUpload": upload,
    "ListParts": upload,
    "UploadPart": upload,
    "UploadPartCopy": upload,
    "CopyObject": source,
    "ListMultipartUploads": uploads,
    "ListObjectVersions": two_versions,
    "ListObjects": listed,
    "ListObjectsV2": listed,
    "DeleteObjects": deleted,
    "PutBucketAcl": acl_owner,
    "PutObjectAcl": acl_owner,
    "GetObjectTagging": object_tags,
    "PutBucketLogging": target,
}
