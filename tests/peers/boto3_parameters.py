#!/usr/bin/env python3
"""Compares the operations of a running local cloud, and the names of their parameters, with botocore's models of AWS.

Usage: boto3_parameters.py ENDPOINT          (needs: pip install boto3)
"""

import difflib

import botocore.session

from common import administration

# Models whose names differ from their credential scopes.
MODELS = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "cloudcontrolapi": "cloudcontrol"}


def query_member(name, shape):
    """Returns the name of a structure's member in the Query protocol."""
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        return shape.member.serialization.get("name", name)
    return shape.serialization.get("name", name)


def ec2_member(name, shape):
    """Returns the name of a structure's member in EC2's protocol."""
    if "queryName" in shape.serialization:
        return shape.serialization["queryName"]
    name = shape.serialization.get("name", name)
    return name[0].upper() + name[1:]


def form_names(shape, protocol, path=(), outer=()):
    """Returns the names of a form's parameters, as operation tables write them: `Filter.N.Value.N`."""
    if shape.name in outer:
        return set()
    outer = (*outer, shape.name)
    flattened = protocol == "ec2" or shape.serialization.get("flattened")
    if shape.type_name == "structure":
        member_name = ec2_member if protocol == "ec2" else query_member
        members = [(member, (*path, member_name(name, member))) for name, member in shape.members.items()]
    elif shape.type_name == "list":
        element = shape.member.serialization.get("name", "member")
        members = [(shape.member, (*path, "N") if flattened or element == "member" else (*path, element, "N"))]
    elif shape.type_name == "map":
        entry = (*path, "N") if flattened else (*path, "entry", "N")
        sides = [(shape.key, "key"), (shape.value, "value")]
        members = [(side, (*entry, side.serialization.get("name", name))) for side, name in sides]
    else:
        return {".".join(path)}
    # Clients send an empty list as its bare name.
    names = {".".join(path)} if shape.type_name == "list" else set()
    return names.union(*(form_names(member, protocol, inner, outer) for member, inner in members))


def document_names(shape, path=(), outer=()):
    """Returns the names of the members of a request in JSON, and after a dot those of the structures in it."""
    while shape.type_name == "list":
        shape = shape.member
    names = {".".join(path)} - {""}
    if shape.type_name != "structure" or shape.name in outer:
        return names
    outer = (*outer, shape.name)
    return names.union(*(document_names(member, (*path, name), outer) for name, member in shape.members.items()))


def parameter_names(model, operation):
    """Returns the names of an operation's parameters."""
    shape = model.operation_model(operation).input_shape
    if shape is None:
        return set()
    protocol = model.metadata["protocol"]
    return form_names(shape, protocol) if protocol in ("ec2", "query") else document_names(shape)


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
