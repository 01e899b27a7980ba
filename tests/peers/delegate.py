"""Services that the local cloud does not have, answered by moto through the endpoint of the local cloud.

Usage: delegate.py          (with the environment of `stack local env`)
"""

import boto3
from botocore.exceptions import ClientError


def client(service, **settings):
    return boto3.client(service, region_name="us-east-1", **settings)


sqs = client("sqs")
queue = sqs.create_queue(QueueName="jobs")["QueueUrl"]
sqs.send_message(QueueUrl=queue, MessageBody="hello")
assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "hello"

dynamodb = client("dynamodb")
dynamodb.create_table(
    TableName="orders",
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
)
dynamodb.put_item(TableName="orders", Item={"id": {"S": "1"}, "total": {"N": "9.5"}})
assert dynamodb.get_item(TableName="orders", Key={"id": {"S": "1"}})["Item"]["total"] == {"N": "9.5"}

# The local cloud still answers for its own services.
vpc = client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
client("ec2").delete_vpc(VpcId=vpc)

# A wrong signature does not reach the delegate.
try:
    client("sqs", aws_secret_access_key="wrong", aws_access_key_id="AKIAUNKNOWN").list_queues()
    raise AssertionError("a request with an unknown key was answered")
except ClientError as error:
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403), error
