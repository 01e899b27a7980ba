#!/usr/bin/env python3
"""Tests machine images and snapshots of a running local cloud with boto3.

Usage: boto3_images.py ENDPOINT          (needs: pip install boto3; a cloud with a time scale of 30 or more)

All resources that it creates have a random suffix and are deleted again. The instances run a small Python server.
"""

import hashlib
import json

from common import SERVER, SUFFIX, client, eventually, get, refused, status

ec2, s3 = client("ec2"), client("s3")
BUCKET, PORT = f"images-{SUFFIX}", 8080

SERVICE = SERVER + b"""
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ["COLOUR"] + " " + open("etc/greeting").read()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
serve(Handler)
"""


def user_data(**more):
    """Returns the user data of a host that runs the service."""
    document = {
        "machine": 1, "image": "debian-12", "packages": [],
        "files": [{"path": "/etc/greeting", "content": "hello", "mode": "0644"}],
        "services": [{
            "name": "web", "listen": PORT, "health": "/", "environment": {"COLOUR": "green"},
            "artifact": {"bucket": BUCKET, "key": "service", "sha256": hashlib.sha256(SERVICE).hexdigest()},
        }],
    }
    files = [{"path": "/etc/infra/machine.json", "content": json.dumps(document)}]
    return "#cloud-config\n" + json.dumps({"write_files": files, **more})


def launch(image, **more):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, **more)["Instances"][0]
    return made["InstanceId"]


def described(instance):
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def becomes(instance, state):
    return eventually(f"{instance} is {state}", lambda: described(instance)["State"]["Name"] == state)


def terminate(instance):
    ec2.terminate_instances(InstanceIds=[instance])
    becomes(instance, "terminated")


def greeting(instance):
    """Returns the response of the service on the instance."""
    def ask():
        try:
            return get(described(instance)["PrivateIpAddress"], port=PORT, timeout=2)[1]
        except OSError:
            return None
    return eventually(f"the service of {instance} answers", ask)


def process(instance):
    """Returns the id of the service's process on the instance, if it runs."""
    shown = status()["regions"]["us-east-1"]["instances"]
    return next(one for one in shown if one["id"] == instance)["services"][0]["pid"]


def available(image):
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return ec2.describe_images(ImageIds=[image])["Images"][0]


def snapshot_of(image):
    return image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def by(**filters):
    return [{"Name": name.replace("__", ":").replace("_", "-"), "Values": [value]} for name, value in filters.items()]


def images(**filters):
    return {image["ImageId"] for image in ec2.describe_images(Owners=["self"], Filters=by(**filters))["Images"]}


def check_refusals(instance):
    """Invalid sources and names of images."""
    for name in (f"web {SUFFIX}!", f"web#{SUFFIX}", f"wéb-{SUFFIX}"):
        with refused("InvalidAMIName.Malformed", "between 3 and 128 characters"):
            ec2.create_image(InstanceId=instance, Name=name)
    with refused("InvalidInstanceID.NotFound", "i-00000000000000000"):
        ec2.create_image(InstanceId="i-00000000000000000", Name=f"none-{SUFFIX}")
    with refused("InvalidInstanceID.Malformed", "nonsense"):
        ec2.create_image(InstanceId="nonsense", Name=f"none-{SUFFIX}")
    with refused("DryRunOperation"):
        ec2.create_image(InstanceId=instance, Name=f"dry-{SUFFIX}", DryRun=True)
    with refused("InvalidParameterValue", "'instance'"):
        ec2.create_image(InstanceId=instance, Name=f"none-{SUFFIX}", TagSpecifications=[
            {"ResourceType": "instance", "Tags": tags(a="b")}])
    with refused("UnsupportedParameter"):
        ec2.create_image(InstanceId=instance, Name=f"none-{SUFFIX}", BlockDeviceMappings=[
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1}}])
    assert not images(name=f"*{SUFFIX}*")


