"""Identity mappings proved offline: what is matched, by rules and by programs, and how it is told."""

from __future__ import annotations

import json
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest
from globus_identity_mapping.mappers.expression import ExpressionIdentityMapping

from airflow_provider_globus.exceptions import GlobusConfigError, GlobusInputError
from airflow_provider_globus.identity_mapping import (
    AccountMatch,
    IdentityMappingReport,
    check_identity_mapping,
    evaluation,
)
from tests.unit.identity_mappings import ADA, BY_MAIL, ORG, ROBOT, SHARED, program, rule, rules

if TYPE_CHECKING:
    from pathlib import Path

CONNECTOR = "145812c8-decc-41f1-83cf-bb2a85a2a70b"
GATEWAY = "d3b1a3f2-0000-4000-8000-000000000001"


def only(report: IdentityMappingReport) -> Any:
    assert report.problems == ()
    (result,) = report.identities
    return result


class TestEvaluation:
    def test_all_as_expected(self) -> None:
        report = check_identity_mapping(
            [rules(ORG)], {"ada@example.org": "ada", "bob@example.org": ["bob"], "eve@example.com": None}
        )
        assert report.ok
        assert report.proved == 3
        assert report.warnings == ()
        assert report.require() is report
        assert str(report) == (
            "Proved: 3 identities would get exactly the local accounts expected.\n"
            "  ada@example.org: ada (mapping 1, rule 1)\n"
            "  bob@example.org: bob (mapping 1, rule 1)\n"
            "  eve@example.com: nobody"
        )

    @pytest.mark.parametrize(
        ("expected", "got"),
        [("lovelace", ("ada",)), (None, ("ada",)), ([], ("ada",)), (["ada", "root"], ("ada",))],
    )
    def test_another_account_is_a_mismatch(self, expected: Any, got: tuple[str, ...]) -> None:
        result = only(check_identity_mapping(rules(ORG), {"ada@example.org": expected}))
        assert (result.status, result.got, result.ok) == ("mismatch", got, False)

    def test_nobody_where_somebody_was_expected(self) -> None:
        result = only(check_identity_mapping(rules(ORG), {"ada@example.com": "ada"}))
        assert (result.status, result.got) == ("mismatch", ())
        assert list(result.lines()) == ["- ada@example.com: ada", "+ ada@example.com: nobody"]

    def test_every_account_counts_since_a_request_may_name_it(self) -> None:
        mappings = [rules(SHARED, ORG), rules(BY_MAIL)]
        result = only(check_identity_mapping(mappings, [(ADA, ["beamline", "ada", "ada.l"])]))
        assert result.ok
        assert result.matches == (
            AccountMatch("beamline", 1, 1),
            AccountMatch("ada", 1, 2),
            AccountMatch("ada.l", 2, 1),
        )
        assert only(check_identity_mapping(mappings, [(ADA, "beamline")])).status == "mismatch"

    def test_the_first_of_a_list_is_the_default_and_a_set_has_none(self) -> None:
        mappings = rules(SHARED, ORG)
        assert only(check_identity_mapping(mappings, [(ADA, ["ada", "beamline"])])).status == "mismatch"
        assert only(check_identity_mapping(mappings, [(ADA, {"ada", "beamline"})])).ok
        assert only(check_identity_mapping(mappings, [(ADA, {"ada": 1, "beamline": 1}.keys())])).ok
        assert only(check_identity_mapping(rules(ORG), {"ada@example.org": ["ada", "ada"]})).expected == ("ada",)

    def test_an_account_by_two_rules_is_one(self) -> None:
        assert only(check_identity_mapping([rules(ORG), rules(ORG)], {"ada@example.org": "ada"})).got == ("ada",)

    def test_properties_and_groups_are_put_together(self) -> None:
        joined = rule("{username}/{name}", r"(.*)@(.*)\.org/(.*)", "{1}-{0}-{identity_type}")
        assert only(check_identity_mapping(rules(joined), [(ADA, "example-ada-login")])).ok

    def test_flags_are_heeded(self) -> None:
        loose = rule("{username}", r"(.*)@EXAMPLE\.org", "{0}", ignore_case=True)
        exact = rule("{username}", "x.y@example.org", "xy", literal=True)
        expected = {"ada@Example.org": "ada", "x.y@example.org": ["x.y", "xy"], "xzy@example.org": "xzy"}
        assert check_identity_mapping(rules(loose, exact), expected).ok

    def test_a_lacking_property_ends_its_document_and_is_told(self) -> None:
        result = only(check_identity_mapping([rules(BY_MAIL, ORG), rules(ORG)], [({**ADA, "email": None}, "ada")]))
        assert result.ok
        assert result.matches == (AccountMatch("ada", 2, 1),)
        assert result.notes == (
            "mapping 1, rule 1 cannot be applied (Missing identity property email): mapping 1 ends there.",
        )

    def test_a_lacking_property_takes_all_but_the_first_account_of_its_document(self) -> None:
        mappings = rules(SHARED, ORG, BY_MAIL)
        assert only(check_identity_mapping(mappings, [({**ADA, "email": None}, "beamline")])).ok

    def test_a_property_that_the_table_does_not_give_proves_nothing(self) -> None:
        result = only(check_identity_mapping(rules(BY_MAIL, BY_MAIL, ORG), {"ada@example.org": "ada"}))
        assert result.status == "unproved"
        assert result.got == ("ada",)
        assert result.notes == (
            "mapping 1, rule 1 and 1 more read email, which the table does not give: give the identity's document.",
        )

    def test_a_property_of_the_output_matters_where_the_rule_matches(self) -> None:
        named = rule("{username}", r"(.*)@example\.org", "{name}")
        assert only(check_identity_mapping(rules(named), {"ada@example.com": None})).ok
        assert only(check_identity_mapping(rules(named), {"ada@example.org": None})).status == "unproved"

    def test_an_empty_account_is_none(self) -> None:
        assert only(check_identity_mapping(rules(rule("{username}", r"(.*)ada@a\.b", "{0}")), {"ada@a.b": None})).ok

    def test_an_account_too_many_is_wrong_even_where_not_all_is_known(self) -> None:
        result = only(check_identity_mapping(rules(BY_MAIL, ORG), {"ada@example.org": None}))
        assert (result.status, result.got) == ("mismatch", ("ada",))

    @pytest.mark.parametrize("identity", [ADA, ROBOT, {**ADA, "username": "eve@example.com"}])
    @pytest.mark.parametrize(
        "listed",
        [
            (ORG,),
            (BY_MAIL, ORG),
            (ORG, BY_MAIL),
            (SHARED, ORG, BY_MAIL),
            (rule("{username}", r"(ada)?.*@.*\.org", "x{0}"), ORG),
            (rule("{username}", r"eve@example\.com|ada", "{organization}"),),
            (rule("{username}", "(.*)@example.org", "e", literal=True), rule("{status}", "(.*)", "{0}")),
        ],
    )
    def test_same_as_the_library_on_whole_documents(self, listed: tuple[Any, ...], identity: dict[str, Any]) -> None:
        library = ExpressionIdentityMapping(listed)
        accounts: list[str] = []
        try:
            accounts += filter(None, [library.map_identity(identity)])
            accounts += [name for found in library.map_identities([identity]) for name in found.get(identity["id"], [])]
        except ValueError:
            pass
        result = only(check_identity_mapping(rules(*listed), [(identity, list(dict.fromkeys(accounts)))]))
        assert (result.ok, result.got) == (True, tuple(dict.fromkeys(accounts)))


