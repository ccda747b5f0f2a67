"""Application entity titles on the wire: 16 bytes, spaces at either end insignificant."""

LENGTH = 16


def is_valid_ae_title(title: str) -> bool:
    """Return whether `title` may stand in a PDU (PS3.5 6.2, VR AE): 1 to 16 characters of the
    default repertoire, no backslash or control character, not only spaces."""
    return (
        1 <= len(title) <= LENGTH
        and title.isascii()
        and title.isprintable()
        and "\\" not in title
        and not title.isspace()
    )


def encode_ae_title(title: str) -> bytes:
    """Return the 16 bytes of a title (spaces appended); ValueError when it does not fit."""
    encoded = title.encode("latin-1")
    if len(encoded) > LENGTH:
        raise ValueError(f"an AE title has at most {LENGTH} characters")
    return encoded.ljust(LENGTH)


def decode_ae_title(field: bytes | memoryview) -> str:
    """Return the title in a field, without the spaces (or NULs, seen in the field) around it.

    Bytes beyond the default repertoire are kept one to one, so that the title is not recognised
    rather than the association aborted.
    """
    return str(field, "latin-1").strip(" \0")
