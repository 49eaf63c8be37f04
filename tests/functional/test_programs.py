"""The programs as an operator has them: all in one, each for itself, over RabbitMQ; killed, stopped and reloaded."""

import contextlib
import fcntl
import hashlib
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import requests
from support.house import (
    Gate,
    Images,
    address,
    manage,
    running_apart,
    running_combined,
    running_front,
    running_gated_worker,
    running_worker,
    store_bundle,
    store_slow_bundle,
)
from support.rabbitmq import started_rabbitmq
from support.raw_store import Load, Wire, clients, connect, sign, sign_put
from support.store import BIN, Store, running_store
from support.store_state import check_files, staged_files

from nova_objectstore.limits import MiB
from nova_wsgi.testing import LiveServer, wait_until, workers

PROGRAMS = ("nova-objectstore", "nova-objectstore-worker", "nova-api", "nova-combined", "nova-manage")
LARGE = 200 * MiB
LONG_S = 10.0
# SQLite closes the descriptor of a database file only when the process has no lock on the file (POSIX locks would go with
# it), and gives it to the next connection: of a generation that went, each connection's may be left, and no more come.
CONNECTIONS = 3  # of a generation: for reads, writes, checkpoints


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def small_image(folder: Path) -> Path:
    image = folder / "disk.img"
    image.write_bytes(random.Random(2).randbytes(300_000) + bytes(MiB))
    return image


def sha256(answer: requests.Response) -> str:
    digest = hashlib.sha256()
    for piece in answer.iter_content(MiB):
        digest.update(piece)
    return digest.hexdigest()


# -- images, from file to download ---------------------------------------------------------------------------------------


def test_all_in_one(state: Path, tmp_path: Path) -> None:
    with running_combined(state) as store:
        images = Images(store.url, address(store.server, "ec2"))
        location = store_bundle(state, small_image(tmp_path))
        first = images.put(location)
        second = images.ec2().register_image(Name="disk", ImageLocation=location)["ImageId"]
        third = manage(state, "image", "register", location, "--name", "third", "--public")["image"]
        for image_id in (first, second, third):
            images.wait_for(image_id, "available")
            assert images.read(image_id) == (tmp_path / "disk.img").read_bytes()
        osapi = address(store.server, "osapi")
        status, _, body = store.server.request("GET", "/os-services", url=osapi)
        assert status == 200
        assert b"nova-objectstore-worker" in body
        assert psutil.Process(store.server.pid).children() == []
    check_files(state)


