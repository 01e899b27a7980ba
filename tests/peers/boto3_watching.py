#!/usr/bin/env python3
"""Tests CloudWatch and CloudWatch Logs of a running local cloud with boto3.

Usage: boto3_watching.py ENDPOINT          (needs: pip install boto3; a cloud with a time scale of 30 or more)

All resources that it creates have a random suffix and are deleted again. Requests to CloudWatch use CBOR, as in recent SDKs,
and also JSON and Query, as in older ones, signed by the same library.
"""

import datetime
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from common import ENDPOINT, SUFFIX, client, eventually, refused

REGION = "us-east-1"

watch, logs = client("cloudwatch"), client("logs")


own = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])


def raw(headers, body):
    """Sends a signed request in any protocol and returns the status, headers and body."""
    request = AWSRequest("POST", ENDPOINT + "/", headers=headers, data=body)
    SigV4Auth(own, "monitoring", REGION).add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(prepared.url, data=body.encode(), headers=dict(prepared.headers), method="POST")
    try:
        answer = urllib.request.urlopen(sent, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers, answer.read().decode()


def in_json(operation, request):
    return raw({
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"GraniteServiceVersion20100801.{operation}",
    }, json.dumps(request))


def in_query(operation, **parameters):
    form = {"Action": operation, "Version": "2010-08-01", **parameters}
    return raw({"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, urllib.parse.urlencode(form))


def alarm(name):
    found = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found[0] if found else None


def check_alarms():
    name, namespace = f"busy-{SUFFIX}", f"Shop-{SUFFIX}"
    put = {
        "AlarmName": name, "Namespace": namespace, "MetricName": "Orders", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
        "Dimensions": [{"Name": "Store", "Value": "1"}], "Tags": [{"Key": "team", "Value": "shop"}],
    }
    watch.put_metric_alarm(**put)
    described = alarm(name)
    assert described["StateValue"] == "INSUFFICIENT_DATA" and described["Threshold"] == 5.0, described
    assert isinstance(described["StateUpdatedTimestamp"], datetime.datetime)
    arn = described["AlarmArn"]
    for more, code, words in [
        ({"Period": 61}, "ValidationError", "multiple of 60"),
        ({"ExtendedStatistic": "p99"}, "InvalidParameterCombination", "Exactly one"),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "ValidationError", "EvaluateLowSampleCountPercentile"),
    ]:
        with refused(code, words):
            watch.put_metric_alarm(**{**put, **more})

    watch.tag_resource(ResourceARN=arn, Tags=[{"Key": "stage", "Value": "beta"}])
    watch.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert watch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "stage", "Value": "beta"}]
    with refused("ResourceNotFoundException"):
        watch.list_tags_for_resource(ResourceARN=arn + "x")

    def load(value):
        watch.put_metric_data(Namespace=namespace, MetricData=[{
            "MetricName": "Orders", "Dimensions": put["Dimensions"], "Value": value, "Unit": "Count"}])
        return alarm(name)["StateValue"]

    eventually("too many orders cause an alarm", lambda: load(9) == "ALARM")
    reason = alarm(name)["StateReason"]
    assert reason.startswith("Threshold Crossed: 1 out of the last 1 datapoints ["), reason
    assert "recentDatapoints" in alarm(name)["StateReasonData"]
    eventually("missing data is insufficient", lambda: alarm(name)["StateValue"] == "INSUFFICIENT_DATA")
    watch.put_metric_alarm(**{**put, "TreatMissingData": "notBreaching"})
    eventually("missing data is treated as not breaching", lambda: alarm(name)["StateValue"] == "OK")
    watch.put_metric_alarm(**{**put, "TreatMissingData": "ignore"})
    watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill", StateReasonData='{"a": 1}')
    assert alarm(name)["StateReason"] == "drill"
    with refused("InvalidFormat"):
        watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill", StateReasonData="{")
    with refused("ResourceNotFound"):
        watch.set_alarm_state(AlarmName="no-such", StateValue="OK", StateReason="drill")
    assert [found["AlarmName"] for found in watch.describe_alarms_for_metric(
        Namespace=namespace, MetricName="Orders", Dimensions=put["Dimensions"])["MetricAlarms"]] == [name]
    found = watch.describe_alarms(AlarmNamePrefix="busy-", StateValue="ALARM")["MetricAlarms"]
    assert name in [one["AlarmName"] for one in found]

    watch.disable_alarm_actions(AlarmNames=[name])
    assert not alarm(name)["ActionsEnabled"]
    watch.enable_alarm_actions(AlarmNames=[name])
    assert alarm(name)["ActionsEnabled"]
    pages = watch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, ScanBy="TimestampAscending", PaginationConfig={"PageSize": 2})
    history = [item for page in pages for item in page["AlarmHistoryItems"]]
    assert history[0]["HistorySummary"] == f'Alarm "{name}" created', history[0]
    assert any(item["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM" for item in history)
    updates = watch.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert updates and all(item["HistoryItemType"] == "StateUpdate" for item in updates)

    others = [f"page-{index}-{SUFFIX}" for index in range(3)]
    for other in others:
        watch.put_metric_alarm(**{**put, "AlarmName": other, "Tags": []})
    pages = watch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="page-", PaginationConfig={"PageSize": 2})
    assert [one["AlarmName"] for page in pages for one in page["MetricAlarms"]] == others
    with refused("ResourceNotFound"):
        watch.delete_alarms(AlarmNames=[*others, "no-such"])
    watch.delete_alarms(AlarmNames=[name, *others])
    assert not watch.describe_alarms(AlarmNamePrefix="page-")["MetricAlarms"] and alarm(name) is None


