"""``nova-manage image`` and ``nova-manage bucket import-legacy``: without a server, and as a person at a terminal sees them."""

import hashlib
import io
import json
import os
import pty
import random
import signal
import subprocess
import sys

import pytest

from nova_objectstore.assembly import Settings, build_store
from nova_objectstore.assembly_images import build_image_job, open_keys
from nova_objectstore.cmd.manage import run
from nova_objectstore.images.keys import KEY_NAME
from nova_objectstore.images.manifest import read_manifest
from nova_objectstore.limits import MiB
from nova_wsgi.testing import wait_until

ACCOUNT = "000000000001"
CONTENT = random.Random(3).randbytes(400_000) + bytes(MiB)


class Shell:
    """Runs command lines over one state directory, which has the account ``owner`` and its bucket ``images``."""

    def __init__(self, path):
        self.path = path
        self.settings = Settings(state_path=path, sync="never")
        self.run("account", "create", "owner", "--account-id", ACCOUNT)
        self.store = build_store(self.settings)
        self.store.open()
        self.store.buckets.create("images", owner_id=ACCOUNT)

    def run(self, *argv, code=0):
        out, err = io.StringIO(), io.StringIO()
        got = run([f"--state-path={self.path}", *map(str, argv)], environ={}, out=out, err=err)
        assert got == code, err.getvalue()
        return out.getvalue() if code == 0 else err.getvalue()

    def json(self, *argv):
        return json.loads(self.run("--json", *argv))

    def finish_images(self):
        """What the worker does."""
        return build_image_job(self.store, open_keys(self.settings)).run()


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path / "state")
    yield shell
    shell.store.close()


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.img"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def location(shell, image):
    made = shell.json("image", "bundle", image, "--directory", image.parent / "bundle")
    return shell.json("image", "upload", made["manifest"], "--bucket", "images", "--prefix", "lucid/")["location"]


# -- images --------------------------------------------------------------------------------------------------------------


def test_a_bundle_says_what_it_was_told(shell, image, tmp_path):
    words = ["--name", "lucid", "--architecture", "i386", "--user", ACCOUNT, "--kernel", "aki-1"]
    key = shell.path / "images" / KEY_NAME
    shell.run("image", "bundle", image, "--directory", tmp_path / "first")  # the cloud's keys are made at first use
    words += ["--user-cert", key.with_name("cloud-cert.pem"), "--sign-key", key]
    made = shell.json("image", "bundle", image, "--directory", tmp_path / "second", *words)
    assert (made["name"], made["type"], made["architecture"]) == ("lucid", "machine", "i386")
    assert (made["bytes"], made["parts"]) == (len(CONTENT), 1)
    document = (tmp_path / "second" / "lucid.manifest.xml").read_bytes()
    manifest = read_manifest(document)
    assert (manifest.user, manifest.kernel_id, manifest.bundled_size) == (ACCOUNT, "aki-1", made["bundled_bytes"])
    assert b"<signature>" in document
    assert "exists" in shell.run("image", "bundle", image, "--directory", tmp_path / "first", code=1)
    kernel = ["image", "bundle", image, "--directory", tmp_path / "third", "--type", "kernel"]
    assert "machine images" in shell.run(*kernel, "--kernel", "aki-1", code=2)
    assert shell.json(*kernel)["type"] == "kernel"


def test_another_clouds_bundle_needs_no_store(image, tmp_path):
    other = Shell(tmp_path / "other")
    other.run("image", "bundle", image, "--directory", tmp_path / "first")
    other.store.close()
    certificate = tmp_path / "other" / "images" / "cloud-cert.pem"
    words = ["image", "bundle", str(image), "--directory", str(tmp_path / "second")]
    err = io.StringIO()
    assert run([f"--state-path={tmp_path}/none", *words], environ={}, out=io.StringIO(), err=err) == 2
    assert "there is no store" in err.getvalue()
    words.append(f"--cloud-cert={certificate}")
    assert run([f"--state-path={tmp_path}/none", *words], environ={}, out=io.StringIO(), err=err) == 0
    assert not (tmp_path / "none").exists()


def test_an_image_is_registered_listed_and_deregistered(shell, location):
    assert location == "images/lucid/disk.img.manifest.xml"
    made = shell.json("image", "register", location, "--name", "lucid", "--id", "ami-1", "--public")
    assert (made["image"], made["state"], made["account_id"], made["public"]) == ("ami-1", "pending", ACCOUNT, True)
    assert shell.finish_images() == 1
    (listed,) = shell.json("image", "list", "owner")
    assert (listed["state"], listed["bytes"], listed["name"]) == ("available", len(CONTENT), "lucid")
    assert shell.store.meta.get_image("ami-1").etag == hashlib.md5(CONTENT).hexdigest()
    gone = shell.json("image", "deregister", "ami-1")
    assert (gone["state"], gone["deregistered"]) == ("deregistered", True)
    assert shell.json("image", "list") == []


