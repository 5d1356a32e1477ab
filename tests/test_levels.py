"""How sizes of perturbations are written."""

import pytest

from robustify.levels import size_label


@pytest.mark.parametrize(
    ("size", "label"),
    [
        (0.3, "0.3"),
        (0.2, "0.2"),  # 51/255, but a short decimal
        (8 / 255, "8/255"),
        (0.00196078431372549, "0.5/255"),
        (0.2 / 255, "0.2/255"),
        (2.0, "2"),
        (80 / 255, "80/255"),
        (0.123456, "0.1235"),
        (1.0, "1"),
    ],
)
def test_a_size_is_written_in_as_few_digits_as_say_it(size: float, label: str) -> None:
    assert size_label(size) == label
