"""What ends a demo without success."""


class Error(Exception):
    """A part of the demo did not work; the sentence says which."""


class CommandFailed(Error):
    """A command of the product, the lab or libvirt ended with an error."""


class Untrue(Error):
    """What was seen is not what was promised: the guest, libvirt and the API disagree."""
