# Roles, groups, users and providers of identities, with policies as documents.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

data "aws_iam_policy" "read_only" {
  name = "ReadOnlyAccess"
}

data "aws_iam_policy_document" "boundary" {
  statement {
    sid       = "Allowed"
    actions   = ["s3:*", "ec2:Describe*"]
    resources = ["*"]
  }
  statement {
    sid         = "Elsewhere"
    effect      = "Deny"
    not_actions = ["iam:*", "sts:*"]
    resources   = ["*"]
    condition {
      test     = "StringNotEquals"
      variable = "aws:RequestedRegion"
      values   = [var.region]
    }
  }
}

resource "aws_iam_policy" "boundary" {
  name        = "identity-boundary"
  path        = "/teams/"
  description = "Limit of the team"
  policy      = data.aws_iam_policy_document.boundary.json
}

data "aws_iam_policy_document" "deploy" {
  source_policy_documents = [data.aws_iam_policy_document.boundary.json]
  statement {
    sid       = "Pass"
    actions   = ["iam:PassRole"]
    resources = ["arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:role/$${aws:username}"]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = var.stage == "one" ? ["ec2.amazonaws.com"] : ["ec2.amazonaws.com", "rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_policy" "deploy" {
  name_prefix = "deploy-"
  policy      = data.aws_iam_policy_document.deploy.json
  tags        = { stage = var.stage }
}

resource "aws_iam_openid_connect_provider" "builds" {
  url             = "https://builds.example.com"
  client_id_list  = var.stage == "one" ? ["sts.amazonaws.com"] : ["sts.amazonaws.com", "other"]
  thumbprint_list = ["6938fd4d98bab03faadb97b34396831e3780aea1"]
}

data "aws_iam_policy_document" "federated" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.builds.arn]
    }
    condition {
      test     = "StringLike"
      variable = "builds.example.com:sub"
      values   = ["repo:shop/*"]
    }
  }
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:root"]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = ["shop"]
    }
  }
}

resource "aws_iam_role" "builds" {
  name                  = "identity-builds"
  path                  = "/teams/"
  description           = "Role of the builds, stage ${var.stage}"
  assume_role_policy    = data.aws_iam_policy_document.federated.json
  max_session_duration  = var.stage == "one" ? 3600 : 7200
  permissions_boundary  = aws_iam_policy.boundary.arn
  force_detach_policies = true
}

resource "aws_iam_role_policy" "builds" {
  name = "inline"
  role = aws_iam_role.builds.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "s3:GetObject", Resource = "arn:aws:s3:::builds/${var.stage}/*" }]
  })
}

resource "aws_iam_role_policy_attachment" "builds" {
  for_each   = { deploy = aws_iam_policy.deploy.arn, read = data.aws_iam_policy.read_only.arn }
  role       = aws_iam_role.builds.name
  policy_arn = each.value
}

resource "aws_iam_role" "host" {
  name_prefix = "identity-host-"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = ["ec2.amazonaws.com"] } }]
  })
  tags = { stage = var.stage }
}

resource "aws_iam_role_policies_exclusive" "host" {
  role_name    = aws_iam_role.host.name
  policy_names = []
}

resource "aws_iam_instance_profile" "host" {
  name_prefix = "identity-"
  role        = aws_iam_role.host.name
  tags        = { stage = var.stage }
}

resource "aws_iam_saml_provider" "company" {
  name                   = "company"
  saml_metadata_document = file("${path.module}/metadata.xml")
}

resource "aws_iam_group" "developers" {
  name = "developers"
  path = "/teams/"
}

resource "aws_iam_group_policy" "developers" {
  name   = "inline"
  group  = aws_iam_group.developers.name
  policy = data.aws_iam_policy_document.boundary.json
}

resource "aws_iam_group_policy_attachment" "developers" {
  group      = aws_iam_group.developers.name
  policy_arn = aws_iam_policy.deploy.arn
}

resource "aws_iam_user" "developer" {
  for_each             = toset(["anna", "ben"])
  name                 = "identity-${each.key}"
  path                 = "/teams/"
  permissions_boundary = var.stage == "one" ? aws_iam_policy.boundary.arn : null
  force_destroy        = true
}

resource "aws_iam_group_membership" "developers" {
  name  = "developers"
  group = aws_iam_group.developers.name
  users = [for user in aws_iam_user.developer : user.name]
}

resource "aws_iam_user" "robot" {
  name          = "identity-robot"
  force_destroy = true
}

resource "aws_iam_user_group_membership" "robot" {
  user   = aws_iam_user.robot.name
  groups = [aws_iam_group.robots.name]
}

resource "aws_iam_group" "robots" {
  name = "robots"
}

resource "aws_iam_user_policy" "robot" {
  name   = "inline"
  user   = aws_iam_user.robot.name
  policy = data.aws_iam_policy_document.boundary.json
}

resource "aws_iam_user_policy_attachment" "robot" {
  user       = aws_iam_user.robot.name
  policy_arn = aws_iam_policy.deploy.arn
}

resource "aws_iam_access_key" "robot" {
  user   = aws_iam_user.robot.name
  status = var.stage == "one" ? "Active" : "Inactive"
}

resource "aws_iam_user_login_profile" "anna" {
  user                    = aws_iam_user.developer["anna"].name
  password_length         = 20
  password_reset_required = true
}

resource "aws_iam_policy" "everyone" {
  name   = "identity-everyone"
  policy = data.aws_iam_policy_document.boundary.json
}

resource "aws_iam_policy_attachment" "everyone" {
  name       = "everyone"
  policy_arn = aws_iam_policy.everyone.arn
  groups     = [aws_iam_group.developers.name]
  roles      = [aws_iam_role.host.name]
}

resource "aws_iam_service_linked_role" "balancing" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = "identity"
}

resource "aws_iam_account_alias" "this" {
  account_alias = "terraform-${var.stage}"
}

resource "aws_iam_account_password_policy" "this" {
  minimum_password_length        = var.stage == "one" ? 12 : 14
  require_lowercase_characters   = true
  require_numbers                = true
  require_uppercase_characters   = true
  require_symbols                = false
  allow_users_to_change_password = true
  password_reuse_prevention      = 5
  max_password_age               = 90
}

data "aws_iam_role" "builds" {
  name = aws_iam_role.builds.name
}

data "aws_iam_users" "team" {
  path_prefix = "/teams/"
  depends_on  = [aws_iam_user.developer]
}

output "users" {
  value = length(data.aws_iam_users.team.arns)
}
