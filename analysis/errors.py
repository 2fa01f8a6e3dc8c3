"""What analysis raises."""


class ResultError(Exception):
    """A result folder that cannot be used; the message is one line that says why."""


class FolderInUseError(ResultError):
    """Another process writes to the result folder; the message names it."""


class FolderLostError(ResultError):
    """A result folder was removed, moved or replaced while a process worked with it."""
