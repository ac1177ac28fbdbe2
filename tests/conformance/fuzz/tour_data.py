"""Collections with their files, tasks that move them, and a Connect Server: what there is to be asked for."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from tests.unit.buckets import KEYS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tests.conformance.fuzz.site import Site

BUCKET = "bucket-of-fuzz"
#: What must never be in an answer, beside the secrets of clients and tokens.
CANARY = "canary-d1f0b3-outside"
S3_SECRET = "canary-s3-secret-key"
OTHER_SECRET = "canary-secret-of-another-client"


def folders(site: Site) -> None:
    site.outside.mkdir(parents=True)
    (site.outside / "secret.txt").write_text(CANARY)
    for name in ("mapped", "personal", "posix"):
        root = site.folder / "inside" / name
        (root / "folder" / "deep").mkdir(parents=True)
        for path in ("a.txt", "folder/b.txt", "folder/deep/c.txt"):
            (root / path).write_text(path)
        (root / "leads-out").symlink_to(site.outside)
        (root / "leads-to-file").symlink_to(site.outside / "secret.txt")
        (root / "circle").symlink_to(root)
        (root / "folder" / "up").symlink_to("..")
        (root / "unreadable").mkdir(mode=0)


def buckets(s3: S3Client) -> None:
    s3.create_bucket(Bucket=BUCKET)
    for key in ("a.txt", "folder/b.txt", "folder/", "odd//key", "folder/b.txt/c"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())


def people(site: Site) -> None:
    other = site.sandbox.add_client("other", secret=OTHER_SECRET)
    site.secrets |= {OTHER_SECRET, site.sandbox.client_secret, CANARY, S3_SECRET}
    site.keep("other", other.id)
    site.keep("identity_id", site.me, other.id, site.sandbox.add_identity("ada@example.org").id)
    site.keep("group", site.sandbox.add_group("fuzz", members=[site.me]).id)


def collections(site: Site, s3_url: str) -> None:
    add, inside = site.sandbox.add_collection, site.folder / "inside"
    mapped = add("mapped", inside / "mapped", alias="alias")
    personal = add("personal", inside / "personal", kind="personal")
    guest = add("guest", kind="guest", host=mapped, base_path="/folder")
    bucket = add(
        "bucket", f"s3://{BUCKET}", s3_endpoint_url=s3_url, s3_access_key_id="key", s3_secret_access_key="secret"
    )
    theirs = add("theirs", inside / "mapped", owner=site.ids["other"][0], writable=False)
    strict = add("strict", inside / "mapped", high_assurance=True)
    ids = [item.id for item in (mapped, guest, personal, bucket, theirs, strict)]
    site.keep("endpoint_id", *ids, ENDPOINT_ID)
    site.keep("collection_id", *(item for item in ids if item != personal.id))


def connect_server(site: Site, s3_url: str) -> None:
    site.sandbox.world.connect_server.set_folder(site.folder / "inside" / "posix")
    gcs = "connect_server"
    gateway = {
        "DATA_TYPE": "storage_gateway#1.3.0",
        "display_name": "disks",
        "connector_id": "145812c8-decc-41f1-83cf-bb2a85a2a70b",
        "identity_mappings": [
            {
                "DATA_TYPE": "expression_identity_mapping#1.0.0",
                "mappings": [{"source": "{username}", "match": "(.*)@.*", "output": "{0}", "ignore_case": True}],
            }
        ],
        "allowed_domains": ["clients.auth.globus.org", "example.org"],
        "restrict_paths": {"DATA_TYPE": "path_restrictions#1.0.0", "read_write": ["/"], "none": ["/folder/deep"]},
        "users_deny": ["root"],
        "policies": {"DATA_TYPE": "posix_storage_policies#1.0.0", "groups_deny": ["lab"]},
    }
    s3 = {
        "DATA_TYPE": "s3_storage_policies#1.3.0",
        "s3_endpoint": s3_url,
        "s3_buckets": [BUCKET],
        "s3_user_credential_required": True,
    }
    made = [
        site.ask(gcs, "POST", "/api/storage_gateways", document)["data"][0]["id"]
        for document in (
            gateway,
            {
                **gateway,
                "display_name": "buckets",
                "connector_id": "7643e831-5f6c-4b47-a07f-8ee90f401d23",
                "policies": s3,
            },
        )
    ]
    disks, buckets = site.keep("gateway_id", made[0]), site.keep("gateway_id", made[1])
    site.keep("gateway_id", *site.sandbox.world.connect_server.gateways)
    keys = {
        "DATA_TYPE": "s3_user_credential_policies#1.0.0",
        "s3_key_id": KEYS["s3_access_key_id"],
        "s3_secret_key": S3_SECRET,
    }
    for gateway_id, policies in ((buckets, keys), (disks, None)):
        document = {"DATA_TYPE": "user_credential#1.0.0", "storage_gateway_id": gateway_id, "display_name": "mine"}
        more = {"policies": policies} if policies else {}
        site.keep("credential_id", site.ask(gcs, "POST", "/api/user_credentials", document | more)["data"][0]["id"])
    collection = {
        "DATA_TYPE": "collection#1.16.0",
        "collection_type": "mapped",
        "display_name": "disks",
        "public": True,
        "allow_guest_collections": True,
        "collection_base_path": "/",
        "storage_gateway_id": disks,
        "enable_https": True,
        "keywords": ["a"],
        "sharing_restrict_paths": {"DATA_TYPE": "path_restrictions#1.0.0", "read": ["/"]},
        "policies": {"DATA_TYPE": "posix_collection_policies#1.1.0", "sharing_groups_deny": ["lab"]},
    }
    plain: dict[str, Any] = {
        name: value for name, value in collection.items() if name not in ("policies", "sharing_restrict_paths")
    }
    for wanted in (collection, {**plain, "storage_gateway_id": buckets, "display_name": "buckets"}):
        mapped = site.ask(gcs, "POST", "/api/collections", wanted)["data"][0]["id"]
        site.keep("collection_id", mapped)
        site.keep("endpoint_id", mapped)
    site.tokens.clear()
    guest: dict[str, Any] = {
        "DATA_TYPE": "collection#1.16.0",
        "collection_type": "guest",
        "display_name": "shared",
        "public": True,
        "collection_base_path": "/folder",
        "mapped_collection_id": site.ids["collection_id"][0],
    }
    site.sandbox.settings.enforce_consents = False
    shared = site.ask(gcs, "POST", "/api/collections", guest)["data"][0]["id"]
    site.sandbox.settings.enforce_consents = True
    site.keep("collection_id", shared)
    site.keep("endpoint_id", shared)
    urn = f"urn:globus:auth:identity:{site.ids['other'][0]}"
    for place in (shared, None):
        role = {"DATA_TYPE": "role#1.0.0", "principal": urn, "role": "activity_monitor", "collection": place}
        site.keep("role_id", site.ask(gcs, "POST", "/api/roles", role)["data"][0]["id"])
    policy = {
        "DATA_TYPE": "sharing_policy#1.0.0",
        "collection_id": site.ids["collection_id"][-3],
        "sharing_restrict_paths": {"DATA_TYPE": "path_restrictions#1.0.0", "read": ["/"]},
        "users": ["ada"],
    }
    site.keep("policy_id", site.ask(gcs, "POST", "/api/sharing_policies", policy)["data"][0]["id"])
    gateway_id, credential, mapped = disks, site.ids["credential_id"][0], site.ids["collection_id"][-3]
    site.ask(
        gcs, "PATCH", f"/api/storage_gateways/{gateway_id}", {"DATA_TYPE": "storage_gateway#1.3.0", "users_deny": []}
    )
    site.ask(
        gcs, "PATCH", f"/api/user_credentials/{credential}", {"DATA_TYPE": "user_credential#1.0.0", "display_name": "x"}
    )
    site.ask(
        gcs,
        "PATCH",
        f"/api/collections/{mapped}",
        {"DATA_TYPE": "collection#1.16.0", "display_name": "x", "force_verify": True},
    )
    site.ask(
        gcs,
        "PATCH",
        "/api/endpoint",
        {"DATA_TYPE": "endpoint#1.2.0", "organization": "x", "public": True},
        include="endpoint",
    )
    for path in (
        "info",
        "endpoint",
        "nodes",
        "storage_gateways",
        "collections",
        "user_credentials",
        "roles",
        "sharing_policies",
    ):
        site.ask(
            gcs,
            "GET",
            f"/api/{path}",
            include="private_policies,all_roles",
            page_size=2,
            filter="mapped_collections",
            marker=0,
            collection_id=mapped,
        )


def transfer(site: Site) -> None:
    mapped, guest, personal = site.ids["endpoint_id"][:3]
    for place in (mapped, personal):
        site.ask(
            "transfer",
            "GET",
            f"/v0.10/operation/endpoint/{place}/ls",
            path="/",
            orderby="type,name DESC",
            show_hidden=0,
            limit=5,
            offset=1,
            filter="name:~*.txt/type:file/size:>3",
        )
        site.ask("transfer", "GET", f"/v0.10/operation/endpoint/{place}/stat", path="/a.txt")
    path = f"/v0.10/operation/endpoint/{mapped}"
    site.ask("transfer", "POST", f"{path}/mkdir", {"DATA_TYPE": "mkdir", "path": "/made"})
    site.ask("transfer", "POST", f"{path}/rename", {"DATA_TYPE": "rename", "old_path": "/made", "new_path": "/renamed"})
    rule = {
        "DATA_TYPE": "access",
        "principal_type": "identity",
        "principal": site.ids["other"][0],
        "path": "/deep/",
        "permissions": "rw",
        "expiration_date": "2099-01-01T00:00:00+00:00",
    }
    site.keep("rule_id", site.ask("transfer", "POST", f"/v0.10/endpoint/{guest}/access", rule)["access_id"])
    site.ask(
        "transfer",
        "PUT",
        f"/v0.10/endpoint/{guest}/access/{site.ids['rule_id'][0]}",
        {"DATA_TYPE": "access", "permissions": "r"},
    )
    site.suggest("POST", f"{path}/rename", {"DATA_TYPE": "rename", "old_path": "/renamed", "new_path": "/again"})
    site.suggest("POST", f"/v0.10/endpoint/{guest}/access", {**rule, "path": "/other/"})
    anybody = {"DATA_TYPE": "access", "principal_type": "anonymous", "principal": "", "path": "/", "permissions": "r"}
    site.ask("transfer", "POST", f"/v0.10/endpoint/{guest}/access", anybody)
    role = {
        "DATA_TYPE": "role",
        "principal_type": "identity",
        "principal": site.ids["other"][0],
        "role": "activity_manager",
    }
    site.keep("role_id", site.ask("transfer", "POST", f"/v0.10/endpoint/{personal}/role", role)["id"])
    site.ask(
        "transfer",
        "PUT",
        f"/v0.10/endpoint/{personal}",
        {"DATA_TYPE": "endpoint", "display_name": "x", "description": None, "keywords": "a"},
    )
    site.ask(
        "transfer",
        "GET",
        "/v0.10/endpoint_search",
        filter_fulltext="a",
        filter_scope="my-endpoints",
        limit=10,
        offset=0,
        filter_owner_id=site.me,
        filter_entity_type="GCSv5_mapped_collection",
    )


def tasks(site: Site) -> None:
    mapped, _, personal, bucket = site.ids["endpoint_id"][:4]
    transfer = site.sandbox.world.transfer

    def submit(**more: Any) -> str:
        document = {
            "DATA_TYPE": "transfer",
            "submission_id": str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(more))),
            "source_endpoint": mapped,
            "destination_endpoint": personal,
            "label": "x",
            "deadline": "2099-01-01T00:00:00+00:00",
            "sync_level": 0,
            "verify_checksum": True,
            "preserve_timestamp": False,
            "encrypt_data": False,
            "skip_source_errors": True,
            "fail_on_quota_errors": False,
            "recursive_symlinks": "ignore",
            "notify_on_succeeded": False,
            "filter_rules": [{"DATA_TYPE": "filter_rule", "method": "exclude", "name": "*.bak", "type": "file"}],
            "DATA": [
                {
                    "DATA_TYPE": "transfer_item",
                    "source_path": "/folder/",
                    "destination_path": "/to/",
                    "recursive": True,
                    "external_checksum": None,
                    "checksum_algorithm": None,
                }
            ],
            **more,
        }
        return site.keep("task_id", str(site.ask("transfer", "POST", "/v0.10/transfer", document)["task_id"]))

    item = {"DATA_TYPE": "transfer_item", "source_path": "/a.txt", "destination_path": "/b.txt"}
    transfer.wait(submit())
    transfer.wait(submit(destination_endpoint=bucket, label="to s3"))
    transfer.wait(submit(DATA=[{**item, "source_path": "/leads-out/secret.txt"}]))
    transfer.wait(submit(DATA=[item], deadline="2099-01-01"))
    site.sandbox.faults.add(collection="mapped", path="/a.txt", nice_status="PERMISSION_DENIED")
    retries = submit(DATA=[item], label="retries", skip_source_errors=False)
    site.suggest(
        "PUT", f"/v0.10/task/{retries}", {"DATA_TYPE": "task", "label": "y", "deadline": "2099-01-01T00:00:00"}
    )
    transfer.hold()
    held = submit(DATA=[{**item, "destination_path": "/c.txt"}], label="held")
    delete = {
        "DATA_TYPE": "delete",
        "submission_id": str(uuid.uuid5(uuid.NAMESPACE_OID, "d")),
        "endpoint": personal,
        "recursive": True,
        "ignore_missing": True,
        "interpret_globs": True,
        "DATA": [{"DATA_TYPE": "delete_item", "path": "/to/*"}],
    }
    site.keep("task_id", site.ask("transfer", "POST", "/v0.10/delete", delete)["task_id"])
    site.ask(
        "transfer", "PUT", f"/v0.10/task/{held}", {"DATA_TYPE": "task", "label": "y", "deadline": "2099-01-01T00:00:00"}
    )
    site.ask(
        "transfer",
        "GET",
        "/v0.10/task_list",
        filter="status:ACTIVE,FAILED/label:~x*/request_time:2000-01-01,",
        orderby="request_time DESC",
        limit=10,
        offset=0,
        fields="task_id",
    )
    site.ask(
        "transfer", "GET", f"/v0.10/task/{held}/event_list", limit=10, offset=0, filter_is_error=1, filter="is_error:1"
    )
    site.ask("transfer", "GET", f"/v0.10/task/{held}/successful_transfers", marker=0)
    manager = "/v0.10/endpoint_manager"
    site.ask(
        "transfer",
        "POST",
        f"{manager}/admin_pause",
        {"DATA_TYPE": "admin_pause", "task_id_list": [held], "message": "x"},
    )
    rule = {
        "DATA_TYPE": "pause_rule",
        "endpoint_id": mapped,
        "message": "x",
        "identity_id": site.ids["other"][0],
        "pause_ls": True,
        "start_time": "2098-01-01T00:00:00+00:00",
    }
    site.keep("rule_id", site.ask("transfer", "POST", f"{manager}/pause_rule", rule)["id"])
    site.ask(
        "transfer",
        "PUT",
        f"{manager}/pause_rule/{site.ids['rule_id'][-1]}",
        {"DATA_TYPE": "pause_rule", "message": "y", "pause_ls": True},
    )
    site.ask("transfer", "POST", f"{manager}/admin_resume", {"DATA_TYPE": "admin_resume", "task_id_list": [held]})
    doomed = {"DATA_TYPE": "admin_cancel", "task_id_list": [held], "message": "x"}
    site.keep("cancel_id", str(site.ask("transfer", "POST", f"{manager}/admin_cancel", doomed)["id"]))
    site.ask(
        "transfer",
        "GET",
        f"{manager}/task_list",
        filter_status="ACTIVE",
        filter_endpoint=mapped,
        limit=10,
        filter_completion_time="2000-01-01,",
        filter_is_paused=1,
        filter_owner_id=site.me,
    )
    site.ask("transfer", "GET", f"{manager}/task_list", filter_task_id=held)
    transfer.release()


def https(site: Site) -> None:
    mapped = site.ids["collection_id"][0]
    for place in ("a.txt", "folder/b.txt"):
        site.ask(mapped, "GET", f"/https/{mapped}/{place}")
        for method in ("HEAD", "PUT", "DELETE"):
            site.suggest(method, f"/https/{mapped}/{place}")


def bookmarks(site: Site) -> None:
    mapped, personal = site.ids["endpoint_id"][0], site.ids["endpoint_id"][2]
    document = {"DATA_TYPE": "bookmark", "endpoint_id": mapped, "path": "/folder/", "name": "x", "pinned": False}
    made = site.keep("bookmark_id", site.ask("transfer", "POST", "/v0.10/bookmark", document)["id"])
    site.ask("transfer", "PUT", f"/v0.10/bookmark/{made}", {"DATA_TYPE": "bookmark", "name": "y"})
    resource: dict[str, Any] = {
        "type": "Bookmark",
        "attributes": {"name": "z", "path": "/folder/", "pinned": True},
        "relationships": {"collection": {"data": {"type": "Collection", "id": personal}}},
    }
    made = site.keep("bookmark_id", site.ask("transfer", "POST", "/v2/bookmarks", {"data": resource})["data"]["id"])
    changes = {"data": {"type": "Bookmark", "id": made, "attributes": {"name": "w", "path": "/", "pinned": False}}}
    site.ask("transfer", "PATCH", f"/v2/bookmarks/{made}", changes)
    site.ask("transfer", "GET", "/v2/bookmarks", include="collection")


def personal_collections(site: Site) -> None:
    document = {
        "DATA_TYPE": "endpoint",
        "is_globus_connect": True,
        "display_name": "x",
        "description": "y",
        "public": False,
    }
    site.keep("endpoint_id", site.ask("transfer", "POST", "/v0.10/endpoint", document)["id"])
    host = site.ids["endpoint_id"][2]
    shared = {
        "DATA_TYPE": "shared_endpoint",
        "host_endpoint": host,
        "host_path": "/folder/",
        "display_name": "x",
        "description": "y",
    }
    site.keep("endpoint_id", site.ask("transfer", "POST", "/v0.10/shared_endpoint", shared)["id"])
