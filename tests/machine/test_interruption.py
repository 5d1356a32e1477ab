"""Signals while a step is at hand."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from robustify.machine.interruption import Interruption


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_is_noted_and_obeyed_when_asked() -> None:
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            interruption.raise_if_requested()


def test_a_signal_that_the_process_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.requested
        interruption.raise_if_requested()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_handlers_of_before_are_put_back() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


def test_a_signal_that_comes_too_late_for_the_work_is_obeyed_at_its_end() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_on_its_way_is_not_hidden_by_a_signal() -> None:
    with pytest.raises(KeyError), Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        raise KeyError
