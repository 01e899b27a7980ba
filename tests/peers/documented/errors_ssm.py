"""Errors of Systems Manager's Parameter Store."""

from errors import Case, required, unknown

REASONS = {
    "ParameterLimitExceeded": "a quota of 10,000 parameters",
    "ParameterMaxVersionLimitExceeded": "the oldest version of a parameter is deleted unless it has a label",
    "UnsupportedParameterType": "the constraint of `Type` is checked before",
    "HierarchyTypeMismatchException": "types are never mismatched",
    ("GetParametersByPath", "InvalidKeyId"): "keys are not part of the local cloud",
    "InvalidFilterValue": "an invalid value has the code InvalidFilterOption, as clients report",
    "InvalidFilterKey": "the constraint of the key is checked before",
    "InvalidKeyId": "keys are not part of the local cloud",
    "TooManyUpdates": "operations run one after another",
}


def cases(world, model, operations):
    n, ssm = f"/errors-{world.number()}/p", world.client("ssm")
    ssm.put_parameter(Name=n, Value="v", Type="String")
    samples = {
        "Name": n,
        "Names": [n],
        "Labels": ["l"],
        "ParameterVersion": 1,
        "Path": "/errors",
        "ResourceType": "Parameter",
        "ResourceId": n,
        "Tags": [{"Key": "k", "Value": "v"}],
        "TagKeys": ["k"],
        "Value": "v",
        "Type": "String",
    }
    table = {"Name": ("ParameterNotFound", "/none")}
    kept = {("PutParameter", "Name")}
    yield from unknown(model, operations, samples, table, kept)
    for operation in ("AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource"):
        given = required(model, operation, samples)
        yield Case(operation, "InvalidResourceId", {**given, "ResourceId": "/none"})
        yield Case(operation, "InvalidResourceType", {**given, "ResourceType": "Document", "ResourceId": "none"})
    yield Case("GetParameter", "ParameterVersionNotFound", {"Name": f"{n}:9"})
    yield Case("LabelParameterVersion", "ParameterVersionNotFound", {"Name": n, "ParameterVersion": 9, "Labels": ["l"]})
    yield Case(
        "UnlabelParameterVersion", "ParameterVersionNotFound", {"Name": n, "ParameterVersion": 9, "Labels": ["l"]}
    )
    ssm.label_parameter_version(Name=n, Labels=[f"l{number}" for number in range(10)])
    yield Case("LabelParameterVersion", "ParameterVersionLabelLimitExceeded", {"Name": n, "Labels": ["one-more"]})
    for operation in ("DescribeParameters", "GetParameterHistory", "GetParametersByPath"):
        yield Case(operation, "InvalidNextToken", {**required(model, operation, samples), "NextToken": "no token"})
    filters = {"DescribeParameters": {}, "GetParametersByPath": {"Path": "/errors"}}
    for operation, given in filters.items():
        yield Case(
            operation,
            "InvalidFilterOption",
            {**given, "ParameterFilters": [{"Key": "Type", "Option": "None", "Values": ["String"]}]},
        )
    yield Case(
        "PutParameter",
        "ParameterAlreadyExists",
        {"Name": n, "Value": "v", "Type": "String"},
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
    )
    yield Case(
        "PutParameter", "HierarchyLevelLimitExceededException", {"Name": "/a" * 16, "Value": "v", "Type": "String"}
    )
    yield Case(
        "PutParameter",
        "InvalidAllowedPatternException",
        {"Name": f"{n}2", "Value": "v", "Type": "String", "AllowedPattern": "("},
    )
    yield Case(
        "PutParameter",
        "ParameterPatternMismatchException",
        {"Name": f"{n}2", "Value": "v", "Type": "String", "AllowedPattern": "^a$"},
    )
    put = {"Name": f"{n}3", "Value": "v", "Type": "String", "Tier": "Advanced"}
    policy = '{{"Type":"{}","Version":"1.0","Attributes":{}}}'
    yield Case("PutParameter", "InvalidPolicyTypeException", {**put, "Policies": f"[{policy.format('None', '{}')}]"})
    yield Case(
        "PutParameter", "InvalidPolicyAttributeException", {**put, "Policies": f"[{policy.format('Expiration', '{}')}]"}
    )
    expiration = policy.format("Expiration", '{"Timestamp":"2099-01-01T00:00:00.000Z"}')
    yield Case("PutParameter", "IncompatiblePolicyException", {**put, "Policies": f"[{expiration},{expiration}]"})
    many = ",".join(policy.format("NoChangeNotification", f'{{"After":"{day}","Unit":"Days"}}') for day in range(1, 12))
    yield Case("PutParameter", "PoliciesLimitExceededException", {**put, "Policies": f"[{many}]"})
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
    yield Case("AddTagsToResource", "TooManyTagsError", {"ResourceType": "Parameter", "ResourceId": n, "Tags": tags})
