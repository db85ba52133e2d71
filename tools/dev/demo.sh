# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev demo [--keep|--stop]: the whole system in network namespaces, shown command by command.

dev_demo() {
  need_root demo
  if [ "${1:-}" != --stop ]; then
    need_packages build test
    need_libunbound
    say "building the programs (preset dev)"
    configure dev
    compile dev isthmus-controller nat64-svc dns64-svc isthmusctl
  fi
  exec /usr/bin/python3 tests/e2e/system/demo.py "$@"
}
