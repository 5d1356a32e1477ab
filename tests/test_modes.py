from __future__ import annotations

import pytest
import torch
from torch import nn

from robustify.maximisers import SteepestAscent
from robustify.modes import evaluation_mode, frozen_running_statistics
from robustify.uncertainty import LinfBall

from .conftest import LinearNet


def test_evaluation_mode_gives_every_submodule_its_mode_back() -> None:
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3), nn.Linear(3, 2))
    net[1].eval()
    before = [module.training for module in net.modules()]
    with pytest.raises(RuntimeError, match="boom"), evaluation_mode(net):
        assert not any(module.training for module in net.modules())
        raise RuntimeError("boom")
    assert [module.training for module in net.modules()] == before


def test_frozen_running_statistics_use_the_batch_but_leave_no_trace() -> None:
    net = LinearNet(12, 4, batch_norm=True).train()
    x = torch.rand(8, 12)
    expected = net.linear((x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with frozen_running_statistics(net):
        torch.testing.assert_close(net(x), expected)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    net(x)
    assert net.normalise.num_batches_tracked == 1


def test_running_statistics_are_kept_again_whatever_happens_if_they_were() -> None:
    kept, never = nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False)
    with pytest.raises(KeyError), frozen_running_statistics(nn.Sequential(kept, never)):
        assert not kept.track_running_stats
        raise KeyError
    assert kept.track_running_stats
    assert not never.track_running_stats


def test_running_statistics_of_instance_normalisation_stay_in_the_inner_step(generator) -> None:
    net = nn.Sequential(
        nn.InstanceNorm2d(1, track_running_stats=True),
        nn.BatchNorm2d(1),
        nn.Flatten(),
        nn.Linear(12, 3),
    ).train()
    x, labels = torch.rand(4, 1, 3, 4, generator=generator), torch.tensor([0, 1, 2, 0])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with frozen_running_statistics(net):
        SteepestAscent().maximise(net, x, labels, LinfBall(radius=0.1), generator=generator)
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    net(x)
    assert not torch.equal(net[0].running_mean, before["0.running_mean"]), "tracked again"
