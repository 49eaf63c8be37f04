"""boto 2.49 (SigV2), in a process of its own: it is not written for a patched one, nor for warnings as errors."""

import io
import sys

import boto
from boto.s3.connection import OrdinaryCallingFormat, S3Connection


def main(host: str, port: str, access_key: str, secret_key: str) -> None:
    connection = S3Connection(
        access_key, secret_key, is_secure=False, host=host, port=int(port), calling_format=OrdinaryCallingFormat()
    )
    bucket = connection.create_bucket("boto2")
    key = bucket.new_key("dir/ü key")
    key.set_metadata("color", "red")
    key.set_contents_from_string("hello from 2010", headers={"Content-Type": "text/plain"})
    again = bucket.get_key("dir/ü key")
    assert again.get_contents_as_string() == b"hello from 2010"
    assert again.get_metadata("color") == "red"
    assert again.content_type == "text/plain"
    assert [found.name for found in bucket.list()] == ["dir/ü key"]
    assert [found.name for found in bucket.list(delimiter="/")] == ["dir/"]
    upload = bucket.initiate_multipart_upload("parts")
    for number, size in ((1, 5 * 1024 * 1024), (2, 7)):
        upload.upload_part_from_file(io.BytesIO(b"p" * size), number)
    upload.complete_upload()
    assert bucket.get_key("parts").size == 5 * 1024 * 1024 + 7
    bucket.copy_key("copy", "boto2", "dir/ü key", metadata={"color": "blue"})
    assert bucket.get_key("copy").get_metadata("color") == "blue"
    assert "Signature=" in again.generate_url(60)
    assert boto.connect_s3 is not None
    result = bucket.delete_keys(["dir/ü key", "parts", "copy"])
    assert not result.errors, result.errors
    assert connection.lookup("boto2") is not None
    bucket.delete()
    assert connection.lookup("boto2") is None
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
