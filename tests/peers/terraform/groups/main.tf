# A group with mixed instances, hooks, schedules, policies and an instance refresh.

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

# The predecessor of launch templates. A change replaces it.
resource "aws_launch_configuration" "former" {
  name_prefix   = "groups-"
  image_id      = data.aws_ami.debian.id
  instance_type = var.stage == "one" ? "t3.micro" : "t3.small"
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_launch_template" "this" {
  name_prefix            = "groups-"
  image_id               = data.aws_ami.debian.id
  instance_type          = "t3.micro"
  update_default_version = true
  ebs_optimized          = true
  user_data              = base64encode("#cloud-config\n{}\n# ${var.stage}\n")
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 10
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
    instance_metadata_tags      = "enabled"
  }
  monitoring {
    enabled = true
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "groups" }
  }
  tag_specifications {
    resource_type = "volume"
    tags          = { Name = "groups" }
  }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_autoscaling_group" "this" {
  name_prefix               = "groups-"
  min_size                  = 1
  max_size                  = 4
  desired_capacity          = 2
  vpc_zone_identifier       = data.aws_subnets.default.ids
  health_check_type         = "EC2"
  health_check_grace_period = var.stage == "one" ? 60 : 90
  default_cooldown          = 60
  default_instance_warmup   = 30
  capacity_rebalance        = false
  protect_from_scale_in     = false
  enabled_metrics           = ["GroupDesiredCapacity", "GroupInServiceInstances"]
  metrics_granularity       = "1Minute"
  termination_policies      = ["OldestLaunchTemplate", "Default"]
  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 1
      on_demand_percentage_above_base_capacity = 100
      on_demand_allocation_strategy            = "prioritized"
    }
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.this.id
        version            = aws_launch_template.this.latest_version
      }
      override {
        instance_type = "t3.micro"
      }
      override {
        instance_type = var.stage == "one" ? "t3.small" : "t3.medium"
      }
    }
  }
  instance_maintenance_policy {
    min_healthy_percentage = 90
    max_healthy_percentage = 120
  }
  initial_lifecycle_hook {
    name                 = "starting"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    default_result       = "CONTINUE"
    heartbeat_timeout    = 30
  }
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 50
      instance_warmup        = 30
      skip_matching          = true
    }
    triggers = ["tag"]
  }
  tag {
    key                 = "stage"
    value               = var.stage
    propagate_at_launch = true
  }
  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

resource "aws_autoscaling_lifecycle_hook" "leaving" {
  name                   = "leaving"
  autoscaling_group_name = aws_autoscaling_group.this.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  heartbeat_timeout      = var.stage == "one" ? 30 : 45
  default_result         = "ABANDON"
}

resource "aws_autoscaling_schedule" "morning" {
  scheduled_action_name  = "morning"
  autoscaling_group_name = aws_autoscaling_group.this.name
  recurrence             = "0 8 * * MON-FRI"
  min_size               = 1
  max_size               = 4
  desired_capacity       = var.stage == "one" ? 2 : 3
}

resource "aws_autoscaling_policy" "cpu" {
  name                      = "cpu"
  autoscaling_group_name    = aws_autoscaling_group.this.name
  policy_type               = "TargetTrackingScaling"
  estimated_instance_warmup = 60
  target_tracking_configuration {
    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
    target_value     = var.stage == "one" ? 50 : 60
    disable_scale_in = true
  }
}

resource "aws_autoscaling_policy" "simple" {
  name                   = "simple"
  autoscaling_group_name = aws_autoscaling_group.this.name
  policy_type            = "SimpleScaling"
  adjustment_type        = "ChangeInCapacity"
  scaling_adjustment     = 1
  cooldown               = 60
}

resource "aws_autoscaling_group_tag" "team" {
  autoscaling_group_name = aws_autoscaling_group.attached.name
  tag {
    key                 = "team"
    value               = var.stage
    propagate_at_launch = false
  }
}

resource "aws_lb_target_group" "this" {
  name     = "groups"
  port     = 8080
  protocol = "HTTP"
  vpc_id   = data.aws_vpc.default.id
}

resource "aws_autoscaling_group" "attached" {
  name                = "attached"
  min_size            = 0
  max_size            = 1
  vpc_zone_identifier = data.aws_subnets.default.ids
  launch_template {
    id      = aws_launch_template.this.id
    version = "$Default"
  }
  lifecycle {
    ignore_changes = [target_group_arns, traffic_source, tag]
  }
}

resource "aws_autoscaling_attachment" "this" {
  autoscaling_group_name = aws_autoscaling_group.attached.name
  lb_target_group_arn    = aws_lb_target_group.this.arn
}

resource "aws_autoscaling_traffic_source_attachment" "this" {
  autoscaling_group_name = aws_autoscaling_group.attached.name
  traffic_source {
    identifier = aws_lb_target_group.second.arn
    type       = "elbv2"
  }
}

resource "aws_lb_target_group" "second" {
  name     = "groups-second"
  port     = 8081
  protocol = "HTTP"
  vpc_id   = data.aws_vpc.default.id
}
