variable "name" {
  type = string
}

variable "cidr" {
  type = string
}

variable "secondary_cidrs" {
  type    = list(string)
  default = []
}

variable "zones" {
  type        = map(number)
  description = "Position of each zone, from which the ranges of its subnets follow."
}

variable "one_nat_per_zone" {
  type    = bool
  default = false
}

variable "flow_logs" {
  type    = bool
  default = false
}

variable "tags" {
  type = map(string)
}

locals {
  zones     = keys(var.zones)
  nat_zones = var.one_nat_per_zone ? toset(local.zones) : toset([local.zones[0]])
}

data "aws_region" "current" {}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  instance_tenancy     = "default"
  tags                 = merge(var.tags, { Name = var.name })
}

resource "aws_vpc_ipv4_cidr_block_association" "this" {
  for_each   = toset(var.secondary_cidrs)
  vpc_id     = aws_vpc.this.id
  cidr_block = each.value
}

resource "aws_vpc_dhcp_options" "this" {
  domain_name         = "${var.name}.internal"
  domain_name_servers = ["AmazonProvidedDNS"]
  ntp_servers         = ["169.254.169.123"]
  tags                = merge(var.tags, { Name = var.name })
}

resource "aws_vpc_dhcp_options_association" "this" {
  vpc_id          = aws_vpc.this.id
  dhcp_options_id = aws_vpc_dhcp_options.this.id
}

# The defaults of the network, adopted and emptied.

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-default" }
}

resource "aws_default_network_acl" "this" {
  default_network_acl_id = aws_vpc.this.default_network_acl_id
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }
  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }
  tags = { Name = "${var.name}-default" }
  lifecycle {
    ignore_changes = [subnet_ids]
  }
}

resource "aws_default_route_table" "this" {
  default_route_table_id = aws_vpc.this.default_route_table_id
  route                  = []
  tags                   = { Name = "${var.name}-default" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

# The public tier.

resource "aws_subnet" "public" {
  for_each                = var.zones
  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.cidr, 8, each.value)
  map_public_ip_on_launch = true
  tags                    = merge(var.tags, { Name = "${var.name}-public-${each.key}", tier = "public" })
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
  timeouts {
    create = "5m"
  }
}

resource "aws_route_table_association" "public" {
  for_each       = aws_subnet.public
  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_network_acl" "public" {
  vpc_id     = aws_vpc.this.id
  subnet_ids = [for subnet in aws_subnet.public : subnet.id]
  tags       = { Name = "${var.name}-public" }
}

resource "aws_network_acl_rule" "public" {
  for_each = {
    web       = { number = 100, egress = false, from = 80, to = 80 }
    secure    = { number = 110, egress = false, from = 443, to = 443 }
    responses = { number = 120, egress = false, from = 1024, to = 65535 }
    outgoing  = { number = 100, egress = true, from = 0, to = 65535 }
  }
  network_acl_id = aws_network_acl.public.id
  rule_number    = each.value.number
  egress         = each.value.egress
  protocol       = "tcp"
  rule_action    = "allow"
  from_port      = each.value.from
  to_port        = each.value.to
  cidr_block     = "0.0.0.0/0"
}

resource "aws_eip" "nat" {
  for_each = local.nat_zones
  domain   = "vpc"
  tags     = { Name = "${var.name}-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each      = local.nat_zones
  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
  depends_on    = [aws_internet_gateway.this]
}

# The private tier, with a route table in each zone.

resource "aws_subnet" "private" {
  for_each                            = var.zones
  vpc_id                              = aws_vpc.this.id
  availability_zone                   = each.key
  cidr_block                          = cidrsubnet(var.cidr, 8, 10 + each.value)
  private_dns_hostname_type_on_launch = "ip-name"
  tags                                = { Name = "${var.name}-private-${each.key}", tier = "private" }
}

resource "aws_route_table" "private" {
  for_each = var.zones
  vpc_id   = aws_vpc.this.id
  tags     = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "nat" {
  for_each               = var.zones
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.one_nat_per_zone ? each.key : local.zones[0]].id
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

# The tier of the databases, without a route to the internet, and a tier of the secondary range.

resource "aws_subnet" "database" {
  for_each          = var.zones
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 8, 20 + each.value)
  tags              = { Name = "${var.name}-database-${each.key}", tier = "database" }
}

resource "aws_subnet" "secondary" {
  for_each          = length(var.secondary_cidrs) > 0 ? var.zones : {}
  vpc_id            = aws_vpc_ipv4_cidr_block_association.this[var.secondary_cidrs[0]].vpc_id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.secondary_cidrs[0], 8, each.value)
  tags              = { Name = "${var.name}-secondary-${each.key}", tier = "secondary" }
}

resource "aws_db_subnet_group" "database" {
  count      = length(var.zones) > 1 ? 1 : 0
  name       = lower(var.name)
  subnet_ids = [for subnet in aws_subnet.database : subnet.id]
}

# Endpoints of services.

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.name}.s3"
  vpc_endpoint_type = "Gateway"
  tags              = { Name = "${var.name}-s3" }
}

resource "aws_vpc_endpoint_route_table_association" "s3" {
  for_each        = aws_route_table.private
  vpc_endpoint_id = aws_vpc_endpoint.s3.id
  route_table_id  = each.value.id
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "HTTPS from the network"
  vpc_id      = aws_vpc.this.id
  ingress {
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = [var.cidr]
  }
}

resource "aws_vpc_endpoint" "ssm" {
  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${data.aws_region.current.name}.ssm"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = { Name = "${var.name}-ssm" }
}

# Flow logs.

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "write" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogGroups", "logs:DescribeLogStreams"]
    resources = ["*"]
  }
}

resource "aws_cloudwatch_log_group" "flow" {
  count             = var.flow_logs ? 1 : 0
  name              = "/vpc/${var.name}"
  retention_in_days = 7
}

resource "aws_iam_role" "flow" {
  count              = var.flow_logs ? 1 : 0
  name_prefix        = "${var.name}-flow-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "flow" {
  count       = var.flow_logs ? 1 : 0
  name_prefix = "write-"
  role        = aws_iam_role.flow[0].id
  policy      = data.aws_iam_policy_document.write.json
}

resource "aws_flow_log" "this" {
  count                    = var.flow_logs ? 1 : 0
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  iam_role_arn             = aws_iam_role.flow[0].arn
  log_destination          = aws_cloudwatch_log_group.flow[0].arn
  max_aggregation_interval = 60
  tags                     = var.tags
}

output "vpc_id" {
  value = aws_vpc.this.id
}

output "public_route_table_id" {
  value = aws_route_table.public.id
}
