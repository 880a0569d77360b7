"""One file over HTTP, streamed to `<name>.part` and resumed by Range.

A `.part` file survives an interruption and is never mistaken for the complete file: only a download with
every byte that the server announced gets the file's own name.
"""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from florilegium.core.system import bar

BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
AGENT = "florilegium"


class Unavailable(Exception):
    """A place does not have the right file; the text is the reason."""


def download(url: str, target: Path, *, resume: bool) -> bool:
    """Download `url` to `target`; returns True if an earlier attempt was resumed.

    Args:
        resume: continue `<target>.part`. Use it only with a checksum, which shows whether both parts are of
            the same file.

    Raises:
        Unavailable: no answer, an HTTP error, or the connection ended before the file did.
    """
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not resume:
        part.unlink(missing_ok=True)
    offset = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, offset)
    except _RangeRefused:
        part.unlink()
        return download(url, target, resume=False)
    with response:
        resumed = _starts_at(response, offset)
        expected = _total(response, offset if resumed else 0)
        with open(part, "ab" if resumed else "wb") as file:
            done = file.tell()
            blocks = None if expected is None else -(-(expected - done) // BLOCK)
            for block in bar(_blocks(response), target.name, unit="MiB", total=blocks):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            got = file.tell()
    if expected is not None and got != expected:
        raise Unavailable(f"the download is truncated, {got} of {expected} bytes came")
    part.replace(target)
    return resumed


class _RangeRefused(Exception):
    """The server has no bytes from that offset on, so that the part is of another file."""


def _open(url: str, offset: int) -> HTTPResponse:
    headers = {"User-Agent": AGENT} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        response: HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT
        )
        return response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            raise _RangeRefused from None
        raise Unavailable(f"HTTP {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"no answer ({getattr(error, 'reason', None) or error})") from None


def _starts_at(response: HTTPResponse, offset: int) -> bool:
    """True if the answer is the rest of the file, False for the whole, which a server without Range sends."""
    if response.status != 206:
        return False
    content_range = response.headers.get("Content-Range", "")
    if not content_range.startswith(f"bytes {offset}-"):
        raise Unavailable(f"it sent '{content_range}' when asked for the bytes from {offset} on")
    return True


def _total(response: HTTPResponse, offset: int) -> int | None:
    length = response.headers.get("Content-Length")
    return None if length is None else offset + int(length)


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """The body in blocks. A network error becomes Unavailable; an error of the disk stays an OSError."""
    while True:
        try:
            block = response.read(BLOCK)
        except (OSError, HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the download is truncated, the connection broke ({reason})") from None
        if not block:
            return
        yield block
