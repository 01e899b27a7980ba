# Resources in two regions, of every kind that exists in infra-aws, to test the local cloud with Terraform's AWS provider.
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

variable "public_key" {
  type = string
}

variable "certificate" {
  type = string
}

variable "private_key" {
  type      = string
  sensitive = true
}

variable "stage" {
  type        = string
  description = "Value that changes resources in place: first one, then two."
}

provider "aws" {
  region                      = "us-east-1"
  s3_use_path_style           = true
  skip_metadata_api_check     = true
  skip_credentials_validation = false
  endpoints {
    acm            = var.endpoint
    autoscaling    = var.endpoint
    cloudwatch     = var.endpoint
    cloudwatchlogs = var.endpoint
    ec2            = var.endpoint
    elbv2          = var.endpoint
    iam            = var.endpoint
    rds            = var.endpoint
    s3             = var.endpoint
    ssm            = var.endpoint
    sts            = var.endpoint
  }
  default_tags {
    tags = {
      owner = "terraform"
    }
  }
}

provider "aws" {
  alias                   = "ohio"
  region                  = "us-east-2"
  s3_use_path_style       = true
  skip_metadata_api_check = true
  endpoints {
    ec2 = var.endpoint
    iam = var.endpoint
    sts = var.endpoint
  }
}

data "aws_caller_identity" "this" {}
data "aws_region" "this" {}

data "aws_availability_zones" "available" {
  state = "available"
}

data "aws_ami" "debian" {
  owners      = ["136693071363"]
  most_recent = true
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

data "aws_vpc" "default" {
  default = true
}

# The network.

resource "aws_vpc" "main" {
  cidr_block           = "10.20.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "main", stage = var.stage }
}

resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.main.id
  cidr_block              = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
  availability_zone       = data.aws_availability_zones.available.names[count.index]
  map_public_ip_on_launch = true
}

resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet(aws_vpc.main.cidr_block, 8, 10 + count.index)
  availability_zone = data.aws_availability_zones.available.names[count.index]
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_eip" "nat" {
  domain = "vpc"
}

resource "aws_nat_gateway" "main" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  depends_on    = [aws_internet_gateway.main]
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "outward" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main.id
}

resource "aws_route_table_association" "private" {
  count          = 2
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc" "other" {
  provider   = aws.ohio
  cidr_block = "10.30.0.0/16"
}

resource "aws_vpc_peering_connection" "between" {
  vpc_id      = aws_vpc.main.id
  peer_vpc_id = aws_vpc.other.id
  peer_region = "us-east-2"
}

resource "aws_vpc_peering_connection_accepter" "between" {
  provider                  = aws.ohio
  vpc_peering_connection_id = aws_vpc_peering_connection.between.id
  auto_accept               = true
}

resource "aws_route" "across" {
  route_table_id            = aws_route_table.private.id
  destination_cidr_block    = aws_vpc.other.cidr_block
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.between.id
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "The world"
  vpc_id      = aws_vpc.main.id
  ingress {
    from_port   = 18080
    to_port     = 18080
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "application" {
  name   = "application"
  vpc_id = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "application" {
  security_group_id            = aws_security_group.application.id
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
  description                  = "stage ${var.stage}"
}

resource "aws_vpc_security_group_egress_rule" "application" {
  security_group_id = aws_security_group.application.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

# Instances, groups and load balancers.

resource "aws_key_pair" "main" {
  key_name   = "main"
  public_key = var.public_key
}

resource "aws_iam_role" "main" {
  name = "main"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "main" {
  name = "read"
  role = aws_iam_role.main.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "ssm:GetParameter", Resource = aws_ssm_parameter.main.arn }]
  })
}

resource "aws_iam_policy" "logs" {
  name = "logs"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "logs:*", Resource = "*" }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.main.name
  policy_arn = aws_iam_policy.logs.arn
}

resource "aws_iam_instance_profile" "main" {
  name = "main"
  role = aws_iam_role.main.name
}

resource "aws_iam_user" "robot" {
  name = "robot"
}

resource "aws_iam_access_key" "robot" {
  user = aws_iam_user.robot.name
}

resource "aws_instance" "single" {
  ami                    = data.aws_ami.debian.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.public[0].id
  key_name               = aws_key_pair.main.key_name
  vpc_security_group_ids = [aws_security_group.application.id]
  iam_instance_profile   = aws_iam_instance_profile.main.name
  user_data              = "#cloud-config\n{}\n"
  tags                   = { Name = "single", stage = var.stage }
}

resource "aws_ami_from_instance" "single" {
  name               = "single"
  source_instance_id = aws_instance.single.id
  tags               = { Name = "single", stage = var.stage }
}

resource "aws_launch_template" "main" {
  name                   = "main"
  image_id               = data.aws_ami.debian.id
  instance_type          = "t3.micro"
  key_name               = aws_key_pair.main.key_name
  vpc_security_group_ids = [aws_security_group.application.id]
  user_data              = base64encode("#cloud-config\n{}\n# ${var.stage}\n")
  iam_instance_profile {
    name = aws_iam_instance_profile.main.name
  }
}

resource "aws_lb" "main" {
  name            = "main"
  subnets         = aws_subnet.public[*].id
  security_groups = [aws_security_group.web.id]
  idle_timeout    = 30
  depends_on      = [aws_internet_gateway.main]
}

