#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches Debian's own kernel for virtual machines and prints the directory that holds boot/vmlinuz-VERSION and
# lib/modules/VERSION. The package is unpacked and not installed: the kernel and the boot loader of this machine stay as
# they are.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/isthmus
package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$package" ] || { echo "apt knows no linux-image-amd64: run apt-get update" >&2 && exit 1; }

mkdir -p "$cache"
exec 9> "$cache/kernel.lock"
flock 9 # two checkouts that test at once fetch it once
if [ ! -e "$cache/$package/complete" ]; then
  work=$(mktemp -d "${TMPDIR:-/tmp}/isthmus-kernel.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  apt-get -o APT::Sandbox::User=root download -qq "$package" >&2
  rm -rf "${cache:?}/$package"
  dpkg-deb --extract ./*.deb "$cache/$package"
  /usr/sbin/depmod -b "$cache/$package" "${package#linux-image-}"
  touch "$cache/$package/complete"
fi
echo "$cache/$package"
