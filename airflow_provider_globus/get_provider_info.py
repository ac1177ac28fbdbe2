"""What Airflow may load from this package. Airflow imports this module in every process: it imports nothing."""

from __future__ import annotations

from typing import Any

_TEXT = ["string", "null"]


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata, in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-globus",
        "name": "Globus",
        "description": "`Globus <https://www.globus.org/>`__: move research data, run functions on supercomputers.",
        "integrations": [
            {"integration-name": "Globus", "external-doc-url": "https://docs.globus.org/", "tags": ["service"]},
        ],
        "operators": _modules(
            "operators.transfer",
            "operators.collections",
            "operators.access_rules",
            "operators.prune",
            "operators.manifests",
            "operators.s3",
            "operators.files",
            "operators.compute",
            "operators.flows",
            "operators.flow_runs",
            "operators.web_inputs",
            "operators.search",
            "operators.storage_gateways",
            "operators.gcs_collections",
            "operators.user_credentials",
            "operators.gcs_roles",
            "operators.sharing_policies",
            "operators.gateway_audit",
            "operators.identity_mappings",
            "operators.activity",
            "operators.pause_rules",
        ),
        "sensors": _modules("sensors.transfer", "sensors.path", "sensors.activity", "sensors.compute", "sensors.flows"),
        "hooks": _modules("hooks.globus"),
        "triggers": _modules("triggers.job", "triggers.watchers"),
        "connection-types": [
            {
                "connection-type": "globus",
                "hook-class-name": "airflow_provider_globus.hooks.globus.GlobusHook",
                "hook-name": "Globus",
                "ui-field-behaviour": {
                    # Airflow 3.3.1 and 3.3.2 refuse to test a connection without a port (apache/airflow#73298).
                    "hidden-fields": ["host", "schema"],
                    "relabeling": {"login": "Client ID", "password": "Client secret"},
                    "placeholders": {
                        "login": "UUID of the Globus app",
                        "port": "Not used; 0 lets Airflow 3.3.1 and 3.3.2 test the connection",
                    },
                },
                "conn-fields": _conn_fields(),
            }
        ],
        "filesystems": ["airflow_provider_globus.fs.globus"],
        "extra-links": [
            "airflow_provider_globus.links.GlobusTaskLink",
            "airflow_provider_globus.links.GlobusComputeEndpointLink",
            "airflow_provider_globus.links.GlobusFlowRunLink",
        ],
        "cli": ["airflow_provider_globus.cli.definition.get_globus_cli_commands"],
        "asset-uris": [
            {
                "schemes": ["globus"],
                "handler": "airflow_provider_globus.assets.sanitize_uri",
                "factory": "airflow_provider_globus.assets.globus_asset",
                "to_openlineage_converter": "airflow_provider_globus.assets.convert_asset_to_openlineage",
            }
        ],
        "task-decorators": [
            {"name": "globus_compute", "class-name": "airflow_provider_globus.decorators.compute.globus_compute_task"},
        ],
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": "Globus", "python-modules": [f"airflow_provider_globus.{name}" for name in names]},
    ]


def _conn_fields() -> dict[str, Any]:
    return {
        "app_type": {
            "label": "App type",
            "description": "client: the app acts as itself (service account). "
            "user: it acts as the person who gave the refresh token.",
            "schema": {"type": "string", "enum": ["client", "user"], "default": "client"},
        },
        "refresh_token": {
            "label": "Refresh token",
            "description": "Of the person, for app type user. Several services: a JSON list of tokens.",
            "schema": {"type": _TEXT, "format": "password"},
        },
        "collections": {
            "label": "Collection aliases",
            "description": 'Short names for collections, as JSON: {"instrument": "<collection UUID>"}.',
            "schema": {"type": _TEXT, "format": "multiline"},
        },
        "compute_endpoints": {
            "label": "Compute endpoint aliases",
            "description": 'Short names for Compute endpoints, as JSON: {"hpc": "<endpoint UUID>"}.',
            "schema": {"type": _TEXT, "format": "multiline"},
        },
        "flows": {
            "label": "Flow aliases",
            "description": 'Short names for flows, as JSON: {"publish": "<flow UUID>"}.',
            "schema": {"type": _TEXT, "format": "multiline"},
        },
        "search_indexes": {
            "label": "Search index aliases",
            "description": 'Short names for Search indexes, as JSON: {"catalogue": "<index UUID>"}.',
            "schema": {"type": _TEXT, "format": "multiline"},
        },
        "environment": {
            "label": "Globus environment",
            "description": "Leave at production unless Globus told you otherwise.",
            "schema": {
                "type": "string",
                "enum": ["production", "preview", "sandbox", "integration", "test", "staging"],
                "default": "production",
            },
        },
        "service_urls": {
            "label": "Service URLs",
            "description": "Base URLs that replace Globus's own, as JSON, for example of a local sandbox: "
            '{"auth": "http://127.0.0.1:8080/", "transfer": "http://127.0.0.1:8080/"}.',
            "schema": {"type": _TEXT, "format": "multiline"},
        },
        "ca_bundle": {
            "label": "CA bundle",
            "description": "File with the certificate authorities to trust; empty: the usual ones.",
            "schema": {"type": _TEXT},
        },
        "http_timeout": {
            "label": "HTTP timeout",
            "description": "Seconds before a request to Globus is given up.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 600, "default": 60},
        },
    }
