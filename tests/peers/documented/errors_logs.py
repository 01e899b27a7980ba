"""Errors of CloudWatch Logs."""

from errors import Case, required, unknown

REASONS = {
    "LimitExceededException": "quotas beyond those of the cases",
    "InvalidSequenceTokenException": "AWS no longer checks sequence tokens, as the API reference says",
    "DataAlreadyAcceptedException": "AWS no longer checks sequence tokens, as the API reference says",
    "UnrecognizedClientException": "the signature is checked before the operation",
    "InvalidOperationException": "protection and storage tiers of log groups",
    "ValidationException": "violated constraints have the code InvalidParameterException",
    ("DescribeMetricFilters", "ResourceNotFoundException"): "an absent group has no filters",
    ("TestMetricFilter", "InvalidParameterException"): "checked by the constraints",
    ("DescribeQueryDefinitions", "InvalidParameterException"): "checked by the constraints",
    ("DeleteQueryDefinition", "InvalidParameterException"): "checked by the constraints",
    ("DescribeResourcePolicies", "ResourceNotFoundException"): "only with the ARN of a resource, which is refused by name",
    ("DescribeResourcePolicies", "InvalidParameterException"): "checked by the constraints",
    ("DeleteResourcePolicy", "InvalidParameterException"): "checked by the constraints",
    ("PutResourcePolicy", "ResourceNotFoundException"): "only with the ARN of a resource, which is refused by name",
}


def cases(world, model, operations):
    n, logs = f"errors-{world.number()}", world.client("logs")
    logs.create_log_group(logGroupName=n)
    logs.create_log_stream(logGroupName=n, logStreamName=n)
    arn = f"arn:aws:logs:us-east-1:{world.account}:log-group:"
    event = [{"timestamp": 1, "message": "m"}]
    samples = {
        "logGroupName": n,
        "logStreamName": n,
        "filterName": n,
        "filterPattern": "",
        "retentionInDays": 7,
        "tags": {"k": "v"},
        "tagKeys": ["k"],
        "resourceArn": f"{arn}{n}",
        "logEvents": event,
        "destinationArn": "arn:aws:lambda:us-east-1:1:function:f",
        "metricTransformations": [{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        "logEventMessages": ["m"],
        ("UntagLogGroup", "tags"): ["k"],
        "queryId": "00000000-0000-0000-0000-000000000000",
        "queryString": "fields @message",
        "startTime": 0,
        "endTime": 1,
        "queryDefinitionId": "00000000-0000-0000-0000-000000000000",
        "name": n,
        "policyName": n,
        "kmsKeyId": "arn:aws:kms:us-east-1:1:key/k",
    }
    table = {
        "logGroupName": ("ResourceNotFoundException", "none", "The specified log group does not exist."),
        "resourceArn": ("ResourceNotFoundException", f"{arn}none"),
    }
    kept = {("CreateLogGroup", "logGroupName"), ("DescribeMetricFilters", "logGroupName")}
    # Policies of single resources are refused by name.
    kept |= {(operation, "resourceArn") for operation in operations if operation.endswith(("ResourcePolicy", "ResourcePolicies"))}
    yield from unknown(model, operations, samples, table, kept)
    for operation in ("DeleteLogStream", "GetLogEvents", "PutLogEvents"):
        yield Case(
            operation,
            "ResourceNotFoundException",
            {**required(model, operation, samples), "logGroupName": n, "logStreamName": "none"},
            "The specified log stream does not exist.",
        )
    for operation in ("DeleteMetricFilter", "DeleteSubscriptionFilter"):
        yield Case(operation, "ResourceNotFoundException", {"logGroupName": n, "filterName": "none"})
    yield Case("DeleteResourcePolicy", "ResourceNotFoundException", {"policyName": "none"})
    yield Case("PutResourcePolicy", "InvalidParameterException", {"policyName": n, "policyDocument": "{"})
    definition = samples_of(samples, "queryDefinitionId")
    yield Case("DeleteQueryDefinition", "ResourceNotFoundException", definition)
    changed = {**definition, **samples_of(samples, "name", "queryString")}
    yield Case("PutQueryDefinition", "ResourceNotFoundException", changed)
    yield Case("GetQueryResults", "ResourceNotFoundException", {"queryId": samples["queryId"]})
    yield Case("StopQuery", "ResourceNotFoundException", {"queryId": samples["queryId"]})
    if "StartQuery" in operations:
        started = logs.start_query(**samples_of(samples, "startTime", "endTime", "logGroupName", "queryString"))
        yield Case("StopQuery", "InvalidParameterException", {"queryId": started["queryId"]}, "is not running")
    yield Case(
        "StartQuery",
        "MalformedQueryException",
        {**samples_of(samples, "startTime", "endTime", "logGroupName"), "queryString": "nonsense |"},
    )
    yield Case(
        "CreateLogGroup",
        "ResourceAlreadyExistsException",
        {"logGroupName": n},
        "The specified log group already exists",
    )
    yield Case(
        "CreateLogStream",
        "ResourceAlreadyExistsException",
        {"logGroupName": n, "logStreamName": n},
        "The specified log stream already exists",
    )
    for operation in operations:
        shape = model.operation_model(operation).input_shape
        codes = {error.error_code for error in model.operation_model(operation).error_shapes}
        if "InvalidParameterException" in codes and shape:
            for member, bad in (
                ("logGroupName", "bad name!"),
                ("resourceArn", ""),
                ("queryId", "x" * 257),
                ("queryString", "x" * 10001),
                ("logGroupNamePrefix", "bad name!"),
            ):
                if member in shape.members:
                    yield Case(
                        operation, "InvalidParameterException", {**required(model, operation, samples), member: bad}
                    )
                    break
    tags = {f"k{number}": "v" for number in range(51)}
    logs.tag_resource(resourceArn=f"{arn}{n}", tags={key: "v" for key in list(tags)[:50]})
    yield Case("TagResource", "TooManyTagsException", {"resourceArn": f"{arn}{n}", "tags": {"k50": "v"}})
    for number in range(2):
        logs.put_subscription_filter(
            logGroupName=n, filterName=f"f{number}", filterPattern="", destinationArn=destination(world)
        )
    yield Case(
        "PutSubscriptionFilter",
        "LimitExceededException",
        {"logGroupName": n, "filterName": "f3", "filterPattern": "", "destinationArn": destination(world)},
    )
    for number in range(100):
        logs.put_metric_filter(
            logGroupName=n,
            filterName=f"m{number}",
            filterPattern="",
            metricTransformations=samples["metricTransformations"],
        )
    yield Case(
        "PutMetricFilter",
        "LimitExceededException",
        {**required(model, "PutMetricFilter", samples), "filterName": "m100"},
    )


def destination(world):
    return f"arn:aws:lambda:us-east-1:{world.account}:function:f"


def samples_of(samples, *names):
    return {name: samples[name] for name in names}
