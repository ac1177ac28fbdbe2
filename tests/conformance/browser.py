"""
``python browser.py <username> <url>``: what a person does with the page that an app opens.

Chooses an identity, allows what is asked for, and goes where the browser is sent.
"""

from __future__ import annotations

import re
import sys

import requests


def main() -> int:
    """Answer the page; fails when it does not offer the identity."""
    username, url = sys.argv[1:]
    page = requests.get(url, timeout=10)
    page.raise_for_status()
    offered = re.findall(r'value="([^"]+)" required> (\S+)', page.text)
    identity = next(value for value, name in offered if name == username)
    answer = requests.post(url, data={"identity": identity, "decision": "allow"}, timeout=10)
    answer.raise_for_status()
    return 0


if __name__ == "__main__":
    sys.exit(main())
