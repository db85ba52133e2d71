# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev setup: everything the other verbs would install one by one.

dev_setup() {
  say "setup: Debian packages"
  need_packages build test bench lint
  say "setup: libunbound with TLS"
  need_libunbound
  say "setup: helm for the tests of the chart"
  need_helm
  note "ready: ./dev build, ./dev test, ./dev demo"
}
