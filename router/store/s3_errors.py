"""What an S3 server's refusal means, in the store's own words.

The client's texts hold URLs, request ids and dumps of its own state: only the status and the code
of the answer are taken from them. No credential, address or key ever stands in an error of ours.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError

from router import metrics
from router.store.port import StoreUnavailable


class StoreRefuses(StoreUnavailable):
    """The store is there and will not have us: only a person can change that."""


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Raise OSErrors, and count those that are the store's fault, by what was asked of it."""
    try:
        yield
    except (BaseError, FileNotFoundError, ValueError) as error:
        meant = meaning(str(error))
        if isinstance(meant, StoreUnavailable):
            metrics.STORE_FAILURES.labels(operation).inc()
        raise meant from None


def meaning(text: str) -> OSError:
    """The error that the client's text stands for."""
    found = _CODE.search(text)
    code = found[1] if found else ""
    found = _STATUS.search(text)
    status = int(found[1]) if found else 0
    if code == "NoSuchKey":
        return FileNotFoundError(errno.ENOENT, "the object is not in the store")
    if code in _REFUSALS:
        return StoreRefuses(errno.EACCES, f"{_REFUSALS[code]} ({code})")
    if code in _FULL or status == 507:
        return OSError(errno.ENOSPC, "the store is full")
    if status in (401, 403):
        return StoreRefuses(errno.EACCES, f"the store refuses us (HTTP {status})")
    if status in (429, 503):
        return StoreUnavailable(errno.EAGAIN, f"the store is overloaded (HTTP {status})")
    if status:
        return StoreUnavailable(errno.EIO, f"the store failed ({code or 'HTTP'} {status})")
    if found := _CERTIFICATE.search(text):
        why = _CERTIFICATES.get(found[1], f"is not accepted ({found[1]})")
        return StoreRefuses(errno.EACCES, f"the certificate of the store's server {why}")
    if _TIMED_OUT.search(text):
        return StoreUnavailable(errno.ETIMEDOUT, "the store did not answer in time")
    if _CREDENTIALS.search(text):
        return StoreRefuses(errno.EACCES, "no credentials for the store were found")
    return StoreUnavailable(errno.ECONNREFUSED, "the store cannot be reached")


_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_TIMED_OUT = re.compile(r"timed out|TimedOut")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w{1,40}?)(?:Context)?\b")
_CERTIFICATES = {
    "UnknownIssuer": "is of an authority that we do not trust",
    "NotValidForName": "is not that of this host",
    "Expired": "has expired",
    "NotValidYet": "is not valid yet",
    "CaUsedAsEndEntity": "is that of an authority, and no server's",
}
_CREDENTIALS = re.compile(r"169\.254\.169\.254|credential", re.IGNORECASE)
_CREDENTIALS_WRONG = "the store refuses our credentials"
_REFUSALS = {
    "NoSuchBucket": "the bucket does not exist",
    "InvalidBucketName": "the bucket's name is not valid",
    "PermanentRedirect": "the bucket is in another region",
    "AuthorizationHeaderMalformed": "the bucket is in another region",
    "AccessDenied": "the credentials do not allow it",
    "AllAccessDisabled": "the bucket is closed",
    "InvalidAccessKeyId": _CREDENTIALS_WRONG,
    "SignatureDoesNotMatch": _CREDENTIALS_WRONG,
    "InvalidToken": _CREDENTIALS_WRONG,
    "ExpiredToken": "the credentials have expired",
    "RequestTimeTooSkewed": "our clock and the store's differ too much",
}
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "InsufficientCapacity"})
