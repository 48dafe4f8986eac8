"""Refusals: their text is one sentence for the user that says what is wrong and what to do."""


class EditWorldError(Exception):
    """The work failed for a reason that the user can do something about."""


class BadInputError(EditWorldError, ValueError):
    """What was given cannot be used: a file, an instruction or a setting."""


class EngineUnavailableError(EditWorldError):
    """The engine is unknown, or its weights, memory or licence are missing."""


class EditCancelledError(EditWorldError):
    """The user stopped the edit; raised by the progress callback at a step's end."""
