# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev clean: back to a fresh clone, except for ccache.

dev_clean() {
  say "removing build/"
  rm -rf "$ROOT/build"
}
