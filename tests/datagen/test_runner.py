"""Who works does not show in what is made: this process, two others, or two actors of a real Ray."""

import os
import subprocess
import sys
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from psutil import Process, wait_procs

from editworld_core.datagen.pair_models import names_in
from editworld_core.datagen.pairs import generate_pairs
from editworld_core.datagen.runner import LocalRunner, make_runner
from editworld_core.datagen.simulate import generate_simulated
from editworld_core.engines.place import Place
from editworld_core.errors import BadInputError, EditWorldError
from tests.datagen.kills import count_lines
from tests.datagen.stages import Counter, Unloadable, die_at_seven, refuse_seven
from tests.datagen.test_pairs import SETTINGS, content, quadruple
from tests.datagen.tiny_pair_models import save_models
from training.generate import main

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'ray>=2.50,<3'"
)


@pytest.fixture(scope="module")
def ray_of_two():
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        "local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()


@pytest.fixture(params=["local", pytest.param("ray", marks=needs_ray)])
def runner(request):
    if request.param == "ray":
        request.getfixturevalue("ray_of_two")
    return make_runner(request.param, workers=2)


def test_a_stage_stays_in_its_worker_and_results_come_in_order(runner):
    results = list(runner.map(Counter(), range(24)))
    assert [item for _, _, item in results] == list(range(24))
    workers = {pid for _, pid, _ in results}
    assert len(workers) == 2
    assert os.getpid() not in workers
    for worker in workers:
        counts = [seen for seen, pid, _ in results if pid == worker]
        assert sorted(counts) == list(range(1, len(counts) + 1))


def test_what_a_stage_refuses_is_refused_in_its_turn(runner):
    made = []
    with pytest.raises(BadInputError) as refusal:
        made.extend(runner.map(refuse_seven, range(20)))
    assert str(refusal.value) == "Seven is not for us."
    assert made == list(range(7))


def test_a_dead_worker_is_one_sentence(runner):
    with pytest.raises(EditWorldError, match="A worker process died") as refusal:
        list(runner.map(die_at_seven, range(20)))
    assert "\n" not in str(refusal.value)


def test_one_who_has_enough_stops_the_workers(runner):
    with closing(runner.map(Counter(), range(10_000))) as results:
        started = time.monotonic()
        _, worker, _ = next(results)
    until = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
    assert time.monotonic() - started < 60  # ten thousand would take longer


def test_simulated_worlds_are_the_same_bytes(tmp_path, runner):
    generate_simulated(tmp_path / "here", 21, size=64)
    generate_simulated(tmp_path / "there", 21, size=64, runner=runner)
    assert content(tmp_path / "here") == content(tmp_path / "there")


@pytest.mark.slow
def test_pairs_are_the_same_bytes(tmp_path, runner):
    models = names_in(save_models(tmp_path / "models", "sd15"))
    quadruples = [quadruple(number, "moon" if number == 1 else "snowman") for number in range(4)]
    for folder, who in (("here", LocalRunner()), ("there", runner)):
        report = generate_pairs(tmp_path / folder, quadruples, models, SETTINGS, Place(), runner=who)
        assert (report.added, len(report.rejected)) == (3, 1)
    assert content(tmp_path / "here") == content(tmp_path / "there")


@needs_ray
def test_a_machine_that_lacks_something_is_one_sentence(ray_of_two):
    with pytest.raises(EditWorldError, match="install the same version on all machines"):
        list(make_runner("ray", workers=1).map(Unloadable(), range(3)))


@needs_ray
def test_more_workers_than_ray_has_room_for_are_refused_not_awaited(ray_of_two):
    with pytest.raises(BadInputError, match="2 processors and 0 GPUs, too few for 3 workers"):
        list(make_runner("ray", workers=3).map(refuse_seven, range(3)))
    with pytest.raises(BadInputError, match="too few for 1 workers with 1 GPUs"):
        list(make_runner("ray", gpus=1).map(refuse_seven, range(3)))


@needs_ray
@pytest.mark.parametrize(
    "address, says",
    [("127.0.0.1:1", "cannot be reached"), ("nowhere", "HOST:PORT"), ("here:70000", "HOST:PORT")],
)
def test_an_address_without_ray_is_refused_at_once(tmp_path, capsys, address, says):
    folder = tmp_path / "set"
    assert main(["simulate", "-n", "3", "--runner", "ray", "--ray-address", address, "-o", str(folder)]) > 0
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert not folder.exists()


def test_without_ray_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr("editworld_core.datagen.ray_runner.find_spec", lambda _: None)
    with pytest.raises(EditWorldError, match="pip install 'ray"):
        make_runner("ray")


@needs_ray
@pytest.mark.slow
def test_a_killed_driver_takes_its_ray_along_and_the_local_runner_goes_on(tmp_path):
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "training.generate", "simulate", "-n", "300", "--size", "64"]
    driver = subprocess.Popen(
        [*command, "--runner", "ray", "--workers", "2", "-o", folder], stderr=subprocess.DEVNULL
    )
    while count_lines(folder) < 3 and driver.poll() is None:
        time.sleep(0.05)
    family = Process(driver.pid).children(recursive=True)
    # Two helpers of Ray's look for its end once a minute; the scheduler and the actors must go at once.
    ours = [each for each in family if "raylet" in each.name() or "_Worker" in " ".join(each.cmdline())]
    assert len(ours) >= 3
    driver.kill()
    driver.wait()
    assert not wait_procs(ours, timeout=30)[1]
    assert subprocess.run([*command, "-o", folder], capture_output=True).returncode == 0
    generate_simulated(tmp_path / "whole", 300, size=64)
    assert content(folder) == content(tmp_path / "whole")