def check_protocols():
    name = f"protocols-{SUFFIX}"
    put = {
        "AlarmName": name, "Namespace": "N", "MetricName": "m", "Statistic": "Average", "Period": 60,
        "EvaluationPeriods": 2, "Threshold": 1, "ComparisonOperator": "LessThanThreshold",
    }
    status, headers, body = in_query("PutMetricAlarm", **put, **{
        "Dimensions.member.1.Name": "d", "Dimensions.member.1.Value": "v", "AlarmActions": ""})
    assert status == 200 and headers["Content-Type"].startswith("text/xml"), body
    assert alarm(name)["Dimensions"] == [{"Name": "d", "Value": "v"}]
    status, headers, body = in_json("PutMetricAlarm", {**put, "Threshold": 2.5})
    assert status == 200 and headers["Content-Type"] == "application/x-amz-json-1.0", body
    assert alarm(name)["Threshold"] == 2.5 and alarm(name)["EvaluationPeriods"] == 2
    status, _, body = in_query("DescribeAlarms", **{"AlarmNames.member.1": name})
    assert f"<MetricAlarms><member><ActionsEnabled>true</ActionsEnabled>" in body, body
    assert "<Threshold>2.5</Threshold>" in body and "Z</StateUpdatedTimestamp>" in body, body
    status, headers, body = in_json("DescribeAlarms", {"AlarmNames": [name]})
    assert isinstance(json.loads(body)["MetricAlarms"][0]["StateUpdatedTimestamp"], float), body
    status, headers, body = in_json("PutMetricData", {"Namespace": "AWS/EC2", "MetricData": [{"MetricName": "m"}]})
    assert status == 400 and json.loads(body)["__type"] == "InvalidParameterValueException", body
    assert headers["x-amzn-query-error"] == "InvalidParameterValue;Sender", headers
    status, _, body = in_query("PutMetricData", **{"Namespace": "AWS/EC2", "MetricData.member.1.MetricName": "m"})
    assert status == 400 and "<Code>InvalidParameterValue</Code>" in body, body
    status, _, body = in_json("PutAnomalyDetector", {})
    assert status == 400 and "PutAnomalyDetector" in body, body
    watch.delete_alarms(AlarmNames=[name])


