"""One file over the network, to the end, past connections that break."""

import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from florilegium.core.receipts import redacted
from florilegium.core.system import bar, say

BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
PAUSES: tuple[float, ...] = (0.0, 2.0, 10.0, 60.0)  # seconds before each attempt to take up a connection that broke
AGENT = "florilegium"


class Unavailable(Exception):
    """A place does not have the right file; the text is the reason."""


def download(url: str, target: Path, *, resume: bool) -> bool:
    """Download `url` to `target`; returns True if the part of an earlier call was continued.

    A connection that breaks is taken up again where it was, as long as each brings something. `resume` continues
    `<target>.part` of an earlier call as well: use it only with a checksum, which shows if both parts are of the same
    file. Without one, the server has to say by an ETag that they are. Raises Unavailable for no answer, an HTTP error,
    or a connection that ended before the file did.
    """
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not resume:
        part.unlink(missing_ok=True)
    continued = part.exists()
    version, pauses = "", PAUSES[:1]
    while True:
        offset = part.stat().st_size if part.exists() else 0
        response = _opened(url, offset, version, pauses)
        if response is None:
            return download(url, target, resume=False)
        with response:
            version = _version(response)
            continued &= response.status == 206  # else it is the whole file, from a server without ranges
            missing = _receive(response, offset, part)
        if not missing:
            part.replace(target)
            return continued
        if part.stat().st_size <= offset or not (resume or version):
            raise Unavailable(missing)
        say(f"{redacted(url)}: {missing}; the rest is asked for")
        pauses = PAUSES


def _opened(url: str, offset: int, version: str, pauses: Sequence[float]) -> HTTPResponse | None:
    """As `_open`, tried after each of the pauses."""
    for pause in pauses[:-1]:
        time.sleep(pause)
        with suppress(Unavailable):
            return _open(url, offset, version)
    time.sleep(pauses[-1])
    return _open(url, offset, version)


def _open(url: str, offset: int, version: str) -> HTTPResponse | None:
    """The answer with the bytes from `offset` on, or all of another version than that of the first ones, where it is
    known; None if the server has none there: the part is of another file."""
    headers = {"User-Agent": AGENT} | ({"Range": f"bytes={offset}-"} if offset else {})
    headers |= {"If-Range": version} if offset and version else {}
    try:
        response: HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            return None
        raise Unavailable(f"HTTP {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"no answer ({getattr(error, 'reason', None) or error})") from None


def _version(response: HTTPResponse) -> str:
    """The ETag of a file's bytes; empty if the server gives none, or a weak one, which other bytes may share."""
    tag = response.headers.get("ETag", "")
    return "" if tag.startswith("W/") else tag


def _receive(response: HTTPResponse, offset: int, part: Path) -> str:
    """Write the answer to `part`; why the file is not whole then, empty if it is. An error of the disk stays one."""
    continued = response.status == 206
    content_range = response.headers.get("Content-Range", "")
    if continued and not content_range.startswith(f"bytes {offset}-"):
        raise Unavailable(f"it sent '{content_range}' when asked for the bytes from {offset} on")
    length = response.headers.get("Content-Length")
    rest = None if length is None else int(length)
    why = ""
    with open(part, "ab" if continued else "wb") as file:
        start = file.tell()
        blocks = None if rest is None else -(-rest // BLOCK)
        try:
            for block in bar(_blocks(response), part.stem, unit="MiB", total=blocks):
                file.write(block)
        except _Broken as error:
            why = f"the connection broke ({error})"
        file.flush()
        os.fsync(file.fileno())
        end = file.tell()
    if not why and rest is not None and end != start + rest:
        why = f"{end} of {start + rest} bytes came"
    return why and f"the download is truncated, {why}"


class _Broken(Exception):
    """The network failed in the middle of an answer."""


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from None
