"""Read the photos that a catalogue names, only from places that the configuration allows."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TypeVar

from pyarrow import fs

from prodseek.catalogue.near_names import (
    MAX_NAMES,
    MAX_NAMES_BYTES,
    Names,
    NearName,
    Spelling,
    near_name,
    plain_spellings,
)
from prodseek.catalogue.photo_copies import copies_folder, copy_uri
from prodseek.catalogue.tars import list_members, member_names, read_member, split_member
from prodseek.catalogue.web import WebAccess, check_host, fetch, head, is_web, web_address
from prodseek.config import Config
from prodseek.photos.decode import ImageLimits, ImageRejected, RejectReason
from prodseek.storage import files
from prodseek.storage.remembered import Remembered
from prodseek.storage.retries import RetryPolicy, is_transient, with_retries

T = TypeVar("T")

# By folder and when it was changed, where its storage tells.
_remembered: Remembered[tuple[str, int], Names] = Remembered()


@dataclass(frozen=True)
class FileStamp:
    """Size and time of change of a photo, as its storage reports them, and a web server's ETag; None where unknown.

    For a photo inside a tar they are those of the tar.
    """

    n_bytes: int | None
    mtime_ns: int | None
    tag: str | None = None


@dataclass(frozen=True)
class ReadPhoto:
    """A photo's bytes. spelling: in what the catalogue's name of it differs from the file's; None if it does not."""

    data: bytes
    spelling: Spelling | None = None


