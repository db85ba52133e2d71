# SPDX-License-Identifier: Apache-2.0
"""nat64-svc and bonds, in gateway mode. Needs a kernel that has them: tests/vm/run_in_vm.py brings one."""

from vlan_lab import UNTAGGED
from vlan_test import VlanTest

from lib import suite


class VlansOnABond(VlanTest):
    """What serves where the links are bonded: VLANs on the bond, by their own interfaces."""

    sides = {"bonds": True}

    def test_they_are_served_in_generic_mode_and_survive_a_member(self):
        lab = self.lab
        lab.start_alone()
        self.check_service(("generic", "generic"))
        lab.node.run("ip link set member1 down")
        self.addCleanup(lab.node.run, "ip link set member1 up")
        self.check_service(("generic", "generic"))


class Bond(VlanTest):
    sides = {"lan": UNTAGGED, "bonds": True}

    def test_a_bond_is_refused_with_what_to_do(self):
        lab = self.lab
        done = lab.node.run(lab.alone(), check=False, timeout=30)
        self.assertEqual(1, done.returncode)
        line = done.stderr.strip().splitlines()[-1]
        self.assertIn("lan is a bond", line)
        self.assertIn("VLAN", line)


if __name__ == "__main__":
    suite.main()