resource "aws_lb_target_group" "main" {
  name                 = "main"
  port                 = 8080
  protocol             = "HTTP"
  vpc_id               = aws_vpc.main.id
  deregistration_delay = var.stage == "one" ? 30 : 20
  health_check {
    path = "/healthz"
  }
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 600
  }
}

resource "aws_lb_target_group_attachment" "single" {
  target_group_arn = aws_lb_target_group.main.arn
  target_id        = aws_instance.single.id
  port             = 8080
}

resource "aws_lb_listener" "main" {
  load_balancer_arn = aws_lb.main.arn
  port              = 18080
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.main.arn
  }
}

resource "aws_lb_listener_rule" "fixed" {
  listener_arn = aws_lb_listener.main.arn
  priority     = 10
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "stage ${var.stage}"
      status_code  = "200"
    }
  }
  condition {
    path_pattern {
      values = ["/stage"]
    }
  }
}

resource "aws_acm_certificate" "main" {
  certificate_body = var.certificate
  private_key      = var.private_key
}

resource "aws_lb_listener" "secure" {
  load_balancer_arn = aws_lb.main.arn
  port              = 18443
  protocol          = "HTTPS"
  certificate_arn   = aws_acm_certificate.main.arn
  default_action {
    type = "redirect"
    redirect {
      port        = "18080"
      protocol    = "HTTP"
      status_code = "HTTP_302"
    }
  }
}

resource "aws_autoscaling_group" "main" {
  name                = "main"
  min_size            = 1
  max_size            = 4
  desired_capacity    = 2
  vpc_zone_identifier = aws_subnet.private[*].id
  launch_template {
    id      = aws_launch_template.main.id
    version = aws_launch_template.main.latest_version
  }
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 50
    }
  }
  tag {
    key                 = "stage"
    value               = var.stage
    propagate_at_launch = true
  }
  # The policies below change it.
  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

resource "aws_autoscaling_policy" "tracking" {
  name                   = "tracking"
  autoscaling_group_name = aws_autoscaling_group.main.name
  policy_type            = "TargetTrackingScaling"
  target_tracking_configuration {
    target_value = var.stage == "one" ? 50 : 60
    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}

resource "aws_autoscaling_policy" "steps" {
  name                   = "steps"
  autoscaling_group_name = aws_autoscaling_group.main.name
  policy_type            = "StepScaling"
  adjustment_type        = "ChangeInCapacity"
  step_adjustment {
    metric_interval_lower_bound = "0"
    scaling_adjustment          = 1
  }
}

resource "aws_autoscaling_schedule" "night" {
  scheduled_action_name  = "night"
  autoscaling_group_name = aws_autoscaling_group.main.name
  recurrence             = "0 3 * * *"
  min_size               = 1
  max_size               = 4
  desired_capacity       = 1
}

resource "aws_autoscaling_lifecycle_hook" "leaving" {
  name                   = "leaving"
  autoscaling_group_name = aws_autoscaling_group.main.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  default_result         = "CONTINUE"
  heartbeat_timeout      = 30
}

resource "aws_cloudwatch_metric_alarm" "busy" {
  alarm_name          = "busy"
  namespace           = "AWS/EC2"
  metric_name         = "CPUUtilization"
  dimensions          = { AutoScalingGroupName = aws_autoscaling_group.main.name }
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.stage == "one" ? 80 : 90
  period              = 60
  evaluation_periods  = 2
  alarm_actions       = [aws_autoscaling_policy.steps.arn]
}

resource "aws_cloudwatch_log_group" "main" {
  name              = "/main"
  retention_in_days = var.stage == "one" ? 7 : 14
}

# Storage.

resource "aws_ssm_parameter" "main" {
  name  = "/main/secret"
  type  = "SecureString"
  value = "secret ${var.stage}"
}

resource "aws_s3_bucket" "main" {
  bucket        = "terraform-${data.aws_caller_identity.this.account_id}"
  force_destroy = true
}

resource "aws_s3_bucket_versioning" "main" {
  bucket = aws_s3_bucket.main.id
  versioning_configuration {
    status = "Suspended"
  }
}

resource "aws_s3_bucket_public_access_block" "main" {
  bucket                  = aws_s3_bucket.main.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "main" {
  bucket      = aws_s3_bucket.main.id
  key         = "artifacts/file"
  source      = "main.tf"
  source_hash = filemd5("main.tf")
}

resource "aws_db_subnet_group" "main" {
  name       = "main"
  subnet_ids = aws_subnet.private[*].id
}

resource "aws_db_parameter_group" "main" {
  name   = "main"
  family = "postgres15"
  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }
}

resource "aws_security_group" "database" {
  name   = "database"
  vpc_id = aws_vpc.main.id
  ingress {
    from_port       = 5432
    to_port         = 5432
    protocol        = "tcp"
    security_groups = [aws_security_group.application.id]
  }
}

resource "aws_db_instance" "main" {
  identifier             = "main"
  engine                 = "postgres"
  instance_class         = "db.t3.micro"
  allocated_storage      = 20
  db_name                = "tasks"
  username               = "cloud"
  password               = "password-${var.stage}"
  db_subnet_group_name   = aws_db_subnet_group.main.name
  parameter_group_name   = aws_db_parameter_group.main.name
  vpc_security_group_ids = [aws_security_group.database.id]
  skip_final_snapshot    = true
  apply_immediately      = true
}

output "url" {
  value = "http://${aws_lb.main.dns_name}:18080"
}

output "database" {
  value = aws_db_instance.main.endpoint
}