def check_running_source(stock):
    """An image of a running instance, without a reboot, with tags for the image and for its snapshot."""
    instance = launch(stock, UserData=user_data())
    assert greeting(instance) == "green hello"
    check_refusals(instance)
    name = f"web (running) [{SUFFIX}]"
    made = ec2.create_image(InstanceId=instance, Name=name, Description="of a running one", NoReboot=True, TagSpecifications=[
        {"ResourceType": "image", "Tags": tags(peer=SUFFIX, of="image")},
        {"ResourceType": "snapshot", "Tags": tags(peer=SUFFIX, of="snapshot")}])["ImageId"]
    with refused("InvalidAMIName.Duplicate", made):
        ec2.create_image(InstanceId=instance, Name=name)
    image = available(made)
    assert described(instance)["State"]["Name"] == "running" and greeting(instance) == "green hello"
    root = described(instance)["BlockDeviceMappings"][0]
    assert (image["Name"], image["Description"], image["State"]) == (name, "of a running one", "available"), image
    assert not image["Public"] and image["SourceInstanceId"] == instance and image["OwnerId"] == "000000000000", image
    assert image["ImageLocation"] == f"000000000000/{name}" and image["RootDeviceName"] == root["DeviceName"], image
    assert {tag["Key"]: tag["Value"] for tag in image["Tags"]} == {"peer": SUFFIX, "of": "image"}

    snapshot = ec2.describe_snapshots(SnapshotIds=[snapshot_of(image)])["Snapshots"][0]
    assert (snapshot["State"], snapshot["Progress"], snapshot["OwnerId"]) == ("completed", "100%", "000000000000"), snapshot
    assert snapshot["VolumeId"] == root["Ebs"]["VolumeId"], (snapshot, root)
    assert snapshot["VolumeSize"] == image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 8
    assert instance in snapshot["Description"] and made in snapshot["Description"], snapshot
    assert {tag["Key"]: tag["Value"] for tag in snapshot["Tags"]} == {"peer": SUFFIX, "of": "snapshot"}
    terminate(instance)
    with refused("IncorrectState", instance):
        ec2.create_image(InstanceId=instance, Name=f"late-{SUFFIX}")
    return image


def check_stopped_source(stock):
    """An image of an instance that has completed its setup, started no service and powered off."""
    builder = launch(stock, UserData=user_data(power_state={"mode": "poweroff"}))
    becomes(builder, "stopped")
    assert described(builder)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    image = available(ec2.create_image(InstanceId=builder, Name=f"baked-{SUFFIX}")["ImageId"])
    assert described(builder)["State"]["Name"] == "stopped"
    assert not image.get("Description") and not image.get("Tags"), image
    check_pages(builder)
    terminate(builder)
    return image


def check_pages(source):
    """Pagination of six images with a page size of five."""
    made = [ec2.create_image(InstanceId=source, Name=f"page-{SUFFIX}-{index}")["ImageId"] for index in range(6)]
    for describe, key in (("describe_images", "Images"), ("describe_snapshots", "Snapshots")):
        about = by(name=f"page-{SUFFIX}-*") if key == "Images" else by(description=f"*CreateImage({source})*")
        pages = list(ec2.get_paginator(describe).paginate(Filters=about, PaginationConfig={"PageSize": 5}))
        assert len(pages) == 2 and len(pages[0][key]) == 5, pages
    for image in made:
        available(image)
        ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert not images(name=f"page-{SUFFIX}-*")


def check_rebooted_source(stock):
    """Without NoReboot, a running instance is rebooted and its service restarted."""
    instance = launch(stock, UserData=user_data())
    greeting(instance)
    before = process(instance)
    image = available(ec2.create_image(InstanceId=instance, Name=f"rebooted-{SUFFIX}")["ImageId"])
    eventually("the service has a new process", lambda: process(instance) not in (None, before))
    assert greeting(instance) == "green hello"
    terminate(instance)
    gone = ec2.deregister_image(ImageId=image["ImageId"], DeleteAssociatedSnapshots=True)
    assert gone["Return"] and gone["DeleteSnapshotResults"] == [
        {"SnapshotId": snapshot_of(image), "ReturnCode": "success"}], gone
    with refused("InvalidSnapshot.NotFound"):
        ec2.describe_snapshots(SnapshotIds=[snapshot_of(image)])


