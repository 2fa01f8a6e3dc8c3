"""A Ray cluster as a pool: what it is told and how its errors read; and a real one, run by hand."""

import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from fl.execution import ray_pool
from fl.execution.pool_client import WorkerDiedError
from fl.execution.ray_pool import MAX_RETRIES, RayClient, RayError, RayPool


class LostError(Exception):
    """As ``ray.exceptions.RayError``."""


class PretendedRay(SimpleNamespace):
    """What of the package is used, in this process."""

    def __init__(self, *, cores=2.0, gpus=0.0, answers=True):
        super().__init__(exceptions=SimpleNamespace(RayError=LostError))
        self.held = {"CPU": cores, "GPU": gpus}
        self.answers = answers
        self.inits, self.settings, self.cancelled, self.is_down = [], [], [], False

    def is_initialized(self):
        return bool(self.inits) and not self.is_down

    def init(self, **settings):
        if not self.answers:
            msg = "nobody\nanswers"
            raise ConnectionError(msg)
        self.inits.append(settings)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def cluster_resources(self):
        return self.held

    def get_runtime_context(self):
        return SimpleNamespace(gcs_address="here:1")

    def remote(self, **settings):
        self.settings.append(settings)
        return lambda function: SimpleNamespace(remote=lambda order: (function, order))

    def get(self, job):
        _, order = job
        if order == b"lost":
            raise LostError
        return b"answer to " + order

    def cancel(self, job):
        self.cancelled.append(job[1])

    def shutdown(self):
        self.is_down = True


@pytest.fixture
def pretended(monkeypatch):
    def make(**settings):
        ray = PretendedRay(**settings)
        monkeypatch.setitem(sys.modules, "ray", ray)
        return ray

    return make


def test_answers_go_to_who_asks_and_a_job_is_tried_again(pretended):
    ray = pretended(cores=7.5)
    pool = RayPool("auto")
    assert pool.num_workers == 7
    assert ray.inits[0]["address"] == "auto"
    client = pool.here
    assert client is pool.here
    first, second, third = (client.submit(each, recipe="r", flop=1) for each in (b"a", b"b", b"c"))
    assert client.result(second) == b"answer to b"
    assert [client.result(first) for _ in range(2)] == [b"answer to a"] * 2
    for each in (first, second):
        client.drop(each)
    client.drop(third)
    client.drop(third)
    assert ray.cancelled == [b"c"]
    client.submit(b"d", recipe="r", flop=1)
    client.close()
    assert ray.cancelled == [b"c", b"d"]
    assert ray.settings == [{"num_cpus": 1, "num_gpus": 0.0, "max_retries": MAX_RETRIES}]
    assert len(ray.inits) == 1  # this process is connected once
    pool.close()
    assert ray.is_down


def test_a_client_connects_where_it_arrives(pretended):
    ray = pretended()
    client = RayClient("there:2", num_gpus=0.5)
    assert not ray.inits
    client.submit(b"a", recipe="r", flop=1)
    assert ray.inits[0]["address"] == "there:2"
    assert ray.settings[0]["num_gpus"] == 0.5


def test_what_the_end_of_a_process_means_is_not_for_ray_to_say(pretended):
    pretended()
    before = signal.getsignal(signal.SIGTERM)
    RayPool("auto")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_lost_job_says_so(pretended):
    pretended()
    client = RayPool().here
    number = client.submit(b"lost", recipe="r", flop=1)
    with pytest.raises(WorkerDiedError):
        client.result(number)


def test_gpus_bound_the_jobs_at_a_time(pretended):
    pretended(cores=64.0, gpus=2.0)
    assert RayPool(num_gpus=0.25).num_workers == 8


@pytest.mark.parametrize(
    ("settings", "num_gpus", "told"),
    [
        ({"cores": 0.0}, 0.0, "a job needs 1 core and 0 GPUs, the cluster has 0 and 0"),
        ({"gpus": 1.0}, 2.0, "a job needs 1 core and 2 GPUs, the cluster has 2 and 1"),
        ({"answers": False}, 0.0, "no cluster answers at auto: nobody answers"),
    ],
)
def test_what_cannot_be_used_is_one_line(pretended, settings, num_gpus, told):
    pretended(**settings)
    with pytest.raises(RayError) as caught:
        RayPool("auto", num_gpus=num_gpus)
    assert str(caught.value) == told


def test_without_the_package_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayError, match=r"package ray is needed .*airtune\[ray\]"):
        RayPool()


@pytest.mark.slow
def test_two_nodes_give_the_same_rows_and_outlive_a_worker(tmp_path, monkeypatch):
    """Two nodes of one core each on this machine; a process of theirs is killed in the middle."""
    ray = pytest.importorskip("ray", reason="needs the package ray: pip install 'airtune[ray]'")
    del ray
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # no token is shared by the nodes

    def call(*words):
        return subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, check=True
        )

    study = ("scenarios.cli", "run", "quickstart", "--set", "server.num_rounds=4", "--seeds", "1")
    study = (
        *study,
        "--set",
        "methods=[{kind: fedit, rank: 8}, {kind: local, rank: 8}]",
        "--no-store",
    )
    call(*study, "--out", str(tmp_path / "here"))
    nodes = ("ray.scripts.scripts", "start", "--num-cpus=1", "--disable-usage-stats")
    try:
        call(*nodes, "--head", "--port=6399", "--include-dashboard=false")
        call(*nodes, "--address=127.0.0.1:6399")
        there = subprocess.Popen(
            [sys.executable, "-m", *study, "--executor", "ray", "--ray-address", "127.0.0.1:6399",
             "--out", str(tmp_path / "there")]
        )  # fmt: skip
        assert _kill_a_worker(), "no worker of the cluster has begun"
        assert there.wait() == 0
    finally:
        call("ray.scripts.scripts", "stop", "--force")
    here = {file.relative_to(tmp_path / "here"): file.read_bytes()
            for file in (tmp_path / "here").rglob("seed1/*.csv")}  # fmt: skip
    assert here
    assert all((tmp_path / "there" / name).read_bytes() == rows for name, rows in here.items())


def _kill_a_worker():
    """Kill a process of the cluster that runs a job."""
    deadline_s = time.monotonic() + 300
    while time.monotonic() < deadline_s:
        found = subprocess.run(
            ["pkill", "-KILL", "--newest", "-f", f"ray::{ray_pool._answer.__name__}"], check=False
        )
        if found.returncode == 0:
            return True
        time.sleep(0.05)
    return False
