"""How sizes of perturbations are written."""

import pytest

from robustify.levels import size_label
from robustify.reporting.comparison import heading


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


@pytest.mark.parametrize("levels", [0.2, 0.5, 1, 2, 4, 5, 8, 12, 16])
def test_columns_of_six_digits_are_read_as_what_they_mean(levels: float) -> None:
    assert heading(f"pgd_{levels / 255:.6g}") == f"PGD, ε = {levels:g}/255"


def test_other_columns_keep_their_words() -> None:
    assert heading("pgd_images") == "pgd images"
    assert heading("certified_0.1") == "certified, ε = 0.1"
    assert size_label(1.23456e-9) == "1.235e-09"
