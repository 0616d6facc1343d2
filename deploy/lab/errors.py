"""What can go wrong in the lab, each with what to do about it."""


class Error(Exception):
    """A refusal that the user can act on: one sentence, and perhaps a hint."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(f"{sentence}\n  {hint}" if hint else sentence)


class NotRoot(Error):
    """The lab makes namespaces, bridges and mounts, so it needs root."""


class Missing(Error):
    """A program of some Debian package is not installed."""


class Unknown(Error):
    """No such lab, host, service or signal; names those that are known."""


class Busy(Error):
    """A lab, subnet, port or name is in use by something else."""


class ProgramFailed(Error):
    """An external program ended with an error; carries its last words."""


class TooLate(Error):
    """Something did not happen within its time; says what was waited for."""


class CalledOff(Error):
    """A wait was ended because something else had failed."""


class BadAnswer(Error):
    """The API answered with something else than asked for."""
