"""``s3://`` URLs as paths on collections: which collections lead to a bucket, and which of them is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.exceptions import (
    GlobusCollectionNameError,
    GlobusError,
    GlobusInputError,
    GlobusUnavailableError,
)

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

_URL = r"s3://([A-Za-z0-9][A-Za-z0-9._-]*)(?:/(.*))?"

#: Connectors whose collections show ``/<bucket>/<key>``.
S3_CONNECTORS = {
    "7643e831-5f6c-4b47-a07f-8ee90f401d23": "S3",
    "7251f6c8-93c9-11eb-95ba-12704e0d6a4d": "ActiveScale",
    "1b6374b0-f6a4-4cf7-a26f-f262d9c6ca72": "Ceph",
}

#: Where collections are looked for when none are named, beside the connection's aliases.
_SCOPES = ("my-endpoints", "administered-by-me", "shared-with-me", "recently-used")
_MAPPED, _GUEST = "GCSv5_mapped_collection", "GCSv5_guest_collection"
_SEARCH_PAGE = 100

#: Collections that an error lists at most.
_LISTED = 20


class S3Place(NamedTuple):
    """
    Where an object, or a prefix, is on Globus.

    :param collection: UUID of the collection.
    :param path: on the collection; ends in ``/`` when the URL does, or names a bucket only.
    :param collection_name: display name of the collection.
    """

    collection: str
    path: str
    collection_name: str


class _Candidate(NamedTuple):
    """A collection that may lead to the bucket."""

    place: S3Place
    depth: int
    #: of its gateway
    s3_endpoint: str | None
    #: whether its gateway's documents say that the bucket is there; else only looking tells
    is_certain: bool
    bucket_path: str

    @property
    def named(self) -> str:
        return f"{self.place.collection_name} ({self.place.collection}): {self.place.path}"


def split_s3_url(url: str) -> tuple[str, str]:
    """
    Bucket and key of an ``s3://`` URL; the key is taken as it stands, nothing in it is decoded.

    :raises GlobusInputError: for another URL, and for a key that is no path on a collection (``a//b``, ``..``).
    """
    found = re.fullmatch(_URL, url, re.DOTALL) if isinstance(url, str) else None
    if found is None:
        raise GlobusInputError(f"{url!r} is no S3 URL.", advice="Write it as s3://bucket/key.")
    bucket, key = found[1], found[2] or ""
    if any(part in ("", ".", "..") for part in key.removesuffix("/").split("/")) and key:
        raise GlobusInputError(
            f"The key of {url!r} is no path: Globus reaches no key with empty parts, '.' or '..' between slashes."
        )
    if any(ord(character) < 32 for character in key):
        raise GlobusInputError(f"The key of {url!r} contains a control character, which Globus does not take.")
    return bucket, key


def resolve_s3_url(
    hook: GlobusHook, url: str, *, collections: Iterable[str] | None = None, s3_endpoint: str | None = None
) -> S3Place:
    """
    The collection and path that an ``s3://`` URL means.

    Looks at the collections given; else at the connection's aliases and at those that Globus lists for this identity:
    its own, administered by it, shared with it, recently used, and those whose description names the bucket. Of
    collections that lead to the bucket, the one that begins deepest in it is taken. Costs about five calls to search,
    and two to the Connect Server for each mapped collection. In a ``@task``::

        place = resolve_s3_url(GlobusHook(), "s3://beamline/run7/")
        return place._asdict()

    Only a bucket that no gateway's policy and no collection's base path names is looked for in the collections' data.
    Nothing tells whether there is such a key.

    :param collections: UUIDs, aliases of the connection, or unique display names: the only ones to consider.
    :param s3_endpoint: URL of the S3 service, for bucket names that exist at several, as a gateway's policies have it.
    :raises GlobusCollectionNameError: listing what was looked at, when none or several lead there.
    """
    bucket, key = split_s3_url(url)
    search = _Search(hook, bucket, key, s3_endpoint)
    found = list(search.candidates(_documents(hook, bucket, collections)))
    certain = [candidate for candidate in found if candidate.is_certain]
    possible = certain or [candidate for candidate in found if search.shows(candidate)]
    if not possible:
        raise _none(url, search.looked, collections)
    deepest = max(candidate.depth for candidate in possible)
    best = [candidate for candidate in possible if candidate.depth == deepest]
    services = sorted({candidate.s3_endpoint.rstrip("/") for candidate in possible if candidate.s3_endpoint})
    if len(services) > 1:
        raise _several(url, possible, f"at {len(services)} S3 services ({', '.join(services)})", "s3_endpoint")
    if len(best) > 1:
        raise _several(url, best, "equally well", "collections")
    return best[0].place


def _documents(hook: GlobusHook, bucket: str, collections: Iterable[str] | None) -> Iterator[dict[str, Any]]:
    """The documents of all collections to consider, each once."""
    if collections is not None:
        named = [collections] if isinstance(collections, str) else collections
        yield from (hook.collection(hook.resolve_collection(name)) for name in dict.fromkeys(named))
        return
    seen: set[str] = set()
    for document in _found(hook, bucket):
        if document["id"] not in seen and document.get("entity_type") in (_MAPPED, _GUEST):
            seen.add(document["id"])
            yield document


def _found(hook: GlobusHook, bucket: str) -> Iterator[dict[str, Any]]:
    for collection_id in hook.settings.collections.values():
        try:
            yield hook.collection(collection_id)
        except GlobusError:
            # An alias of something else that is gone is nobody's concern here.
            continue
    client = hook.transfer_client()
    searches: list[dict[str, Any]] = [{"filter_scope": scope} for scope in _SCOPES]
    for search in [*searches, {"filter_fulltext": bucket}]:
        doing = f"searching collections ({', '.join(map(str, search.values()))})"
        yield from hook.call(doing, client.endpoint_search, limit=_SEARCH_PAGE, **search)["DATA"]


class _Search:
    """
    Looks at collections for a key.

    :ivar looked: what was found out about those that do not lead there.
    """

    def __init__(self, hook: GlobusHook, bucket: str, key: str, s3_endpoint: str | None) -> None:
        self._hook = hook
        self._bucket = bucket
        self._key = key
        self._s3_endpoint = s3_endpoint
        self.looked: list[str] = []
        self._gateways: dict[str, tuple[str, dict[str, Any]]] = {}
        #: Connect Servers that do not answer, by their URL; asking each time would cost all its retries again
        self._down: dict[str, GlobusUnavailableError] = {}

    def candidates(self, documents: Iterable[dict[str, Any]]) -> Iterator[_Candidate]:
        """Those of the collections that may lead to the key."""
        for document in documents:
            try:
                result = self._candidate(document)
            except GlobusError as error:
                result = f"could not be looked at: {error.message}"
            if isinstance(result, str):
                self.looked.append(f"{document.get('display_name')} ({document['id']}) {result}")
            else:
                yield result

    def shows(self, candidate: _Candidate) -> bool:
        """Look into the data: a gateway's policies name only the buckets that the keys' owner does not own."""
        place = candidate.place
        try:
            collection_id = self._hook.use_collection(place.collection)
            client = self._hook.transfer_client()
            doing = f"looking for {candidate.bucket_path} on {place.collection_name!r}"
            self._hook.call(doing, client.operation_ls, collection_id, path=candidate.bucket_path, limit=1)
        except GlobusError as error:
            named = f"{place.collection_name} ({place.collection})"
            self.looked.append(f"{named} does not show the bucket: {error.message}")
            return False
        return True

    def _candidate(self, document: dict[str, Any]) -> _Candidate | str:
        """How a collection leads to the key, or why it does not."""
        is_mapped = document.get("entity_type") == _MAPPED
        mapped_id = document["id"] if is_mapped else document.get("mapped_collection_id")
        if mapped_id is None:
            return "is no collection of a Connect Server"
        root, gateway = self._gateway(mapped_id, str(document.get("gcs_manager_url")))
        if gateway.get("connector_id") not in S3_CONNECTORS:
            return (
                "is on other storage than S3" if gateway.get("connector_id") else "does not say what storage it is on"
            )
        policies = gateway.get("policies") or {}
        service = policies.get("s3_endpoint")
        if self._s3_endpoint is not None and (service or "").rstrip("/") != self._s3_endpoint.rstrip("/"):
            return f"is on another S3 service, {service or 'unknown'}"
        base = _parts(root) + _parts(None if is_mapped else document.get("host_path"))
        wanted = [self._bucket, *_parts(self._key)]
        if wanted[: len(base)] != base:
            return f"begins at s3://{'/'.join(base)}"
        is_certain = bool(base) or self._bucket in (policies.get("s3_buckets") or ())
        place = S3Place(str(document["id"]), self._path(wanted[len(base) :]), str(document.get("display_name")))
        return _Candidate(place, len(base), service, is_certain, "/" if base else f"/{self._bucket}/")

    def _path(self, parts: list[str]) -> str:
        ends = "/" if parts and (self._key.endswith("/") or not self._key) else ""
        return "/" + "/".join(parts) + ends

    def _gateway(self, mapped_id: str, manager_url: str) -> tuple[str, dict[str, Any]]:
        """Where a mapped collection begins in its storage, and its storage gateway, as far as it is shown."""
        if mapped_id not in self._gateways:
            if manager_url in self._down:
                raise self._down[manager_url]
            try:
                self._gateways[mapped_id] = self._asked(mapped_id)
            except GlobusUnavailableError as error:
                self._down[manager_url] = error
                raise
        return self._gateways[mapped_id]

    def _asked(self, mapped_id: str) -> tuple[str, dict[str, Any]]:
        client = self._hook.gcs_client(mapped_id)
        doing = f"looking up the collection {mapped_id} at its Connect Server"
        mapped = self._hook.call(doing, client.get_collection, mapped_id)
        root = mapped.get("root_path") or mapped.get("collection_base_path") or "/"
        gateway = {"connector_id": mapped.get("connector_id")}
        if gateway["connector_id"] not in (None, *S3_CONNECTORS):
            return root, gateway
        gateway_id = mapped.get("storage_gateway_id")
        try:
            doing = f"looking up the storage gateway {gateway_id}"
            shown = self._hook.call(doing, client.get_storage_gateway, gateway_id)
        except GlobusError:
            # Not everybody who may use a collection may see its gateway.
            shown = {}
        return root, gateway | shown


def _parts(path: str | None) -> list[str]:
    return [part for part in (path or "").split("/") if part]


def _none(url: str, looked: list[str], collections: Iterable[str] | None) -> GlobusCollectionNameError:
    where = "given" if collections is not None else "that this identity can see"
    listed = "".join(f"\n  {line}" for line in looked[:_LISTED])
    more = f"\n  and {len(looked) - _LISTED} more" if len(looked) > _LISTED else ""
    return GlobusCollectionNameError(
        f"No collection {where} leads to {url}. Looked at:{listed or ' none'}{more}\n",
        advice="Name the collection (collections), or add it to the aliases of the connection.",
    )


def _several(url: str, found: list[_Candidate], how: str, argument: str) -> GlobusCollectionNameError:
    listed = "; ".join(candidate.named for candidate in found[:_LISTED])
    return GlobusCollectionNameError(
        f"{len(found)} collections lead to {url} {how}: {listed}.", advice=f"Say which one you mean ({argument})."
    )
