#!/bin/sh
# Install Debian's Chromium when the machine has none; Playwright itself comes with pip.
set -eu

for program in "${CHROMIUM:-chromium}" chromium-browser google-chrome; do
  if command -v "$program" > /dev/null; then
    exit 0
  fi
done
if ! command -v apt-get > /dev/null || [ "$(id -u)" != 0 ]; then
  echo "Chromium is missing, and only root on Debian gets it installed from here: install chromium yourself" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# Its fonts are only recommended: without them, pages are full of boxes.
apt-get install -qq --yes --no-install-recommends chromium fonts-dejavu-core fonts-liberation > /dev/null
