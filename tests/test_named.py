"""A wrong name lists the known ones, whatever kind of thing it should have been."""

from __future__ import annotations

from typing import Any

import pytest

from robustify.attacks import make_attack
from robustify.errors import InputError
from robustify.maximisers import MAXIMISERS, make_maximiser
from robustify.named import make_named
from robustify.training.schedules import make_schedule
from robustify.uncertainty import make_uncertainty_set


@pytest.mark.parametrize("name", ["sharpest_ascent", "", None, ["steepest_ascent"], {}, 3])
def test_what_is_no_name_is_refused_as_an_unknown_one_is(name: Any) -> None:
    known = "steepest_ascent, projected_gradient"
    with pytest.raises(InputError) as caught:
        make_maximiser(name)
    assert str(caught.value) == f"maximiser {name!r} is unknown; known: {known}"


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_uncertainty_set, "uncertainty set"),
        (make_attack, "attack"),
        (lambda name: make_schedule(name=name, steps=10, steps_per_epoch=5), "schedule"),
    ],
)
def test_every_kind_says_what_it_is(make: Any, kind: str) -> None:
    with pytest.raises(InputError, match=rf"^{kind} 'none_such' is unknown; known: \w+(, \w+)+$"):
        make("none_such")


def test_options_go_to_what_is_made_and_wrong_ones_are_named() -> None:
    made = make_named("maximiser", MAXIMISERS, "projected_gradient", {"steps": 3}, restarts=2)
    assert (made.steps, made.restarts) == (3, 2)
    with pytest.raises(
        InputError, match=r"^maximiser 'projected_gradient' with options \{'step': 3\}: .*'step'$"
    ):
        make_named("maximiser", MAXIMISERS, "projected_gradient", {"step": 3})
