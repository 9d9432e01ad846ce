"""A lake in an object store: S3 and what speaks it, Google Cloud Storage, Azure; and which locations lie in one."""

from __future__ import annotations

import io
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from featurestore.errors import InputError, first_line
from featurestore.settings import Settings, settings_of_store
from featurestore.shown_text import redacted
from featurestore.storage import listing
from featurestore.storage.base import Storage, StoredObject
from featurestore.storage.caches import cache_settings
from featurestore.storage.lake_cache import LakeCache
from featurestore.storage.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    import pyarrow as pa
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

# DuckDB before 2 holds Python's lock while `sql()` binds a query: its other threads, which read through Python, would wait for
# that lock, and it for them.
_BLOCKING_DUCKDB = "1."

# An endpoint that does not answer is given up within seconds, and silence is not asked twice. Large uploads have a client
# of their own: to this one, sending a fragment over a slow line would look like waiting for an answer.
_CLIENT: dict[str, Any] = {"connect_timeout": "3s", "read_timeout": "6s", "timeout": "600s"}
_UPLOAD: dict[str, Any] = {"connect_timeout": "3s", "timeout": "600s"}
_LARGE_UPLOAD = 1 << 20
_RETRY: dict[str, Any] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
_REFUSED = re.compile("403 Forbidden|401 Unauthorized|SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied")
_SILENT = re.compile("error sending request|operation timed out|Connect|error decoding response body")
# Where nothing names credentials, they are looked for in the machine's own metadata service.
_NO_CREDENTIALS = re.compile("CredentialProvider|/latest/api/token|/latest/meta-data/|169[.]254[.]169[.]254")
_S3 = {"s3", "s3a"}
_S3_VARIABLES = {
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "access_key_id": ("AWS_ACCESS_KEY_ID",),
    "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
}


