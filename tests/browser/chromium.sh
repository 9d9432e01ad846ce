#!/usr/bin/env bash
# Installs Debian's Chromium, if there is none: playwright drives it, and downloads no browser of its own.
set -euo pipefail
command -v chromium >/dev/null && exit
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
