"""What a store of objects answers where it does not do what it was asked: in words, and with what to do about it."""

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from matlake.errors import StorageError

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m|↳")  # delta-rs paints its errors
_REQUEST: Final = re.compile(
    r"Error performing (?P<method>[A-Z]+) (?P<endpoint>https?://[^/\s]+)\S* in (?P<took>[\d.]+)(?P<unit>[µmn]?s)"
)
_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
_RETRIES: Final = re.compile(r"after (\d+) retries")
_CODE: Final = re.compile(r"<Code>\s*([^<]+?)\s*</Code>")
_ENDING: Final = re.compile(r"\s*<\?xml.*")
_SHOWN: Final = 200  # characters of an answer that is of no known kind

_OF_A_STORE: Final = ("Error performing ", "Generic S3 error", "Generic GCS error", "Generic MicrosoftAzure error")
_OF_AN_OBJECT: Final = ("404 Not Found", "416 R", "412 Precondition", "409 Conflict")
"""What is in an answer about an object, which is not there, shorter than expected, or there already."""

_WRITES: Final = ("PUT", "POST", "DELETE")

_VARIABLES: Final = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary ones, AWS_SESSION_TOKEN",
    "gs": "GOOGLE_SERVICE_ACCOUNT or GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_SAS_TOKEN",
}
_ENDPOINTS: Final = {
    "s3": "AWS_ENDPOINT_URL and AWS_REGION",
    "gs": "GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ENDPOINT",
}


_latest: deque[StorageError] = deque(maxlen=16)
"""What stores have answered this process, to be found again."""


@dataclass(frozen=True)
class _Refusal:
    """A kind of answer.

    Attributes:
        marks: Any of these is in it.
        problem: What is wrong; ``{bucket}``, ``{endpoint}``, ``{tried}`` stand for what the answer says.
        hint: What to do; ``{variables}`` and ``{endpoints}`` stand for variables of the environment.
        open: Whether the store may have done what it was asked all the same.
    """

    marks: tuple[str, ...]
    problem: str
    hint: str
    open: bool = False


_SAME_AGAIN: Final = "run the same command again: what is done stays done"

_CUT: Final = ("error reading a body", "response body error", "Error getting list response body")

_REFUSALS: Final = (
    _Refusal(
        ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist", "bucket does not exist"),
        "there is no bucket {bucket} at {endpoint}",
        "check its name, and {endpoints}; matlake makes no buckets",
    ),
    _Refusal(
        ("ExpiredToken", "RequestExpired", "TokenRefreshRequired", "ExpiredAuthenticationToken"),
        "the credentials for {bucket} have expired",
        f"renew {{variables}}, then {_SAME_AGAIN}",
    ),
    _Refusal(
        ("/latest/api/token", "/latest/meta-data", "metadata.google.internal", "169.254.169.254", "/metadata/identity"),
        "there are no credentials for {bucket}",
        "set {variables}",
    ),
    _Refusal(
        ("NotImplemented", "501 Not Implemented"),
        "the store of {bucket} does not do a request that lakes need, such as conditional puts (If-None-Match)",
        "use a store that does, such as Amazon S3, Google Cloud Storage, Azure Blob Storage or MinIO",
    ),
    _Refusal(
        ("RequestTimeTooSkewed",),
        "{endpoint} refuses the request: the clock of this machine is wrong",
        "set the clock",
    ),
    _Refusal(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthenticationFailed", "401 Unauthorized"),
        "{endpoint} does not accept the credentials for {bucket}",
        "check {variables}",
    ),
    _Refusal(
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint", "301 Moved"),
        "bucket {bucket} is in another region",
        "set AWS_REGION to the region of the bucket",
    ),
    _Refusal(
        ("SlowDown", "503 Service Unavailable", "429 Too Many Requests", "TooManyRequests", "ServerBusy"),
        "{endpoint} asks for fewer requests, and still did {tried}",
        f"wait, or use fewer processes; then {_SAME_AGAIN}",
        open=True,
    ),
    _Refusal(
        ("timed out", "TimedOut", "kind: Timeout"),
        "{endpoint} did not answer {tried}",
        f"check the connection and {{endpoints}}, then {_SAME_AGAIN}",
        open=True,
    ),
    _Refusal(
        ("Connection refused", "dns error", "client error (Connect)", "connection closed", "error sending request"),
        "{endpoint} cannot be reached ({tried})",
        f"check the connection and {{endpoints}}, then {_SAME_AGAIN}",
        open=True,
    ),
    _Refusal(
        _CUT,
        "the connection to {endpoint} was cut in the middle of an answer, several times",
        f"check the connection, then {_SAME_AGAIN}",
        open=True,
    ),
)
_MAY_ONLY_READ: Final = _Refusal(
    ("AccessDenied", "403 Forbidden", "AuthorizationPermissionMismatch", "lacked the necessary privileges"),
    "the credentials may not write to {bucket}",
    "use credentials that may write; these can do what reads only, such as sql, search and predict",
)
_MAY_NOT_READ: Final = _Refusal(
    _MAY_ONLY_READ.marks, "the credentials may not read {bucket}", "use credentials that may read; check {variables}"
)
_OTHER: Final = _Refusal((), "{endpoint} answered {tried}: {said}", _SAME_AGAIN, open=True)


