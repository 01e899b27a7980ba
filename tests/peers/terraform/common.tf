# Variables and the provider of the configurations that declare none. The variable AWS_ENDPOINT_URL selects the endpoint.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "region" {
  type        = string
  description = "Region of this configuration alone, so that configurations which run at the same time share no quota."
}

variable "stage" {
  type        = string
  description = "Value that changes resources in place: first one, then two."
}

variable "certificate" {
  type = string
}

variable "private_key" {
  type      = string
  sensitive = true
}

variable "public_key" {
  type = string
}

provider "aws" {
  region                  = var.region
  s3_use_path_style       = true
  skip_metadata_api_check = true
  default_tags {
    tags = { owner = "terraform" }
  }
}