def open_storage(location: str, called: str = "lake", *, by_settings: bool = False) -> Storage:
    """Open the storage of a lake: a folder, or a URL such as `s3://bucket/prefix`.

    Args:
        location: The folder or URL.
        called: What messages call it, where it holds something else.
        by_settings: Whether `featurestore.toml` named it, and so may say its endpoint, too.

    Raises:
        InputError: The location is a file, a URL that no store knows or that holds a password, or the settings cannot be read.
    """
    if location.startswith("file://"):
        return LocalStorage(Path(unquote(urlsplit(location).path)))
    if "://" not in location:
        return LocalStorage(Path(location))
    if redacted(location) != location:
        raise InputError(
            f"The location {redacted(location)} holds a password or key, which would be stored and shown: take it out, and give "
            "credentials in the provider's variables, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    settings, remark = settings_of_store(names_lake=by_settings)
    storage = ObjectStorage(location, settings, called)
    storage.remark = remark
    return storage


class ObjectStorage(Storage):
    """A bucket prefix. Credentials come from the provider's usual environment variables.

    Args:
        location: URL such as `s3://bucket/prefix`, `gs://…` or `az://…`.
        settings: What `featurestore.toml` says; it wins over the variables.
        called: What messages call it, a lake or another thing.

    Raises:
        InputError: No store knows the URL.
    """

    at_once = 64

    def __init__(self, location: str, settings: Settings | None = None, called: str = "lake") -> None:
        settings = settings or Settings()
        self.location = location.rstrip("/")
        self.called = called
        self._scheme = location.partition("://")[0]
        self._config = _s3_config(settings) if self._scheme in _S3 else {}
        self._http = {"allow_http": self._config.get("endpoint", "").startswith("http://")}
        try:
            self._remote: ObjectStore = from_url(self.location, **self._options(_CLIENT))
            self._uploads: ObjectStore = from_url(self.location, **self._options(_UPLOAD))
        except (BaseError, ValueError) as error:
            raise InputError(f"Cannot open a {called} at {location}: {first_line(error)}.") from error
        kept = cache_settings(settings)
        # Two stores may have a bucket of one name.
        where = f"{self.location} at {self._config['endpoint']}" if "endpoint" in self._config else self.location
        self.cache = LakeCache(kept, where) if kept.limit else None

    def _options(self, client: Mapping[str, Any]) -> dict[str, Any]:
        return {"config": self._config or None, "client_options": {**client, **self._http}, "retry_config": _RETRY}

    @property
    def _store(self) -> ObjectStore:
        return self._remote

    def exists(self) -> bool:
        """Whether there is any object below the prefix."""
        with self._errors("list", ""):
            found = obstore.list_with_delimiter(self._remote)
        return bool(found["common_prefixes"] or found["objects"])

    def uri(self, key: str) -> str:
        """The object's URL."""
        return f"{self.location}/{key}"

    def get_all(self, keys: Sequence[str]) -> list[bytes]:
        """Read objects whole, many at a time."""
        with ThreadPoolExecutor(self.at_once) as pool:
            return list(pool.map(self.get, keys))

    def open_input(self, key: str, size: int | None = None) -> pa.NativeFile:
        """The object, read by ranges."""
        import pyarrow as pa  # slow to import, and questions are answered without it

        if size is None:
            with self._errors("read", key):
                size = int(obstore.head(self._remote, key)["size"])
        return pa.PythonFile(_RangeReader(self, key, size), mode="r")

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object, replacing what is there."""
        with self._errors("write", key):
            obstore.put(self._client(data), key, data)

    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Write an object if there is none: the store decides between racing writers."""
        with self._errors("write", key):
            try:
                obstore.put(self._client(data), key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def _client(self, data: bytes | memoryview) -> ObjectStore:
        return self._uploads if len(data) > _LARGE_UPLOAD else self._remote

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let DuckDB read through obstore, with the same credentials; once."""
        import duckdb
        from obstore.fsspec import FsspecStore

        # Typed by provider, and the provider is the user's choice.
        filesystem: Any = FsspecStore
        if self._scheme in connection.list_filesystems():
            return
        connection.register_filesystem(filesystem(self._scheme, **self._options(_CLIENT)))
        if duckdb.__version__.startswith(_BLOCKING_DUCKDB):
            connection.execute("set threads = 1")

    @property
    def readable(self) -> list[str]:
        """The bucket, and what is kept of it here."""
        return [self.uri(""), *([str(self.cache.folder)] if self.cache else [])]

    @property
    def polars_options(self) -> Mapping[str, str]:
        """The same settings under polars' names."""
        options = {f"aws_{name}_url" if name == "endpoint" else f"aws_{name}": v for name, v in self._config.items()}
        return {**options, "allow_http": str(self._http["allow_http"]).lower()}

    def _reason(self, error: Exception) -> str:
        text = str(error)
        if "NoSuchBucket" in text:
            return f"the bucket does not exist; make it, or correct {'--lake' if self.called == 'lake' else 'its name'}"
        if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _REFUSED.search(text):
            return "the store refuses these credentials; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and their rights"
        if _NO_CREDENTIALS.search(text):
            return "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        if _SILENT.search(text):
            endpoint = self._config.get("endpoint", "the provider's endpoint")
            return f"{endpoint} does not answer; check AWS_ENDPOINT_URL and the network"
        return first_line(error)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a prefix, in no particular order."""
        for meta in self._listed(prefix):
            yield StoredObject(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"] or "")

    def marked(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Keys with what the store says of their versions: a store that says nothing marks nothing."""
        for meta in self._listed(prefix):
            tag = meta["e_tag"]
            yield meta["path"], f"{tag} {meta['size']} {meta['last_modified'].isoformat()}" if tag else ""

    def _listed(self, prefix: str) -> Iterator[ObjectMeta]:
        """A listing, cut where the cache knows pages to begin; other stores than S3 may have none from a given key on."""
        cache = self.cache if self._scheme in _S3 else None
        cuts = cache.cuts(prefix) if cache else []
        cutting = listing.Cutting(cuts)
        with self._errors("list", prefix):
            for piece in listing.listed(self._remote, prefix, cuts, self.at_once):
                cutting.see(piece)
                yield from piece
        if cache and (better := cutting.better()) is not None:
            cache.keep_cuts(prefix, better)


class _RangeReader(io.RawIOBase):
    """An object as a file that is read by ranges: obstore's own reader is not enough of a file for pyarrow."""

    def __init__(self, storage: ObjectStorage, key: str, size: int) -> None:
        super().__init__()
        self._storage, self._key, self._size, self._position = storage, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._position + size, self._size)
        if end <= self._position:
            return b""
        data = self._storage.read_range(self._key, self._position, end)
        self._position = end
        return data


def _s3_config(settings: Settings) -> dict[str, str]:
    """The usual AWS variables, under what `featurestore.toml` says."""
    found = {n: next(filter(None, map(os.environ.get, names)), None) for n, names in _S3_VARIABLES.items()}
    found["endpoint"] = settings.endpoint or found["endpoint"]
    found["region"] = settings.region or found["region"] or "us-east-1"
    if settings.path_style is not None:
        found["virtual_hosted_style_request"] = str(not settings.path_style).lower()
    return {name: value for name, value in found.items() if value}
