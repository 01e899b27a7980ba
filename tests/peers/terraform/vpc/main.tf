# A network with three tiers in each zone, as a reusable module.

module "network" {
  source          = "./network"
  name            = "shop"
  cidr            = "10.40.0.0/16"
  secondary_cidrs = ["10.41.0.0/16"]
  zones = {
    for index, letter in(var.stage == "one" ? ["a", "b"] : ["a", "b", "c"]) : "${var.region}${letter}" => index
  }
  one_nat_per_zone = true
  flow_logs        = true
  tags             = { stage = var.stage }
}

# A network of an application in a network of its own, with one address translation for all zones.
module "small" {
  source = "./network"
  name   = "small"
  cidr   = "10.50.0.0/16"
  zones  = { "${var.region}a" = 0 }
  tags   = { stage = var.stage }
}

resource "aws_vpc_peering_connection" "small" {
  vpc_id      = module.network.vpc_id
  peer_vpc_id = module.small.vpc_id
  auto_accept = true
  tags        = { Name = "small" }
}

resource "aws_vpc_peering_connection_options" "small" {
  vpc_peering_connection_id = aws_vpc_peering_connection.small.id
  requester {
    allow_remote_vpc_dns_resolution = var.stage == "two"
  }
}

resource "aws_ec2_managed_prefix_list" "offices" {
  name           = "offices"
  address_family = "IPv4"
  max_entries    = 5
  dynamic "entry" {
    for_each = var.stage == "one" ? ["192.0.2.0/24"] : ["192.0.2.0/24", "198.51.100.0/24"]
    content {
      cidr        = entry.value
      description = "office"
    }
  }
}

resource "aws_security_group" "offices" {
  name_prefix = "offices-"
  vpc_id      = module.network.vpc_id
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group_rule" "offices" {
  security_group_id = aws_security_group.offices.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = 22
  to_port           = 22
  prefix_list_ids   = [aws_ec2_managed_prefix_list.offices.id]
  description       = "administrators"
}

data "aws_subnets" "private" {
  filter {
    name   = "vpc-id"
    values = [module.network.vpc_id]
  }
  tags       = { tier = "private" }
  depends_on = [module.network]
}

data "aws_route_table" "public" {
  route_table_id = module.network.public_route_table_id
}

output "private" {
  value = length(data.aws_subnets.private.ids)
}
