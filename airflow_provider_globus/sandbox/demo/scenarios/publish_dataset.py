"""The surroundings of `publish_dataset`: an instrument, a staging area, a repository, a catalogue, and a reviewer."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from globus_sdk import AccessTokenAuthorizer, FlowsClient, SearchClient
from globus_sdk.scopes import FlowsScopes, SearchScopes

from airflow_provider_globus.sandbox.demo.checks import Check, digests, one_submission_each, same_files
from airflow_provider_globus.sandbox.demo.scenario import Place, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.state import Identity

DATASET = "forams_2026"
TITLE = "Foraminifera, synchrotron tomography"
CREATORS = ["Ada Lovelace", "Zoë Bernard"]
REVIEWER, READER = "reviewer@example.edu", "reader@example.edu"
KIB = 1024


def sample_files() -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of one dataset."""
    noise = random.Random(7)  # noqa: S311 - the same bytes in every run
    yield "README.md", b"# Foraminifera\n\nEight shells, 22.5 keV. Slices in `slices/`, measurements in `shells.csv`.\n"
    yield "shells.csv", "".join(f"shell_{n},{0.41 + n / 100:.2f}\n" for n in range(8)).encode()
    yield "metadata/scan.json", json.dumps({"energy_keV": 22.5, "pixel_um": 0.65}).encode()
    for number in range(16):
        yield f"slices/slice_{number:03d}.tif", noise.randbytes(noise.randint(32, 96) * KIB)


class Demo(Scenario):
    """A dataset on an instrument; collections and index as the DAG names them; a reviewer who approves when asked.

    :ivar answer: the label of the option that the reviewer chooses.
    """

    dag_id = "publish_dataset"
    bytes_per_second = 1_500_000.0
    answer = "Approve"

    def prepare(self) -> None:
        """Write the dataset; make collections, index and people."""
        self.dataset = self.folder / "instrument" / "data" / DATASET
        self.repository = self.folder / "repository"
        for name, content in sample_files():
            path = self.dataset / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for folder in (self.folder / "staging", self.repository / "published"):
            folder.mkdir(parents=True)
        add = self.globus.add_collection
        add("Beamline 7 instrument", self.folder / "instrument", alias="instrument", kind="personal")
        add("Staging area", self.folder / "staging", alias="staging")
        host = add("Institute repository", self.repository, alias="repository")
        self.published = add("Published data", alias="published", kind="guest", host=host, base_path="/published/")
        self.index = self.globus.add_search_index("Institute catalogue", alias="catalogue")
        self.reviewer = self.globus.add_identity(REVIEWER, name="Dr. Reviewer")
        self.reader = self.globus.add_identity(READER, name="A reader")
        self.originals = digests(self.dataset)
        self.answered: list[str] = []

    @property
    def conf(self) -> dict[str, Any]:
        """Which dataset, by whom, and who reviews it."""
        return {"dataset": DATASET, "title": TITLE, "creators": CREATORS, "reviewers": REVIEWER}

    def while_running(self, states: Mapping[str, str | None]) -> None:
        """Let the reviewer answer once they are asked, and Airflow waits for that."""
        if states.get("publish") != "deferred":
            return
        asks = [w for w in self.globus.world.flows.web_inputs.values() if w.status == "open"]
        for web_input in asks:
            client = FlowsClient(
                base_url=self.globus.url, authorizer=self._as(self.reviewer, FlowsScopes.run_manage, "flows.globus.org")
            )
            document = client.get_web_input(web_input.id)
            option = next(option for option in document["options"] if option["label"] == self.answer)
            client.respond_to_web_input(web_input.id, option["option_id"])
            self.answered.append(option["label"])

    def _as(self, identity: Identity, scope: Scope, server: str) -> AccessTokenAuthorizer:
        """Return what somebody who has logged in shows to a service of the sandbox."""
        auth, client_id = self.globus.world.auth, self.globus.client_id
        token = auth.issue(identity_id=identity.id, client_id=client_id, resource_server=server, scopes=[scope])
        return AccessTokenAuthorizer(token.value)

    def checks(self, xcoms: Mapping[str, Any]) -> list[Check]:
        """The same bytes, shared and found where the record says, after a person's approval, and nothing done twice."""
        published = digests(self._in_repository)
        return [
            same_files("staging has the dataset's bytes (SHA-256)", self.originals, digests(self._in_staging)),
            same_files("the published folder has the same bytes (SHA-256)", self.originals, published),
            self._found(),
            self._readable(),
            Check("a person was asked once, and approved", self.answered == [self.answer], ", ".join(self.answered)),
            self._one_run(),
            self._one_flow(xcoms),
            self._one_submission_each(xcoms),
        ]

    def _found(self) -> Check:
        """What anybody finds in the catalogue leads to the files."""
        client = SearchClient(
            base_url=self.globus.url, authorizer=self._as(self.reader, SearchScopes.search, "search.api.globus.org")
        )
        found = client.search(self.index.id, "foraminifera")
        records = [(result["subject"], result["entries"][0]["content"]) for result in found["gmeta"]]
        passed = (
            len(records) == 1
            and records[0][0] == f"globus://{self.published.id}/{DATASET}/v1/"
            and records[0][1]["files"] == len(self.originals)
            and records[0][1]["creators"] == CREATORS
        )
        detail = "; ".join(f"{content['title']} at {subject}" for subject, content in records) or "nothing"
        return Check("a search finds the record, which says where the files are", passed, detail)

    def _readable(self) -> Check:
        transfer = self.globus.world.transfer
        path = f"/{DATASET}/v1/README.md"
        reads = {
            name: transfer.permissions(identity.id, self.published, path)
            for name, identity in (("reviewer", self.reviewer), ("reader", self.reader))
        }
        detail = ", ".join(f"{name}: {rights or 'nothing'}" for name, rights in reads.items())
        return Check("everybody with an account may read it", set(reads.values()) == {"r"}, detail)

    def _one_run(self) -> Check:
        runs = self.globus.world.flows.runs.values()
        started = self.globus.journal.count("flows", "POST", "/flows/*/run")
        passed = started == 1 and [run.status for run in runs] == ["SUCCEEDED"]
        return Check("the flow was run once, and succeeded", passed, ", ".join(f"{r.id} {r.status}" for r in runs))

    def _one_flow(self, xcoms: Mapping[str, Any]) -> Check:
        deployed = xcoms.get("deploy_flow") or {}
        flows = list(self.globus.world.flows.flows)
        passed = flows == [deployed.get("flow_id")]
        return Check("one flow was deployed", passed, f"{deployed.get('title')}: {deployed.get('action')}")

    def _one_submission_each(self, xcoms: Mapping[str, Any]) -> Check:
        # The flow's own transfer is no request of Airflow's: it is counted as a task.
        airflow = one_submission_each(self.globus.journal, xcoms, ("to_staging",))
        tasks = len(self.globus.world.transfer.tasks)
        return Check(airflow.name, airflow.passed and tasks == 2, f"{airflow.detail}, and {tasks - 1} by the flow")

    @property
    def _in_repository(self) -> Path:
        return self.repository / "published" / DATASET / "v1"

    @property
    def _in_staging(self) -> Path:
        return self.folder / "staging" / "staging" / DATASET

    def places(self) -> list[Place]:
        """The copies."""
        return [
            Place("staging", f"/staging/{DATASET}/", self._in_staging),
            Place("published", f"/{DATASET}/v1/", self._in_repository),
        ]