def refusal(error: BaseException, bucket: str) -> StorageError | None:
    """Return what a store has answered as an error of ours; None where an error is none of a store.

    That an object is not there, or shorter than expected, is none: it says something of the lake.

    Args:
        error: Of obstore or delta-rs.
        bucket: Address of the bucket.
    """
    whole = " ".join(_COLOURS.sub(" ", str(error)).split())
    text = whole.partition("Debug source:")[0]
    if not any(mark in text for mark in _OF_A_STORE) and not any(mark in text for mark in _MAY_ONLY_READ.marks):
        return None
    request = _REQUEST.search(text)
    may_not = _MAY_NOT_READ if request is not None and request["method"] not in _WRITES else _MAY_ONLY_READ
    found = next((one for one in (*_REFUSALS, may_not) if any(mark in whole for mark in one.marks)), None)
    if found is None:
        if request is None or any(mark in text for mark in _OF_AN_OBJECT):
            return None
        found = _OTHER
    scheme = bucket.partition("://")[0]
    values = {
        "bucket": bucket,
        "endpoint": "the store" if request is None else request["endpoint"],
        "tried": _tried(text, request),
        "said": _said(text),
        "variables": _VARIABLES[scheme],
        "endpoints": _ENDPOINTS[scheme],
    }
    refused = StorageError(found.problem.format(**values), found.hint.format(**values), is_open=found.open)
    _latest.append(refused)
    return refused


def was_cut(error: BaseException) -> bool:
    """Say whether an answer was cut: of listings, obstore and delta-rs do not try that again themselves."""
    return any(mark in " ".join(_COLOURS.sub(" ", str(error)).split()) for mark in _CUT)


def refusal_in(error: BaseException) -> StorageError | None:
    """Return what a store has answered where that ended a query: DuckDB keeps nothing of it but the text."""
    return next((refused for refused in _latest if str(refused) in str(error)), None)


def _tried(text: str, request: re.Match[str] | None) -> str:
    """Say how long and how often it was tried."""
    retries = _RETRIES.search(text)
    took = "" if request is None else f"within {float(request['took']) * _SECONDS[request['unit']]:.1f} s"
    return f"{took}, in {int(retries.group(1)) + 1} attempts" if retries else took or "at once"


def _said(text: str) -> str:
    """Return what an answer of no known kind says: its code, or how it starts."""
    code = _CODE.search(text)
    return code.group(1) if code else _ENDING.sub("", text)[:_SHOWN]
