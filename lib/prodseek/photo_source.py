"""Reading the photos that a catalogue names, from the places where they may lie and from nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from prodseek import files
from prodseek.config import Config
from prodseek.images import ImageLimits, ImageRejected, RejectReason


@dataclass(frozen=True)
class FileStamp:
    """Size and time of change of a photo, as the file system tells them; None where it cannot."""

    n_bytes: int | None
    mtime_ns: int | None


@dataclass(frozen=True)
class PhotoSource:
    """Where the photos of a catalogue lie. Whoever wrote the catalogue chose their names, so each is checked first.

    base_uri: the folder that relative URIs start from; it may be read with all below it. allowed_roots: what else may be.
    """

    base_uri: str
    allowed_roots: tuple[str, ...]
    limits: ImageLimits

    @classmethod
    def of(cls, config: Config, base_uri: str) -> PhotoSource:
        """The photos of a catalogue whose relative URIs start from `base_uri`."""
        return cls(base_uri, config.catalog.allowed_roots, config.images.limits)

    def locate(self, uri: str) -> str:
        """Where the photo lies that the catalogue names `uri`. Nothing is opened. Raises ImageRejected where it may not be
        read."""
        return self._checked(uri)[0]

    def _checked(self, uri: str) -> tuple[str, str]:
        """What `locate` answers, and the folder, as `files.real` gives it, that makes it allowed."""
        try:
            located = files.resolve(uri, self.base_uri)
            real = files.real(located)
        except ValueError as error:
            raise ImageRejected(RejectReason.UNSUPPORTED_URI, str(error)) from error
        for root in map(files.real, (self.base_uri, *self.allowed_roots)):
            if files.is_within(real, root):
                return located, root
        raise ImageRejected(
            RejectReason.NOT_ALLOWED,
            f"{real} lies neither in the catalogue's folder {self.base_uri} nor in one of catalog.allowed_roots; if it may "
            "be read, add its folder to that setting",
        )

    def read(self, uri: str) -> bytes:
        """A photo's bytes; at most `limits.max_bytes` + 1 of them. Raises ImageRejected."""
        located, root = self._checked(uri)
        return read_photo(located, self.limits.max_bytes, root)

    def stamp(self, uri: str) -> FileStamp:
        """Size and time of change of a photo, without reading it."""
        try:
            file_system, path = files.locate(self.locate(uri))
            info = file_system.get_file_info(path)
        except (ImageRejected, OSError, ValueError):
            return FileStamp(None, None)
        return FileStamp(info.size, info.mtime_ns)


def read_photo(uri: str, max_bytes: int, within: str | None = None) -> bytes:
    """The bytes of a photo; at most `max_bytes` + 1 of them. Raises ImageRejected.

    within: a folder as `files.real` gives it, for a name that is not trusted; None for a place that its reader chose.
    """
    try:
        return files.read_bytes(uri, max_bytes, within)
    except FileNotFoundError as error:
        raise ImageRejected(RejectReason.MISSING, f"no file at {uri}") from error
    except ValueError as error:
        raise ImageRejected(RejectReason.UNSUPPORTED_URI, str(error)) from error
    except OSError as error:
        raise ImageRejected(RejectReason.UNREADABLE, str(error)) from error
