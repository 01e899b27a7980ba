"""Errors of S3: those that its model declares, and the codes of its list of error responses for each configuration
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""

from errors import Case

REASONS = {
    "ObjectAlreadyInActiveTierError": "an object is restored from an archive only",
    "ObjectNotInActiveTierError": "archived objects of the source of a copy",
    "InvalidWriteOffset": "appends to directory buckets",
    "TooManyParts": "appends to directory buckets",
    "EncryptionTypeMismatch": "appends to directory buckets",
    "InvalidRequest": "appends to directory buckets",
    "IdempotencyParameterMismatch": "directory buckets",
    "BucketAlreadyExists": "buckets of other accounts",
    ("PutObjectAcl", "NoSuchKey"): "ACLs are disabled by default, which is checked before",
    ("HeadBucket", "NoSuchBucket"): "a response without a body has the code 404, which the case covers",
    ("HeadObject", "NoSuchKey"): "a response without a body has the code 404, which the case covers",
    "AccessDenied": "permissions have tests of their own",
}
CONFIGURATIONS = {
    "Cors": ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    "LifecycleConfiguration": ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    "Policy": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "Replication": ("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
    "Tagging": ("NoSuchTagSet", "The TagSet does not exist"),
    "Website": ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
    "OwnershipControls": ("OwnershipControlsNotFoundError", "The bucket ownership controls were not found"),
}


def operations(world):
    """Returns the offered operations, which the administration does not list."""
    return [
        name
        for name in world.client("s3").meta.service_model.operation_names
        if name
        not in (
            "GetObjectTorrent",
            "SelectObjectContent",
            "WriteGetObjectResponse",
            "CreateSession",
            "ListDirectoryBuckets",
            "RenameObject",
            "UpdateObjectEncryption",
        )
        and "Annotation" not in name
        and "MetadataTable" not in name
    ]


def cases(world, model, offered):
    s3, n = world.client("s3"), f"errors-{world.number()}"
    s3.create_bucket(Bucket=n)
    s3.put_object(Bucket=n, Key="k", Body=b"b")
    none, absent = {"Bucket": f"{n}-none"}, {"Bucket": n, "Key": "none"}
    unknown_bucket = ("NoSuchBucket", "The specified bucket does not exist")
    upload = {"UploadId": "none"}
    for operation in offered:
        shape = model.operation_model(operation).input_shape
        if (
            not shape
            or "Bucket" not in shape.required_members
            or operation in ("CreateBucket", "HeadBucket", "HeadObject")
        ):
            continue
        if operation.startswith(("Get", "List", "Delete")) and set(shape.required_members) <= {"Bucket", "Key"}:
            given = {**none, **({"Key": "k"} if "Key" in shape.required_members else {})}
            yield Case(operation, *unknown_bucket[:1], given, *unknown_bucket[1:], status=404)
        if operation.startswith("Get") and set(shape.required_members) == {"Bucket", "Key"}:
            if operation in ("GetObjectLegalHold", "GetObjectRetention"):
                continue
            yield Case(operation, "NoSuchKey", absent, "The specified key does not exist.", status=404)
    for name, (code, words) in CONFIGURATIONS.items():
        if name != "OwnershipControls":
            yield Case(f"GetBucket{name}", code, {"Bucket": n}, words, status=404)
    yield Case("GetObjectAttributes", "NoSuchKey", {**absent, "ObjectAttributes": ["ETag"]}, status=404)
    yield Case("HeadBucket", "404", none, status=404)
    yield Case("HeadObject", "404", absent, status=404)
    yield Case("PutObject", *unknown_bucket[:1], {**none, "Key": "k"}, status=404)
    yield Case("CopyObject", *unknown_bucket[:1], {"Bucket": n, "Key": "c", "CopySource": f"{n}-none/k"}, status=404)
    yield Case("CopyObject", "NoSuchKey", {"Bucket": n, "Key": "c", "CopySource": f"{n}/none"}, status=404)
    yield Case(
        "CopyObject",
        "InvalidRequest",
        {"Bucket": n, "Key": "k", "CopySource": f"{n}/k"},
        "This copy request is illegal",
        status=400,
    )
    yield Case(
        "UploadPart", "NoSuchUpload", {"Bucket": n, "Key": "k", "PartNumber": 1, "Body": b"", **upload}, status=404
    )
    yield Case("AbortMultipartUpload", "NoSuchUpload", {"Bucket": n, "Key": "k", **upload}, status=404)
    yield Case("ListParts", "NoSuchUpload", {"Bucket": n, "Key": "k", **upload}, status=404)
    yield Case(
        "CompleteMultipartUpload",
        "NoSuchUpload",
        {"Bucket": n, "Key": "k", **upload, "MultipartUpload": {"Parts": [{"ETag": "e", "PartNumber": 1}]}},
        status=404,
    )
    real = {"Bucket": n, "Key": "m", "UploadId": s3.create_multipart_upload(Bucket=n, Key="m")["UploadId"]}
    yield Case(
        "CompleteMultipartUpload",
        "InvalidPart",
        {**real, "MultipartUpload": {"Parts": [{"ETag": "e", "PartNumber": 1}]}},
        "One or more of the specified parts could not be found.",
        status=400,
    )
    parts = [s3.upload_part(**real, PartNumber=number, Body=b"small")["ETag"] for number in (1, 2)]
    listed = [{"ETag": tag, "PartNumber": number} for number, tag in enumerate(parts, 1)]
    yield Case(
        "CompleteMultipartUpload",
        "EntityTooSmall",
        {**real, "MultipartUpload": {"Parts": listed}},
        "Your proposed upload is smaller than the minimum allowed size",
        status=400,
    )
    yield Case(
        "CompleteMultipartUpload", "InvalidPartOrder", {**real, "MultipartUpload": {"Parts": listed[::-1]}}, status=400
    )
    yield Case(
        "GetObject",
        "InvalidRange",
        {"Bucket": n, "Key": "k", "Range": "bytes=9-"},
        "The requested range is not satisfiable",
        status=416,
    )
    yield Case("GetObject", "PreconditionFailed", {"Bucket": n, "Key": "k", "IfMatch": '"none"'}, status=412)
    yield Case("PutObject", "PreconditionFailed", {"Bucket": n, "Key": "k", "IfNoneMatch": "*"}, status=412)
    yield Case(
        "DeleteBucket", "BucketNotEmpty", {"Bucket": n}, "The bucket you tried to delete is not empty", status=409
    )
    yield Case(
        "CreateBucket", "InvalidBucketName", {"Bucket": "Bad_Name"}, "The specified bucket is not valid.", status=400
    )
    yield Case(
        "PutBucketTagging",
        "InvalidTag",
        {"Bucket": n, "Tagging": {"TagSet": [{"Key": "aws:x", "Value": "v"}]}},
        status=400,
    )
    yield Case("PutBucketPolicy", "MalformedPolicy", {"Bucket": n, "Policy": "{"}, status=400)
    yield Case(
        "PutObjectTagging",
        "InvalidTag",
        {"Bucket": n, "Key": "k", "Tagging": {"TagSet": [{"Key": "x", "Value": "v"}] * 2}},
        status=400,
    )
    yield Case(
        "PutObject",
        "BadDigest",
        {"Bucket": n, "Key": "d", "Body": b"b", "ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="},
        status=400,
    )
    yield Case("PutObject", "InvalidDigest", {"Bucket": n, "Key": "d", "Body": b"b", "ContentMD5": "none"}, status=400)
    yield Case(
        "PutObject", "InvalidStorageClass", {"Bucket": n, "Key": "d", "Body": b"b", "StorageClass": "NONE"}, status=400
    )
    yield Case("PutObject", "KeyTooLongError", {"Bucket": n, "Key": "k" * 1025, "Body": b"b"}, status=400)
    yield Case("PutBucketAcl", "AccessControlListNotSupported", {"Bucket": n, "ACL": "public-read"}, status=400)
    yield Case("GetObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", {"Bucket": n}, status=404)
    yield Case(
        "GetPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration", {"Bucket": without_block(s3, n)}, status=404
    )
    yield Case(
        "RestoreObject", "InvalidObjectState", {"Bucket": n, "Key": "k", "RestoreRequest": {"Days": 1}}, status=403
    )
    s3.put_object(Bucket=n, Key="archived", Body=b"b", StorageClass="GLACIER")
    yield Case(
        "GetObject",
        "InvalidObjectState",
        {"Bucket": n, "Key": "archived"},
        "The operation is not valid for the object's storage class",
        status=403,
    )
    west = world.new_client("s3", world.key, world.secret, region="us-west-2")
    west.create_bucket(Bucket=f"{n}-w", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield Case("CreateBucket", "BucketAlreadyOwnedByYou", {"Bucket": f"{n}-w"}, "you already own it", status=409)


def without_block(s3, name):
    s3.delete_public_access_block(Bucket=name)
    return name
