"""Photos on web servers: fetched only from hosts that the configuration names, and from addresses that were checked."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, SSLError
from urllib3.util import Timeout, Url, parse_url

from prodseek import __version__
from prodseek.config import Network, network_of
from prodseek.photos.decode import ImageRejected, RejectReason

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_GONE = (404, 410)
_CHUNK_BYTES = 65536
# As pages name it that are served with and without encryption.
_WITHOUT_SCHEME = re.compile(r"//[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}(:\d+)?/", re.IGNORECASE)
_HEADERS = {"User-Agent": f"prodseek/{__version__}", "Accept": "image/*, */*;q=0.1"}


@dataclass(frozen=True)
class WebAccess:
    """What may be fetched. hosts: names of hosts, addresses and networks; if empty, nothing may be fetched.

    timeout_seconds: for one photo, redirects included.
    """

    hosts: tuple[str, ...] = ()
    timeout_seconds: float = 30.0


def is_web(uri: str) -> bool:
    """Whether `uri` begins with http:// or https://."""
    scheme, separator, _ = uri.partition("://")
    return bool(separator) and scheme.lower() in _PORTS


def web_address(uri: str) -> str | None:
    """The address that `uri` is; of one without a scheme, `//cdn.example.com/a.jpg`, that with https. None for no address."""
    if is_web(uri):
        return uri
    return f"https:{uri}" if _WITHOUT_SCHEME.match(uri) else None


def check_host(uri: str, access: WebAccess) -> Url:
    """Check that a URI's host is allowed, and return the parsed URI. No name is resolved. Raises ImageRejected."""
    try:
        url = parse_url(uri)
    except LocationParseError as error:
        raise ImageRejected(RejectReason.UNSUPPORTED_URI, f"{uri} is no web address: {error}") from error
    host = (url.host or "").strip("[]")
    address = network_of(host)
    listed = [network_of(each) for each in access.hosts]
    if host and url.scheme in _PORTS:
        if address is None and host in (each.lower() for each in access.hosts):
            return url
        if address is not None and _is_listed(address.network_address, listed):
            return url
    raise ImageRejected(
        RejectReason.NOT_ALLOWED,
        f"{host or uri} is none of catalog.http_hosts ({', '.join(access.hosts)}); if photos may be fetched from there, add it",
    )


def fetch(uri: str, access: WebAccess, max_bytes: int) -> bytes:
    """The content that a web server sends for `uri`, at most `max_bytes` + 1 bytes of it.

    Raises ImageRejected, FileNotFoundError if there is nothing, and another OSError if a retry may help.
    """
    ends = time.monotonic() + access.timeout_seconds
    with _answer("GET", uri, access, ends) as answer:
        announced = answer.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > max_bytes:
            raise ImageRejected(RejectReason.TOO_MANY_BYTES, f"{announced} bytes, at most {max_bytes} are read")
        data = bytearray()
        while len(data) <= max_bytes:
            chunk = answer.read1(_CHUNK_BYTES)
            if not chunk:
                return bytes(data)
            data += chunk
            if time.monotonic() > ends:
                raise TimeoutError(f"{uri}: no complete answer in {access.timeout_seconds:g} s")
        return bytes(data[: max_bytes + 1])


def head(uri: str, access: WebAccess) -> dict[str, str]:
    """The headers that a web server sends for `uri` (HTTP HEAD), names in lower case. Raises as `fetch`."""
    with _answer("HEAD", uri, access, time.monotonic() + access.timeout_seconds) as answer:
        answer.drain_conn()
        return {name.lower(): value for name, value in answer.headers.items()}


@contextmanager
def _answer(method: str, uri: str, access: WebAccess, ends: float) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer with status 200. Redirects are followed, and each target is checked again."""
    asked = uri
    for _ in range(_MAX_REDIRECTS + 1):
        with _one_answer(method, asked, access, ends) as answer:
            location = answer.headers.get("Location")
            if answer.status in _REDIRECTS and location:
                asked = urljoin(asked, location)
                continue
            if answer.status in _GONE:
                raise FileNotFoundError(f"{asked}: HTTP status {answer.status}")
            if answer.status != 200:
                raise OSError(f"{asked}: HTTP status {answer.status}")
            yield answer
            return
    raise ImageRejected(RejectReason.UNREADABLE, f"{uri} redirects more than {_MAX_REDIRECTS} times")


@contextmanager
def _one_answer(method: str, uri: str, access: WebAccess, ends: float) -> Iterator[urllib3.BaseHTTPResponse]:
    url = check_host(uri, access)
    host, scheme = (url.host or "").strip("[]"), url.scheme or ""
    port = url.port or _PORTS[scheme]
    addresses = _checked_addresses(host, port, access)
    try:
        for place, address in enumerate(addresses, start=1):
            seconds = max(ends - time.monotonic(), 0.001)
            try:
                answer = _pool(scheme, host, address, port).urlopen(
                    method,
                    url.request_uri,
                    headers={"Host": url.netloc or host, **_HEADERS},
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                    timeout=Timeout(connect=seconds, read=seconds),
                )
                break
            except NewConnectionError:
                if place == len(addresses):
                    raise
        try:
            yield answer
        finally:
            # A connection cannot be used again if its answer was not read to the end.
            answer.close()
    except SSLError as error:
        raise ImageRejected(RejectReason.UNREADABLE, f"{uri}: {error}") from error
    except HTTPError as error:
        raise OSError(f"{uri}: {error}") from error


def _checked_addresses(host: str, port: int, access: WebAccess) -> list[str]:
    """The addresses of a host, all checked. Connect to these, because the name may resolve to others the next time."""
    listed = [network_of(each) for each in access.hosts]
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except socket.gaierror as error:
        raise OSError(f"the address of {host} is not found: {error}") from error
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        if not _is_public(address) and not _is_listed(address, listed):
            raise ImageRejected(
                RejectReason.NOT_ALLOWED,
                f"{host} leads to {text}, which is no public address; if photos may be fetched from there, add the address or "
                "its network to catalog.http_hosts",
            )
    return found


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address.sixtofour is not None or address.teredo is not None:  # both contain another address
            return False
    return address.is_global and not address.is_multicast


def _is_listed(address: Address, listed: list[Network | None]) -> bool:
    return any(network is not None and address in network for network in listed)


@lru_cache(maxsize=256)
def _pool(scheme: str, host: str, address: str, port: int) -> urllib3.HTTPConnectionPool:
    """Connections to one address, kept open for the next photo; with https the certificate must be for `host`."""
    options: dict[str, Any] = {"maxsize": 16, "block": False}
    if scheme == "https":
        return urllib3.HTTPSConnectionPool(address, port, server_hostname=host, assert_hostname=host, **options)
    return urllib3.HTTPConnectionPool(address, port, **options)
