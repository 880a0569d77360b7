"""Archives of tiny pictures in the official layouts, and a web server that misbehaves on request."""

import io
import tarfile
import threading
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.config.base import parse, read_yaml
from florilegium.config.datasets import Dataset


def dataset(project: Path, name: str) -> Dataset:
    """An entry of `workflow/datasets.yaml`."""
    return parse(Dataset, read_yaml(project / "workflow" / "datasets.yaml")[name], name)


def own(folder: Path | None = None, **values: object) -> Dataset:
    """A data set of a person's own in the layout of a folder per class."""
    return Dataset(title="own", layout="folders", folder=str(folder or "."), **values)


def picture(colour: tuple[int, int, int] = (200, 30, 60), size: tuple[int, int] = (12, 10)) -> bytes:
    """A JPEG of one colour."""
    return encoded(Image.new("RGB", size, colour), "JPEG")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def tar(path: Path, files: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@dataclass
class Site:
    """The files of a server and its faults; `asked` lists (path, Range header)."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)  # an HTML page in place of a file
    moved: dict[str, str] = field(default_factory=dict)  # the address that a path redirects to
    cut: dict[str, int] = field(default_factory=dict)  # bytes of each answer before the connection closes
    ranges: bool = True
    busy: int = 0  # answers to come that ask to try again later, where a range is wanted
    version: str | None = None  # ETag of every file
    asked: list[tuple[str, str | None]] = field(default_factory=list)


def leads_here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address that urllib opens leads to `site`, which has the file of https://host/path as `host/path`."""

    class Here(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> HTTPResponse:
            request.selector = f"/{request.host}{request.selector}"
            return self.do_open(
                lambda _, **options: HTTPConnection(site.address.partition("//")[2], **options), request
            )

        https_open = http_open

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Here)
    monkeypatch.setattr(urllib.request, "_opener", opener)


@contextmanager
def serving() -> Iterator[Site]:
    """A web server on this machine while the block runs."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.lstrip("/"), self.headers.get("Range")
            site.asked.append((name, wanted))
            if wanted and site.busy:
                site.busy -= 1
                self.send_error(503)
                return
            if name in site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved[name])
                self.end_headers()
                return
            body = site.pages.get(name) or site.files.get(name)
            if body is None:
                self.send_error(404)
                return
            same = self.headers.get("If-Range") in (None, site.version)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.ranges and same else 0
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if site.version:
                self.send_header("ETag", site.version)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start : start + site.cut.get(name, len(body))])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