@dataclass(frozen=True)
class PhotoSource:
    """Where the photos of a catalogue are. The names in a catalogue are not trusted, so each is checked before it is read.

    base_uri: the folder that relative URIs start from; everything in it may be read. allowed_roots: other folders that may
    be read. retry_policy: for storage that fails or does not answer. web: hosts that photos may be fetched from. copies: the
    folder of copies, if the manifest holds the photos itself. They are then read from there by their image_id, whatever
    their names are.
    """

    base_uri: str
    allowed_roots: tuple[str, ...]
    limits: ImageLimits
    retry_policy: RetryPolicy = RetryPolicy()
    web: WebAccess = WebAccess()
    copies: str | None = None

    @classmethod
    def of(cls, config: Config, base_uri: str, root: str) -> PhotoSource:
        """The photos of a catalogue whose relative URIs start from `base_uri`. root: the folder that holds its runs."""
        catalog = config.catalog
        retry_policy = RetryPolicy(catalog.read_attempts, catalog.read_timeout_seconds)
        web = WebAccess(catalog.http_hosts, catalog.http_timeout_seconds)
        copies = None if catalog.bytes_column is None else copies_folder(root)
        return cls(base_uri, catalog.allowed_roots, config.images.limits, retry_policy, web, copies)

    def place(self, uri: str, image_id: str) -> str:
        """The URI of a photo, without checking that it exists or may be read."""
        return files.resolve(uri, self.base_uri) if self.copies is None else copy_uri(self.copies, image_id)

    def locate(self, uri: str) -> str:
        """The location of the photo that the catalogue names `uri`, or of its tar. Nothing is opened.

        Raises ImageRejected if it may not be read.
        """
        uri = self._address(uri)
        if is_web(uri):
            if not self.web.hosts:
                raise ImageRejected(
                    RejectReason.UNSUPPORTED_URI,
                    f"{uri} lies on a web server; if photos may be fetched from there, name its host in catalog.http_hosts",
                )
            check_host(uri, self.web)
            return uri
        return self._checked(split_member(uri)[0])[0]

    def _address(self, uri: str) -> str:
        """A name; the whole address of a web server for one without a scheme, unless it is a local path."""
        address = web_address(uri)
        return uri if address is None or address == uri or files.exists(uri) else address

    def _checked(self, uri: str) -> tuple[str, str]:
        """The result of `locate`, and the folder that makes it allowed, as returned by `files.real`."""
        places = [files.resolve(uri, self.base_uri)]
        # What shops write with a slash before it may begin at the catalogue's folder; a bucket is not asked.
        if uri.startswith("/") and not files.storage_of(self.base_uri):
            below = files.join(self.base_uri, uri.lstrip("/"))
            places += [below] if files.exists(below) else []
        try:
            real = [files.real(place) for place in places]
        except ValueError as error:
            raise ImageRejected(RejectReason.UNSUPPORTED_URI, str(error)) from error
        roots = [files.real(root) for root in (self.base_uri, *self.allowed_roots)]
        for located, at in zip(places, real, strict=True):
            for root in roots:
                if files.is_within(at, root):
                    return located, root
        raise ImageRejected(
            RejectReason.NOT_ALLOWED,
            f"{real[0]} lies neither in the catalogue's folder {self.base_uri} nor in one of catalog.allowed_roots; if it may "
            "be read, add its folder to that setting",
        )

    def read(self, uri: str, image_id: str | None = None) -> bytes:
        """A photo's bytes, at most `limits.max_bytes` + 1 of them. image_id: if it is known. Raises ImageRejected."""
        return self.read_near(uri, image_id).data

    def read_near(self, uri: str, image_id: str | None = None) -> ReadPhoto:
        """As `read`, and how the photo was found: by exactly this name, else as the only one that is spelled otherwise."""
        if self.copies is not None:
            if image_id is None:
                raise ImageRejected(RejectReason.MISSING, f"the manifest holds no photo {uri}")
            copy = self.place(uri, image_id)
            read_copy = partial(_read_at, copy, None, self.limits.max_bytes)
            return ReadPhoto(_read_with_retries(read_copy, copy, self.retry_policy))

        def read() -> ReadPhoto:
            # Within the retries, because a dead mount may hang while links are followed as well as while reading.
            if is_web(self._address(uri)):
                return ReadPhoto(fetch(self.locate(uri), self.web, self.limits.max_bytes))
            file, member = split_member(uri)
            located, root = self._checked(file)
            is_below = file.startswith("/") and located != file
            try:
                data, spelling_inside = self._read_member(located, member, root)
                return ReadPhoto(data, Spelling.CAPITALS_OR_SLASHES if is_below else spelling_inside)
            except FileNotFoundError:
                if member is not None and (literal := self._literal_file(uri)):
                    return ReadPhoto(_read_at(literal[0], None, self.limits.max_bytes, literal[1]))
                located, root, spelling = self._near_file(file)
            data, spelling_inside = self._read_member(located, member, root)
            return ReadPhoto(data, spelling_inside or spelling)

        return _read_with_retries(read, files.resolve(uri, self.base_uri), self.retry_policy)

    def _read_member(self, located: str, member: str | None, root: str) -> tuple[bytes, Spelling | None]:
        """A file, or a member of a tar: one that is spelled otherwise where no other one can be meant."""
        try:
            return _read_at(located, member, self.limits.max_bytes, root), None
        except ImageRejected as rejected:
            if member is None or rejected.reason != RejectReason.MISSING:
                raise
            names = member_names(located, root)
            near = near_name(member, lambda folder: Names(()) if folder else names)
            if near.path is None:
                raise ImageRejected(RejectReason.MISSING, _with_hint(rejected.detail, near)) from rejected
            return _read_at(located, near.path, self.limits.max_bytes, root), near.spelling

    def _literal_file(self, uri: str) -> tuple[str, str] | None:
        """Location and root of a file whose own name looks like that of a tar's member; None if there is none."""
        located, root = self._checked(uri)
        file_system, path = files.locate(located)
        return (located, root) if file_system.get_file_info(path).type == fs.FileType.File else None

    def _near_file(self, uri: str) -> tuple[str, str, Spelling | None]:
        """Location, root and spelling of the only file that a name without a file can mean. Raises ImageRejected, OSError."""
        located = files.resolve(uri, self.base_uri)
        if not files.storage_of(located):
            located = files.locate(located)[1]
        for base in (self.base_uri, *self.allowed_roots):
            folder = files.local_path(base).rstrip("/")
            if not located.startswith(f"{folder}/"):
                continue
            wanted = located[len(folder) + 1 :]
            plain = self._plain_file(folder, wanted)
            if plain is not None:
                return plain
            near = near_name(wanted, partial(self._names_in, folder))
            if near.path is None:
                raise ImageRejected(RejectReason.MISSING, _with_hint(f"no file at {located}", near))
            found = f"{folder}/{near.path}"
            return *self._checked(found), near.spelling
        raise ImageRejected(RejectReason.MISSING, f"no file at {located}")

    def _plain_file(self, folder: str, wanted: str) -> tuple[str, str, Spelling] | None:
        """As `_near_file`, of the spellings that need no list of what is there."""
        for name, spelling in plain_spellings(wanted):
            try:
                located, root = self._checked(f"{folder}/{name}")
            except ImageRejected:
                continue
            file_system, path = files.locate(located)
            if file_system.get_file_info(path).type == fs.FileType.File:
                return located, root, spelling
        return None

    def _names_in(self, root: str, folder: str) -> Names:
        """The names in a folder below `root`, none where it leads out of what may be read."""
        try:
            located, _ = self._checked(files.join(root, folder) if folder else root)
        except ImageRejected:
            return Names(())

        def read() -> Names:
            try:
                names = files.names_in(located, MAX_NAMES)
            except OSError as error:
                if is_transient(error, bool(files.storage_of(located))):
                    raise
                return Names(())  # what may be read need not be what may be listed
            return Names((), is_whole=False) if names is None else Names(names)

        return _remembered.get((located, _changed_ns(located)), read, MAX_NAMES_BYTES)

    def members(self, uri: str) -> tuple[list[str], str | None]:
        """The result of `list_members` for a tar that the catalogue names `uri`. Raises ImageRejected."""
        return _read_with_retries(
            lambda: list_members(*self._checked(uri)), files.resolve(uri, self.base_uri), self.retry_policy
        )

    def stamp(self, uri: str) -> FileStamp:
        """Size and time of change of a photo, without reading it; all None if the storage does not tell."""
        if self.copies is not None:
            return FileStamp(None, None)

        def read_stamp() -> FileStamp:
            located = self.locate(uri)
            if is_web(located):
                return _web_stamp(head(located, self.web))
            file_system, path = files.locate(located)
            info = file_system.get_file_info(path)
            if info.type == fs.FileType.NotFound:
                found = self._literal_file(uri) or self._near_file(split_member(uri)[0])
                file_system, path = files.locate(found[0])
                info = file_system.get_file_info(path)
            return FileStamp(info.size, info.mtime_ns)

        try:
            return with_retries(read_stamp, self.retry_policy, files.storage_of(files.resolve(uri, self.base_uri)))
        except (ImageRejected, OSError, ValueError):
            return FileStamp(None, None)


