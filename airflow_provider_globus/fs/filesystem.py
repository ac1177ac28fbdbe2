"""
Collections as a file system: ``globusfs``, with the identity of an Airflow connection.

Bytes go over HTTPS; listings, directories and names are Transfer's. Needs the extra ``[fs]``.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
from fsspec.asyn import sync  # type: ignore[import-untyped]
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]
from globusfs import GlobusFileSystem  # type: ignore[import-untyped]

from airflow_provider_globus.exceptions import (
    GlobusBadRequestError,
    GlobusConflictError,
    GlobusNotFoundError,
    GlobusPermissionError,
)
from airflow_provider_globus.hooks.credentials import APP_NAME
from airflow_provider_globus.hooks.files import list_directory
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.hooks.https import https_scopes, https_server, make_directories
from airflow_provider_globus.paths import parent

if TYPE_CHECKING:
    from aiohttp import ClientResponse

#: Bytes that are sent or received at once.
PIECE = 1024 * 1024

#: Of a file that is written, this much is held in memory; the rest waits on disk.
IN_MEMORY = 8 * PIECE

_MOST_SAID = 300


class GlobusCollectionFileSystem(GlobusFileSystem):  # type: ignore[misc]
    """
    The collections that an Airflow connection reaches: ``globus://<collection>/path``.

    The collection is given by UUID, alias of the connection, or unique display name. Reading is by blocks, writing of
    whole files, when they are closed. Directories are made and files renamed within a collection; directories are not
    deleted.

    It may be pickled: another process makes its own from the connection, and no token travels.

    :param conn_id: id of an Airflow connection of type ``globus``.
    :param options: those of ``globusfs.GlobusFileSystem``.
    """

    # Airflow keeps one for each connection, and a connection may change.
    cachable = False

    def __init__(self, conn_id: str = "globus_default", **options: Any) -> None:
        self.conn_id = conn_id
        super().__init__(get_client=self._make_session, encoded=True, **options)

    @cached_property
    def hook(self) -> GlobusHook:
        """The hook whose identity reads and writes."""
        return GlobusHook(self.conn_id, caller="ObjectStoragePath")

    async def _make_session(self, **more: Any) -> aiohttp.ClientSession:
        settings = self.hook.settings
        return aiohttp.ClientSession(
            # A server is chosen when a connection is made: after an ill one, another try must be able to meet another.
            connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=settings.ca_bundle), force_close=True),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=settings.http_timeout, sock_read=settings.http_timeout
            ),
            headers={"User-Agent": f"{APP_NAME}/ObjectStoragePath"},
            **more,
        )

    # Where things are

    def split_path(self, path: str) -> tuple[str, str]:
        """The collection's UUID, and the path on it without the first slash."""
        name, _, rest = self._strip_protocol(path).partition("/")
        if not name:
            raise ValueError("A path must name a collection: globus://<UUID or alias>/path.")
        return self.hook.resolve_collection(name), rest

    def _place(self, path: str) -> tuple[str, str]:
        """A collection whose data Transfer may use for us, and the path on it."""
        collection_id, rest = self.split_path(path)
        return self.hook.use_collection(collection_id), f"/{rest}"

    def _resolve_base(self, collection_id: str) -> str:
        """The address of a collection over HTTPS."""
        if collection_id not in self._base_cache:
            self._base_cache[collection_id] = https_server(self.hook.collection(collection_id), collection_id)
        return str(self._base_cache[collection_id])

    def _url(self, path: str) -> str:
        collection_id, rest = self.split_path(path)
        return f"{self._resolve_base(collection_id)}/{quote(rest, safe='/~')}"

    def _auth_headers(self, path: str) -> dict[str, str]:
        collection_id, _ = self.split_path(path)
        scopes = https_scopes(self.hook.collection(collection_id))
        header = self.hook.credentials.authorizer(collection_id, scopes).get_authorization_header()
        return {"Authorization": header} if header else {}

    async def _check(self, response: ClientResponse, url: str) -> None:
        """Raise what a refusal means. The errors of the HTTP library show what was sent, and with it the token."""
        said = " ".join((await response.text(errors="replace")).split())[:_MOST_SAID]
        if response.status in (401, 403):
            raise PermissionError(f"{url}: {said} ({response.status})")
        if response.status == 404:
            await super()._check(response, url)
        raise OSError(f"{url}: {said} ({response.status})")

    # What there is

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe a file or directory."""
        path = self._strip_protocol(path)
        with _as_os_errors(path):
            collection_id, place = self._place(path)
            client = self.hook.transfer_client()
            return _info(path, self.hook.call(f"looking at {path}", client.operation_stat, collection_id, path=place))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[dict[str, Any]] | list[str]:
        """List a directory; a file is a list of itself."""
        path = self._strip_protocol(path)
        with _as_os_errors(path):
            collection_id, place = self._place(path)
            try:
                found = [
                    _info(f"{path}/{entry['name']}", entry) for entry in list_directory(self.hook, collection_id, place)
                ]
            except GlobusBadRequestError:
                found = [self.info(path)]
                if found[0]["type"] == "directory":
                    raise
        return found if detail else [entry["name"] for entry in found]

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        return await asyncio.to_thread(self.ls, path, detail, **kwargs)

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self.info, path, **kwargs)

    async def _glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        # In a thread, because it waits for the very loop that runs this.
        return await asyncio.to_thread(self.glob, path, maxdepth, **kwargs)

    async def _find(self, path: str, maxdepth: int | None = None, withdirs: bool = False, **kwargs: Any) -> Any:
        return await asyncio.to_thread(self.find, path, maxdepth, withdirs, **kwargs)

    async def _isdir(self, path: str) -> bool:
        return await asyncio.to_thread(self.isdir, path)

    async def _isfile(self, path: str, **kwargs: Any) -> bool:
        return await asyncio.to_thread(self.isfile, path)

    async def _exists(self, path: str, **kwargs: Any) -> bool:
        return await asyncio.to_thread(self.exists, path)

    # Reading and writing

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> Any:
        if mode == "wb":
            return _Upload(self, path)
        if mode != "rb":
            raise NotImplementedError(
                f"{path}: collections are read and written whole, in the modes rb and wb, not {mode!r}."
            )
        info = self.info(path)
        if info["type"] == "directory":
            raise IsADirectoryError(path)
        return _Blocks(
            self, self._strip_protocol(path), mode, block_size or self.block_size, size=info["size"], **kwargs
        )

    async def _get_file(self, rpath: str, lpath: str, **kwargs: Any) -> None:
        with await asyncio.to_thread(Path(lpath).open, "wb") as file:
            await self._receive(rpath, file)

    async def _cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy a file through this machine, which suits small ones."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            await self._receive(path1, file)
            await self._send(file, path2)

    async def _receive(self, path: str, file: IO[bytes]) -> None:
        async def attempt() -> None:
            session = await self.set_session()
            async with session.get(self.encode_url(url), headers=self._auth_headers(path)) as answer:
                if answer.status >= 400:
                    await self._check(answer, url)
                async for piece in answer.content.iter_chunked(PIECE):
                    file.write(piece)

        url = self._url(path)
        await self._retry(attempt, f"get_file({path})")

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **kwargs: Any) -> None:
        with await asyncio.to_thread(Path(lpath).open, "rb") as file:
            await self._send(file, rpath)

    async def _send(self, file: IO[bytes], path: str) -> None:
        """Send a file, whole. Its length is told beforehand, so that one that is cut off is not taken."""
        size = file.seek(0, io.SEEK_END)

        async def pieces() -> AsyncIterator[bytes]:
            file.seek(0)
            while piece := file.read(PIECE):
                yield piece

        async def attempt() -> None:
            headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
            session = await self.set_session()
            async with session.put(
                self.encode_url(url), data=pieces() if size else b"", headers=headers | self._auth_headers(path)
            ) as answer:
                if answer.status >= 400:
                    await self._check(answer, url)

        url = self._url(path)
        await self._retry(attempt, f"put_file({path})")

    # Directories and names

    async def _mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        await asyncio.to_thread(self._make_directory, path, create_parents)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        try:
            await self._mkdir(path)
        except FileExistsError:
            if not exist_ok:
                raise

    def _make_directory(self, path: str, create_parents: bool) -> None:
        with _as_os_errors(path):
            collection_id, place = self._place(path)
            if create_parents:
                make_directories(self.hook, collection_id, parent(place))
            client = self.hook.transfer_client()
            self.hook.call(f"making the directory {path}", client.operation_mkdir, collection_id, place)

    async def _rm(self, path: Any, recursive: bool = False, **kwargs: Any) -> None:
        for one in [path] if isinstance(path, str) else path:
            if recursive and await asyncio.to_thread(self.isdir, one):
                raise NotImplementedError(f"{one}: directories are deleted with GlobusDeleteOperator.")
        await super()._rm(path, recursive=False, **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Rename within a collection."""
        (source, old), (destination, new) = self._place(path1), self._place(path2)
        if source != destination:
            raise NotImplementedError("From one collection to another, files are moved with GlobusTransferOperator.")
        with _as_os_errors(path1):
            client = self.hook.transfer_client()
            self.hook.call(f"renaming {path1} to {path2}", client.operation_rename, source, old, new)


