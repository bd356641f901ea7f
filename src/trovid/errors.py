"""The one error that the command line turns into a line of text."""


class TrovidError(Exception):
    """Something a user can mend: its message is one line that names the cause and the cure."""
