"""Errors that the user can mend: shown as one line, without a traceback."""


class InputError(ValueError):
    """A parameter, file or value isn't what it must be; the message names it and what would be right."""


def shown(value: object) -> str:
    """Return a value as a message shows it: in one line that isn't too long."""
    try:
        return f"{value!r:.80}"
    except ValueError:
        # Python refuses to write whole numbers of thousands of digits
        return "a number of thousands of digits"
