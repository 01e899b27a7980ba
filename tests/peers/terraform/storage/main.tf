# Buckets with the configurations that S3 keeps beside their objects.

data "aws_caller_identity" "this" {}
data "aws_canonical_user_id" "this" {}

locals {
  suffix = "${data.aws_caller_identity.this.account_id}-${var.region}"
}

resource "aws_s3_bucket" "main" {
  bucket        = "storage-${local.suffix}"
  force_destroy = true
  tags          = { stage = var.stage }
}

resource "aws_s3_bucket_versioning" "main" {
  bucket = aws_s3_bucket.main.id
  versioning_configuration {
    status = var.stage == "one" ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
    bucket_key_enabled = var.stage == "two"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  rule {
    id     = "logs"
    status = "Enabled"
    filter {
      prefix = "logs/"
    }
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
    transition {
      days          = 90
      storage_class = "GLACIER"
    }
    expiration {
      days = var.stage == "one" ? 365 : 400
    }
  }
  rule {
    id     = "versions"
    status = "Enabled"
    filter {
      and {
        prefix = "data/"
        tags   = { kind = "temporary" }
      }
    }
    noncurrent_version_expiration {
      noncurrent_days           = 30
      newer_noncurrent_versions = 3
    }
  }
  rule {
    id     = "uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.main]
}

resource "aws_s3_bucket_public_access_block" "main" {
  bucket                  = aws_s3_bucket.main.id
  block_public_acls       = true
  block_public_policy     = var.stage == "one"
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "main" {
  statement {
    sid       = "Encrypted"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.main.arn, "${aws_s3_bucket.main.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "NumericLessThan"
      variable = "s3:TlsVersion"
      values   = [var.stage == "one" ? "1.1" : "1.2"]
    }
  }
}

resource "aws_s3_bucket_policy" "main" {
  bucket     = aws_s3_bucket.main.id
  policy     = data.aws_iam_policy_document.main.json
  depends_on = [aws_s3_bucket_public_access_block.main]
}

resource "aws_s3_bucket_ownership_controls" "main" {
  bucket = aws_s3_bucket.main.id
  rule {
    object_ownership = "BucketOwnerPreferred"
  }
}

resource "aws_s3_bucket_acl" "main" {
  bucket     = aws_s3_bucket.main.id
  acl        = "private"
  depends_on = [aws_s3_bucket_ownership_controls.main]
}

resource "aws_s3_bucket_cors_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  cors_rule {
    id              = "site"
    allowed_methods = ["GET", "PUT"]
    allowed_origins = ["https://shop.example.com"]
    allowed_headers = ["*"]
    expose_headers  = ["ETag"]
    max_age_seconds = var.stage == "one" ? 3000 : 600
  }
}

resource "aws_s3_bucket_logging" "main" {
  bucket        = aws_s3_bucket.main.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "access/"
}

resource "aws_s3_bucket_request_payment_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  payer  = "BucketOwner"
}

resource "aws_s3_bucket_intelligent_tiering_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  name   = "everything"
  tiering {
    access_tier = "ARCHIVE_ACCESS"
    days        = 125
  }
}

resource "aws_s3_bucket_metric" "main" {
  bucket = aws_s3_bucket.main.id
  name   = "everything"
}

resource "aws_s3_bucket_accelerate_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  status = "Suspended"
}

resource "aws_s3_object" "main" {
  bucket       = aws_s3_bucket.main.id
  key          = "data/index.html"
  content      = "<p>${var.stage}</p>"
  content_type = "text/html"
  tags         = { kind = "temporary" }
  metadata     = { stage = var.stage }
  depends_on   = [aws_s3_bucket_server_side_encryption_configuration.main, aws_s3_bucket_versioning.main]
}

resource "aws_s3_object_copy" "main" {
  bucket            = aws_s3_bucket.logs.id
  key               = "copied.html"
  source            = "${aws_s3_object.main.bucket}/${aws_s3_object.main.key}"
  tagging_directive = "REPLACE"
}

resource "aws_s3_bucket" "logs" {
  bucket_prefix = "storage-logs-"
  force_destroy = true
}

resource "aws_s3_bucket" "site" {
  bucket        = "storage-site-${local.suffix}"
  force_destroy = true
}

resource "aws_s3_bucket_website_configuration" "site" {
  bucket = aws_s3_bucket.site.id
  index_document {
    suffix = "index.html"
  }
  error_document {
    key = "error.html"
  }
  routing_rule {
    condition {
      key_prefix_equals = "old/"
    }
    redirect {
      replace_key_prefix_with = "${var.stage}/"
    }
  }
}

resource "aws_s3_bucket" "locked" {
  bucket              = "storage-locked-${local.suffix}"
  object_lock_enabled = true
  force_destroy       = true
}

resource "aws_s3_bucket_object_lock_configuration" "locked" {
  bucket = aws_s3_bucket.locked.id
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.stage == "one" ? 1 : 2
    }
  }
}

data "aws_s3_bucket" "main" {
  bucket = aws_s3_bucket.main.id
}

data "aws_s3_object" "main" {
  bucket = aws_s3_object.main.bucket
  key    = aws_s3_object.main.key
}

output "domain" {
  value = data.aws_s3_bucket.main.bucket_domain_name
}
