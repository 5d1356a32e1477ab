"""What is wrong with the parts that parameters name, found by making them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from robustify.checks.spelling import (
    did_you_mean,
    missing_options,
    option_problems,
    takes,
)
from robustify.errors import InputError, shown

# name and options of a part
Options = Mapping[str, Any]
# keys, and what is wrong with their values
Problems = Iterator[tuple[str, str]]


def problem_of(key: str, part: Callable[[], object]) -> Problems:
    """Yield what the making of a part complains of, if it does."""
    try:
        part()
    except InputError as error:
        yield key, str(error)


def problems_of_part(
    key: str,
    registry: Mapping[str, Callable[..., object]],
    options: Options,
    make: Callable[[Options], object],
    *,
    given: Collection[str] = (),
    null_drops: bool = False,
) -> Problems:
    """Yield what is wrong with a part's name and options: by their names and types, and with their values.

    Args:
        key: of the part.
        registry: what a part of that kind is made by, by name.
        options: name and options of the part.
        make: makes the part of them.
        given: names that aren't options, because whoever makes the part fills them in.
        null_drops: an option that is None counts as left out.
    """
    name = options.get("name")
    if not isinstance(name, str) or name not in registry:
        near = did_you_mean(name, registry) if isinstance(name, str) else ""
        yield f"{key}.name", f"{shown(name)} is unknown{near}; known: {', '.join(registry)}"
        return
    others = {
        option: value
        for option, value in options.items()
        # null drops an option that is inherited, perhaps from another part of the registry
        if option != "name"
        and not (
            null_drops and value is None and any(takes(part, option) for part in registry.values())
        )
    }
    problems = option_problems(name, registry[name], others, given=given)
    if null_drops:
        problems |= {
            option: f"{problems[option]}; null leaves it out"
            for option in problems
            if not takes(registry[name], option)
            and any(takes(part, option) for part in registry.values())
        }
    yield from ((f"{key}.{option}", complaint) for option, complaint in problems.items())
    missing = missing_options(registry[name], others, given=given)
    if missing:
        # an option that isn't known may be the missing one misspelt
        if all(takes(registry[name], option) for option in problems):
            yield from ((f"{key}.{option}", f"is missing; {name!r} needs it") for option in missing)
        return
    rest = {option: value for option, value in options.items() if option not in problems}
    # what lacks a required option can't be made, so nothing more is known of it
    if not (problems and _lacks_an_option(_error_of(rest, make))):
        yield from ((key, complaint) for complaint in _complaints(rest, make))


def _complaints(options: Options, make: Callable[[Options], object]) -> list[str]:
    """Return what the making of a part complains of, and what it would complain of without the option that is to blame."""
    complaints: list[str] = []
    said: set[str] = set()
    error = _error_of(options, make)
    while error is not None and _tells_more(error, said):
        complaints.append(str(error))
        said.update(str(error).split("; "))
        for option in [option for option in options if option != "name"]:
            rest = {other: value for other, value in options.items() if other != option}
            another = _error_of(rest, make)
            if another is None or (not _lacks_an_option(another) and _tells_more(another, said)):
                options, error = rest, another
                break
    return complaints


def _tells_more(error: InputError, said: Collection[str]) -> bool:
    # some parts tell of all their options at once
    return any(part not in said for part in str(error).split("; "))


def _error_of(options: Options, make: Callable[[Options], object]) -> InputError | None:
    try:
        make(options)
    except InputError as error:
        return error
    return None


def _lacks_an_option(error: InputError | None) -> bool:
    return error is not None and isinstance(error.__cause__, TypeError)
