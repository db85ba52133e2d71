# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev bench: builds the release preset and runs every program in build/release/bench; results as JSON in build/bench.

dev_bench() {
  local program name
  need_packages build test bench
  need_libunbound
  say "building preset release"
  configure release
  compile release
  mkdir -p build/bench
  for program in $(find build/release/tests/bench -maxdepth 3 -type f -executable -name '*_bench' | sort); do
    name=$(basename "$program")
    say "measuring $name"
    "$program" --benchmark_out="build/bench/$name.json" --benchmark_out_format=json "$@"
  done
  [ -n "${name:-}" ] || note "there is no benchmark yet"
}
