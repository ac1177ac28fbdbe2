"""How Sphinx builds the documentation site: ``make docs``. Nothing here asks the network."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

# Airflow is imported for the reference, and would make a home in the reader's own.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-docs-"))

from airflow_provider_globus import __version__  # noqa: E402

project = "airflow-provider-globus"
author = "The airflow-provider-globus maintainers"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "reference_pages",
    "site_pages",
]
exclude_patterns = ["_extensions", "_static", "_templates", "images"]

# Markdown that GitHub renders, too; what only Sphinx understands stands in comments (see site_pages).
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

# No inventory of another project is at hand offline: only names of this package have to be found.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!airflow_provider_globus\.).*")]
# Types that signatures name and nobody makes by hand.
nitpick_ignore = [
    ("py:class", "airflow_provider_globus.hooks.connection.ConnectionSettings"),
    ("py:class", "airflow_provider_globus.hooks.credentials.Credentials"),
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_title = f"airflow-provider-globus {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
# A browser that reads the pages from a disk may not look into them for a summary.
html_show_search_summary = False
# No links that edit a page: those of the reference are made from the package.
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#1f5c99",
        "color-brand-content": "#1f5c99",
        "color-api-name": "#22303c",
        "color-api-pre-name": "#6b7c8c",
    },
    "dark_css_variables": {
        "color-brand-primary": "#8ab8e6",
        "color-brand-content": "#8ab8e6",
        "color-api-name": "#d7dee5",
        "color-api-pre-name": "#93a3b3",
    },
}

# What is typed, not the prompt and not the answer.
copybutton_exclude = ".linenos, .gp, .go"
