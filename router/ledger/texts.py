"""Text from outside, made fit for a column: bounded, without what databases refuse."""


def bounded(text: str | None, limit: int) -> str | None:
    """At most `limit` characters of `text`; no NUL, no lone surrogate. None stays None."""
    if text is None:
        return None
    if len(text) > limit:
        text = text[:limit]
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    # PostgreSQL refuses NUL, and no driver can encode half a surrogate pair.
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def required(text: str, limit: int) -> str:
    """The same for a column that may not be null."""
    return bounded(text, limit) or ""


DETAIL_LIMIT = 500
"""History explains in a sentence or two; it is not a log."""
SLUG_LIMIT = 64
"""Reasons are metric labels as well: short and of few kinds."""
