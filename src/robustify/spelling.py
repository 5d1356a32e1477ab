"""Parameters that nothing reads, most often because they are misspelt."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from robustify.configuration import Experiment
from robustify.errors import InputError


def stray_parameters(parameters: Mapping[str, Any]) -> list[str]:
    """Return one complaint for every top-level key that is neither listed in ``experiments`` nor could be.

    Args:
        parameters: all parameters, as Kedro merged them.
    """
    listed = parameters.get("experiments")
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    return [
        f"{key}: is unknown{did_you_mean(key, ['experiments', *names])}"
        for key, value in parameters.items()
        if key not in {"experiments", *names} and not _is_experiment(value)
    ]


def check_options(name: str, make: Callable[..., object], options: Mapping[str, Any]) -> None:
    """Check that ``make`` takes every option by name, and values of its type.

    Args:
        name: of what is made, for the message.
        make: a class or function that takes its options by name only, with types.
        options: those given to it.

    Raises:
        InputError: naming every option that it doesn't take, and the nearest that it does, and every value of
            another type.
    """
    known = [
        parameter.name
        for parameter in inspect.signature(make).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    problems = [
        f"option {option!r} of {name!r} is unknown{did_you_mean(option, known)}"
        for option in options
        if option not in known
    ]
    problems += [
        f"option {option!r} of {name!r} is {value!r}: {complaint}"
        for option, value in options.items()
        if option in known
        for complaint in _complaints(_type_of(make, option), value)
    ]
    if problems:
        raise InputError("; ".join(problems))


def _type_of(make: Callable[..., object], option: str) -> Any:
    function = make.__init__ if inspect.isclass(make) else make
    return get_type_hints(function)[option]


def _complaints(kind: Any, value: object) -> list[str]:
    try:
        TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(
            value, strict=True
        )
    except ValidationError as error:
        return [problem["msg"] for problem in error.errors()]
    return []


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that offers the known word nearest to this one, or nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _is_experiment(value: object) -> bool:
    try:
        return isinstance(value, Mapping) and bool(Experiment(**value))
    except (ValidationError, TypeError):
        return False
