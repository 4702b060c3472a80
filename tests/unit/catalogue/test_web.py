"""Photos on web servers: fetched from named hosts and checked addresses only, within limits of size and time."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from prodseek.catalogue.photo_source import FileStamp, PhotoSource
from prodseek.catalogue.web import WebAccess, check_host
from prodseek.config import load_config
from prodseek.errors import ConfigError
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import retries
from prodseek.storage.retries import RetryPolicy

MAX_BYTES = 100_000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Server = self.server  # type: ignore[assignment]
        server.asked.append((self.command, self.path, self.headers["Host"]))
        server.answers.get(self.path, missing)(self)

    do_HEAD = do_GET  # noqa: N815

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def missing(request: Handler) -> None:
    request.answer(404, b"<html>not found</html>")


class Server(ThreadingHTTPServer):
    """A web server on loopback; answers: path -> what answers; asked: method, path and host of each request."""

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        super().__init__((address, 0), Handler)
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self.asked: list[tuple[str, str, str]] = []
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        pass  # clients that stop reading

    def says(self, path: str, body: bytes, **headers: str) -> None:
        self.answers[path] = lambda request: request.answer(200, body, **headers)

    def url(self, path: str, host: str = "localhost", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.server_port}{path}"


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_storage_states", defaultdict(retries._StorageState))
    monkeypatch.setattr(retries, "_FIRST_PAUSE_SECONDS", 0.001)
    # A machine whose localhost has an IPv6 address too would be asked there first.
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, port, *rest, **more: real(host, port, socket.AF_INET, socket.SOCK_STREAM)
    )


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server
        server.shutdown()


def photos(*hosts: str, seconds: float = 5.0) -> PhotoSource:
    limits = ImageLimits(max_bytes=MAX_BYTES)
    return PhotoSource("/catalogue", ("/",), limits, RetryPolicy(3, 10.0), WebAccess(hosts, seconds))


LOCAL = ("localhost", "127.0.0.1")


def refusal(uri: str, source: PhotoSource) -> str:
    with pytest.raises(ImageRejected) as rejected:
        source.read(uri)
    return f"{rejected.value.reason}: {rejected.value.detail}"


def test_a_photo_of_a_named_host_is_read(server: Server) -> None:
    server.says("/a%20b.jpg?size=2", b"photo")
    assert photos(*LOCAL).read(server.url("/a b.jpg?size=2")) == b"photo"
    assert photos(*LOCAL).read(server.url("/a b.jpg?size=2", "LOCALHOST").replace("http", "HTTP")) == b"photo"
    assert photos("127.0.0.0/8").read(server.url("/a b.jpg?size=2", "127.0.0.1")) == b"photo"
    assert server.asked[0] == ("GET", "/a%20b.jpg?size=2", f"localhost:{server.server_port}")


def test_nothing_is_asked_without_leave(server: Server) -> None:
    uri = server.url("/a.jpg")
    assert "unsupported_uri: " in refusal(uri, photos()) and "catalog.http_hosts" in refusal(uri, photos())
    assert refusal(uri, photos("example.com")).startswith("not_allowed: localhost is none of catalog.http_hosts")
    # A name in the list is not enough where it leads into the machine or its network.
    assert "localhost leads to 127.0.0.1, which is no public address" in refusal(uri, photos("localhost"))
    assert "not_allowed" in refusal(server.url("/a.jpg", "127.0.0.1"), photos("localhost"))
    assert photos("localhost").stamp(uri) == FileStamp(None, None)
    assert server.asked == []


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://img.example.com@169.254.169.254/",
        "http://img.example.com.evil.example/",
        "http://evil.example/?img.example.com",
        "http://evil.example#img.example.com",
        "http://evil.example\\@img.example.com/",
        "http://img.example.com%2eevil.example/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http:///a.jpg",
        "http://",
        "https://localhost/",
    ],
)
def test_hosts_that_only_look_like_one_of_the_list(uri: str) -> None:
    with pytest.raises(ImageRejected, match=r"not_allowed|unsupported_uri"):
        check_host(uri, WebAccess(("img.example.com", "10.0.0.0/8")))
    assert check_host("https://IMG.example.com/x", WebAccess(("img.Example.com",))).host == "img.example.com"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%1", "::ffff:10.0.0.1", "2002:7f00:1::", "224.0.0.1"],
)
def test_addresses_that_are_not_public(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("8.8.8.8",)), (0, 0, 0, "", (address, 80))]
    )
    assert f"img.example.com leads to {address}, which is no public" in refusal(
        "http://img.example.com/x", photos("img.example.com")
    )


def test_the_address_that_was_checked_is_the_one_connected_to(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that gives another address the second time it is asked."""
    server.says("/a.jpg", b"the checked server")
    answers = iter(["127.0.0.1"])
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *rest: object, **more: object) -> object:
        return real(next(answers, "127.0.0.2") if host == "img.example.com" else host, port)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    allowed = photos("img.example.com", "127.0.0.1")
    assert allowed.read(server.url("/a.jpg", "img.example.com")) == b"the checked server"
    assert "leads to 127.0.0.2" in refusal(server.url("/a.jpg", "img.example.com"), allowed)
    assert len(server.asked) == 1


