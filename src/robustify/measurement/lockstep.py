"""Solvers that were written for one problem each, asking a net together: one pass for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from robustify.errors import InputError

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


def in_lockstep(
    tasks: Sequence[Callable[[Callable[[Question], Answer]], Result]],
    answer_all: Callable[[Sequence[int], Sequence[Question]], Sequence[Answer]],
) -> list[Result]:
    """Run every task in a thread of its own and answer what they ask for together, round by round.

    A round waits until every task still running has asked, so which questions share a pass depends
    on nothing but the tasks.

    Args:
        tasks: each takes a function that answers a question, and returns its result.
        answer_all: takes the numbers of the tasks that ask, in order, and their questions; returns an answer to each.

    Returns:
        The tasks' results, in their order.

    Raises:
        InputError: if the system doesn't allow that many threads.
        Exception: what a task or ``answer_all`` raises, once the others have ended.
    """
    asked: SimpleQueue[tuple[int, Question | None]] = SimpleQueue()
    answers: list[SimpleQueue[Answer | None]] = [SimpleQueue() for _ in tasks]

    def ask(task: int, question: Question) -> Answer:
        asked.put((task, question))
        answer = answers[task].get()
        if answer is None:
            raise RuntimeError("another task or the answers failed")
        return answer

    def work(task: int) -> Result:
        try:
            return tasks[task](partial(ask, task))
        finally:
            asked.put((task, None))

    with ThreadPoolExecutor(len(tasks)) as pool:
        try:
            futures = [pool.submit(work, task) for task in range(len(tasks))]
            running = len(tasks)
            while running:
                heard = sorted((asked.get() for _ in range(running)), key=lambda pair: pair[0])
                waiting = [(task, question) for task, question in heard if question is not None]
                running = len(waiting)
                if waiting:
                    numbers, questions = zip(*waiting, strict=True)
                    replies = answer_all(numbers, questions)
                    for task, reply in zip(numbers, replies, strict=True):
                        answers[task].put(reply)
        except BaseException as error:
            for waiting_answer in answers:
                waiting_answer.put(None)
            if isinstance(error, RuntimeError) and "start new thread" in str(error):
                raise InputError(
                    f"the system doesn't allow {len(tasks)} threads, one a pair of image and class; lower batch_size"
                ) from error
            raise
        return [future.result() for future in futures]
