# The control plane of stacks/multicloud_orm.rs, as a Terraform user would write it, with the same number of resources of
# each kind.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

variable "artifact" {
  type        = string
  description = "Path of the program that the instances run."
}

variable "database_password" {
  type      = string
  sensitive = true
}

variable "public_key" {
  type = string
}

locals {
  services = {
    ec2         = var.endpoint
    autoscaling = var.endpoint
    elbv2       = var.endpoint
    iam         = var.endpoint
    s3          = var.endpoint
    ssm         = var.endpoint
    sts         = var.endpoint
  }
}

provider "aws" {
  alias                       = "virginia"
  region                      = "us-east-1"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    ec2         = local.services.ec2
    autoscaling = local.services.autoscaling
    elbv2       = local.services.elbv2
    iam         = local.services.iam
    s3          = local.services.s3
    ssm         = local.services.ssm
    sts         = local.services.sts
  }
}

provider "aws" {
  alias                       = "ohio"
  region                      = "us-east-2"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    ec2         = local.services.ec2
    autoscaling = local.services.autoscaling
    elbv2       = local.services.elbv2
    iam         = local.services.iam
    s3          = local.services.s3
    ssm         = local.services.ssm
    sts         = local.services.sts
  }
}

data "aws_vpc" "virginia" {
  provider = aws.virginia
  default  = true
}

data "aws_subnets" "virginia" {
  provider = aws.virginia
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.virginia.id]
  }
}

data "aws_vpc" "ohio" {
  provider = aws.ohio
  default  = true
}

data "aws_ami" "virginia" {
  provider    = aws.virginia
  owners      = ["136693071363"]
  most_recent = true
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

data "aws_ami" "ohio" {
  provider    = aws.ohio
  owners      = ["136693071363"]
  most_recent = true
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

# The database, in Ohio.

resource "aws_key_pair" "database" {
  provider   = aws.ohio
  key_name   = "database-key"
  public_key = var.public_key
}

resource "aws_security_group" "database" {
  provider    = aws.ohio
  name        = "database-access"
  description = "PostgreSQL"
  vpc_id      = data.aws_vpc.ohio.id
  ingress {
    from_port   = 5432
    to_port     = 5432
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_ssm_parameter" "postgres_password" {
  provider = aws.ohio
  name     = "/speed/postgres-password"
  type     = "SecureString"
  value    = var.database_password
}

resource "aws_iam_role" "database" {
  provider = aws.ohio
  name     = "database-role"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
  inline_policy {
    name = "read"
    policy = jsonencode({
      Version   = "2012-10-17"
      Statement = [{ Effect = "Allow", Action = "ssm:GetParameter", Resource = aws_ssm_parameter.postgres_password.arn }]
    })
  }
}

resource "aws_iam_instance_profile" "database" {
  provider = aws.ohio
  name     = "database-profile"
  role     = aws_iam_role.database.name
}

resource "aws_instance" "database" {
  provider               = aws.ohio
  ami                    = data.aws_ami.ohio.id
  instance_type          = "t3.micro"
  key_name               = aws_key_pair.database.key_name
  vpc_security_group_ids = [aws_security_group.database.id]
  iam_instance_profile   = aws_iam_instance_profile.database.name
  user_data              = "#cloud-config\n{}\n"
}

# The application, in Virginia.

resource "aws_key_pair" "application" {
  provider   = aws.virginia
  key_name   = "application-key"
  public_key = var.public_key
}

resource "aws_security_group" "balancer" {
  provider    = aws.virginia
  name        = "balancer-access"
  description = "The world"
  vpc_id      = data.aws_vpc.virginia.id
  ingress {
    from_port   = 80
    to_port     = 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "application" {
  provider    = aws.virginia
  name        = "application-access"
  description = "The balancer"
  vpc_id      = data.aws_vpc.virginia.id
  ingress {
    from_port       = 8080
    to_port         = 8080
    protocol        = "tcp"
    security_groups = [aws_security_group.balancer.id]
  }
}

resource "aws_ssm_parameter" "database_url" {
  provider = aws.virginia
  name     = "/speed/database-url"
  type     = "SecureString"
  value    = "postgres://cloud:${var.database_password}@${aws_instance.database.public_ip}:5432/tasks"
}

resource "aws_s3_bucket" "artifacts" {
  provider      = aws.virginia
  bucket        = "artifacts-us-east-1-speed"
  force_destroy = true
}

resource "aws_s3_object" "tasks" {
  provider    = aws.virginia
  bucket      = aws_s3_bucket.artifacts.bucket
  key         = "artifacts/tasks"
  source      = var.artifact
  source_hash = filemd5(var.artifact)
}

resource "aws_iam_role" "application" {
  provider = aws.virginia
  name     = "application-role"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
  inline_policy {
    name = "read"
    policy = jsonencode({
      Version   = "2012-10-17"
      Statement = [{ Effect = "Allow", Action = "ssm:GetParameter", Resource = aws_ssm_parameter.database_url.arn }]
    })
  }
}

resource "aws_iam_instance_profile" "application" {
  provider = aws.virginia
  name     = "application-profile"
  role     = aws_iam_role.application.name
}

resource "aws_launch_template" "application" {
  provider               = aws.virginia
  name                   = "application"
  image_id               = data.aws_ami.virginia.id
  instance_type          = "t3.micro"
  key_name               = aws_key_pair.application.key_name
  vpc_security_group_ids = [aws_security_group.application.id]
  user_data              = base64encode("#cloud-config\n{}\n")
  iam_instance_profile {
    name = aws_iam_instance_profile.application.name
  }
  depends_on = [aws_s3_object.tasks]
}

resource "aws_lb" "balancer" {
  provider        = aws.virginia
  name            = "balancer"
  subnets         = data.aws_subnets.virginia.ids
  security_groups = [aws_security_group.balancer.id]
}

resource "aws_lb_target_group" "targets" {
  provider = aws.virginia
  name     = "targets"
  port     = 8080
  protocol = "HTTP"
  vpc_id   = data.aws_vpc.virginia.id
  health_check {
    path = "/healthz"
  }
}

resource "aws_lb_listener" "listener" {
  provider          = aws.virginia
  load_balancer_arn = aws_lb.balancer.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.targets.arn
  }
}

resource "aws_autoscaling_group" "group" {
  provider                  = aws.virginia
  name                      = "group"
  min_size                  = 1
  max_size                  = 4
  desired_capacity          = 2
  vpc_zone_identifier       = data.aws_subnets.virginia.ids
  target_group_arns         = [aws_lb_target_group.targets.arn]
  wait_for_capacity_timeout = "0"
  launch_template {
    id      = aws_launch_template.application.id
    version = aws_launch_template.application.latest_version
  }
}

resource "aws_autoscaling_policy" "cpu" {
  provider               = aws.virginia
  name                   = "scale-on-cpu"
  autoscaling_group_name = aws_autoscaling_group.group.name
  policy_type            = "TargetTrackingScaling"
  target_tracking_configuration {
    target_value = 50
    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
  # moto returns other values than those of the request.
  lifecycle {
    ignore_changes = [enabled, predictive_scaling_configuration]
  }
}
