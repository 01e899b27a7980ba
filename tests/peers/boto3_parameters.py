#!/usr/bin/env python3
"""Compares the operations of a running local cloud, and the names of their parameters, with botocore's models of AWS.

Usage: boto3_parameters.py ENDPOINT          (needs: pip install boto3)
"""

import difflib

import botocore.session

from common import administration
from models import MODELS, parameter_names


def similar(name, names):
    close = difflib.get_close_matches(name, names, 3)
    return f" (similar: {', '.join(close)})" if close else ""


def unknown_names(service, operations, model):
    """Yields a line for each operation and parameter that AWS does not have."""
    for operation, parameters in operations.items():
        if operation not in model.operation_names:
            yield f"{service}:{operation} is not an operation{similar(operation, model.operation_names)}"
            continue
        names = parameter_names(model, operation)
        for name in sorted({*parameters["honoured"], *parameters["ignored"]} - names):
            yield f"{service}:{operation} has no parameter {name}{similar(name, names)}"


def main():
    session = botocore.session.get_session()
    ec2, rds, ssm = (session.get_service_model(name) for name in ("ec2", "rds", "ssm"))
    assert "Filter.N.Value.N" in parameter_names(ec2, "DescribeInstances")
    assert "Filters.Filter.N.Values.Value.N" in parameter_names(rds, "DescribeDBInstances")
    assert "Tags.Key" in parameter_names(ssm, "PutParameter")
    invented = {"RunInstance": {}, "StopInstances": {"honoured": ["InstanceIds.N"], "ignored": []}}
    assert len([*unknown_names("ec2", invented, ec2)]) == 2

    services = administration("operations")
    models = {service: session.get_service_model(MODELS.get(service, service)) for service in services}
    found = [line for service in services for line in unknown_names(service, services[service], models[service])]
    assert not found, "\n".join(["botocore does not know these names:", *found])
    assert "MetricData.StatisticValues.Sum" in services["monitoring"]["PutMetricData"]["honoured"]
    print(f"{sum(len(operations) for operations in services.values())} operations have AWS's parameters")


main()
