"""boto 2.49's EC2 client on images, in a process of its own: it is not written for a patched one."""

import sys

import boto
from boto.ec2.connection import EC2Connection
from boto.ec2.regioninfo import RegionInfo
from boto.exception import EC2ResponseError


def refusal(call, *arguments, **settings) -> str:
    try:
        call(*arguments, **settings)
    except EC2ResponseError as error:
        return error.error_code
    raise AssertionError("it was not refused")


def main(port: str, access_key: str, secret_key: str, location: str, friend: str) -> None:
    region = RegionInfo(name="us-east-1", endpoint="127.0.0.1")
    settings = {"is_secure": False, "region": region, "port": int(port), "path": "/services/Cloud"}
    connection = EC2Connection(access_key, secret_key, **settings)
    connection.auth_service_name, connection.auth_region_name = "ec2", "us-east-1"  # SigV4 guesses them from a name
    image_id = connection.register_image("boto2", "an image", image_location=location, architecture="i386")
    (image,) = connection.get_all_images(image_ids=[image_id])
    assert (image.id, image.name, image.description) == (image_id, "boto2", "an image")
    assert (image.location, image.state, image.architecture, image.type) == (location, "pending", "i386", "machine")
    assert image.is_public is False
    assert [found.id for found in connection.get_all_images(owners=["self"], filters={"name": "boto*"})] == [image_id]
    assert image.set_launch_permissions(user_ids=[friend], group_names=["all"])
    permissions = image.get_launch_permissions()
    assert permissions == {"user_ids": [friend], "groups": ["all"]}, permissions
    assert connection.modify_image_attribute(image_id, attribute="launchPermission", operation="remove", groups=["all"])
    assert image.get_launch_permissions() == {"user_ids": [friend]}
    assert image.reset_launch_attributes()
    assert image.get_launch_permissions() == {}
    attribute = connection.get_image_attribute(image_id, attribute="kernel")
    assert attribute.image_id == image_id
    assert refusal(connection.get_all_images, ["ami-none"]) == "InvalidAMIID.NotFound"
    assert refusal(connection.get_all_images, ["nonsense"]) == "InvalidAMIID.Malformed"
    assert refusal(EC2Connection(access_key, "wrong", **settings).get_all_images) == "AuthFailure"
    assert connection.deregister_image(image_id)
    assert connection.get_all_images(owners=["self"]) == []
    assert boto.Version.startswith("2.")
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
