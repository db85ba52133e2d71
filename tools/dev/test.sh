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

# The real programs under the sanitizers: ./dev test sanitized [SCRIPT...], end-to-end scripts; the soaks by default. A report
# of a sanitizer fails the run, whatever the script says.
run_sanitized() {
  local preset script reports status
  [ $# -gt 0 ] || set -- tests/e2e/nat64/soak_test.py tests/e2e/dns64/soak_test.py
  for preset in asan-ubsan tsan; do
    prepare "$preset" nat64-svc dns64-svc isthmus-controller isthmusctl
    reports=$LOGS/$preset-reports
    rm -rf "$reports"
    mkdir -p "$reports"
    for script in "$@"; do
      say "$script with the programs of $preset"
      status=0
      ASAN_OPTIONS=log_path=$reports/asan LSAN_OPTIONS=print_suppressions=0:suppressions=$ROOT/tests/lsan.supp UBSAN_OPTIONS=print_stacktrace=1:log_path=$reports/ubsan \
        TSAN_OPTIONS=ignore_noninstrumented_modules=1:suppressions=$ROOT/tests/tsan.supp:log_path=$reports/tsan \
        ISTHMUS_BIN=$ROOT/build/$preset/bin ISTHMUS_SOAK_SECONDS=${ISTHMUS_SOAK_SECONDS:-15} \
        /usr/bin/python3 "$script" || status=$?
      [ "$status" = 0 ] || die "$script failed with the programs of $preset" "see above; reports are in $reports"
      [ -z "$(ls "$reports")" ] || die "a sanitizer reports: $(grep -hm1 'ERROR\|WARNING\|runtime error' "$reports"/*)" \
        "read $reports"
    done
  done
  note "no sanitizer had anything to report"
}

# Images from the Dockerfile and the programs of a real Kubernetes: minutes of work, once.
prepare_deploy() {
  need_packages deploy
  say "building Kubernetes from Debian's source package (once, 5 to 10 minutes)"
  tests/deploy/kubernetes/build-kubernetes.sh > /dev/null 2> "$LOGS/kubernetes.log" \
    || die "Kubernetes could not be built: $(tail -n 1 "$LOGS/kubernetes.log")" "read $LOGS/kubernetes.log"
  say "building the images"
  tests/deploy/image/build-images.sh build/images/all.tar dev > "$LOGS/images.log" 2>&1 \
    || die "the images could not be built: $(tail -n 1 "$LOGS/images.log")" "read $LOGS/images.log"
}

# Virtual machines with kernels of Debian's, for what the kernel of this machine may lack.
prepare_vm() {
  need_packages vm
  say "fetching Debian's kernels"
  local suite
  for suite in "" trixie-backports; do
    tests/vm/fetch-kernel.sh "$suite" > /dev/null 2> "$LOGS/kernel-image.log" \
      || die "Debian's kernel could not be fetched: $(tail -n 1 "$LOGS/kernel-image.log")" "read $LOGS/kernel-image.log"
  done
}

dev_test() {
  local what=${1:-usual}
  [ $# -eq 0 ] || shift
  need_packages build test
  need_libunbound
  case "$what" in
    usual)
      need_root test
      need_helm
      need_packages browser
      # Each unit test runs once: those of the cores under the sanitizers, those of the shells without.
      prepare dev e2e_programs shell_tests
      prepare asan-ubsan core_tests
      prepare fuzz
      combine dev asan-ubsan fuzz
      run_ctest -E '_NOT_BUILT$' -LE 'deploy|vm|unit_elsewhere' "$@"
      ;;
    deploy)
      need_root test
      need_helm
      prepare dev e2e_programs
      prepare_deploy
      combine dev
      run_ctest -L 'chart|deploy' "$@"
      ;;
    vm)
      prepare dev nat64-svc
      prepare_vm
      combine dev
      run_ctest -L vm "$@"
      ;;
    all)
      dev_test usual
      dev_test vm
      dev_test deploy
      ;;
    unit) prepare dev && combine dev && run_ctest -L 'unit|property' "$@" ;;
    browser) need_root test && need_packages browser && prepare dev && combine dev && run_ctest -R browser "$@" ;;
    e2e) need_root test && need_packages browser && prepare dev && combine dev && run_ctest -L e2e "$@" ;;
    fuzz) prepare fuzz && combine fuzz && run_ctest "$@" ;;
    sanitized) need_root test && run_sanitized "$@" ;;
    asan) prepare asan-ubsan unit_tests && combine asan-ubsan && run_ctest "$@" ;;
    tsan) prepare tsan unit_tests && combine tsan && run_ctest "$@" ;;
    *) prepare dev && combine dev && run_ctest -R "$what" "$@" ;;
  esac
}