def check_metrics():
    namespace = f"Metrics-{SUFFIX}"
    now = datetime.datetime.now(datetime.timezone.utc)
    minute = now.replace(second=0, microsecond=0) - datetime.timedelta(minutes=5)
    at = lambda seconds: minute + datetime.timedelta(seconds=seconds)
    store = [{"Name": "Store", "Value": "1"}]
    watch.put_metric_data(Namespace=namespace, MetricData=[
        {"MetricName": "Orders", "Dimensions": store, "Timestamp": at(1), "Value": 2, "Unit": "Count"},
        {"MetricName": "Orders", "Dimensions": store, "Timestamp": at(2), "Values": [1, 4], "Counts": [3, 1],
         "Unit": "Count"},
        {"MetricName": "Orders", "Dimensions": store, "Timestamp": at(61), "Unit": "Count", "StatisticValues": {
            "SampleCount": 2, "Sum": 10, "Minimum": 4, "Maximum": 6}},
        {"MetricName": "Other", "Value": 1, "StorageResolution": 1},
    ])
    listed = watch.list_metrics(Namespace=namespace, Dimensions=[{"Name": "Store"}])["Metrics"]
    assert listed == [{"Namespace": namespace, "MetricName": "Orders", "Dimensions": store}], listed
    assert len(watch.list_metrics(Namespace=namespace, RecentlyActive="PT3H")["Metrics"]) == 2
    statistics = watch.get_metric_statistics(
        Namespace=namespace, MetricName="Orders", Dimensions=store, StartTime=at(0), EndTime=at(120), Period=60,
        Statistics=["Sum", "SampleCount", "Minimum", "Maximum", "Average"], ExtendedStatistics=["p50"])
    first, second = sorted(statistics["Datapoints"], key=lambda point: point["Timestamp"])
    assert (first["Sum"], first["SampleCount"], first["Average"]) == (9.0, 5.0, 1.8), first
    assert first["Timestamp"] == minute and first["Unit"] == "Count" and first["ExtendedStatistics"] == {"p50": 1.0}
    assert (second["Minimum"], second["Maximum"]) == (4.0, 6.0), second
    query = {"Id": "q", "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {
        "Namespace": namespace, "MetricName": "Orders", "Dimensions": store}}}
    data = watch.get_metric_data(
        MetricDataQueries=[query], StartTime=at(0), EndTime=at(120), ScanBy="TimestampAscending")
    [result] = data["MetricDataResults"]
    assert result["Values"] == [9.0, 10.0] and result["Timestamps"] == [at(0), at(60)], result
    doubled = {"Id": "doubled", "Expression": f"{query['Id']} * 2"}
    data = watch.get_metric_data(
        MetricDataQueries=[{**query, "ReturnData": False}, doubled], StartTime=at(0), EndTime=at(120),
        ScanBy="TimestampAscending")
    [result] = data["MetricDataResults"]
    assert result["Id"] == "doubled" and result["Values"] == [18.0, 20.0], result
    with refused("InvalidParameterValue"):
        watch.put_metric_data(Namespace="AWS/EC2", MetricData=[{"MetricName": "m", "Value": 1}])
    with refused("InvalidParameterCombination"):
        watch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "m", "Value": 1, "Values": [1]}])
    # SDKs compress large requests.
    encodings = []
    remember = lambda request, **_: encodings.append(request.headers.get("Content-Encoding"))
    watch.meta.events.register("before-send.cloudwatch.PutMetricData", remember)
    watch.put_metric_data(Namespace=namespace, MetricData=[
        {"MetricName": "Large", "Dimensions": store, "Timestamp": at(1), "Value": 1, "Unit": "Count"}] * 600)
    watch.meta.events.unregister("before-send.cloudwatch.PutMetricData", remember)
    assert encodings in (["gzip"], [b"gzip"]), encodings
    large = watch.get_metric_statistics(Namespace=namespace, MetricName="Large", Dimensions=store, StartTime=at(0),
                                        EndTime=at(60), Period=60, Statistics=["Sum"])
    assert large["Datapoints"][0]["Sum"] == 600, large


