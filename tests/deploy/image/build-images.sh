#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the images from the Dockerfile as it ships, and those that only tests need, and packs all into ARCHIVE:
#
#   build-images.sh ARCHIVE [PRESET]      PRESET: release (default), or dev, which takes what ./dev test compiled from ccache
set -euo pipefail

archive=$1 preset=${2:-release}
here=$(dirname "$(realpath "$0")")
root=$here/../../..
export CONTAINERS_CONF=$here/containers.conf
build=(buildah bud --quiet --layers --isolation oci --network host)
cache=${CCACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ccache}
mkdir -p "$cache"

"$here/make-base.sh"
images=()
for program in controller nat64-svc dns64-svc isthmusctl; do
  "${build[@]}" --target "$program" --build-arg "PRESET=$preset" --build-arg "REVISION=$(git -C "$root" rev-parse HEAD)" \
    --volume "$cache:/root/.cache/ccache" --tag "localhost/isthmus/$program:test" "$root" > /dev/null
  images+=("localhost/isthmus/$program:test")
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O2 -static -o "$work/pause" "$here/pause.c"
"${build[@]}" --file "$here/Containerfile.tests" --target pause --tag localhost/pause:1 "$work" > /dev/null
"${build[@]}" --file "$here/Containerfile.tests" --target client --tag localhost/isthmus/client:test "$work" > /dev/null
images+=(localhost/pause:1 localhost/isthmus/client:test)

mkdir -p "$(dirname "$archive")"
rm -f "$archive"
podman save --quiet --multi-image-archive --format docker-archive --output "$archive" "${images[@]}"
for image in "${images[@]}"; do
  echo "$image $(podman image inspect --format '{{.Size}}' "$image") bytes"
done
