"""What ``nova-objectstore`` tells whoever starts it: where it answers, with which key, and what to paste."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from nova_objectstore.bootstrap import Bootstrap


def render_banner(endpoint: str, region: str, root: Bootstrap) -> str:
    """The text: the access key, and where its secret lies. The secret itself would stay in the logs of supervisors."""
    path = root.path.absolute()
    lines = [f"S3 endpoint    {endpoint}   (region {region})"]
    if root.pair is None:
        command = f"nova-manage --state-path {shlex.quote(str(path.parent))} key create root"
        lines.append(f"Access key     kept nowhere on this machine; `{command}` makes another")
        return "\n".join(lines)
    lines.append(f"Access key     {root.pair.access_key}")
    lines.append(f"Secret key     in {path}")
    return "\n".join([*lines, *_render_examples(endpoint, region, path)])


def _render_examples(endpoint: str, region: str, path: Path) -> list[str]:
    if not endpoint.startswith("http"):
        return []  # a unix socket: neither of them speaks to one
    for anywhere, here in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        endpoint = endpoint.replace(anywhere, here)
    return [
        "",
        "With the AWS command line:",
        f"    export AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(path))} AWS_REGION={region} AWS_ENDPOINT_URL={endpoint}",
        "    aws s3 mb s3://first && echo hello | aws s3 cp - s3://first/hello.txt && aws s3 ls s3://first",
        "",
        "With boto3:",
        "    import boto3, os",
        f'    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = {str(path)!r}',
        f'    s3 = boto3.client("s3", endpoint_url="{endpoint}", region_name="{region}")',
        '    s3.create_bucket(Bucket="second"); s3.put_object(Bucket="second", Key="hello", Body=b"hello")',
        '    print(s3.get_object(Bucket="second", Key="hello")["Body"].read())',
    ]


def announce(endpoint: str, region: str, root: Bootstrap) -> None:
    """Write the banner to standard error, where it does not mix with anything that is piped."""
    sys.stderr.write(render_banner(endpoint, region, root) + "\n\n")
    sys.stderr.flush()
