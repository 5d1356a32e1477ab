from __future__ import annotations

import pytest
import torch
from torch import nn

from robustify.errors import InputError
from robustify.training.averaging import WeightAverage


def test_the_average_is_the_sum_written_out_by_hand() -> None:
    net = nn.BatchNorm1d(1)
    average = WeightAverage(net, 0.3)
    expected = {"weight": 0.0, "running_var": 0.0}
    for step, value in enumerate((5.0, 1.0, -2.0, 7.0)):
        net.weight.data.fill_(value)
        net.running_var.fill_(value**2)
        net.num_batches_tracked.fill_(step + 1)
        average.update(net)
        kept = 0.0 if step == 0 else min(0.3, (1 + step) / (10 + step))
        for name, current in (("weight", value), ("running_var", value**2)):
            expected[name] = kept * expected[name] + (1 - kept) * current
    # 2/11, 3/12, then the decay itself: 4/13 is more
    first = 5.0 * 2 / 11 + 1.0 * 9 / 11
    assert expected["weight"] == pytest.approx(0.3 * (0.25 * first - 0.75 * 2.0) + 0.7 * 7.0)
    state = average.net.state_dict()
    assert float(state["weight"]) == pytest.approx(expected["weight"], rel=1e-6)
    assert float(state["running_var"]) == pytest.approx(expected["running_var"], rel=1e-6)
    assert int(state["num_batches_tracked"]) == 4
    assert float(net.weight.detach()) == 7.0


def test_what_never_changes_keeps_its_very_bits_and_a_state_goes_on_where_it_was() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    whole = WeightAverage(net, 0.9)
    fixed = net[0].weight.detach().clone()
    states = []
    for _ in range(12):
        net[1].weight.data.normal_()
        net[1].running_mean.normal_()
        whole.update(net)
        states.append(({k: v.clone() for k, v in net.state_dict().items()}, whole.state()))
        states[-1] = (states[-1][0], {k: v.clone() for k, v in states[-1][1].items()})
    assert torch.equal(whole.net[0].weight, fixed)
    assert not torch.equal(whole.net[1].weight, net[1].weight)
    resumed = WeightAverage(net, 0.9)
    resumed.restore(states[4][1])
    for current, _ in states[5:]:
        net.load_state_dict(current)
        resumed.update(net)
    for name, value in whole.state().items():
        assert torch.equal(resumed.state()[name], value), name


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(InputError, match=r"must be in \(0, 1\)"):
        WeightAverage(nn.Linear(1, 1), decay)