class TestExternal:
    @pytest.fixture
    def mapper(self, tmp_path: Path) -> list[str]:
        """A program that maps by a table beside it, and writes down how it was called."""
        file = tmp_path / "mapper.py"
        file.write_text(
            "import json, pathlib, sys\n"
            "here = pathlib.Path(__file__).parent\n"
            "asked = json.load(sys.stdin)\n"
            "calls = here / 'calls.jsonl'\n"
            "with calls.open('a') as out: out.write(json.dumps([sys.argv[1:], asked]) + chr(10))\n"
            "print(*(here / 'answer.json').read_text().split('|')['-a' in sys.argv:][:1], end='')\n"
        )
        (tmp_path / "answer.json").write_text("")
        return [sys.executable, str(file), "--realm", "x"]

    def answer(self, tmp_path: Path, one: list[str], every: list[str], of: str = ADA["id"]) -> None:
        texts = [
            json.dumps(
                {
                    "DATA_TYPE": "identity_mapping_output#1.0.0",
                    "result": [{"id": of, "output": name} for name in names],
                }
            )
            for names in (one, every)
        ]
        (tmp_path / "answer.json").write_text("|".join(texts))

    def check(self, mappings: Any, expected: Any, **more: Any) -> IdentityMappingReport:
        return check_identity_mapping(mappings, expected, connector=CONNECTOR, storage_gateway=GATEWAY, **more)

    def test_is_not_run_unless_asked(self, mapper: list[str], tmp_path: Path) -> None:
        report = self.check([rules(ORG), program(*mapper)], [(ADA, "ada"), ({**ADA, "username": "x@y"}, None)])
        assert [result.status for result in report.identities] == ["unproved", "unproved"]
        assert report.proved == 0
        assert not (tmp_path / "calls.jsonl").exists()
        assert report.identities[0].notes == (
            f"mapping 2 is the program {sys.executable}, which was not run: what it says is not known.",
        )
        with pytest.raises(GlobusInputError, match=r"2 could not be proved(.|\n)*allow_unproved=True"):
            report.require()
        assert report.require(allow_unproved=True) is report

    def test_is_called_as_connect_server_calls_it(self, mapper: list[str], tmp_path: Path) -> None:
        self.answer(tmp_path, ["ada"], ["lovelace", "ada"])
        result = only(self.check(program(*mapper), [(ADA, ["ada", "lovelace"])], run_external=True))
        assert result.ok
        assert result.matches == (AccountMatch("ada", 1), AccountMatch("lovelace", 1))
        assert str(result.matches[0]) == "ada (mapping 1, its program)"
        calls = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
        document = {"DATA_TYPE": "identity_mapping_input#1.0.0", "identities": [ADA]}
        arguments = ["--realm", "x", "-c", CONNECTOR, "-s", GATEWAY]
        assert calls == [[arguments, document], [[*arguments, "-a"], document]]

    def test_gives_one_account_without_the_option_for_all(self, mapper: list[str], tmp_path: Path) -> None:
        self.answer(tmp_path, ["ada", "second"], ["third"])
        assert only(self.check(program(*mapper), [(ADA, None)], run_external=True)).got == ("ada", "third")

    def test_may_spell_the_id_otherwise(self, mapper: list[str], tmp_path: Path) -> None:
        self.answer(tmp_path, ["ada"], ["ada"])
        shouted = {**ADA, "id": ADA["id"].upper()}
        assert only(self.check(program(*mapper), [(shouted, "ada")], run_external=True)).ok

    def test_that_says_nothing_maps_nobody(self, mapper: list[str]) -> None:
        assert only(self.check(program(*mapper), [(ADA, None)], run_external=True)).ok

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("import sys; sys.exit('Traceback\\nno database')", "exit status 1, no database"),
            ("import sys; sys.exit(3)", "exit status 3, nothing on stderr"),
            ("print('ada')", "its output is no identity_mapping_output#1.0.0 document"),
            (
                'print(\'{"DATA_TYPE": "identity_mapping_output#1.0.0", "result": '
                f'[{{"id": "{ROBOT["id"]}", "output": "root"}}]}}\')',
                "it answered for an identity that it was not asked about",
            ),
        ],
    )
    def test_that_fails_proves_nothing(self, code: str, reason: str) -> None:
        result = only(self.check(program(sys.executable, "-c", code), [(ADA, None)], run_external=True))
        assert result.status == "unproved"
        assert f"which failed: {reason}" in result.notes[0]

    def test_that_does_not_exist_proves_nothing(self) -> None:
        result = only(self.check(program("/nowhere/mapper"), [(ADA, None)], run_external=True))
        assert result.status == "unproved"
        assert "No such file or directory" in result.notes[0]

    def test_that_hangs_is_ended(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(evaluation, "PROGRAM_SECONDS", 0.5)
        code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
        result = only(self.check(program(sys.executable, "-c", code), [(ADA, None)], run_external=True))
        assert result.status == "unproved"
        assert "timed out after 0.5 seconds" in result.notes[0]

    def test_needs_the_id_of_the_identity(self, mapper: list[str], tmp_path: Path) -> None:
        report = self.check(
            program(*mapper), [("ada@example.org", None), ({**ROBOT, "id": None}, None)], run_external=True
        )
        assert len(report.unproved) == 2
        assert all("asks for the identity's id" in result.notes[0] for result in report.unproved)
        assert not (tmp_path / "calls.jsonl").exists()

    def test_needs_connector_and_gateway(self, mapper: list[str]) -> None:
        report = check_identity_mapping(program(*mapper), {"ada@example.org": "ada"}, run_external=True)
        assert report.problems == (
            "mapping 1 is a program that is told connector and storage_gateway: give the UUIDs of both.",
        )
        assert check_identity_mapping(rules(ORG), {"ada@example.org": "ada"}, run_external=True).ok


class TestForms:
    def test_documents_and_table_as_files_and_text(self, tmp_path: Path) -> None:
        (tmp_path / "one.json").write_text(json.dumps(rules(SHARED)))
        (tmp_path / "two.yaml").write_text(
            "- DATA_TYPE: expression_identity_mapping#1.0.0\n"
            "  mappings:\n"
            "    - {source: '{username}', match: '(.*)@example\\.org', output: '{0}'}\n"
        )
        (tmp_path / "table.yml").write_text("- identity: {username: ada@example.org, id: x}\n  local_user: ada\n")
        mappings = [str(tmp_path / "one.json"), tmp_path / "two.yaml", json.dumps(rules(BY_MAIL))]
        result = only(check_identity_mapping(mappings[:2], str(tmp_path / "table.yml")))
        assert result.matches == (AccountMatch("ada", 2, 1),)
        result = only(check_identity_mapping(mappings, [[ADA, ["beamline", "ada", "ada.l"]]]))
        assert [match.mapping for match in result.matches] == [1, 2, 3]
        assert check_identity_mapping(tmp_path / "two.yaml", "ada@example.org: ada\neve@x: null\n").ok

    def test_text_of_several_lines_is_no_path_and_home_is_known(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "one.json").write_text(json.dumps(rules(ORG)))
        monkeypatch.setenv("HOME", str(tmp_path))
        report = check_identity_mapping("~/one.json", "eve@x: null\nada@example.org: ada.json")
        assert [result.expected for result in report.identities] == [(), ("ada.json",)]

    def test_an_identity_by_its_uuid(self) -> None:
        assert only(check_identity_mapping(rules(SHARED), {ADA["id"].upper(): "beamline"})).identity == ADA["id"]

    def test_a_report_as_json(self) -> None:
        report = check_identity_mapping(rules(ORG), {"ada@example.org": "ada"})
        assert json.loads(json.dumps(report.as_dict())) == {
            "ok": True,
            "proved": 1,
            "identities": [
                {
                    "identity": "ada@example.org",
                    "expected": ["ada"],
                    "matches": [{"account": "ada", "mapping": 1, "rule": 1}],
                    "got": ["ada"],
                    "status": "ok",
                    "ok": True,
                    "notes": [],
                }
            ],
            "problems": [],
            "warnings": [],
        }

    def test_the_diff_of_an_error(self) -> None:
        expected = {"ada@example.org": "lovelace", "bob@example.org": "bob", "eve@example.org": None}
        with pytest.raises(GlobusInputError) as error:
            check_identity_mapping(rules(ORG), expected).require(allow_unproved=True)
        assert str(error.value) == (
            "Of 3 identities, 1 would get exactly the local accounts expected, 2 would not, 0 could not be proved "
            "(- expected, + got):\n"
            "- ada@example.org: lovelace\n"
            "+ ada@example.org: ada (mapping 1, rule 1)\n"
            "- eve@example.org: nobody\n"
            "+ eve@example.org: eve (mapping 1, rule 1) \n"
            "Correct the rules, or the table of expected accounts if the rules are right."
        )
        assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)

    def test_the_diff_of_what_was_not_proved(self) -> None:
        mappings = rules(rule("{username}", "(.*)@example.org", "{0}"), BY_MAIL)
        expected = {"ada@example.org": "ada", "eve@example.org": ["eve", "root"]}
        with pytest.raises(GlobusInputError) as error:
            check_identity_mapping(mappings, {**expected, "bob@example.com": "bob"}).require()
        note = "mapping 1, rule 2 reads email, which the table does not give: give the identity's document."
        assert error.value.message == (
            "Of 3 identities, 0 would get exactly the local accounts expected, 0 would not, 3 could not be proved "
            "(- expected, + got):\n"
            "- ada@example.org: ada\n"
            "+ ada@example.org: ada (mapping 1, rule 1)\n"
            f"? ada@example.org: {note}\n"
            "- eve@example.org: eve, root\n"
            "+ eve@example.org: eve (mapping 1, rule 1)\n"
            f"? eve@example.org: {note}\n"
            "- bob@example.com: bob\n"
            f"? bob@example.com: {note}"
        )

    def test_a_long_diff_is_cut(self) -> None:
        expected = {f"user{number}@example.org": None for number in range(1000)}
        with pytest.raises(GlobusInputError) as error:
            check_identity_mapping(rules(ORG), expected).require()
        assert str(error.value).count("\n") == 62
        assert "... and 1940 lines more" in str(error.value)

    def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "globus_identity_mapping", None)
        with pytest.raises(GlobusConfigError, match=r"airflow-provider-globus\[identity-mapping\]"):
            check_identity_mapping(rules(ORG), {"ada@example.org": "ada"})
