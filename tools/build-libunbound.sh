#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds libunbound for dns64-svc from Debian's source package `unbound`, statically and with OpenSSL.
#
#   tools/build-libunbound.sh [DEST]      default: ${XDG_CACHE_HOME:-~/.cache}/isthmus/libunbound
#
# Why: Debian's own libunbound8 is built without TLS (nettle), so a DNS-over-TLS upstream hangs for ever. We take the same
# source with Debian's security patches, as apt verifies it, and change configure switches and what the small patches in
# tools/libunbound/ add (each says why). Its updates are thereby ours: after `apt-get update` has seen a newer `unbound`,
# running this again rebuilds (see docs/operations.md); a patch that does not fit any more ends it, and the old one stays.
#
# The system is not changed: package lists and sources live in a temporary directory, DEST receives libunbound.a, two
# headers and VERSION, all at once. Running it again does nothing while VERSION is up to date.
set -euo pipefail

dest=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/isthmus/libunbound}
patches=$(cd "$(dirname "$0")" && pwd)/libunbound
recipe=$(cat "$0" "$patches"/*.patch | sha256sum | cut -c1-16)
say() { echo "build-libunbound: $*"; }
die() { echo "build-libunbound: $*" >&2; exit 1; }

# The newest version the machine's own package lists know; empty where they are not there yet (a fresh container).
newest=$(apt-cache policy unbound 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }')
if [[ -f $dest/VERSION ]]; then
  read -r built built_recipe < "$dest/VERSION"
  if [[ $built_recipe == "$recipe" && ( -z $newest || $built == "$newest" ) ]]; then
    say "$dest has $built already"
    exit 0
  fi
fi

for tool in gcc make bison flex patch dpkg-source objcopy; do
  command -v $tool > /dev/null || die "$tool is missing: apt-get install build-essential dpkg-dev bison flex patch"
done
[[ -e /usr/include/openssl/ssl.h ]] || die "OpenSSL's headers are missing: apt-get install libssl-dev"
[[ -e /usr/include/expat.h ]] || die "expat's headers are missing (configure wants them): apt-get install libexpat1-dev"

mkdir -p "$(dirname "$dest")"
exec 9> "$dest.lock"
flock 9 || die "cannot lock $dest.lock"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# 1. The source, through apt with lists of our own, so that its signatures are checked and the system's lists stay as is.
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=${ISTHMUS_DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${ISTHMUS_DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
mkdir -p "$work"/{lists,cache,source}
cat > "$work/sources.list" << EOF
deb-src $signed $mirror $codename main
deb-src $signed $mirror $codename-updates main
deb-src $signed $security $codename-security main
EOF
private_apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User= "$@"
}
say "fetching Debian's source package unbound"
private_apt update || die "cannot fetch package lists from $mirror: is there a network?"
(cd "$work/source" && private_apt source --only-source --download-only unbound) || die "cannot fetch the source of unbound"
(cd "$work/source" && dpkg-source --no-check -x unbound_*.dsc tree > /dev/null)  # apt checked the hashes of signed lists
version=$(awk '$1 == "Version:" { print $2; exit }' "$work"/source/unbound_*.dsc)

cd "$work/source/tree"
for patch in "$patches"/*.patch; do
  patch --strip=1 --fuzz=0 --no-backup-if-mismatch < "$patch" > "$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "$(basename "$patch") does not fit unbound $version: its first lines say how to carry it over"; }
done

# 2. The library alone.
say "building libunbound $version (about a minute)"
flags="$(DEB_BUILD_MAINT_OPTIONS=hardening=+all dpkg-buildflags --get CFLAGS) $(dpkg-buildflags --get CPPFLAGS) -fPIC"
# Unbound's own arc4random, seeded by the kernel: that of Debian 12's glibc is a system call for each number, three a lookup.
{
  ac_cv_func_arc4random=no ac_cv_func_arc4random_uniform=no ./configure CFLAGS="$flags -O3" \
    --with-libunbound-only --with-ssl=/usr --without-libevent --without-pythonmodule --without-pyunbound \
    --enable-event-api --disable-shared --enable-static --with-pic --disable-flto \
    --with-rootkey-file= --with-rootcert-file= &&
    make -s -j"$(nproc)" libunbound.la
} > "$work/log" 2>&1 || { tail -20 "$work/log" >&2; die "the build of libunbound $version failed (above)"; }

# 3. One object whose only global symbols are the API, so that its internals clash with nobody's names.
mkdir "$work/out"
ld -r -o "$work/unbound.o" --whole-archive .libs/libunbound.a
objcopy --keep-global-symbols=libunbound/ubsyms.def "$work/unbound.o"
ar rcs "$work/out/libunbound.a" "$work/unbound.o"
cp unbound.h libunbound/unbound-event.h "$work/out/" 2> /dev/null || cp libunbound/unbound.h libunbound/unbound-event.h "$work/out/"
echo "$version $recipe" > "$work/out/VERSION"
chmod -R a+rX "$work/out"
rm -rf "$dest.new"
mv "$work/out" "$dest.new"
rm -rf "$dest"
mv "$dest.new" "$dest"
say "$dest has $version"