def test_what_is_refused(shell, location, tmp_path):
    shell.run("image", "register", location, "--id", "ami-1", "--name", "one")
    for words, told in [
        (["register", location, "--id", "ami-1"], "already"),
        (["register", location, "--name", "one"], "has that name"),
        (["register", location, "--id", "x"], "not the id of an image: x"),
        (["register", location, "--account", "nobody"], "nobody"),
        (["register", "images/none"], "none"),
        (["register", "images"], "BUCKET/KEY"),
        (["deregister", "ami-2"], "no such image: ami-2"),
        (["list", "nobody"], "nobody"),
        (["upload", "/none", "--bucket", "images"], "/none: No such file"),
        (["upload", "/none", "--bucket", "none"], "no such bucket: none"),
        (["bundle", "/none", "--directory", str(tmp_path)], "/none: No such file"),
    ]:
        assert told in shell.run("image", *words, code=1)
    assert "--part-size" in shell.run("image", "bundle", "/none", "--part-size", "0", code=2)
    assert len(shell.json("image", "list")) == 1


def test_a_bundle_whose_part_is_damaged_is_not_uploaded(shell, image):
    made = shell.json("image", "bundle", image, "--directory", image.parent / "bundle")
    part = image.parent / "bundle" / "disk.img.part.00"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert "digest" in shell.run("image", "upload", made["manifest"], "--bucket", "images", code=1)
    assert shell.json("bucket", "stats", "images")["objects"] == 0


# -- at a terminal -------------------------------------------------------------------------------------------------------


def at_terminal(shell, *words):
    """Start nova-manage with standard error at a terminal: the process, and the terminal's other end."""
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "nova_objectstore.cmd.manage", f"--state-path={shell.path}", "--json"]
    environ = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen([*command, *map(str, words)], stdout=subprocess.PIPE, stderr=child, env=environ)
    os.close(child)
    return process, parent


def test_a_bar_is_drawn_at_a_terminal_beside_the_json(shell, image):
    process, terminal = at_terminal(shell, "image", "bundle", image, "--directory", image.parent / "bundle")
    made, _ = process.communicate(timeout=20)
    drawn = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert json.loads(made)["bytes"] == len(CONTENT)
    assert "Bundling disk.img" in drawn
    assert "1.4/1.4 MB" in drawn


def test_a_bundle_that_is_interrupted_leaves_nothing(shell, tmp_path):
    image, directory = tmp_path / "endless.img", tmp_path / "bundle"
    with image.open("wb") as file:
        file.truncate(8 << 30)
    process, terminal = at_terminal(shell, "image", "bundle", image, "--directory", directory)
    wait_until(lambda: directory.is_dir() and any(directory.iterdir()), what="the first part")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    said = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert process.returncode == 130
    assert said.rstrip().endswith("nova-manage: interrupted")
    assert list(directory.iterdir()) == []


# -- directories of 2010 -------------------------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path):
    """The directories of an old store: a bucket of two objects, one of nobody's, and an image."""
    buckets, images = tmp_path / "old" / "buckets", tmp_path / "old" / "images"
    for name, owner in (("lucid", "project"), ("lost", "unknown")):
        (buckets / name / "deep").mkdir(parents=True)
        (buckets / f"{name}.json").write_text(json.dumps({"ownerId": owner}))
        (buckets / name / "small").write_bytes(b"small")
        (buckets / name / "deep" / "large").write_bytes(CONTENT)
    (images / "ami-old").mkdir(parents=True)
    (images / "ami-old" / "image").write_bytes(CONTENT)
    info = {"imageId": "ami-old", "imageLocation": "lucid/m.xml", "imageOwnerId": "project", "imageState": "available"}
    (images / "ami-old" / "info.json").write_text(json.dumps(info))
    return [f"--buckets-path={buckets}", f"--images-path={images}"]


def test_old_directories_are_taken_in_and_once(shell, old):
    done = shell.json("bucket", "import-legacy", *old, "--owner", "project=owner")
    assert (done["buckets"], done["objects"], done["images"], done["linked"]) == (1, 2, 1, 2)
    (problem,) = done["problems"]
    assert "'unknown' has no account" in problem
    assert shell.json("bucket", "stats", "lucid")["bytes"] == len(CONTENT) + 5
    assert [(one["image"], one["state"], one["account_id"]) for one in shell.json("image", "list")] == [
        ("ami-old", "available", ACCOUNT)
    ]
    again = shell.json("bucket", "import-legacy", *old, "--owner", "project=owner", "--default-owner", ACCOUNT)
    assert (again["buckets"], again["objects"], again["images"], again["unchanged"]) == (1, 2, 0, 3)
    assert again["problems"] == []


def test_mistakes_of_the_import(shell, old, tmp_path):
    assert "--buckets-path" in shell.run("bucket", "import-legacy", code=2)
    assert "PROJECT=ACCOUNT" in shell.run("bucket", "import-legacy", *old, "--owner", "owner", code=2)
    assert "nobody" in shell.run("bucket", "import-legacy", *old, "--owner", "project=nobody", code=1)
    assert "not a directory" in shell.run("bucket", "import-legacy", f"--buckets-path={tmp_path}/none", code=1)