def check_queries(running, baked, stock):
    """Queries of images and snapshots by owner, id and filter."""
    one, other = running["ImageId"], baked["ImageId"]
    assert {one, other} <= images() and stock not in images()
    assert images(name=f"baked-{SUFFIX}") == {other} and images(name=f"*{SUFFIX}*") == {one, other}
    assert images(tag__peer=SUFFIX) == {one} and images(tag_key="of", name=f"*{SUFFIX}*") == {one}
    assert images(state="available", name=f"*{SUFFIX}*") == {one, other}
    assert images(state="pending", name=f"*{SUFFIX}*") == set()
    assert images(source_instance_id=running["SourceInstanceId"]) == {one}
    assert images(is_public="true") == set() and images(owner_id="000000000000") >= {one, other}
    assert not ec2.describe_images(ImageIds=[one], Owners=["136693071363"])["Images"]
    assert not ec2.describe_images(ImageIds=[one], ExecutableUsers=["all"])["Images"]
    with refused("InvalidAMIID.NotFound", "ami-00000000000000000"):
        ec2.describe_images(Owners=["self"], ImageIds=["ami-00000000000000000"])
    with refused("InvalidParameterValue"):
        ec2.describe_images(Filters=by(no_such_filter="x"))

    snapshots = {snapshot_of(running), snapshot_of(baked)}
    mine = {snapshot["SnapshotId"] for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert snapshots <= mine and not ec2.describe_snapshots(OwnerIds=["136693071363"])["Snapshots"]
    found = ec2.describe_snapshots(Filters=by(tag__peer=SUFFIX))["Snapshots"]
    assert [snapshot["SnapshotId"] for snapshot in found] == [snapshot_of(running)], found
    found = ec2.describe_snapshots(SnapshotIds=list(snapshots), Filters=by(volume_size="8", encrypted="false"))["Snapshots"]
    assert {snapshot["SnapshotId"] for snapshot in found} == snapshots, found
    with refused("InvalidSnapshot.NotFound"):
        ec2.describe_snapshots(SnapshotIds=["snap-00000000000000000"])


def check_attributes(image, stock):
    """The description can be changed; the launch permissions cannot."""
    identifier = image["ImageId"]

    def description():
        answer = ec2.describe_image_attribute(ImageId=identifier, Attribute="description")
        assert answer["ImageId"] == identifier
        return answer["Description"]["Value"]

    assert description() == "of a running one"
    ec2.modify_image_attribute(ImageId=identifier, Description={"Value": "one"})
    assert description() == "one"
    ec2.modify_image_attribute(ImageId=identifier, Attribute="description", Value="two")
    assert description() == "two" == ec2.describe_images(ImageIds=[identifier])["Images"][0]["Description"]
    assert ec2.describe_image_attribute(ImageId=identifier, Attribute="launchPermission")["LaunchPermissions"] == []
    everybody = ec2.describe_image_attribute(ImageId=stock, Attribute="launchPermission")["LaunchPermissions"]
    assert everybody == [{"Group": "all"}]
    ec2.modify_image_attribute(ImageId=identifier, LaunchPermission={"Add": [{"Group": "all"}, {"UserId": "123456789012"}]})
    assert ec2.describe_images(ImageIds=[identifier])["Images"][0]["Public"]
    ec2.modify_image_attribute(
        ImageId=identifier, Attribute="launchPermission", OperationType="remove", UserGroups=["all"])
    shared = ec2.describe_image_attribute(ImageId=identifier, Attribute="launchPermission")["LaunchPermissions"]
    assert shared == [{"UserId": "123456789012"}], shared
    ec2.reset_image_attribute(ImageId=identifier, Attribute="launchPermission")
    assert ec2.describe_image_attribute(ImageId=identifier, Attribute="launchPermission")["LaunchPermissions"] == []
    with refused("AuthFailure"):
        ec2.modify_image_attribute(ImageId=stock, LaunchPermission={"Add": [{"Group": "all"}]})
    with refused("InvalidParameterValue"):
        ec2.describe_image_attribute(ImageId=identifier, Attribute="sriovNetSupport")
    absent = {"ImageId": "ami-00000000000000000", "Attribute": "description"}
    with refused("InvalidAMIID.NotFound"):
        ec2.describe_image_attribute(**absent)
    with refused("InvalidAMIID.NotFound"):
        ec2.modify_image_attribute(**absent, Value="x")


def check_tags(image):
    """Tags of an image and of its snapshot."""
    kinds = {image["ImageId"]: "image", snapshot_of(image): "snapshot"}
    ec2.create_tags(Resources=list(kinds), Tags=tags(later=SUFFIX))
    found = ec2.describe_tags(Filters=by(key="later", value=SUFFIX))["Tags"]
    assert {tag["ResourceId"]: tag["ResourceType"] for tag in found} == kinds, found
    assert images(tag__later=SUFFIX) == {image["ImageId"]}
    assert ec2.describe_tags(Filters=by(resource_type="snapshot", key="later", value=SUFFIX))["Tags"] == [{
        "Key": "later", "Value": SUFFIX, "ResourceId": snapshot_of(image), "ResourceType": "snapshot"}]
    ec2.delete_tags(Resources=list(kinds), Tags=[{"Key": "later"}])
    assert not ec2.describe_tags(Filters=by(key="later", value=SUFFIX))["Tags"]
    with refused("InvalidAMIID.NotFound"):
        ec2.create_tags(Resources=["ami-00000000000000000"], Tags=tags(a="b"))
    with refused("InvalidSnapshot.NotFound"):
        ec2.create_tags(Resources=["snap-00000000000000000"], Tags=tags(a="b"))


def check_launches(*made):
    """Instances of these images run the service without user data, and without the program in the bucket."""
    s3.delete_object(Bucket=BUCKET, Key="service")
    instances = [launch(image["ImageId"]) for image in made]
    for instance, image in zip(instances, made):
        assert greeting(instance) == "green hello" and described(instance)["ImageId"] == image["ImageId"]
    return instances


def check_deregistration(image, instance, stock):
    """After the deregistration of an image, its instances and its snapshot are kept until they are deleted."""
    identifier, snapshot = image["ImageId"], snapshot_of(image)
    with refused("InvalidSnapshot.InUse", snapshot, identifier):
        ec2.delete_snapshot(SnapshotId=snapshot)
    with refused("AuthFailure", stock):
        ec2.deregister_image(ImageId=stock)
    with refused("DryRunOperation"):
        ec2.deregister_image(ImageId=identifier, DryRun=True)
    assert ec2.deregister_image(ImageId=identifier).get("DeleteSnapshotResults", []) == []
    for again in (
            lambda: ec2.deregister_image(ImageId=identifier), lambda: ec2.describe_images(ImageIds=[identifier]),
            lambda: launch(identifier), lambda: ec2.describe_image_attribute(ImageId=identifier, Attribute="description")):
        with refused("InvalidAMIID.NotFound", identifier):
            again()
    assert greeting(instance) == "green hello"
    ec2.reboot_instances(InstanceIds=[instance])
    assert greeting(instance) == "green hello"
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed"
    ec2.delete_snapshot(SnapshotId=snapshot)
    with refused("InvalidSnapshot.NotFound", snapshot):
        ec2.delete_snapshot(SnapshotId=snapshot)


def main():
    stock = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="service", Body=SERVICE)
    running, baked = check_running_source(stock), check_stopped_source(stock)
    check_rebooted_source(stock)
    check_queries(running, baked, stock)
    check_attributes(running, stock)
    check_tags(running)
    instances = check_launches(running, baked)
    for image, instance in zip((running, baked), instances):
        check_deregistration(image, instance, stock)
        terminate(instance)
    s3.delete_bucket(Bucket=BUCKET)
    assert not images(name=f"*{SUFFIX}*")
    assert not ec2.describe_snapshots(Filters=by(description=f"*{running['SourceInstanceId']}*"))["Snapshots"]
    print("ok  machine images and snapshots")


if __name__ == "__main__":
    main()
