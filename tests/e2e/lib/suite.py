# SPDX-License-Identifier: Apache-2.0
"""Runs the unittest cases of one file: one line per test; signals clean up; nothing may be skipped in CI."""

import os
import signal
import sys
import unittest


def exit_on_signals():
    """SIGTERM, SIGHUP and SIGINT become SystemExit, so that `with` blocks and tearDown remove the namespaces."""
    def leave(number, _frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, leave)


def main():
    exit_on_signals()
    if os.geteuid() != 0:
        sys.exit("end-to-end tests make network namespaces: run them as root")
    program = unittest.main(module="__main__", argv=[sys.argv[0], "-v", *sys.argv[1:]], exit=False)
    result = program.result
    if result.testsRun == 0:
        sys.exit("no test ran")
    if result.skipped and os.environ.get("CI") == "true":
        sys.exit("tests were skipped, which CI does not allow: "
                 + "; ".join(f"{test.id()}: {why}" for test, why in result.skipped))
    sys.exit(0 if result.wasSuccessful() else 1)
