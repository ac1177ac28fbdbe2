"""Makes a sandbox with something of everything in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance.fuzz import tour_data as data
from tests.conformance.fuzz import tour_people as people
from tests.conformance.fuzz import tour_services as services
from tests.conformance.fuzz.site import WITHOUT_LIMITS, Site
from tests.conformance.fuzz.wire import InProcess

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox import GlobusSandbox


def populated(sandbox: GlobusSandbox, folder: Path, s3: S3Client) -> Site:
    """Return a site with something of everything, by requests that succeed."""
    sandbox.settings.update(WITHOUT_LIMITS)
    site = Site(sandbox, folder, InProcess(sandbox.world))
    data.folders(site)
    data.buckets(s3)
    data.people(site)
    data.collections(site, s3.meta.endpoint_url)
    data.connect_server(site, s3.meta.endpoint_url)
    # Tokens from before know nothing of the collections.
    site.tokens.clear()
    data.transfer(site)
    data.tasks(site)
    data.https(site)
    data.bookmarks(site)
    data.personal_collections(site)
    for part in (
        services.compute,
        services.flows,
        services.search,
        people.auth,
        people.developers,
        people.logins,
        people.groups,
        services.control,
    ):
        part(site)
    return site
