# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev build [PRESET]: configure and compile everything of one preset.

dev_build() {
  local preset=${1:-dev}
  case "$preset" in
    dev | release | asan-ubsan | tsan | fuzz) ;;
    *) die "there is no preset '$preset'" "use dev, release, asan-ubsan, tsan or fuzz" ;;
  esac
  need_packages build test bench
  need_libunbound
  say "configuring preset $preset"
  configure "$preset"
  say "compiling preset $preset"
  compile "$preset"
  [ "$preset" = fuzz ] || note "programs: build/$preset/bin"
}
