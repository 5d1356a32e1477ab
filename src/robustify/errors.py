"""Errors that the user can mend: shown as one line, without a traceback."""


class InputError(ValueError):
    """A parameter, file or value isn't what it must be; the message names it and what would be right."""
