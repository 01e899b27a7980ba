# Instances with volumes, addresses and several interfaces, and their images.

data "aws_vpc" "default" {
  default = true
}

data "aws_caller_identity" "this" {}

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

data "aws_ec2_instance_type" "this" {
  instance_type = "t3.micro"
}

resource "aws_default_vpc" "this" {
  tags = { stage = var.stage }
}

resource "aws_default_subnet" "this" {
  availability_zone = "${var.region}a"
}

resource "aws_key_pair" "this" {
  key_name_prefix = "compute-"
  public_key      = var.public_key
}

resource "aws_placement_group" "this" {
  name     = "compute"
  strategy = "spread"
}

resource "aws_security_group" "this" {
  count       = 2
  name_prefix = "compute-"
  vpc_id      = data.aws_vpc.default.id
}

resource "aws_network_interface" "primary" {
  subnet_id         = aws_default_subnet.this.id
  security_groups   = [aws_security_group.this[0].id]
  private_ips       = [cidrhost(aws_default_subnet.this.cidr_block, 50), cidrhost(aws_default_subnet.this.cidr_block, 51)]
  source_dest_check = false
  description       = "primary, stage ${var.stage}"
}

resource "aws_network_interface" "second" {
  subnet_id         = aws_default_subnet.this.id
  security_groups   = [aws_security_group.this[1].id]
  private_ips_count = var.stage == "one" ? 1 : 2
  description       = "second"
}

resource "aws_network_interface" "third" {
  subnet_id = aws_default_subnet.this.id
  attachment {
    instance     = aws_instance.plain.id
    device_index = 1
  }
}

resource "aws_network_interface" "spare" {
  subnet_id = aws_default_subnet.this.id
}

resource "aws_instance" "router" {
  ami           = data.aws_ami.debian.id
  instance_type = "t3.small"
  key_name      = aws_key_pair.this.key_name
  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.primary.id
  }
  tags = { Name = "router", stage = var.stage }
}

resource "aws_network_interface_attachment" "second" {
  instance_id          = aws_instance.router.id
  network_interface_id = aws_network_interface.second.id
  device_index         = 1
}

resource "aws_network_interface_sg_attachment" "second" {
  network_interface_id = aws_instance.plain.primary_network_interface_id
  security_group_id    = aws_security_group.this[1].id
}

resource "aws_instance" "plain" {
  ami                                  = data.aws_ami.debian.id
  instance_type                        = var.stage == "one" ? "t3.micro" : "t3.small"
  subnet_id                            = aws_default_subnet.this.id
  placement_group                      = aws_placement_group.this.name
  secondary_private_ips                = [cidrhost(aws_default_subnet.this.cidr_block, 61)]
  source_dest_check                    = var.stage == "one"
  disable_api_termination              = false
  instance_initiated_shutdown_behavior = "stop"
  monitoring                           = var.stage == "two"
  user_data                            = "#cloud-config\n{}\n"
  root_block_device {
    volume_size = 10
    volume_type = "gp3"
    tags        = { Name = "root" }
  }
  ebs_block_device {
    device_name           = "/dev/sdf"
    volume_size           = 5
    delete_on_termination = true
  }
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = var.stage == "one" ? 1 : 2
  }
  credit_specification {
    cpu_credits = "standard"
  }
  tags = { Name = "plain", stage = var.stage }
  lifecycle {
    ignore_changes = [vpc_security_group_ids]
  }
}

resource "aws_ec2_instance_state" "plain" {
  instance_id = aws_instance.plain.id
  state       = "running"
}

resource "aws_ec2_tag" "plain" {
  resource_id = aws_instance.plain.primary_network_interface_id
  key         = "team"
  value       = var.stage
}

# Addresses: of an instance, of an interface that no instance has, and associated by a resource of its own.

resource "aws_eip" "instance" {
  domain   = "vpc"
  instance = aws_instance.plain.id
}

resource "aws_eip" "interface" {
  domain            = "vpc"
  network_interface = aws_network_interface.spare.id
}

resource "aws_eip" "associated" {
  domain = "vpc"
}

resource "aws_eip_association" "associated" {
  allocation_id        = aws_eip.associated.id
  network_interface_id = aws_network_interface.primary.id
  depends_on           = [aws_instance.router]
}

# Volumes.

resource "aws_ebs_volume" "data" {
  availability_zone = "${var.region}a"
  size              = var.stage == "one" ? 5 : 6
  type              = "gp3"
  iops              = 3000
  throughput        = 125
  tags              = { stage = var.stage }
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdg"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.router.id
}

resource "aws_ebs_snapshot" "data" {
  volume_id   = aws_ebs_volume.data.id
  description = "Copy of the data"
}

resource "aws_ebs_snapshot_copy" "data" {
  source_snapshot_id = aws_ebs_snapshot.data.id
  source_region      = var.region
}

resource "aws_snapshot_create_volume_permission" "data" {
  snapshot_id = aws_ebs_snapshot.data.id
  account_id  = "210987654321"
}

resource "aws_ebs_encryption_by_default" "this" {
  enabled = var.stage == "two"
}

# Images.

resource "aws_ami_from_instance" "plain" {
  name                    = "compute"
  source_instance_id      = aws_instance.plain.id
  snapshot_without_reboot = true
}

resource "aws_ami_copy" "plain" {
  name              = "compute-copy"
  description       = "stage ${var.stage}"
  source_ami_id     = aws_ami_from_instance.plain.id
  source_ami_region = var.region
}

resource "aws_ami_launch_permission" "account" {
  image_id   = aws_ami_copy.plain.id
  account_id = "210987654321"
}

resource "aws_ami_launch_permission" "everyone" {
  count    = var.stage == "two" ? 1 : 0
  image_id = aws_ami_from_instance.plain.id
  group    = "all"
}

# A template with the interface of its instances.

resource "aws_launch_template" "this" {
  name        = "compute"
  description = "stage ${var.stage}"
  image_id    = data.aws_ami.debian.id
  network_interfaces {
    device_index                = 0
    associate_public_ip_address = true
    delete_on_termination       = true
    security_groups             = [aws_security_group.this[0].id]
  }
  placement {
    availability_zone = "${var.region}a"
  }
  instance_type = var.stage == "one" ? "t3.micro" : "t3.small"
}

data "aws_instances" "running" {
  instance_tags = { Name = "router" }
  depends_on    = [aws_instance.router]
}

output "routers" {
  value = data.aws_instances.running.ids
}
