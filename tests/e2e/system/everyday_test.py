# SPDX-License-Identifier: Apache-2.0
"""The demo's promises, one test each."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.checks import EVERYDAY  # noqa: E402
from lib.topology import Lab  # noqa: E402

lab = None


def setUpModule():
    global lab
    lab = Lab("isthmus-e2e-")
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()
    lab.start_programs()


def quiet(namespace, command, check=True, brief=None, timeout=30):
    done = namespace.run(command, check=check, timeout=timeout)
    return done if isinstance(done, str) else done.stdout


class Everyday(unittest.TestCase):
    """One method per check, in the order of the demo."""


def add(number, check):
    def test(self):
        check(lab, quiet)
    test.__doc__ = check.__doc__
    setattr(Everyday, f"test_{number:02}_{check.__name__}", test)


for position, promise in enumerate(EVERYDAY, 1):
    add(position, promise)

if __name__ == "__main__":
    suite.main()
