# Scaling and monitoring of a group, as a Terraform user would write it.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

variable "stage" {
  type        = string
  description = "Value that changes resources in place: first one, then two."
}

locals {
  instance_type = var.stage == "one" ? "t3.micro" : "t3.small"
  suspended     = var.stage == "one" ? ["AZRebalance"] : ["ReplaceUnhealthy"]
  retention     = var.stage == "one" ? 7 : 14
  threshold     = var.stage == "one" ? 80 : 70
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    ec2            = var.endpoint
    autoscaling    = var.endpoint
    cloudwatch     = var.endpoint
    cloudwatchlogs = var.endpoint
    sts            = var.endpoint
  }
}

data "aws_vpc" "default" { default = true }

data "aws_subnets" "all" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
}

resource "aws_launch_template" "t" {
  name          = "scaling"
  image_id      = data.aws_ami.debian.id
  instance_type = local.instance_type
}

resource "aws_autoscaling_group" "g" {
  name                = "scaling"
  min_size            = 1
  max_size            = 3
  vpc_zone_identifier = data.aws_subnets.all.ids
  launch_template {
    id      = aws_launch_template.t.id
    version = aws_launch_template.t.latest_version
  }
  enabled_metrics      = ["GroupTotalInstances"]
  suspended_processes  = local.suspended
  termination_policies = ["OldestInstance"]
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 50
      auto_rollback          = false
    }
  }
  tag {
    key                 = "team"
    value               = "shop"
    propagate_at_launch = true
  }
}

resource "aws_autoscaling_policy" "steps" {
  name                   = "steps"
  autoscaling_group_name = aws_autoscaling_group.g.name
  policy_type            = "StepScaling"
  adjustment_type        = "ChangeInCapacity"
  step_adjustment {
    metric_interval_lower_bound = 0
    metric_interval_upper_bound = 10
    scaling_adjustment          = 1
  }
  step_adjustment {
    metric_interval_lower_bound = 10
    scaling_adjustment          = 2
  }
}

resource "aws_autoscaling_policy" "cpu" {
  name                   = "cpu"
  autoscaling_group_name = aws_autoscaling_group.g.name
  policy_type            = "TargetTrackingScaling"
  target_tracking_configuration {
    predefined_metric_specification { predefined_metric_type = "ASGAverageCPUUtilization" }
    target_value = 50
  }
}

resource "aws_autoscaling_policy" "custom" {
  name                   = "custom"
  autoscaling_group_name = aws_autoscaling_group.g.name
  policy_type            = "TargetTrackingScaling"
  target_tracking_configuration {
    customized_metric_specification {
      namespace   = "Shop"
      metric_name = "Jobs"
      statistic   = "Average"
      metric_dimension {
        name  = "q"
        value = "a"
      }
    }
    target_value = 5
  }
}

resource "aws_autoscaling_schedule" "morning" {
  scheduled_action_name  = "morning"
  autoscaling_group_name = aws_autoscaling_group.g.name
  recurrence             = "0 8 * * MON-FRI"
  min_size               = 1
  max_size               = 3
  desired_capacity       = 2
}

resource "aws_autoscaling_lifecycle_hook" "drain" {
  name                   = "drain"
  autoscaling_group_name = aws_autoscaling_group.g.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  heartbeat_timeout      = 30
  default_result         = "CONTINUE"
}

resource "aws_cloudwatch_metric_alarm" "busy" {
  alarm_name          = "scaling-busy"
  namespace           = "AWS/EC2"
  metric_name         = "CPUUtilization"
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 2
  threshold           = local.threshold
  comparison_operator = "GreaterThanThreshold"
  dimensions          = { AutoScalingGroupName = aws_autoscaling_group.g.name }
  alarm_actions       = [aws_autoscaling_policy.steps.arn]
  tags                = { team = "shop" }
}

resource "aws_cloudwatch_log_group" "log" {
  name              = "/scaling/log"
  retention_in_days = local.retention
  tags              = { team = "shop" }
}

resource "aws_cloudwatch_log_stream" "stream" {
  name           = "s"
  log_group_name = aws_cloudwatch_log_group.log.name
}
