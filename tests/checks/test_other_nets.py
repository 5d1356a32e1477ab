from __future__ import annotations

from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader

from robustify.checks.other_nets import problem_of_other_net
from robustify.checks.parameters import experiments_of
from robustify.configuration import Experiment
from robustify.nets import make_net
from robustify.settings import CONFIG_LOADER_ARGS
from robustify.storage import TrainedNet, save_net

from ..conftest import PROJECT


@pytest.fixture(scope="module")
def mnist() -> Experiment:
    loader = OmegaConfigLoader(str(PROJECT / "conf"), env="base", **CONFIG_LOADER_ARGS)
    return experiments_of(loader["parameters"])["mnist"]


def test_a_net_of_the_task_will_do(mnist: Experiment, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_net(path, TrainedNet(make_net("mnist_convnet"), {"name": "mnist_convnet"}))
    assert problem_of_other_net(path, mnist) is None
    path.write_bytes(path.read_bytes()[:-1])
    problem = problem_of_other_net(path, mnist)
    assert problem is not None
    assert str(path) in problem


def test_what_cannot_answer_is_told(mnist: Experiment, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    assert problem_of_other_net(path, mnist) == f"there is no file {path}"
    colours = {"name": "airbench", "widths": [4, 6, 8]}
    save_net(path, TrainedNet(make_net("airbench", widths=[4, 6, 8]), colours))
    problem = problem_of_other_net(path, mnist)
    assert problem is not None
    assert problem == f"{path}: images have 1 channels, expected 3"
