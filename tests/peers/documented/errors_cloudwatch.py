"""Errors of CloudWatch."""

from errors import Case

REASONS = {
    ("ListMetrics", "InvalidParameterValue"): "the constraints refuse invalid values before",
    "LimitExceeded": "quotas of thousands of alarms",
    "InvalidFormat": "states have a reason in JSON, which the case of SetAlarmState covers",
}


def cases(world, model, operations):
    n, watch = f"errors-{world.number()}", world.client("cloudwatch")
    alarm = {
        "AlarmName": n,
        "MetricName": "m",
        "Namespace": "n",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    watch.put_metric_alarm(**alarm)
    arn = f"arn:aws:cloudwatch:us-east-1:{world.account}:alarm:none"
    for operation, more in {
        "ListTagsForResource": {},
        "TagResource": {"Tags": [{"Key": "k", "Value": "v"}]},
        "UntagResource": {"TagKeys": ["k"]},
    }.items():
        yield Case(operation, "ResourceNotFoundException", {"ResourceARN": arn, **more})
        yield Case(operation, "InvalidParameterValue", {"ResourceARN": "arn:aws:s3:::bucket", **more})
    yield Case("DeleteAlarms", "ResourceNotFound", {"AlarmNames": ["none-a", "none-b"]})
    yield Case("SetAlarmState", "ResourceNotFound", {"AlarmName": "none", "StateValue": "OK", "StateReason": "r"})
    yield Case(
        "SetAlarmState",
        "InvalidFormat",
        {"AlarmName": n, "StateValue": "OK", "StateReason": "r", "StateReasonData": "{"},
    )
    yield Case("GetDashboard", "ResourceNotFound", {"DashboardName": "none"}, "Dashboard none does not exist")
    yield Case("GetDashboard", "InvalidParameterValue", {"DashboardName": "bad name!"})
    yield Case("DeleteDashboards", "ResourceNotFound", {"DashboardNames": ["none"]})
    yield Case("DeleteDashboards", "InvalidParameterValue", {"DashboardNames": ["bad name!"]})
    yield Case("PutDashboard", "InvalidParameterInput", {"DashboardName": n, "DashboardBody": "{"}, "valid JSON")
    yield Case("ListDashboards", "InvalidParameterValue", {"DashboardNamePrefix": "bad name!"})
    for operation in ("DescribeAlarms", "DescribeAlarmHistory", "GetMetricData"):
        given = (
            {}
            if operation != "GetMetricData"
            else {
                "StartTime": 1,
                "EndTime": 1000,
                "MetricDataQueries": [
                    {
                        "Id": "a",
                        "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"},
                    }
                ],
            }
        )
        yield Case(operation, "InvalidNextToken", {**given, "NextToken": "no token"})
    statistics = {"Namespace": "n", "MetricName": "m", "StartTime": 0, "EndTime": 3600, "Period": 60}
    yield Case(
        "GetMetricStatistics",
        "MissingParameter",
        {key: statistics[key] for key in list(statistics)[1:]} | {"Statistics": ["Sum"]},
    )
    yield Case(
        "GetMetricStatistics",
        "InvalidParameterCombination",
        {**statistics, "Statistics": ["Sum"], "EndTime": 86400 * 30},
    )
    yield Case("GetMetricStatistics", "InvalidParameterValue", {**statistics, "Statistics": ["Sum"], "Period": 61})
    yield Case("PutMetricData", "MissingParameter", {"MetricData": [{"MetricName": "m", "Value": 1.0}]})
    yield Case(
        "PutMetricData",
        "InvalidParameterValue",
        {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 2.0**361}]},
    )
    yield Case(
        "PutMetricData",
        "InvalidParameterCombination",
        {
            "Namespace": "n",
            "MetricData": [
                {
                    "MetricName": "m",
                    "Value": 1.0,
                    "StatisticValues": {"SampleCount": 1.0, "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0},
                }
            ],
        },
    )
