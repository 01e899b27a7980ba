"""Finds Terraform's AWS provider on this machine.

Usage: plugins.py DIRECTORY      prints the path of a CLI configuration for Terraform, which may be created in DIRECTORY;
                                 prints nothing when the provider is not installed
"""

import glob
import os
import sys


def configuration(place):
    """Returns the path of a CLI configuration with which Terraform finds its AWS provider offline; None if not installed."""
    given = os.environ.get("INFRA_TERRAFORM_PLUGINS")
    configured = os.environ.get("TF_CLI_CONFIG_FILE")
    if not given and configured and os.path.exists(configured):
        return configured
    common = ["/opt/*", "/usr/share/terraform/*", "/usr/local/share/terraform/*", "~/.terraform.d/*"]
    for pattern in [given] if given else common:
        for directory in glob.glob(os.path.expanduser(pattern)):
            if os.path.isdir(os.path.join(directory, "registry.terraform.io/hashicorp/aws")):
                path = os.path.join(place, "terraformrc")
                with open(path, "w") as file:
                    file.write(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{directory}"\n  }}\n}}\n')
                return path
    return None


if __name__ == "__main__":
    print(configuration(sys.argv[1]) or "", end="")
