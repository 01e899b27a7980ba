# PostgreSQL with its groups, a replica, a snapshot, a cluster and the subscription of events.

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_rds_engine_version" "postgres" {
  engine  = "postgres"
  version = "15"
  latest  = true
}

data "aws_iam_policy_document" "monitoring" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name               = "databases-monitoring"
  assume_role_policy = data.aws_iam_policy_document.monitoring.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_db_subnet_group" "this" {
  name        = "databases"
  description = "Subnets of the databases, stage ${var.stage}"
  subnet_ids  = data.aws_subnets.default.ids
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "databases-"
  family      = "postgres15"
  description = "Logging"
  parameter {
    name  = "log_min_duration_statement"
    value = var.stage == "one" ? "1000" : "2000"
  }
  parameter {
    name         = "max_connections"
    value        = "60"
    apply_method = "pending-reboot"
  }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_option_group" "this" {
  name                     = "databases"
  engine_name              = "postgres"
  major_engine_version     = "15"
  option_group_description = "No options"
}

resource "aws_security_group" "this" {
  name   = "databases"
  vpc_id = data.aws_vpc.default.id
}

resource "aws_db_instance" "this" {
  identifier                      = "databases"
  engine                          = "postgres"
  engine_version                  = "15"
  instance_class                  = "db.t3.micro"
  allocated_storage               = 20
  max_allocated_storage           = var.stage == "one" ? 50 : 100
  storage_type                    = "gp3"
  db_name                         = "shop"
  username                        = "owner"
  password                        = "a-long-password-${var.stage}"
  port                            = 5432
  db_subnet_group_name            = aws_db_subnet_group.this.name
  parameter_group_name            = aws_db_parameter_group.this.name
  option_group_name               = aws_db_option_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  backup_retention_period         = 7
  backup_window                   = "03:00-04:00"
  maintenance_window              = "mon:05:00-mon:06:00"
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports = ["postgresql"]
  copy_tags_to_snapshot           = true
  auto_minor_version_upgrade      = false
  deletion_protection             = false
  skip_final_snapshot             = true
  apply_immediately               = true
  tags                            = { stage = var.stage }
}

resource "aws_db_instance" "replica" {
  identifier             = "databases-replica"
  replicate_source_db    = aws_db_instance.this.identifier
  instance_class         = "db.t3.micro"
  max_allocated_storage  = aws_db_instance.this.max_allocated_storage
  parameter_group_name   = aws_db_parameter_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  skip_final_snapshot    = true
  apply_immediately      = true
  tags                   = { stage = var.stage }
  # A database is not copied while a snapshot of it is created.
  depends_on = [aws_db_snapshot.this]
}

resource "aws_db_snapshot" "this" {
  db_instance_identifier = aws_db_instance.this.identifier
  db_snapshot_identifier = "databases-first"
  tags                   = { stage = var.stage }
}

resource "aws_rds_cluster_parameter_group" "this" {
  name   = "databases-cluster"
  family = "aurora-postgresql15"
  parameter {
    name  = "log_min_duration_statement"
    value = var.stage == "one" ? "1000" : "2000"
  }
}

resource "aws_rds_cluster" "this" {
  cluster_identifier              = "databases"
  engine                          = "aurora-postgresql"
  engine_version                  = "15"
  database_name                   = "shop"
  master_username                 = "owner"
  master_password                 = "a-long-password-${var.stage}"
  db_subnet_group_name            = aws_db_subnet_group.this.name
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  backup_retention_period         = var.stage == "one" ? 1 : 2
  skip_final_snapshot             = true
  apply_immediately               = true
}

resource "aws_rds_cluster_instance" "this" {
  count              = 2
  identifier         = "databases-${count.index}"
  cluster_identifier = aws_rds_cluster.this.id
  engine             = aws_rds_cluster.this.engine
  engine_version     = aws_rds_cluster.this.engine_version
  instance_class     = "db.t3.medium"
  promotion_tier     = count.index
  apply_immediately  = true
}

resource "aws_db_cluster_snapshot" "this" {
  db_cluster_identifier          = aws_rds_cluster.this.id
  db_cluster_snapshot_identifier = "databases-cluster-first"
  depends_on                     = [aws_rds_cluster_instance.this]
}

