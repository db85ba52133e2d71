# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev test [WHAT]: builds what WHAT needs and runs it as ONE ctest run, so that its closing lines tell all.

# One ctest directory over several build trees; sanitizer tests carry a prefix in their names.
combine() {
  local preset
  mkdir -p build/all-tests
  for preset in "$@"; do printf 'subdirs("%s")\n' "$ROOT/build/$preset"; done > build/all-tests/CTestTestfile.cmake
}

prepare() {  # PRESET [targets]
  say "building the tests of preset $1"
  configure "$1"
  compile "$@"
}

# In CI nothing may be skipped: ctest counts a skip as no failure, so its log is read.
refuse_skips() {
  [ "${CI:-}" = true ] || return 0
  if grep -q '\*\*\*Skipped\|\*\*\*Not Run' "$LOGS/ctest.log"; then
    die "tests were skipped, which CI does not allow: $(grep -m3 '\*\*\*Skipped\|\*\*\*Not Run' "$LOGS/ctest.log")" \
      "install what the test names as missing (./dev setup), or mend the test"
  fi
}

run_ctest() {
  local status=0
  say "running the tests"
  mkdir -p "$LOGS"
  (cd build/all-tests && ctest --output-on-failure --no-tests=error --timeout 600 -j "$(nproc)" "$@") \
    2>&1 | tee "$LOGS/ctest.log" || status=$?
  [ "$status" = 0 ] || die "some tests failed" "see above; 'cd build/all-tests && ctest -R NAME --output-on-failure' repeats one"
  refuse_skips
}

dev_test() {
  local what=${1:-all}
  [ $# -eq 0 ] || shift
  need_packages build test
  need_libunbound
  case "$what" in
    all)
      need_root test
      need_helm
      need_packages browser
      prepare dev
      prepare asan-ubsan unit_tests
      prepare fuzz
      combine dev asan-ubsan fuzz
      run_ctest "$@"
      ;;
    unit) prepare dev && combine dev && run_ctest -L 'unit|property' "$@" ;;
    browser) need_root test && need_packages browser && prepare dev && combine dev && run_ctest -R browser "$@" ;;
    e2e) need_root test && need_packages browser && prepare dev && combine dev && run_ctest -L e2e "$@" ;;
    fuzz) prepare fuzz && combine fuzz && run_ctest "$@" ;;
    asan) prepare asan-ubsan unit_tests && combine asan-ubsan && run_ctest "$@" ;;
    tsan) prepare tsan unit_tests && combine tsan && run_ctest "$@" ;;
    *) prepare dev && combine dev && run_ctest -R "$what" "$@" ;;
  esac
}