def _web_stamp(headers: dict[str, str]) -> FileStamp:
    """The stamp that a server's headers give, without values that make no sense or do not fit into an int64."""
    n_bytes, changed = headers.get("content-length", ""), headers.get("last-modified")
    try:
        mtime_ns = None if changed is None else int(parsedate_to_datetime(changed).timestamp()) * 10**9
    except (ValueError, OverflowError):
        mtime_ns = None
    size = int(n_bytes) if n_bytes.isdecimal() and len(n_bytes) < 19 else None
    return FileStamp(size, mtime_ns if mtime_ns is None or abs(mtime_ns) < 2**63 else None, headers.get("etag"))


def read_photo(uri: str, max_bytes: int, retry_policy: RetryPolicy = RetryPolicy()) -> bytes:
    """The bytes of a photo, at most `max_bytes` + 1 of them. Raises ImageRejected.

    uri: chosen by the user, not taken from a catalogue, so every place is allowed.
    """
    return _read_with_retries(partial(_read_at, *split_member(uri), max_bytes), uri, retry_policy)


def _changed_ns(folder: str) -> int:
    """When names in a folder were changed last; 0 where only another request could tell, and where there is no folder."""
    if files.storage_of(folder):
        return 0
    file_system, path = files.locate(folder)
    return file_system.get_file_info(path).mtime_ns or 0


def _with_hint(detail: str, near: NearName) -> str:
    return f"{detail}; {near.hint}" if near.hint else detail


def _read_at(located: str, member: str | None, max_bytes: int, within: str | None = None) -> bytes:
    if member is None:
        return files.read_bytes(located, max_bytes, within)
    return read_member(located, member, max_bytes, within)


def _read_with_retries(read: Callable[[], T], uri: str, retry_policy: RetryPolicy) -> T:
    try:
        return with_retries(read, retry_policy, files.storage_of(uri))
    except FileNotFoundError as error:
        raise ImageRejected(RejectReason.MISSING, f"no file at {split_member(uri)[0]}") from error
    except ValueError as error:
        raise ImageRejected(RejectReason.UNSUPPORTED_URI, str(error)) from error
    except OSError as error:
        # No storage can hold a file of such a name, so none is at fault.
        reason = RejectReason.MISSING if error.errno == errno.ENAMETOOLONG else RejectReason.UNREADABLE
        raise ImageRejected(reason, str(error)) from error
