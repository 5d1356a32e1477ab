"""Parameters that nothing reads, most often because they are misspelt."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from robustify.configuration import LARGEST
from robustify.errors import shown


def stray_parameters(parameters: Mapping[str, Any]) -> list[str]:
    """Return one complaint for every top-level key that is neither listed in ``experiments`` nor could be.

    Args:
        parameters: all parameters, as Kedro merged them.
    """
    listed = parameters.get("experiments")
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    return [
        f"{key}: is unknown{did_you_mean(str(key), ['experiments', *names])}"
        for key, value in parameters.items()
        if key not in {"experiments", *names} and not _is_experiment(value)
    ]


def option_problems(
    name: str,
    make: Callable[..., object],
    options: Mapping[str, Any],
    *,
    given: Collection[str] = (),
) -> dict[str, str]:
    """Return what is wrong with options that ``make`` is to be given: unknown names and values of another type.

    Args:
        name: of what is made, for the complaints.
        make: a class or function that takes its options by name only, with types. A class may pass on
            to its bases what it doesn't name.
        options: those given to it; numbers must be finite, and whole ones below 2**31.
        given: names that aren't options, because whoever makes the part fills them in.

    Returns:
        A complaint by option, for those that are wrong.
    """
    known = {option: kind for option, kind in _options_of(make).items() if option not in given}
    problems: dict[str, str] = {}
    for option, value in options.items():
        if option not in known:
            near = did_you_mean(str(option), [*known, "name"])
            problems[option] = f"is unknown to {name!r}{near}"
        elif complaints := _complaints(known[option], value):
            problems[option] = f"{'; '.join(complaints)} (got {shown(value)})"
    return problems


def takes(make: Callable[..., object], option: str) -> bool:
    """Return whether ``make`` takes an option of that name."""
    return option in _options_of(make)


def missing_options(
    make: Callable[..., object], options: Collection[str], *, given: Collection[str] = ()
) -> list[str]:
    """Return the names of options that ``make`` can't do without and that are neither among ``options`` nor ``given``."""
    # a base's default doesn't make up for a class that asks for the option, so the first to name it counts
    first: dict[str, inspect.Parameter] = {}
    for _, by_name in _signatures(make):
        first = {**{one.name: one for one in by_name}, **first}
    return [
        name
        for name, one in first.items()
        if one.default is inspect.Parameter.empty and name not in {*options, *given}
    ]


def _options_of(make: Callable[..., object]) -> dict[str, Any]:
    """Return the types of what ``make`` takes by name only, by name."""
    found: dict[str, Any] = {}
    for function, by_name in _signatures(make):
        types = get_type_hints(function) if by_name else {}
        found = {**{one.name: types[one.name] for one in by_name}, **found}
    return found


def _signatures(
    make: Callable[..., object],
) -> Iterator[tuple[Callable[..., object], list[inspect.Parameter]]]:
    """Yield ``make``, or its class's and bases' initialisers as far as options are passed on, with what each takes by name only."""
    functions = (
        [vars(kind)["__init__"] for kind in make.__mro__ if "__init__" in vars(kind)]
        if inspect.isclass(make)
        else [make]
    )
    for function in functions:
        parameters = inspect.signature(function).parameters.values()
        yield (
            function,
            [one for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY],
        )
        if all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in parameters):
            break


def _complaints(kind: Any, value: object) -> list[str]:
    if _is_too_large(value):
        return [f"whole numbers must be below {LARGEST}"]
    try:
        TypeAdapter(
            kind, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)
        ).validate_python(value, strict=True)
    except ValidationError as error:
        # a union complains once for every type it could be
        return list(dict.fromkeys(problem["msg"] for problem in error.errors()))
    return []


def _is_too_large(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_too_large(one) for one in value)
    return isinstance(value, int) and abs(value) >= LARGEST


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that offers the known word nearest to this one, or nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _is_experiment(value: object) -> bool:
    # whatever is wrong with it: it isn't run
    return isinstance(value, Mapping) and {"data", "nets", "training"} <= value.keys()