def check_log_groups():
    name = f"/shop/{SUFFIX}"
    logs.create_log_group(logGroupName=name, tags={"team": "shop"})
    with refused("ResourceAlreadyExistsException"):
        logs.create_log_group(logGroupName=name)
    with refused("InvalidParameterException"):
        logs.create_log_group(logGroupName="a b")
    with refused("UnsupportedParameter", "kmsKeyId"):
        logs.create_log_group(logGroupName=name + "x", kmsKeyId="k")
    with refused("InvalidParameterException", "retentionInDays"):
        logs.put_retention_policy(logGroupName=name, retentionInDays=2)
    logs.put_retention_policy(logGroupName=name, retentionInDays=7)
    [group] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["retentionInDays"] == 7 and group["arn"].endswith(f":log-group:{name}:*"), group
    logs.delete_retention_policy(logGroupName=name)
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePattern=SUFFIX)["logGroups"][0]
    arn = group["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"stage": "beta"})
    logs.untag_resource(resourceArn=arn, tagKeys=["team"])
    logs.tag_log_group(logGroupName=name, tags={"owner": "ann"})
    logs.untag_log_group(logGroupName=name, tags=["stage"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"owner": "ann"}
    assert logs.list_tags_log_group(logGroupName=name)["tags"] == {"owner": "ann"}
    return name


def check_events(group):
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    with refused("ResourceAlreadyExistsException"):
        logs.create_log_stream(logGroupName=group, logStreamName="a")
    now = int(time.time() * 1000)
    put = lambda stream, events: logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[
        {"timestamp": now + offset, "message": message} for offset, message in events])
    put("a", [(-5000, "one"), (-4000, "two ERROR"), (-3000, "three")])
    put("b", [(-3500, "other ERROR")])
    rejected = put("b", [(-15 * 86_400_000, "ancient")])["rejectedLogEventsInfo"]
    assert rejected == {"tooOldLogEventEndIndex": 1}, rejected
    with refused("InvalidParameterException", "chronological"):
        put("a", [(0, "late"), (-1, "early")])
    messages = lambda answer: [event["message"] for event in answer["events"]]
    first = logs.get_log_events(logGroupName=group, logStreamName="a", startFromHead=True, limit=2)
    assert messages(first) == ["one", "two ERROR"], first
    rest = logs.get_log_events(logGroupName=group, logStreamName="a", nextToken=first["nextForwardToken"])
    assert messages(rest) == ["three"], rest
    found = logs.filter_log_events(logGroupName=group, filterPattern="ERROR")
    assert messages(found) == ["two ERROR", "other ERROR"], found
    assert messages(logs.filter_log_events(logGroupName=group, filterPattern="ERROR -other")) == ["two ERROR"]
    assert messages(logs.filter_log_events(logGroupName=group, startTime=now - 3600)) == ["other ERROR", "three"]
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 1})
    assert len([event for page in pages for event in page["events"]]) == 4
    with refused("InvalidParameterException", "terms alone"):
        logs.filter_log_events(logGroupName=group, filterPattern="{ $.level = 1 }")
    streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True)["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["a", "b"]
    assert streams[0]["firstEventTimestamp"] == now - 5000 and streams[0]["storedBytes"] > 0, streams[0]
    logs.delete_log_stream(logGroupName=group, logStreamName="b")
    with refused("ResourceNotFoundException"):
        logs.get_log_events(logGroupName=group, logStreamName="b")
    logs.delete_log_group(logGroupName=group)
    with refused("ResourceNotFoundException"):
        logs.delete_log_group(logGroupName=group)


def main():
    check_metrics()
    check_protocols()
    check_alarms()
    check_events(check_log_groups())
    print("ok  metrics, alarms in three protocols, logs")


main()
