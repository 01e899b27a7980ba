# Parameters, alarms, dashboards, logs and a requested certificate.

data "aws_caller_identity" "this" {}

resource "aws_ssm_parameter" "text" {
  for_each = {
    host     = { type = "String", value = "db-${var.stage}.internal" }
    password = { type = "SecureString", value = "secret-${var.stage}" }
    zones    = { type = "StringList", value = "a,b" }
  }
  name            = "/watching/${each.key}"
  description     = "Parameter of the stage ${var.stage}"
  type            = each.value.type
  value           = each.value.value
  tier            = "Standard"
  allowed_pattern = each.key == "host" ? "^db-.*$" : null
}

data "aws_ssm_parameter" "host" {
  name       = aws_ssm_parameter.text["host"].name
  depends_on = [aws_ssm_parameter.text]
}

data "aws_ssm_parameters_by_path" "all" {
  path       = "/watching"
  depends_on = [aws_ssm_parameter.text]
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/watching/shop"
  retention_in_days = var.stage == "one" ? 7 : 30
  log_group_class   = "STANDARD"
  tags              = { stage = var.stage }
}

resource "aws_cloudwatch_log_stream" "this" {
  name           = "host"
  log_group_name = aws_cloudwatch_log_group.this.name
}

resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = "errors"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = var.stage == "one" ? "ERROR" : "?ERROR ?FATAL"
  metric_transformation {
    namespace     = "Shop"
    name          = "Errors"
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

resource "aws_iam_role" "stream" {
  name = "watching-stream"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "logs.amazonaws.com" } }]
  })
}

resource "aws_cloudwatch_log_subscription_filter" "stream" {
  name            = "stream"
  log_group_name  = aws_cloudwatch_log_group.this.name
  filter_pattern  = "ERROR"
  destination_arn = "arn:aws:kinesis:${var.region}:${data.aws_caller_identity.this.account_id}:stream/shop"
  role_arn        = aws_iam_role.stream.arn
  distribution    = "Random"
}

resource "aws_cloudwatch_log_resource_policy" "this" {
  policy_name = "watching"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["logs:PutLogEvents", "logs:CreateLogStream"]
      Principal = { Service = "es.amazonaws.com" }
      Resource  = "arn:aws:logs:*"
    }]
  })
}

resource "aws_cloudwatch_query_definition" "slow" {
  name            = "shop/slow"
  log_group_names = [aws_cloudwatch_log_group.this.name]
  query_string    = "fields @timestamp, @message | filter @message like /${var.stage}/ | limit 20"
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "watching-errors"
  alarm_description   = "Errors of the shop"
  namespace           = "Shop"
  metric_name         = "Errors"
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.stage == "one" ? 5 : 10
  period              = 60
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = ["arn:aws:sns:${var.region}:${data.aws_caller_identity.this.account_id}:operators"]
  ok_actions          = ["arn:aws:sns:${var.region}:${data.aws_caller_identity.this.account_id}:operators"]
  tags                = { stage = var.stage }
}

resource "aws_cloudwatch_composite_alarm" "shop" {
  alarm_name        = "watching-shop"
  alarm_description = "stage ${var.stage}"
  alarm_rule        = "ALARM(${aws_cloudwatch_metric_alarm.errors.alarm_name})"
}

resource "aws_cloudwatch_dashboard" "shop" {
  dashboard_name = "shop"
  dashboard_body = jsonencode({
    widgets = [{
      type = "metric", x = 0, y = 0, width = 12, height = 6
      properties = {
        metrics = [["Shop", "Errors"]], period = 60, stat = "Sum", region = var.region, title = "Errors ${var.stage}"
      }
    }]
  })
}

resource "aws_acm_certificate" "requested" {
  domain_name               = "shop.example.com"
  subject_alternative_names = ["www.shop.example.com"]
  validation_method         = "DNS"
  tags                      = { stage = var.stage }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_acm_certificate_validation" "requested" {
  certificate_arn = aws_acm_certificate.requested.arn
}

output "parameters" {
  value = length(data.aws_ssm_parameters_by_path.all.names)
}
