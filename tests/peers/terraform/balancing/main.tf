# An Application Load Balancer for HTTPS with rules of paths and hosts, access logs, and sticky target groups.

locals {
  zones = ["${var.region}a", "${var.region}b"]
  services = {
    shop = { paths = ["/shop/*", "/cart"], priority = 10 }
    api  = { paths = ["/api/*"], priority = 20 }
  }
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
  filter {
    name   = "availability-zone"
    values = local.zones
  }
}

data "aws_elb_service_account" "this" {}

resource "aws_s3_bucket" "logs" {
  bucket        = "balancing-logs-${var.region}"
  force_destroy = true
}

data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/*"]
    principals {
      type        = "AWS"
      identifiers = [data.aws_elb_service_account.this.arn]
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id
  policy = data.aws_iam_policy_document.logs.json
}

resource "aws_security_group" "balancer" {
  name   = "balancer"
  vpc_id = data.aws_vpc.default.id
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each          = toset(["28080", "28443"])
  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.key
  to_port           = each.key
}

resource "aws_vpc_security_group_egress_rule" "balancer" {
  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_lb" "this" {
  name                       = "balancing"
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = data.aws_subnets.default.ids
  security_groups            = [aws_security_group.balancer.id]
  idle_timeout               = var.stage == "one" ? 60 : 120
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "defensive"
  preserve_host_header       = var.stage == "two"
  enable_deletion_protection = false
  access_logs {
    bucket  = aws_s3_bucket.logs.id
    prefix  = "balancing"
    enabled = true
  }
  depends_on = [aws_s3_bucket_policy.logs]
}

resource "aws_lb_target_group" "service" {
  for_each                      = local.services
  name_prefix                   = "${each.key}-"
  port                          = 8080
  protocol                      = "HTTP"
  protocol_version              = "HTTP1"
  vpc_id                        = data.aws_vpc.default.id
  target_type                   = each.key == "api" ? "ip" : "instance"
  deregistration_delay          = 30
  slow_start                    = 30
  load_balancing_algorithm_type = "round_robin"
  health_check {
    path                = "/healthz"
    matcher             = "200-299"
    interval            = var.stage == "one" ? 15 : 20
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
  stickiness {
    type            = each.key == "api" ? "app_cookie" : "lb_cookie"
    cookie_name     = each.key == "api" ? "session" : null
    cookie_duration = 3600
    enabled         = var.stage == "one"
  }
  lifecycle {
    create_before_destroy = true
  }
}

# An address of the fabric: without network namespaces, hosts have no addresses of their subnets.
resource "aws_network_interface" "target" {
  subnet_id = data.aws_subnets.default.ids[0]
}

resource "aws_lb_target_group_attachment" "address" {
  target_group_arn = aws_lb_target_group.service["api"].arn
  target_id        = aws_network_interface.target.private_ip
  port             = 9000
}

resource "aws_acm_certificate" "this" {
  certificate_body = var.certificate
  private_key      = var.private_key
}

resource "aws_acm_certificate" "second" {
  certificate_body = var.certificate
  private_key      = var.private_key
}

resource "aws_lb_listener" "redirect" {
  load_balancer_arn = aws_lb.this.arn
  port              = 28080
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      port        = "28443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "secure" {
  load_balancer_arn = aws_lb.this.arn
  port              = 28443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate.this.arn
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "not here"
      status_code  = "404"
    }
  }
}

resource "aws_lb_listener_certificate" "second" {
  listener_arn    = aws_lb_listener.secure.arn
  certificate_arn = aws_acm_certificate.second.arn
}

resource "aws_lb_listener_rule" "service" {
  for_each     = local.services
  listener_arn = aws_lb_listener.secure.arn
  priority     = each.value.priority
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.service[each.key].arn
  }
  condition {
    path_pattern {
      values = each.value.paths
    }
  }
  condition {
    host_header {
      values = ["${each.key}.example.com", "*.${each.key}.example.com"]
    }
  }
  tags = { stage = var.stage }
}

resource "aws_lb_listener_rule" "weighted" {
  listener_arn = aws_lb_listener.secure.arn
  priority     = 30
  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.service["shop"].arn
        weight = var.stage == "one" ? 90 : 50
      }
      target_group {
        arn    = aws_lb_target_group.service["api"].arn
        weight = var.stage == "one" ? 10 : 50
      }
      stickiness {
        enabled  = true
        duration = 600
      }
    }
  }
  condition {
    http_header {
      http_header_name = "X-Preview"
      values           = ["yes"]
    }
  }
  condition {
    query_string {
      key   = "version"
      value = "2"
    }
  }
}

resource "aws_lb_listener_rule" "sources" {
  listener_arn = aws_lb_listener.secure.arn
  priority     = 40
  action {
    type = "redirect"
    redirect {
      host        = "internal.example.com"
      path        = "/#{path}"
      query       = "#{query}"
      status_code = "HTTP_302"
    }
  }
  condition {
    source_ip {
      values = ["10.0.0.0/8"]
    }
  }
  condition {
    http_request_method {
      values = ["GET", "HEAD"]
    }
  }
}

data "aws_lb" "this" {
  arn = aws_lb.this.arn
}

output "name" {
  value = data.aws_lb.this.dns_name
}