def test_each_for_itself_with_an_image_of_200_mib(state: Path, tmp_path: Path) -> None:
    image = tmp_path / "large.img"
    block = random.Random(1).randbytes(MiB) + bytes(3 * MiB)
    image.write_bytes(block * (LARGE // len(block)))
    assert image.stat().st_size == LARGE
    with image.open("rb") as file:
        wanted = hashlib.file_digest(file, "sha256").hexdigest()
    with running_apart(state) as (store, worker, api):
        images = Images(store.url, address(api, "ec2"))
        location = store_bundle(state, image)
        ec2 = images.ec2()
        by_ec2 = ec2.register_image(Name="large", ImageLocation=location)["ImageId"]
        by_put = images.put(location)
        for image_id in (by_ec2, by_put):
            images.wait_for(image_id, "available", timeout_s=60)
            with images.ask("GET", f"/_images/{image_id}", stream=True) as answer:
                assert sha256(answer) == wanted
        assert {found["State"] for found in ec2.describe_images(Owners=["self"])["Images"]} == {"available"}
        assert workers(worker.pid) == []
    check_files(state)


def test_each_for_itself_over_rabbitmq(state: Path, tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    broker = started_rabbitmq(tmp_path / "broker")
    try:
        with running_apart(state, f"--rpc-url={broker.url}") as (store, _worker, api):
            images = Images(store.url, address(api, "ec2"))
            location = store_bundle(state, small_image(tmp_path))
            by_put = images.put(location)
            by_ec2 = images.ec2().register_image(Name="disk", ImageLocation=location)["ImageId"]
            for image_id in (by_put, by_ec2):
                images.wait_for(image_id, "available")
                assert images.read(image_id) == (tmp_path / "disk.img").read_bytes()
        assert not (state / "rpc").exists()
    finally:
        broker.close()
    check_files(state)


# -- the worker dies, and ends -------------------------------------------------------------------------------------------


@pytest.fixture
def front(state: Path) -> Iterator[Store]:
    with running_front(state) as store:
        yield store


def times_available(output: str, image_id: str) -> int:
    return output.count(f"image {image_id} is available")


WAY = ("pending", "decrypting", "untarring", "available")


def hold_worker_in(wanted: str, images: Images, worker: LiveServer, location: str, state: Path) -> str:
    """Register an image, and stop the worker's process while the image is in that state; the image's id."""
    if wanted == "pending":  # over too soon to be caught: the image comes when the worker is held already
        hold(worker, state)
        return images.put(location)
    for _ in range(20):  # a state may be over before it is seen
        image_id = images.put(location)
        images.wait_for(image_id, *WAY[WAY.index(wanted) :])
        hold(worker, state)
        if images.state(image_id) == wanted:
            return image_id
        worker.send_signal(signal.SIGCONT)
        images.wait_for(image_id, "available")
    raise AssertionError(f"no image was caught in {wanted}")


def hold(server: LiveServer, state: Path) -> None:
    """Stop a process, at a moment when it does not keep the others from writing."""

    def is_held() -> bool:
        server.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(server.pid).status() == psutil.STATUS_STOPPED, what="a held process")
        if others_may_write(state):
            return True
        server.send_signal(signal.SIGCONT)
        return False

    wait_until(is_held, what="a process held outside a transaction")


def others_may_write(state: Path) -> bool:
    with ExitStack() as stack:
        for name in ("turn", "writer"):
            file = stack.enter_context((state / f"metadata.sqlite-{name}").open())
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
    return True


def test_a_killed_worker_in_each_state_of_an_image(front: Store, state: Path, tmp_path: Path) -> None:
    images = Images(front.url)
    said = ""
    with running_worker(state):  # it makes the cloud's keys
        location, content = store_slow_bundle(state, tmp_path)
    image_ids = []
    for wanted in WAY[:-1]:
        worker = running_worker(state)
        image_ids.append(hold_worker_in(wanted, images, worker, location, state))
        worker.send_signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
        said += worker.output()
        worker.kill()
        assert images.state(image_ids[-1]) == wanted
    with running_worker(state) as worker:
        for image_id in image_ids:
            images.wait_for(image_id, "available")
            assert images.read(image_id) == content
    said += worker.output()
    assert [times_available(said, image_id) for image_id in image_ids] == [1, 1, 1]
    assert front.server.stop() == 0
    check_files(state)


def large_image(folder: Path) -> Path:
    """An image whose one part is data of the data engine, and takes several reads."""
    image = folder / "large.img"
    image.write_bytes(random.Random(3).randbytes(2 * MiB))
    return image


def test_a_soft_stop_waits_for_a_job_of_ten_seconds_and_takes_no_other(
    front: Store, state: Path, tmp_path: Path
) -> None:
    images = Images(front.url)
    control = tmp_path / "control"
    with running_worker(state):  # it makes the cloud's keys
        location = store_bundle(state, large_image(tmp_path))
    gate = Gate(tmp_path)
    with running_gated_worker(state, gate, f"--control-path={control}", "--image-lease-s=60") as worker:
        first, second = images.put(location), images.put(location)
        images.wait_for(first, "untarring")
        worker.send_signal(signal.SIGTERM)
        worker.wait_for_output("stopping on SIGTERM: 1 calls in flight")
        third = images.put(location)

        def age_s() -> float:
            (call,) = manage(state, f"--control-path={control}", "service", "inflight")
            return float(call["age_s"])

        wait_until(lambda: age_s() >= LONG_S, 2 * LONG_S, what=f"a job of {LONG_S} s")
        assert [images.state(image_id) for image_id in (first, second, third)] == ["untarring", "pending", "pending"]
        gate.open()
        assert worker.wait() == 0
    assert times_available(worker.output(), first) == 1
    assert images.read(first) == (tmp_path / "large.img").read_bytes()
    assert (images.state(second), images.state(third)) == ("pending", "pending")
    with running_worker(state) as again:
        images.wait_for(second, "available")
        images.wait_for(third, "available")
    assert times_available(again.output(), first) == 0


def test_a_second_sigterm_ends_the_job_now_and_the_next_start_finishes_it(
    front: Store, state: Path, tmp_path: Path
) -> None:
    images = Images(front.url)
    with running_worker(state):
        location = store_bundle(state, large_image(tmp_path))
    with running_gated_worker(state, Gate(tmp_path)) as worker:
        image_id = images.put(location)
        images.wait_for(image_id, "untarring")
        worker.send_signal(signal.SIGTERM)
        worker.wait_for_output("stopping on SIGTERM: 1 calls in flight")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(2) == 128 + signal.SIGTERM  # though a thread of it waits for the disk
    assert images.state(image_id) == "untarring"
    with running_worker(state) as again:
        images.wait_for(image_id, "available")
        assert images.read(image_id) == (tmp_path / "large.img").read_bytes()
    assert times_available(worker.output() + again.output(), image_id) == 1
    assert front.server.stop() == 0
    check_files(state)


# -- reloading ------------------------------------------------------------------------------------------------------------


def exchange(wire: Wire, key: str, content: bytes) -> None:
    assert wire.send(sign_put(f"/images/{key}", len(content)) + content).response().status == 200
    answer = wire.send(sign("GET", f"/images/{key}").head).response()
    assert (answer.status, answer.body) == (200, content)


def processes(server: LiveServer) -> list[int]:
    return [server.pid, *workers(server.pid)]


def descriptors(pid: int) -> Counter[str]:
    """How many a process has open: of database files, and others."""
    found: Counter[str] = Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found["database" if os.readlink(f"/proc/{pid}/fd/{fd}").endswith(".sqlite") else "other"] += 1
    return found


def leaks(before: Mapping[int, Counter[str]]) -> dict[int, Counter[str]]:
    """The descriptors that each process has more than before, and should not."""
    kept = Counter(database=CONNECTIONS)
    return {pid: more for pid, found in before.items() if (more := descriptors(pid) - found - kept)}


def is_connected(server: LiveServer) -> bool:
    found = (psutil.Process(pid).net_connections("tcp") for pid in processes(server))
    return any(one.status != psutil.CONN_LISTEN for connections in found for one in connections)


def reload_ten_times_under_load(store: Store) -> None:
    def work(index: int, load: Load) -> None:
        while load.goes_on:
            with connect(store) as wire:
                for size in (100, 100_000):
                    exchange(wire, f"{index}-{size}", bytes([index]) * size)
            load.count += 1

    def reload(number: int, load: Load) -> None:
        load.wait_for(10)
        store.server.send_signal(signal.SIGHUP)
        wait_until(lambda: store.server.output().count(" reloaded\n") >= number, what=f"reload {number}")

    with clients(8, work) as load:
        reload(1, load)
        load.wait_for(20)
    wait_until(lambda: not is_connected(store.server), what="the end of the clients' connections")
    before = {pid: descriptors(pid) for pid in processes(store.server)}
    with clients(8, work) as load:
        for number in range(2, 12):
            reload(number, load)
        load.wait_for(20)
    assert processes(store.server) == list(before)
    wait_until(lambda: not leaks(before), what=f"no more descriptors than before ({leaks(before)})")
    assert store.server.stop() == 0
    assert " ERROR " not in store.server.output()
    assert "Traceback" not in store.server.output()
    check_files(store.state_path)


def test_ten_reloads_of_the_store_with_its_worker(state: Path) -> None:
    with running_store(state, "--sync=never") as store:
        store.client().create_bucket(Bucket="images")
        assert len(workers(store.server.pid)) == 3
        reload_ten_times_under_load(store)


def test_ten_reloads_of_all_in_one(state: Path) -> None:
    with running_combined(state) as store:
        reload_ten_times_under_load(store)


def test_ten_reloads_of_the_worker_and_the_apis_while_images_are_made(state: Path, tmp_path: Path) -> None:
    with running_apart(state) as (store, worker, api):
        images = Images(store.url, address(api, "ec2"))
        location = store_bundle(state, small_image(tmp_path))
        ec2 = images.ec2()
        image_ids = []
        for number in range(1, 11):
            image_ids.append(ec2.register_image(Name=f"disk-{number}", ImageLocation=location)["ImageId"])
            for server in (worker, api):
                server.send_signal(signal.SIGHUP)
            for server in (worker, api):
                wait_until(lambda server=server, n=number: server.output().count(" reloaded\n") >= n, what="reload")
            if number == 1:
                images.wait_for(image_ids[0], "available")
                before = {server.pid: descriptors(server.pid) for server in (worker, api)}
        for image_id in image_ids:
            images.wait_for(image_id, "available")
        wait_until(lambda: not leaks(before), what=f"no more descriptors than before ({leaks(before)})")
        for server in (worker, api):
            assert workers(server.pid) == []
        assert worker.output().count(" is available: ") == len(image_ids)
    assert " ERROR " not in worker.output() + api.output()
    check_files(state)


# -- Ctrl-C ---------------------------------------------------------------------------------------------------------------


def begin_put(store: Store) -> Wire:
    """An upload whose second half does not come yet."""
    wire = connect(store).send(sign_put("/images/half", 2 * MiB)).send(bytes(MiB))
    wait_until(lambda: staged_files(store.state_path), what="the upload's first bytes")
    return wire


def test_one_ctrl_c_stops_all_in_one_softly(state: Path) -> None:
    with running_combined(state) as store, begin_put(store) as wire:
        store.server.send_signal(signal.SIGINT)
        store.server.wait_for_output("stopping on SIGINT: 1 calls in flight")
        assert wire.send(bytes(MiB)).response().status == 200
        assert store.server.wait() == 0
    with running_store(state, workers=1) as again:
        assert again.client().head_object(Bucket="images", Key="half")["ContentLength"] == 2 * MiB
    check_files(state)


def test_a_second_ctrl_c_stops_it_now(state: Path) -> None:
    with running_combined(state) as store, begin_put(store):
        store.server.send_signal(signal.SIGINT)
        store.server.wait_for_output("stopping on SIGINT")
        store.server.send_signal(signal.SIGINT)
        assert store.server.wait(3) == 128 + signal.SIGINT
    with running_store(state, workers=1) as again:
        assert "Contents" not in again.client().list_objects_v2(Bucket="images")
    check_files(state)


# -- the command line -----------------------------------------------------------------------------------------------------


def say(program: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / program), *argv], capture_output=True, text=True, timeout=20, check=False, env=dict(os.environ)
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_mistakes(program: str) -> None:
    told = say(program, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"usage: {program}")
    assert "--state-path" in told.stdout
    for argv, word in (("--nope", "--nope"), ("--daemonize", "supervisor")):
        done = say(program, argv)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert done.stderr.startswith(f"{program}: ")
        assert word in done.stderr
