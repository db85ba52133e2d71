#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches a kernel of Debian's for virtual machines and prints the directory that holds boot/vmlinuz-VERSION and
# lib/modules/VERSION. The packages are unpacked and not installed: the kernel and the boot loader of this machine stay as
# they are.
#
#     tests/vm/fetch-kernel.sh [SUITE]
#
# Without a suite it is the kernel that apt here would install. One of a suite (e.g. trixie-backports) is fetched once and
# then kept: remove what is printed to have a newer one.
set -euo pipefail

suite=${1:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/isthmus
mkdir -p "$cache"
exec 9> "$cache/kernel.lock"
flock 9 # two checkouts that test at once fetch it once
work=$(mktemp -d "${TMPDIR:-/tmp}/isthmus-kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT

apt=(-o APT::Sandbox::User=root)
if [ -n "$suite" ]; then
  place=$cache/linux-$suite
  [ ! -e "$place/complete" ] || { echo "$place" && exit; }
  # A view of the suite of its own: what apt installs here stays what it is.
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  signed=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [signed-by=$signed] ${ISTHMUS_DEBIAN_MIRROR:-http://deb.debian.org/debian} $suite main" > "$work/sources.list"
  apt+=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache")
  apt-get "${apt[@]}" update -qq --error-on=any >&2
fi

# What a package depends on, of the names that match.
depends() { apt-cache "${apt[@]}" depends "$1" | sed -nE "s/^ *(Pre)?Depends: ($2)\$/\2/p"; }

image=$(depends linux-image-amd64 'linux-image-[0-9].*' | head -n 1) || true
[ -n "$image" ] || { echo "apt knows no linux-image-amd64 of ${suite:-this machine: run apt-get update}" >&2 && exit 1; }
version=${image#linux-image-}
place=${place:-$cache/$image}
if [ ! -e "$place/complete" ]; then
  # Newer ones come in parts.
  mapfile -t parts < <(depends "$image" 'linux-(base|binary|modules)-[0-9].*')
  cd "$work"
  apt-get "${apt[@]}" download -qq "$image" "${parts[@]}" >&2
  rm -rf "$place"
  mkdir -p "$place/boot"
  for package in ./*.deb; do dpkg-deb --extract "$package" "$place"; done
  [ -e "$place/lib" ] || ln -s usr/lib "$place/lib"
  [ -e "$place/boot/vmlinuz-$version" ] || ln -s "../lib/modules/$version/vmlinuz" "$place/boot/vmlinuz-$version"
  /usr/sbin/depmod -b "$place" "$version"
  touch "$place/complete"
fi
echo "$place"
