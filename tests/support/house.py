"""The house's programs together, as real processes over one state directory; and images made, stored and asked for."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from support.store import ACCESS_KEY, BIN, REGION, SECRET_KEY, Store, root_environ, running_store

from nova_objectstore.images.bundle import BundleKeys, BundleSpec, bundle_image
from nova_objectstore.images.keys import load_public_key
from nova_wsgi.testing import LiveServer, Notified, wait_until

BUCKET = "images"
GATED_WORKER = Path(__file__).parents[1] / "functional" / "programs" / "gated_worker.py"
SLOW_SIZE = 4500  # bytes of an image in parts of one byte, each some 0.2 ms of work


class Images:
    """Images by ``/_images`` of a store, and by the EC2 API at ``ec2_url``."""

    def __init__(self, s3_url: str, ec2_url: str = "") -> None:
        self._s3_url = s3_url
        self._ec2_url = ec2_url

    def ask(self, method: str, target: str, **settings: Any) -> requests.Response:
        """A signed request to ``/_images``; it must be granted."""
        request = AWSRequest(method, self._s3_url + target)
        S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION).add_auth(request)
        prepared = request.prepare()
        answer = requests.request(method, prepared.url, headers=dict(prepared.headers), timeout=60, **settings)
        assert answer.status_code in (200, 204), answer.text
        return answer

    def put(self, location: str) -> str:
        """Register with PUT; the image's id."""
        return self.ask("PUT", f"/_images/?image_location={location}").json()["imageId"]

    def state(self, image_id: str) -> str:
        """Its state as ``/_images`` tells it."""
        (image,) = self.ask("GET", f"/_images/?image_id={image_id}").json()
        assert image["imageState"] != "failed", image["stateReason"]
        return image["imageState"]

    def wait_for(self, image_id: str, *states: str, timeout_s: float = 30.0) -> None:
        """Wait for one of the states."""
        wait_until(lambda: self.state(image_id) in states, timeout_s, what=f"{image_id}: {states}")

    def read(self, image_id: str) -> bytes:
        """A small image's bytes."""
        return self.ask("GET", f"/_images/{image_id}").content

    def ec2(self) -> Any:
        """boto3's client of the EC2 API."""
        return boto3.session.Session().client(
            "ec2",
            endpoint_url=self._ec2_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(retries={"max_attempts": 1}),
        )


def manage(state_path: Path, *words: str | Path, timeout_s: float = 60) -> Any:
    """What ``nova-manage --json`` answers."""
    command = [BIN / "nova-manage", "--state-path", state_path, "--sync=never", "--json", *words]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "bars are for terminals"
    return json.loads(done.stdout)


def store_bundle(state_path: Path, image: Path, *options: str) -> str:
    """Bundle an image and store the bundle; the location of its manifest. The bucket must be there."""
    made = manage(state_path, "image", "bundle", image, "--directory", image.parent / "bundle", *options)
    return str(manage(state_path, "image", "upload", made["manifest"], "--bucket", BUCKET)["location"])


def store_slow_bundle(state_path: Path, folder: Path) -> tuple[str, bytes]:
    """A bundle whose registration takes a second or more, and is in each state for a while; its location, and the image."""
    content = random.Random(5).randbytes(SLOW_SIZE)
    image = folder / "slow.img"
    image.write_bytes(content)
    keys = BundleKeys(load_public_key(state_path / "images" / "cloud-cert.pem"))
    manifest = bundle_image(image, folder / "slow", spec=BundleSpec("slow"), keys=keys, part_size=1)
    return str(manage(state_path, "image", "upload", manifest, "--bucket", BUCKET)["location"]), content


# -- programs -----------------------------------------------------------------------------------------------------------


def address(server: LiveServer, api: str) -> str:
    """Where one of a program's APIs listens."""
    return server.wait_for_output(rf"\b{api} listens on (\S+)")[1].rstrip("/")


def running_worker(state_path: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> LiveServer:
    """A nova-objectstore-worker that takes messages; one that died is taken for dead after a second."""
    command = [BIN / "nova-objectstore-worker", "--state-path", state_path, "--sync=never", "--image-lease-s=1"]
    return LiveServer([*command, *arguments], ready=Notified(""), environ=root_environ(environ))


class Gate:
    """What a gated worker waits at for its bundles; closed at first."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"
        os.mkfifo(self.path)

    def open(self) -> None:
        """Let everybody through. Raises OSError (ENXIO) when nobody waits."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))


def running_gated_worker(state_path: Path, gate: Gate, *arguments: str) -> LiveServer:
    """A nova-objectstore-worker that does one job at a time, and reads bundles when the gate is open."""
    options = ["--objectstore-worker-manager=gated_worker:GatedWorkerManager", "--rpc-handlers-max=1"]
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(GATED_WORKER.parent))))
    environ = {"PYTHONPATH": path, "GATE": str(gate.path)}
    return running_worker(state_path, *options, *arguments, environ=environ)


@contextmanager
def running_combined(state_path: Path, *arguments: str) -> Iterator[Store]:
    """A nova-combined on free ports."""
    ports = ["--s3-listen-port=0", "--osapi-listen-port=0", "--ec2-listen-port=0", "--iam-listen-port=0"]
    command = [BIN / "nova-combined", "--state-path", state_path, *ports, "--sync=never", *arguments]
    ready = Notified(r"\bs3 listens on (?P<url>\S+)")
    with LiveServer(command, ready=ready, environ=root_environ()) as server:
        store = Store(server, state_path)
        store.client().create_bucket(Bucket=BUCKET)
        yield store


@contextmanager
def running_front(state_path: Path, *arguments: str) -> Iterator[Store]:
    """A nova-objectstore that leaves the jobs to another program."""
    with running_store(state_path, "--worker-processes=0", "--sync=never", *arguments, workers=1) as store:
        store.client().create_bucket(Bucket=BUCKET)
        yield store


@contextmanager
def running_apart(state_path: Path, *arguments: str) -> Iterator[tuple[Store, LiveServer, LiveServer]]:
    """nova-objectstore, nova-objectstore-worker and nova-api, each a program of its own."""
    with ExitStack() as stack:
        store = stack.enter_context(running_front(state_path, *arguments))
        worker = stack.enter_context(running_worker(state_path, *arguments))
        ports = ["--osapi-listen-port=0", "--ec2-listen-port=0", "--iam-listen-port=0"]
        command = [BIN / "nova-api", "--state-path", state_path, *ports, *arguments]
        yield store, worker, stack.enter_context(LiveServer(command, environ=root_environ()))
