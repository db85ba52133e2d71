#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes docker.io/library/debian:bookworm-slim from Debian's packages, so that the Dockerfile builds unchanged where no registry
# is reachable. About 45 s, once; does nothing while podman has the image. Like the original it leaves out manuals and
# translations.
set -euo pipefail

image=docker.io/library/debian:bookworm-slim
if podman image exists "$image"; then exit; fi
tar=$(mktemp --suffix=.tar)
trap 'rm -f "$tar"' EXIT
excluded=()
for path in man info doc locale groff lintian linda; do excluded+=("--dpkgopt=path-exclude=/usr/share/$path/*"); done
mmdebstrap --quiet --variant=minbase "${excluded[@]}" --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  bookworm - "${DEBIAN_SOURCES:-/etc/apt/sources.list.d/debian.sources}" > "$tar"
podman import --quiet --change 'CMD ["bash"]' "$tar" "$image"