def test_each_address_of_a_name_is_tried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.says("/a.jpg", b"photo")
    found = [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: found if host == "localhost" else real(host, *rest, **more)
    )
    assert photos("localhost", "127.0.0.0/8").read(server.url("/a.jpg")) == b"photo"


def test_each_redirect_is_checked(server: Server) -> None:
    def to(path: str, location: str) -> None:
        server.answers[path] = lambda request: request.answer(302, Location=location)

    server.says("/a.jpg", b"photo")
    to("/1", "/2")
    to("/2", server.url("/a.jpg", "127.0.0.1"))
    to("/meta", "http://169.254.169.254/latest/meta-data")
    to("/file", "file:///etc/passwd")
    to("/out", server.url("/a.jpg", "127.0.0.2"))
    to("/round", "/round")
    assert photos(*LOCAL).read(server.url("/1")) == b"photo"
    for path in ("/meta", "/file", "/out"):
        assert "not_allowed" in refusal(server.url(path), photos(*LOCAL))
    assert "unreadable" in refusal(server.url("/round"), photos(*LOCAL))
    assert [path for _, path, _ in server.asked].count("/round") == 6


def test_what_is_too_large_is_not_read_to_its_end(server: Server) -> None:
    def endless(request: Handler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 10_000)

    server.says("/big.jpg", b"x" * (MAX_BYTES + 1))
    server.answers["/endless.jpg"] = endless
    assert refusal(server.url("/big.jpg"), photos(*LOCAL)).startswith("too_many_bytes: 100001 bytes, at most 100000")
    assert len(photos(*LOCAL).read(server.url("/endless.jpg"))) == MAX_BYTES + 1


def test_statuses_and_faults(server: Server) -> None:
    def status(path: str, *codes: int) -> None:
        left = iter(codes)
        server.answers[path] = lambda request: request.answer(next(left, 200), b"photo")

    def cut(request: Handler) -> None:
        request.answer(200, b"half", Content_Length="1000")
        request.close_connection = True

    status("/busy.jpg", 503, 429)
    status("/forbidden.jpg", 403)
    status("/broken.jpg", 500, 500, 500)
    server.answers["/cut.jpg"] = cut
    source = photos(*LOCAL)
    assert source.read(server.url("/busy.jpg")) == b"photo"
    assert refusal(server.url("/absent.jpg"), source).startswith("missing: ")
    assert refusal(server.url("/forbidden.jpg"), source).endswith("HTTP status 403")
    assert "HTTP status 500; tried 3 times" in refusal(server.url("/broken.jpg"), source)
    assert "unreadable: " in refusal(server.url("/cut.jpg"), source)
    asked = [path for _, path, _ in server.asked]
    assert [asked.count(f"/{name}.jpg") for name in ("busy", "absent", "forbidden", "broken", "cut")] == [3, 1, 1, 3, 3]


def test_a_server_that_takes_its_time_is_left(server: Server) -> None:
    stop = threading.Event()

    def drip(request: Handler) -> None:
        request.send_response(200)
        request.end_headers()
        while not stop.wait(0.05):
            request.wfile.write(b"x")

    server.answers["/drip.jpg"] = drip
    server.answers["/silent.jpg"] = lambda _: stop.wait() and None
    for path in ("/drip.jpg", "/silent.jpg"):
        assert "unreadable: " in refusal(server.url(path), photos(*LOCAL, seconds=0.3))
    stop.set()


def test_stamps_follow_what_the_server_says(server: Server) -> None:
    changed = "Tue, 24 Nov 2026 10:00:00 GMT"
    server.says("/a.jpg", b"photo", ETag='"1"', Last_Modified=changed)
    moment = datetime.datetime(2026, 11, 24, 10, tzinfo=datetime.UTC)
    stamp = photos(*LOCAL).stamp(server.url("/a.jpg"))
    assert stamp == FileStamp(5, int(moment.timestamp()) * 10**9, '"1"')
    assert server.asked[0][0] == "HEAD"
    server.says("/a.jpg", b"photo", ETag='"2"', Last_Modified="no date")
    assert photos(*LOCAL).stamp(server.url("/a.jpg")) == FileStamp(5, None, '"2"')
    assert photos(*LOCAL).stamp(server.url("/b.jpg")) == FileStamp(None, None)


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate for `name`, which vouches for itself, and a server's context with it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


def test_https_checks_the_certificate_of_the_host_not_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, is_read in (("localhost", True), ("other.example", False)):
        public, context = certificate(tmp_path, name)
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        with Server(context=context) as server:
            server.says("/a.jpg", b"photo")
            uri = server.url("/a.jpg", scheme="https")
            if is_read:
                assert photos(*LOCAL).read(uri) == b"photo"
            else:
                assert "unreadable: " in refusal(uri, photos(*LOCAL)) and server.asked == []
            server.shutdown()


def test_settings() -> None:
    config = load_config(settings=["catalog.http_hosts=[img.example.com, 10.0.0.0/8, '::1']"])
    assert PhotoSource.of(config, "/base", "/root").web == WebAccess(("img.example.com", "10.0.0.0/8", "::1"), 30.0)
    for host in ("http://img.example.com", "img.example.com:80", "'*.example.com'", "'*'", "a b"):
        with pytest.raises(ConfigError, match=r"catalog\.http_hosts: .* must be a host's name without scheme, port"):
            load_config(settings=[f"catalog.http_hosts=[{host}]"])
