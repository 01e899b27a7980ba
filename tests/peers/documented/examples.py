"""Executes the examples of the API reference, which botocore contains (`examples-1.json`, Apache License 2.0), and compares
the answers with the documented ones.

A member of a documented output must be present with the same type. Its value must be the same, unless it is an id, a name,
a time or another text that depends on the account (`VARYING`), or the preparation explains the difference. Texts of the
input are replaced by actual ones (`Example.actual`), and have to be in the output wherever the documentation has them.
"""

import datetime
import re

import botocore.session
from botocore.exceptions import ClientError

from world import DOCUMENTED_ACCOUNT, Example

VARYING = re.compile(
    r"(Id|IDs?|Ids|Arns?|ARN|Time|Date|Timestamp|Names?|Key|Token|Addresse?s?|Ip|IpAddress|Location|ETag|Zone|Cause|Details|"
    r"Ciphers|Marker|Fingerprint|Endpoint|CreatedBy|Initiated|LastModified|Secret|Owner|Password|Path|PasswordLastUsed|"
    r"Document|Policy|Output|Snapshot|Description|Reason|StatusReason|Code|Message|Initiator|SerialNumber|Bucket)$"
)


class Failure(Exception):
    """An answer that differs from the documented one."""


def documented(service, session):
    """Returns the examples of a service, by operation."""
    try:
        return session.get_component("data_loader").load_service_model(service, "examples-1")["examples"]
    except Exception as error:
        if type(error).__name__ == "UnknownServiceError":
            return {}
        raise


def run(world, service, operation, document, preparation):
    """Executes an example. Raises `Failure` or `ClientError`."""
    model = world.client(service).meta.service_model.operation_model(operation)
    example = Example(world, service, operation, document)
    example.input = typed(example.input, model.input_shape)
    try:
        preparation.prepare(example)
        answer = example.call(operation, **replaced(example.input, example.actual, world.account))
        answer.pop("ResponseMetadata")
        if "NatGateway" in answer:
            example.facts["nat"] = answer["NatGateway"]["NatGatewayId"]
    finally:
        example.clean()
    expected = replaced(example.output or {}, example.actual, world.account)
    differences = list(compare(model.output_shape, expected, answer, (), preparation.DIFFERENCES, operation))
    if differences:
        raise Failure("; ".join(differences))


def typed(value, shape):
    """Returns the value with numbers where the examples have digits in texts."""
    if shape is None or value is None:
        return {}
    if shape.type_name == "structure":
        return {name: typed(inner, shape.members[name]) for name, inner in value.items() if name in shape.members}
    if shape.type_name == "list":
        return [typed(inner, shape.member) for inner in (value if isinstance(value, list) else [value])]
    if shape.type_name == "map":
        return {key: typed(inner, shape.value) for key, inner in value.items()}
    if shape.type_name in ("integer", "long") and isinstance(value, str):
        return int(value)
    return value


def replaced(value, actual, account):
    """Returns the value with the actual texts in place of the documented ones."""
    if isinstance(value, dict):
        return {name: replaced(inner, actual, account) for name, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, actual, account) for inner in value]
    if isinstance(value, str):
        return actual.get(value, value.replace(DOCUMENTED_ACCOUNT, account))
    return value


def compare(shape, expected, answer, path, known, operation):
    """Yields the differences of an answer from the documented output."""
    where = ".".join(path)
    if shape is None or (operation, where) in known:
        return
    if shape.type_name == "structure":
        for name, inner in expected.items():
            if name not in shape.members or (operation, ".".join((*path, name))) in known:
                continue
            if name not in answer:
                # An empty text or list may be absent.
                if inner not in ("", [], {}, None):
                    yield f"{where}{'.' if where else ''}{name} is missing"
                continue
            yield from compare(shape.members[name], inner, answer[name], (*path, name), known, operation)
    elif shape.type_name == "list":
        if not isinstance(answer, list):
            yield f"{where} is no list"
            return
        for inner in expected:
            found = [list(compare(shape.member, inner, one, path, known, operation)) for one in answer]
            best = min(found, key=len, default=[f"{where} is empty"])
            yield from best[:3]
    elif shape.type_name == "map":
        for key in expected:
            if key not in answer:
                yield f"{where} has no {key}"
    elif shape.type_name == "timestamp":
        if not isinstance(answer, datetime.datetime):
            yield f"{where} is no time"
    elif shape.type_name in ("boolean", "integer", "long", "double", "float"):
        number = str(expected).lower() if shape.type_name == "boolean" else str(expected)
        if number != str(answer).lower():
            yield f"{where} is {answer} instead of {expected}"
    elif shape.type_name == "string" and expected != answer:
        if not answer or (shape.enum and expected in shape.enum) or not path or not VARYING.search(path[-1]):
            yield f"{where} is {answer!r} instead of {expected!r}"


def code_of(error):
    return (
        f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        if isinstance(error, ClientError)
        else f"{type(error).__name__}: {error}"
    )


def session():
    return botocore.session.get_session()
