"""Identity mappings offline: what is wrong with documents, what a reviewer is told, which of them are the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.identity_mapping import check_identity_mapping
from airflow_provider_globus.identity_mapping.documents import same_mappings
from tests.unit.identity_mappings import BY_MAIL, ORG, SHARED, program, rule, rules


class TestProblems:
    @pytest.mark.parametrize(
        ("mappings", "problem"),
        [
            ([], "there is no mapping document"),
            (None, "there is no mapping document"),
            (7, "mapping 1 must be a mapping document, not int"),
            ("nonsense", "mapping 1 must be a mapping document, not str"),
            ("nowhere.json", r"the identity mappings \(nowhere.json\) cannot be read: No such file"),
            (["nowhere.yaml"], r"mapping 1 \(nowhere.yaml\) cannot be read"),
            ("{a: [", "the identity mappings is neither JSON nor YAML"),
            ({"mappings": []}, "mapping 1 has no DATA_TYPE; Connect Server takes expression_identity_mapping#1.0.0"),
            ({"DATA_TYPE": "expression_identity_mapping#1.1.0"}, "unknown DATA_TYPE 'expression_identity_mapping#1.1"),
            ({"DATA_TYPE": "expression_identity_mapping#1.0.0"}, "mapping 1: mappings must be a list of rules"),
            ({**rules(ORG), "comment": "x"}, "mapping 1: 'comment' is no property of expression_identity_mapping#1.0"),
            (rules("x"), "mapping 1, rule 1 must be a mapping with source, match and output, not str"),
            (rules({"source": "{id}", "match": "x"}), "mapping 1, rule 1 has no output"),
            (rules(rule("{id}", "x", 7)), "mapping 1, rule 1: output must be text"),  # type: ignore[arg-type]
            (rules(rule("{id}", "x", "")), "mapping 1, rule 1: output is empty"),
            (rules({**ORG, "literal": "yes"}), "mapping 1, rule 1: literal must be true or false, not 'yes'"),
            (rules({**ORG, "flags": 1}), "mapping 1, rule 1: 'flags' is no property of a rule"),
            (rules(ORG, rule("{username}", "(a", "b")), r"mapping 1, rule 2: match '\(a' is no valid expr.*missing \)"),
            (rules(rule("{username}", r"\d@x", "b")), r"is no valid expression: .*Invalid \\ expression: \\d"),
            (rules(rule("{username}", "a*?@x", "b")), r"Invalid \? expression"),
            (rules(rule("{username}", "*@x", "b")), "Invalid leading wildcard expression"),
            (rules(rule("{username}", "a\\(", "b", literal=True)), "is no valid expression"),
            (rules(rule("{username}", r"(.*)@x\.y", "{1}")), r"output reads group \{1\}, but match .* has only \{0\}"),
            (rules(rule("{username}", r"(a)(b)@x", "{2}")), r"has only \{0\}, \{1\}"),
            (rules(rule("{username}", r"ada@x\.y", "{0}")), r"output reads group \{0\}, but match .* has none"),
            (rules(rule("{username}", "(a)@x", "{0}", literal=True)), "but match is literal and has none"),
            (rules(rule("{username}", "(a)@x", "{-1}")), r"output reads group \{-1\}"),
            (
                rules(rule("{user}", "a", "b")),
                r"source reads \{user\}, which identities do not have; they have id, user",
            ),
            (rules(rule("{}", "a", "b")), r"source reads \{\}, which identities do not have"),
            (rules(rule("{id}", "a", "{login}")), r"output reads \{login\}, which identities do not have"),
            (rules(rule("{0}", "a", "b")), r"source reads \{0\}, but groups of match are for the output"),
            (program(), "mapping 1: command must be a list of texts"),
            (program("/x", 7), "mapping 1: command must be a list of texts"),  # type: ignore[arg-type]
            ({**program("/x"), "timeout": 5}, "mapping 1: 'timeout' is no property of external_identity_mapping#1.0.0"),
        ],
    )
    def test_of_documents(self, mappings: Any, problem: str) -> None:
        report = check_identity_mapping(mappings, {"ada@example.org": "ada"})
        (found,) = report.problems
        with pytest.raises(GlobusInputError, match=problem):
            report.require(allow_unproved=True)
        assert not report.ok
        assert found in str(report)
        assert report.identities == ()

    @pytest.mark.parametrize(
        ("expected", "problem"),
        [
            ({}, "expected is empty"),
            (None, "expected is empty"),
            (7, "expected is empty"),
            ("nowhere.json", "the table of expected accounts .* cannot be read"),
            ({"ada": "ada"}, "expected, row 1: 'ada' is no identity"),
            ([({"name": "Ada"}, "ada")], r"is no identity; give a username such as"),
            ([({"id": "x", "name": 7}, "ada")], "expected, row 1: name must be text, or None"),
            (["ada@example.org"], "expected, row 1 must have identity and local_user, or be a pair"),
            ([{"identity": "ada@example.org"}], "expected, row 1 must have identity and local_user"),
            ({"ada@example.org": ""}, r"expected, row 1 \(ada@example.org\): '' is no local account"),
            ({"ada@example.org": ["ada", 7]}, "is no local account"),
            ([("a@b", "a"), ("a@b", "b")], "expected, row 2: a@b was named before"),
        ],
    )
    def test_of_the_table(self, expected: Any, problem: str) -> None:
        with pytest.raises(GlobusInputError, match=problem):
            check_identity_mapping(rules(ORG), expected).require()

    def test_all_are_told_at_once(self) -> None:
        mappings = [rules(rule("{user}", "(a", "{0}"), rule("{id}", ".*", "x"), {}), {"DATA_TYPE": "x"}, "nowhere.json"]
        report = check_identity_mapping(mappings, {"ada": "ada", "bob": "bob"})
        assert len(report.problems) == 9
        assert report.warnings == ()
        assert str(report).startswith("The identity mappings cannot be checked (9 problems):\n! mapping 3 (nowhere")


class TestWarnings:
    def told(self, *mappings: Any) -> tuple[str, ...]:
        report = check_identity_mapping(list(mappings), {"somebody@else.net": None})
        assert not report.problems
        return report.warnings

    @pytest.mark.parametrize(
        ("given", "warning"),
        [
            (rule("{username}", "(.*)", "{0}"), "matches people of any domain"),
            (rule("{username}", "(.*)@.*", "galaxy"), "matches people of any domain"),
            (rule("{email}", "(.*)@(.*)", "{0}"), "matches people of any domain"),
            (rule("{id}", ".*", "all"), "matches people of any domain"),
            (rule("{username}", r"(.*)example\.org", "{0}"), "has no @: it matches other domains, too, that end so"),
            (rule("{username}", "ada", "ada"), "never matches: usernames have a domain"),
            (rule("{username}", "ada.b", "ada", literal=True), "never matches: usernames have a domain"),
            (rule("{username}", "a*", "ada", literal=True), "never matches: usernames have a domain"),
            (rule("{username}", r"(.*)@.*\.edu", "{0}"), "the domain in match .* has a wildcard"),
            (rule("{username}", "(.*)@cs.example", "{0}"), "a dot in the domain of match .* stands for any character"),
            (
                rule("{username}", r"ada@example\.org|bob@example\.org", "lab"),
                r"has a \| outside of parentheses: its first alternative matches all that begins so",
            ),
            (rule("{username}", r"^(.*)@example\.org$", "{0}"), r"in match .*, \$ \^ stands for itself"),
            (rule("{username}", r"[a-z]+@example\.org", "x"), r"\+ \[ \] stands for itself"),
        ],
    )
    def test_of_a_rule(self, given: Any, warning: str) -> None:
        (found,) = self.told(rules(given))
        assert found.startswith("mapping 1, rule 1")
        assert re.search(warning, found)

    def test_alternatives_outside_of_parentheses_do_let_in_others(self) -> None:
        bare = rule("{username}", r"ada@example\.org|bob@example\.org", "lab")
        report = check_identity_mapping(rules(bare), {"ada@example.org.evil.net": None})
        assert report.mismatches[0].got == ("lab",)

    @pytest.mark.parametrize(
        "given",
        [
            ORG,
            SHARED,
            BY_MAIL,
            rule("{username}", r"(ada|bob)@example\.org", "lab"),
            rule("{username}", r"(.*)@(example\.org|example\.com)", "{0}"),
            rule("{username}", r"a\|b@example\.org", "{username}"),
            rule("{username}", r"a\+b@example.org", "ab", literal=True),
            rule("{username}", "ada^@x", "ada", literal=True),
            rule("{email}", "none", "nobody"),
            rule("{identity_provider}|{username}", r"x\|(.*)@example\.org", "{0}"),
        ],
    )
    def test_none_of_what_is_usual(self, given: Any) -> None:
        assert self.told(rules(given)) == ()

    def test_of_rules_behind_one_that_matches_first(self) -> None:
        other = {**ORG, "output": "guest"}
        found = self.told(
            rules(ORG, other), rules(other, {**other, "ignore_case": True}, {**other, "source": "{email}"})
        )
        assert [text.partition(" has the same source")[0] for text in found] == [
            "mapping 1, rule 2 comes too late: mapping 1, rule 1",
            "mapping 2, rule 1 comes too late: mapping 1, rule 1",
        ]
        assert "its account 'guest' is never the one used by default" in found[0]

    def test_not_of_a_rule_that_is_literal_where_the_other_is_not(self) -> None:
        bob = rule("{username}", "bob@example", "bob")
        assert self.told(rules(bob, {**bob, "literal": True})) == ()

    def test_of_rules_behind_one_for_everything(self) -> None:
        found = self.told(rules(rule("{username}", "(.*)", "guest"), ORG, SHARED))
        assert [text for text in found if "comes too late" in text] == [
            "mapping 1, rule 2 comes too late: mapping 1, rule 1 has the same source and matches first, so its account "
            "'{0}' is never the one used by default. Put it before, or remove it."
        ]

    def test_of_a_document_without_rules(self) -> None:
        assert self.told(rules()) == ("mapping 1 has no rules: it maps nobody.",)

    def test_are_in_the_text_and_do_not_fail(self) -> None:
        report = check_identity_mapping(rules(rule("{username}", "(.*)", "all")), {"ada@example.org": "all"})
        assert report.require().ok
        assert str(report).splitlines()[-1].startswith("! mapping 1, rule 1: match '(.*)' matches people of any domain")


class TestSameness:
    def test_defaults_make_no_difference(self) -> None:
        assert same_mappings([rules(ORG)], [rules({**ORG, "ignore_case": False, "literal": False})])
        assert same_mappings([], None)

    @pytest.mark.parametrize(
        "other",
        [
            [],
            [rules({**ORG, "ignore_case": True})],
            [rules({**ORG, "output": "x"})],
            [rules(ORG), rules(ORG)],
            [program("/x")],
            [rules(SHARED, ORG)],
        ],
    )
    def test_all_else_does(self, other: Any) -> None:
        assert not same_mappings([rules(ORG)], other)
        assert not same_mappings([rules(ORG, SHARED)], other)
