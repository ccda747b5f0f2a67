"""Why pixels could not be changed. Reasons name no value of the object."""


class CannotTranscode(Exception):
    """These pixels cannot be had so. It will not be otherwise the next time."""


class CodecFailed(CannotTranscode):
    """A codec does not take these bytes, crashed on them, or took too long or too much memory."""


class NoCodecs(Exception):
    """No codec process can be started, or no place is left to write to: it may pass."""
