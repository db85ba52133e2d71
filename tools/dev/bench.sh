# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev bench [core|dns64|nat64] [arguments]: core runs every micro-benchmark of the release preset; the others measure a
# whole service beside its peers (tests/bench/WHAT/bench.py). Without a name: all of them. Results as JSON in build/bench.

bench_core() {
  local program name
  for program in $(find build/release/tests/bench -maxdepth 3 -type f -executable -name '*_bench' | sort); do
    name=$(basename "$program")
    say "measuring $name"
    "$program" --benchmark_out="build/bench/$name.json" --benchmark_out_format=json "$@"
  done
}

bench_system() {
  local what=$1
  shift
  need_root bench
  say "measuring $what beside its peers"
  ISTHMUS_BIN="$ROOT/build/release/bin" /usr/bin/python3 "tests/bench/$what/bench.py" "$@"
}

dev_bench() {
  local what=${1:-all} systems
  [ $# -eq 0 ] || shift
  mapfile -t systems < <(find tests/bench -mindepth 2 -maxdepth 2 -name bench.py -printf '%h\n' | sed 's|.*/||' | sort)
  need_packages build test bench
  need_libunbound
  say "building preset release"
  configure release
  compile release
  mkdir -p build/bench
  case "$what" in
    all)
      bench_core
      for what in "${systems[@]}"; do bench_system "$what"; done
      ;;
    core) bench_core "$@" ;;
    *)
      [ -e "tests/bench/$what/bench.py" ] || die "there is no benchmark '$what'" "use one of: core ${systems[*]}"
      bench_system "$what" "$@"
      ;;
  esac
}
