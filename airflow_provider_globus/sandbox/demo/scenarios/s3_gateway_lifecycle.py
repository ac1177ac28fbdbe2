"""The surroundings of `s3_gateway_lifecycle`: a Connect Server endpoint, an S3 service with keys, files to prove it by.

The DAG runs three times: it builds, it finds nothing to do, and it takes down.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.demo.checks import Check, digests, same_files
from airflow_provider_globus.sandbox.demo.s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from airflow_provider_globus.sandbox.demo.scenario import Place, Scenario
from airflow_provider_globus.sandbox.demo.scenarios.instrument_to_archive import COLLABORATOR, sample_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_globus.sandbox.transfer.collections import Collection

BUCKET = "research-archive"
NAME = "Research archive"
DESCRIBED = ("storage_gateway", "mapped_collection", "user_credential", "guest_collection")
REMOVED = ("remove_guest_collection", "remove_user_credential", "remove_mapped_collection", "remove_storage_gateway")


class Demo(Scenario):
    """One bucket, one key pair, and a folder of files."""

    dag_id = "s3_gateway_lifecycle"

    def prepare(self) -> None:
        """Write the files; make the bucket and the staging collection."""
        self.staging = self.folder / "staging"
        self.proof = self.staging / "proof"
        for name, content in sample_files():
            target = self.proof / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        self.s3.create_bucket(BUCKET)
        self.globus.add_collection("Staging", self.staging, alias="staging")
        self.globus.add_identity(COLLABORATOR, name="Dr. Collaborator")
        self.collaborator = self.globus.world.auth.identity_by_username(COLLABORATOR)
        self.built: dict[str, Any] = {}
        self.gateways_before = len(self.globus.world.connect_server.gateways)

    @property
    def connections(self) -> dict[str, str]:
        """The key pair, as a connection of Airflow."""
        return {"s3_archive": json.dumps({"conn_type": "aws", "login": ACCESS_KEY_ID, "password": SECRET_ACCESS_KEY})}

    @property
    def secrets(self) -> list[str]:
        """The secret half of the key pair."""
        return [SECRET_ACCESS_KEY]

    @property
    def conf(self) -> dict[str, Any]:
        """Which endpoint, and which S3 service."""
        return {
            "endpoint": self.globus.world.transfer.endpoint.id,
            "name": NAME,
            "s3_endpoint": self.s3.url,
            "bucket": BUCKET,
            "collaborator": COLLABORATOR,
        }

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Build; once more, for nothing; take down."""
        return [self.conf, self.conf, {**self.conf, "tear_down": True}]

    def checks(self, xcoms: Mapping[str, Any]) -> list[Check]:
        """What holds after the first run."""
        self.built = dict(xcoms)
        self.s3.download(BUCKET, self.folder / "bucket")
        sent = digests(self.proof)
        return [
            self._actions("everything was created", xcoms, DESCRIBED, "created"),
            same_files("the bucket has the same bytes (SHA-256)", sent, digests(self.folder / "bucket/shared/proof")),
            same_files("and so has what came back", sent, digests(self.staging / "returned")),
            self._shared(),
            Check("the audit found no drift", xcoms["audit"]["drift"] == []),
        ]

    def checks_after(self, number: int, xcoms: Mapping[str, Any]) -> list[Check]:
        """What holds after each run."""
        if number == 1:
            return self.checks(xcoms)
        if number == 2:
            moved = sum(xcoms[name]["files_transferred"] for name in ("to_bucket", "from_bucket"))
            same = all(_ids(xcoms[name]) == _ids(self.built[name]) for name in DESCRIBED)
            return [
                self._actions("the second run changed nothing", xcoms, DESCRIBED, "unchanged"),
                Check("it found what the first one had made", same),
                Check("no file was moved again", moved == 0, f"{moved} files"),
            ]
        left = self.globus.world.connect_server
        objects = self.s3.client.list_objects_v2(Bucket=BUCKET).get("KeyCount", 0)
        gone = len(left.gateways) == self.gateways_before and not left.credentials and not self._collections()
        return [
            self._actions("everything was taken down", xcoms, REMOVED, "deleted"),
            Check("nothing of it is left at Connect Server", gone),
            Check("the objects are still in the bucket", objects > 0, f"{objects} objects"),
        ]

    def _actions(self, name: str, xcoms: Mapping[str, Any], tasks: tuple[str, ...], wanted: str) -> Check:
        found = {task: (xcoms.get(task) or {}).get("action") for task in tasks}
        wrong = [f"{task}: {action}" for task, action in found.items() if action != wanted]
        return Check(name, not wrong, ", ".join(wrong) or f"{len(tasks)} {wanted}")

    def _collections(self) -> list[Collection]:
        return [item for item in self.globus.world.transfer.collections.values() if item.name.startswith(NAME)]

    def _shared(self) -> Check:
        transfer, person = self.globus.world.transfer, self.collaborator
        guests = [item for item in self._collections() if item.kind == "guest"]
        granted = [transfer.permissions(person.id if person else "", item, "/proof") for item in guests]
        return Check("the collaborator may read the shared folder, and not write", granted == ["r"], COLLABORATOR)

    def places(self) -> list[Place]:
        """What was sent, what came back, and a copy of the bucket."""
        return [
            Place("staging", "/proof/", self.proof),
            Place("staging", "/returned/", self.staging / "returned"),
            Place("bucket", f"s3://{BUCKET}/shared/proof/", self.folder / "bucket" / "shared" / "proof"),
        ]


def _ids(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name.endswith("_id")}