class _Blocks(AbstractBufferedFile):  # type: ignore[misc]
    """A file that is read by blocks. The one of fsspec asks for some without a token."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return bytes(self.fs.cat_file(self.path, start=start, end=end))


class _Upload(io.BufferedIOBase):
    """A file that is sent when it is closed, and not at all when what writes it has failed."""

    def __init__(self, fs: GlobusCollectionFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Append."""
        return self._file.write(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def close(self) -> None:
        """Send."""
        if self.closed:
            return
        try:
            sync(self._fs.loop, self._fs._send, self._file, self._path)
        finally:
            self._discard()

    def _discard(self) -> None:
        self._file.close()
        super().close()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()


def _info(path: str, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of Transfer, in fsspec's words."""
    modified = entry.get("last_modified")
    return {
        "name": path,
        "size": entry.get("size") or 0,
        "type": "directory" if entry.get("type") == "dir" else "file",
        "mtime": datetime.fromisoformat(modified).timestamp() if modified else 0,
        "globus_type": entry.get("type"),
    }


@contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    """Raise what users of a file system expect; what they cannot expect stays ours."""
    try:
        yield
    except GlobusNotFoundError as error:
        raise FileNotFoundError(f"{path}: {error}") from error
    except GlobusPermissionError as error:
        raise PermissionError(f"{path}: {error}") from error
    except GlobusConflictError as error:
        raise FileExistsError(f"{path}: {error}") from error
