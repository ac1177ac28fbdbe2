"""Airflow's UI, as a person uses it: clicks and typed text, and what is then on the screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.browser.chromium import expect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from playwright.sync_api import Locator, Page


class ConnectionForm:
    """The dialogue that adds or edits a connection."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.dialog = page.get_by_role("dialog")

    def name(self, conn_id: str, kind: str) -> None:
        """Give the id, and choose the type."""
        self.dialog.get_by_role("textbox", name="Connection ID").fill(conn_id)
        self.dialog.get_by_role("combobox", name="Connection Type").click()
        self._page.keyboard.type(kind)
        self._page.get_by_role("option", name=kind, exact=True).click()
        self.open("Standard Fields")

    def open(self, section: str) -> None:
        """Unfold a section, which folds the one that was open."""
        button = self.dialog.get_by_role("button", name=section, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        expect(button).to_have_attribute("aria-expanded", "true")

    def field(self, label: str) -> Locator:
        """Return a field: its label, its input and its description."""
        return self.dialog.get_by_role("group").filter(has=self._page.locator("label", has_text=_exactly(label)))

    def expect_labels(self, labels: Sequence[str]) -> None:
        """Wait until the fields on the screen are these, from top to bottom."""
        expect(self.dialog.locator("label:visible")).to_have_text([_exactly(label) for label in labels])

    def input(self, label: str) -> Locator:
        """Return where a field's value is typed."""
        field = self.field(label)
        return field.get_by_role("textbox").or_(field.get_by_role("spinbutton"))

    def choices(self, label: str) -> list[str]:
        """Open a dropdown, return its options, and leave it as it was."""
        self.field(label).get_by_role("combobox").click()
        options = self._page.get_by_role("option")
        expect(options.first).to_be_visible()
        texts = options.all_inner_texts()
        self._page.keyboard.press("Tab")
        return texts

    def type(self, values: Mapping[str, str]) -> None:
        """Type values into the fields with these labels."""
        for label, value in values.items():
            self.input(label).fill(value)

    def save(self) -> None:
        """Save, and wait until the dialogue has gone."""
        self.dialog.get_by_role("button", name="Save", exact=True).click()
        expect(self.dialog).to_be_hidden()


class AirflowUi:
    """
    Airflow in a browser.

    :param page: a page of the browser.
    :param url: where Airflow is; the person begins on its first page.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)

    # Connections

    def go_to_connections(self) -> None:
        """Admin, Connections."""
        self.page.get_by_role("button", name="Admin").click()
        self.page.get_by_role("menuitem", name="Connections").click()

    def connect(self, conn_id: str, standard: Mapping[str, str], extra: Mapping[str, str]) -> None:
        """Add a connection of the type Globus with these values, by label."""
        self.go_to_connections()
        form = self.add_connection()
        form.name(conn_id, "Globus")
        form.type(standard)
        form.open("Extra Fields")
        form.type(extra)
        form.save()

    def add_connection(self) -> ConnectionForm:
        """Open the form of a new connection."""
        self.page.get_by_role("button", name="Add Connection").click()
        return ConnectionForm(self.page)

    def edit_connection(self, conn_id: str) -> ConnectionForm:
        """Open the form of a connection that there is."""
        self._connection(conn_id).get_by_role("button", name="Edit Connection").click()
        form = ConnectionForm(self.page)
        expect(form.dialog.get_by_role("textbox", name="Connection ID")).to_have_value(conn_id)
        return form

    def test_connection(self, conn_id: str, title: str) -> str:
        """Press the test button of a connection; return what the notification with this title says."""
        notification = self.start_test(conn_id, title)
        text = notification.inner_text()
        self._connection(conn_id).hover()
        return text

    def start_test(self, conn_id: str, title: str) -> Locator:
        """Press the test button of a connection, and rest on the notification with this title, which stays then."""
        self._connection(conn_id).get_by_role("button", name="Test Connection").click()
        notification = self.page.get_by_role("status").filter(has_text=title)
        notification.hover()
        return notification

    def _connection(self, conn_id: str) -> Locator:
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("cell", name=conn_id, exact=True))

    # DAGs, runs and tasks

    def go_to_dags(self) -> None:
        """Leave for the list of DAGs."""
        self.page.get_by_test_id("nav-dags-link").click()
        # Until then, links of the page that is left have the same names.
        expect(self.page.get_by_role("heading", name=re.compile(r"^\d+ Dags$"))).to_be_visible()

    def open_dag(self, dag_id: str) -> None:
        """Open a DAG of the list."""
        self.go_to_dags()
        self.page.get_by_role("link", name=dag_id, exact=True).click()
        expect(self.header).to_contain_text(dag_id)

    def unpause(self) -> None:
        """Switch on the DAG that is open."""
        switch = self.header.get_by_test_id("toggle-pause")
        switch.click()
        expect(switch.get_by_role("checkbox")).to_be_checked()

    def trigger(self) -> str:
        """Trigger the DAG that is open, switch it on thereby, and return the id of the run that opens."""
        self.page.get_by_role("button", name="Trigger Dag").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Trigger", exact=True).click()
        self.page.wait_for_url(re.compile(r"/runs/manual__"))
        return self.header.get_by_role("heading", name="manual__").inner_text()

    def open_task(self, task_id: str) -> None:
        """Open a task of the run that is open."""
        self.page.get_by_role("table").get_by_role("link", name=task_id, exact=True).click()
        expect(self.header).to_contain_text(task_id)

    def back_to_run(self) -> None:
        """Open the run of the task that is open."""
        breadcrumb = self.page.get_by_role("navigation", name="breadcrumb")
        breadcrumb.locator("a[href*='/runs/']").first.click()
        expect(self.header).to_contain_text("Run Type")

    def tab(self, name: str) -> None:
        """Open a tab of what is open."""
        self.page.get_by_role("link", name=name, exact=True).click()

    @property
    def header(self) -> Locator:
        """The head of what is open: its name, its state, its times."""
        return self.page.get_by_test_id("header-card")

    def expect_state(self, state: str) -> None:
        """Wait until what is open is in a state; pages look for news by themselves."""
        expect(self.header.get_by_test_id("state-badge")).to_have_text(state)

    def extra_link(self, name: str) -> Locator:
        """Return a link of the task that is open, in its details."""
        self.tab("Details")
        return self.page.get_by_role("link", name=name, exact=True)

    def follow(self, link: Locator) -> Page:
        """Click a link that opens a page of its own, and return that page."""
        with self.page.context.expect_page() as opening:
            link.click()
        opened = opening.value
        opened.wait_for_load_state()
        return opened

    # Assets

    def event_facts(self, uri: str) -> Locator:
        """Unfold what the newest asset event of the task that is open tells, and return the text."""
        self.tab("Asset Events")
        events = self.page.get_by_test_id("card-list")
        expect(events.get_by_role("link", name=uri, exact=True).first).to_be_visible()
        events.locator(".codicon-folding-collapsed").first.click()
        return events.locator(".view-lines").first

    def open_asset(self, uri: str) -> None:
        """Open an asset: its graph, its events."""
        self.page.get_by_test_id("nav-assets-link").click()
        expect(self.page.get_by_role("heading", name=re.compile(r"^\d+ Assets?$"))).to_be_visible()
        self.page.get_by_role("link", name=uri, exact=True).click()
        expect(self.page.get_by_role("heading", name=uri, exact=True)).to_be_visible()


def _exactly(label: str) -> re.Pattern[str]:
    """Match a label, which has an asterisk when its field must be filled."""
    return re.compile(rf"^\s*{re.escape(label)}\s*\*?\s*$")
