from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from robustify.measurement.lockstep import in_lockstep

Ask = Callable[[int], int]


def counting_to(last: int) -> Callable[[Ask], list[int]]:
    return lambda ask: [ask(number) for number in range(last)]


def test_each_round_answers_all_that_still_run() -> None:
    rounds: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def squares(tasks: Sequence[int], questions: Sequence[int]) -> list[int]:
        rounds.append((tuple(tasks), tuple(questions)))
        return [question**2 for question in questions]

    results = in_lockstep([counting_to(last) for last in (3, 0, 1, 2)], squares)
    assert results == [[0, 1, 4], [], [0], [0, 1]]
    assert rounds == [((0, 2, 3), (0, 0, 0)), ((0, 3), (1, 1)), ((0,), (2,))]


def test_a_failed_answer_ends_all_and_is_raised() -> None:
    def fails(tasks: Sequence[int], questions: Sequence[int]) -> list[int]:
        raise ZeroDivisionError("no answer")

    with pytest.raises(ZeroDivisionError, match="no answer"):
        in_lockstep([counting_to(5)] * 3, fails)


def test_a_failed_task_lets_the_others_end_and_is_raised() -> None:
    ended: list[int] = []

    def fails(ask: Ask) -> None:
        raise KeyError(ask(1))

    def ends(ask: Ask) -> None:
        ended.extend(ask(number) for number in range(4))

    with pytest.raises(KeyError, match="7"):
        in_lockstep([fails, ends], lambda tasks, questions: [7] * len(questions))
    assert ended == [7] * 4


def test_an_answer_that_is_missing_is_no_hang() -> None:
    with pytest.raises(ValueError, match="zip"):
        in_lockstep([counting_to(2)] * 2, lambda tasks, questions: [1])
