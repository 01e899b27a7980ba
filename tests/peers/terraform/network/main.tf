# Networks, as a Terraform user would write them.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}
variable "endpoint" { type = string }
variable "stage" { default = "one" }
provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    ec2 = var.endpoint
    sts = var.endpoint
  }
}
provider "aws" {
  alias                       = "ohio"
  region                      = "us-east-2"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    ec2 = var.endpoint
    sts = var.endpoint
  }
}
data "aws_availability_zones" "here" { state = "available" }
data "aws_caller_identity" "me" {}
data "aws_vpc" "default" { default = true }
data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
data "aws_internet_gateway" "default" {
  filter {
    name   = "attachment.vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
resource "aws_vpc" "ours" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  tags                 = { stage = var.stage }
}
resource "aws_vpc" "theirs" {
  provider   = aws.ohio
  cidr_block = "10.1.0.0/16"
}
resource "aws_vpc" "near" { cidr_block = "10.2.0.0/16" }
resource "aws_subnet" "public" {
  vpc_id                  = aws_vpc.ours.id
  cidr_block              = "10.0.0.0/24"
  availability_zone       = data.aws_availability_zones.here.names[0]
  map_public_ip_on_launch = true
  tags                    = { stage = var.stage }
}
resource "aws_subnet" "private" {
  vpc_id     = aws_vpc.ours.id
  cidr_block = "10.0.1.0/24"
}
resource "aws_internet_gateway" "door" { vpc_id = aws_vpc.ours.id }
resource "aws_eip" "nat" { domain = "vpc" }
resource "aws_nat_gateway" "nat" {
  subnet_id     = aws_subnet.public.id
  allocation_id = aws_eip.nat.id
  depends_on    = [aws_internet_gateway.door]
}
resource "aws_route_table" "public" {
  vpc_id = aws_vpc.ours.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.door.id
  }
}
resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}
resource "aws_route_table" "private" { vpc_id = aws_vpc.ours.id }
resource "aws_route" "out" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.nat.id
}
resource "aws_main_route_table_association" "private" {
  vpc_id         = aws_vpc.ours.id
  route_table_id = aws_route_table.private.id
}
resource "aws_vpc_peering_connection" "far" {
  vpc_id      = aws_vpc.ours.id
  peer_vpc_id = aws_vpc.theirs.id
  peer_region = "us-east-2"
}
resource "aws_vpc_peering_connection_accepter" "far" {
  provider                  = aws.ohio
  vpc_peering_connection_id = aws_vpc_peering_connection.far.id
  auto_accept               = true
}
resource "aws_vpc_peering_connection" "near" {
  vpc_id      = aws_vpc.ours.id
  peer_vpc_id = aws_vpc.near.id
  auto_accept = true
  accepter { allow_remote_vpc_dns_resolution = true }
  requester { allow_remote_vpc_dns_resolution = true }
}
resource "aws_route" "far" {
  route_table_id            = aws_route_table.private.id
  destination_cidr_block    = aws_vpc.theirs.cidr_block
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.far.id
}
resource "aws_security_group" "web" {
  name   = "web"
  vpc_id = aws_vpc.ours.id
}
resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id = aws_security_group.web.id
  cidr_ipv4         = "10.0.0.0/8"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
  description       = var.stage
  tags              = { stage = var.stage }
}
resource "aws_vpc_security_group_egress_rule" "web" {
  security_group_id = aws_security_group.web.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}
resource "aws_security_group_rule" "self" {
  type              = "ingress"
  security_group_id = aws_security_group.web.id
  self              = true
  protocol          = "tcp"
  from_port         = 9
  to_port           = 9
}
