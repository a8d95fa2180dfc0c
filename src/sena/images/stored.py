"""Pictures in an object store (`s3://bucket/photos`): listed once, and each read on demand where it lies."""

from __future__ import annotations

from collections.abc import Sequence

from sena import stores
from sena.errors import ImageError, SenaError
from sena.images.paths import Growing, Paths
from sena.images.sources import MAX_BYTES, SUFFIXES, LeftOut, Skipped, is_text


class StoredSource:
    """All pictures below an address, hidden ones left out: paths are the same as if they lay in a folder on the disk.

    The listing is read page by page, and asks nothing of single objects; kept of it are the paths alone. A picture
    takes one request, which ends at the limit of bytes.
    """

    def __init__(self, name: str, root: str, max_bytes: int = MAX_BYTES) -> None:
        """Raises SenaError for an address without a bucket. The store is asked on first use, and once."""
        self.name = name
        self.root = stores.address(root)
        self.max_bytes = max_bytes
        self._found: tuple[Paths, Sequence[Skipped]] | None = None

    def list(self) -> Sequence[str]:
        """Sorted relative paths. Raises SenaError when the store says no, or holds no picture there."""
        paths, unlisted = self._scan()
        if not paths:
            also = f" ({unlisted[0].path}: {unlisted[0].reason})" if unlisted else ""
            kinds = ", ".join(SUFFIXES)
            raise SenaError(f"No picture ({kinds}) below {self.root}{also}: put some there or name another place")
        return paths

    def unlisted(self) -> Sequence[Skipped]:
        """Names that lead out of the root or are no text."""
        return self._scan()[1]

    def read(self, path: str) -> bytes:
        """The picture's file. Raises ImageError: `missing`, `outside its root`, `unreadable` or `too many bytes`; and
        SenaError when the store itself says no, which is no picture's fault."""
        if not stores.is_inside(path):
            raise ImageError("outside its root", path)
        where = f"{self.root}/{path}"
        try:
            data = stores.read(where, end=self.max_bytes + 1)
        except FileNotFoundError as error:
            raise ImageError("missing", path) from error
        except PermissionError as error:
            next(stores.listed(self.root), None)  # tells when it is not this picture alone that may not be read
            raise ImageError("unreadable", f"{path} ({error})") from error
        if len(data) > self.max_bytes:
            whole = stores.found(where)
            size = len(data) if whole is None else whole.size
            raise ImageError("too many bytes", f"{path} has {size}, the limit is {self.max_bytes}")
        return data

    def _scan(self) -> tuple[Paths, Sequence[Skipped]]:
        if self._found is None:
            growing, left_out = Growing(), LeftOut(self.name)
            for each in stores.listed(self.root):
                reason = _refused(each.name)
                if reason:
                    left_out.add(ascii(each.name), reason)
                elif _is_picture(each.name):
                    growing.add(each.name)
            self._found = growing.paths(), left_out.all()
        return self._found


def _refused(name: str) -> str:
    """Why a name is left out, where that is to be told."""
    if not is_text(name):
        return "name is not text"
    return "" if stores.is_inside(name) else "outside its root"


def _is_picture(name: str) -> bool:
    """By its ending, as in a folder; nothing hidden, nor below what is."""
    return name.lower().endswith(SUFFIXES) and not any(part.startswith(".") for part in name.split("/"))
