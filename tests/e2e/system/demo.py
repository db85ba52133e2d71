# SPDX-License-Identifier: Apache-2.0
"""./dev demo: an IPv6-only host reaches the IPv4 internet through the three programs, command by command.

--keep leaves the lab running and says how to enter it; --stop ends a lab that was kept.
"""

import argparse
import os
import re
import shlex
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib.checks import EVERYDAY  # noqa: E402
from lib.netns import CommandFailed, lab_prefix  # noqa: E402
from lib.suite import exit_on_signals  # noqa: E402
from lib.topology import BIN, NODE6, POLICY, Lab  # noqa: E402

PREFIX = lab_prefix("isthmus-demo-")
BOLD, GREEN, RED, PLAIN = ("\033[1m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "", "", "")
LONGEST = 24  # lines of one command's output


def as_typed(words):
    """With programs and scripts by their short names."""
    return shlex.join(os.path.basename(word) if word.startswith((BIN, os.path.dirname(BIN))) or word.endswith(".py") else word
                      for word in words)


def printer(prefix):
    """The `show` of lib/checks.py that prints the command as the user of that namespace would type it."""
    def show(namespace, command, check=True, brief=None, timeout=30):
        words = command.split() if isinstance(command, str) else [str(word) for word in command]
        print(f"{BOLD}{namespace.name.removeprefix(prefix)}$ {as_typed(words)}{PLAIN}", flush=True)
        done = namespace.run(words, check=False, timeout=timeout)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        if brief:
            lines = [line for line in lines if re.search(brief, line) and not line.endswith(" 0")]
        for line in lines[:LONGEST]:
            print(f"  {line}")
        if len(lines) > LONGEST:
            print(f"  ... and {len(lines) - LONGEST} lines more")
        if check and done.returncode != 0:
            raise CommandFailed(f"'{shlex.join(words)}' ended with status {done.returncode}")
        return done.stdout
    return show


def start(lab):
    print("A policy, as an operator writes it:\n")
    print("".join(f"    {line}\n" for line in POLICY.splitlines()))
    lab.start_programs()
    for daemon in lab.programs():
        print(f"{BOLD}node$ {as_typed(daemon.command)} &{PLAIN}")
    print()


def run_checks(lab):
    show, results = printer(PREFIX), []
    for number, check in enumerate(EVERYDAY, 1):
        print(f"{BOLD}--- {number}. {check.__doc__}{PLAIN}")
        try:
            results.append((True, check.__doc__, check(lab, show)))
        except AssertionError as failure:
            print(f"{RED}{failure}{PLAIN}")
            results.append((False, check.__doc__, str(failure).splitlines()[0]))
        print()
    return results


def summary(results, took):
    print(f"{BOLD}Summary{PLAIN}")
    for passed, title, detail in results:
        mark = f"{GREEN}pass{PLAIN}" if passed else f"{RED}FAIL{PLAIN}"
        print(f"  {mark}  {title.split(':')[0]}: {detail}")
    failed = sum(not passed for passed, _, _ in results)
    print(f"\n{len(results) - failed} passed, {failed} failed in {took:.0f} s")
    return failed


def how_to_enter(lab):
    print(f"""
It goes on running. Enter the IPv6-only client:
    nsenter --net=/run/netns/{lab.client.name} bash
    dig @{NODE6} AAAA v4only.isthmus.example        ping -6 64:ff9b::1400:150
Change {lab.policy_file} and watch; the programs' logs are in {lab.dir}.
End it:
    ./dev demo --stop""")


def main():
    parser = argparse.ArgumentParser(prog="./dev demo")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    parser.add_argument("--stop", action="store_true", help="end a lab that was kept")
    options = parser.parse_args()
    exit_on_signals()
    begin = time.monotonic()
    lab = Lab("isthmus-demo-", keep=options.keep)
    if options.stop:
        lab.down()
        print("the demo's namespaces and programs are gone")
        return 0
    failed = 1
    try:
        with lab:
            start(lab)
            failed = summary(run_checks(lab), time.monotonic() - begin)
            if failed:
                lab.print_logs()
            if options.keep:
                how_to_enter(lab)
    except AssertionError as failure:  # our programs or the servers around them did not come up
        print(f"{RED}{failure}{PLAIN}", file=sys.stderr)
        lab.down()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
