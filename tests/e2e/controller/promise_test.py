# SPDX-License-Identifier: Apache-2.0
"""No two gateways forward for one address while controllers and gateways are killed and stopped at random: with the store
in an SQLite file, and with three controllers on three etcd members of which any may die.

A gateway's routes say what it forwards for; they outlive a kill -9 of nat64-svc and come back into force with it.
"""

import json
import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import CommandFailed, eventually  # noqa: E402
from lib.gateways import GatewayLab  # noqa: E402
from lib.topology import BIN  # noqa: E402

SEED = int(os.environ.get("ISTHMUS_SEED", random.randrange(1 << 30)))
SECONDS = float(os.environ.get("ISTHMUS_PROMISE_SECONDS", 15))


class Promise:
    """What both engines must keep; a subclass says how controllers are started."""

    controllers = members = 0

    def setUp(self):
        print(f"ISTHMUS_SEED={SEED}", file=sys.stderr)
        self.random = random.Random(SEED)
        self.lab = GatewayLab("isthmus-promise-", gateways=3, controllers=self.controllers, members=self.members)
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__, None, None, None)
        try:
            for member in self.lab.members:
                member.daemon.start()
            for i in range(self.controllers):
                self.start_controller(i, 30)
            for gateway in self.lab.gateways.values():
                gateway.daemon.start(None)
            eventually(self.all_hold, 30, "every gateway holds addresses")
        except BaseException:
            self.lab.print_logs()
            raise

    def all_hold(self):
        return all(self.lab.check_promise().values())

    def start_controller(self, i, ready_within=None):
        self.lab.start_controller(i, self.store(), *self.flags(i), ready_within=ready_within)

    def flags(self, _i):
        return []

    def leases(self):
        for i, controller in enumerate(self.lab.controllers):
            if not controller.running() or controller.paused:
                continue
            done = self.lab.ctl("get", "leases", "-o", "json", port=7460 + i, check=False)
            if done.returncode == 0:
                return json.loads(done.stdout).get("leases", [])
        return []

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def victims(self):
        yield from self.lab.controllers
        yield from self.lab.gateways.values()

    def mend(self, process):
        """Whatever it suffered, it runs again."""
        process.resume()
        if process.running():
            return
        if process in self.lab.controllers:
            self.start_controller(self.lab.controllers.index(process))
        else:
            process.daemon.start(None)

    def harm(self, process):
        if self.random.random() < 0.5:
            process.kill()
        else:
            process.pause()

    def test_no_address_is_with_two_gateways_whatever_dies(self):
        try:
            self.play()
        except BaseException:
            print(f"ISTHMUS_SEED={SEED}", file=sys.stderr)
            self.lab.print_logs()
            raise

    def play(self):
        before = {lease["address"] for lease in self.leases()}
        hurt = []
        looks = 0
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if len(hurt) < 2 and self.random.random() < 0.4:
                process = self.random.choice([v for v in self.victims() if v not in hurt])
                self.harm(process)
                hurt.append(process)
            elif hurt and self.random.random() < 0.25:
                self.mend(hurt.pop(0))
            if self.random.random() < 0.1:
                self.leave_and_return()
            self.lab.check_promise()
            looks += 1
            time.sleep(0.1)
        for process in hurt:
            self.mend(process)
        eventually(self.all_hold, 40, "every gateway holds addresses again")
        eventually(self.controller_agrees, 40, "the controller and the routes agree")
        self.assertEqual(before, {lease["address"] for lease in self.leases()})
        self.assertGreater(looks, 20)
        self.check_history()

    def leave_and_return(self):
        """A gateway says goodbye: its addresses are free after the quarantine, and may go to another."""
        running = [g for g in self.lab.gateways.values() if g.running() and not g.paused]
        if len(running) < 2:
            return
        gateway = self.random.choice(running)
        gateway.daemon.terminate(20)
        self.lab.check_promise()
        gateway.daemon.start(None)

    def controller_agrees(self):
        held = self.lab.check_promise()
        said = {name: set() for name in self.lab.names}
        for lease in self.leases():
            if lease["state"] in ("GRANTED", "WITHDRAWING"):
                said[lease["node_id"]].add(int(lease["address"].rsplit(".", 1)[1]))
        return any(said.values()) and held == said

    def history_of(self, address):
        """As the first controller tells it; None while it knows of none that leads."""
        done = self.lab.ctl("get", "leases", "--history", address, "-o", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def check_history(self):
        """The tenures of an address follow one another; none begins before the last has ended."""
        for lease in self.leases():
            answer = eventually(lambda: self.history_of(lease["address"]), 30, "this controller leads, or knows who does")
            tenures = answer.get("tenures", [])
            for earlier, later in zip(tenures, tenures[1:]):
                self.assertLessEqual(earlier["to"], later["from"], answer)
            if lease["state"] == "GRANTED":
                self.assertEqual(lease["node_id"], tenures[-1]["node_id"])
                self.assertIsNone(tenures[-1].get("to"))


    # --- backup and restore -------------------------------------------------------------------------------------------

    def settling(self):
        """What the controller that decides says of itself; None while none does."""
        for controller in self.lab.controllers:
            try:
                value = controller.daemon.metrics().get("isthmus_controller_settling") if controller.running() else None
            except CommandFailed:  # it does not listen yet
                value = None
            if value is not None:
                return value
        return None

    def store_command(self, *words, check=False):
        return self.lab.control.run([f"{BIN}/isthmus-controller", *words], check=check)

    def test_a_backup_put_back_moves_no_address(self):
        """Between backup and restore an address changes hands; the old holder does not get it back."""
        file = f"{self.lab.dir}/backup.db"
        restore = ["restore", "--store", self.store(), "--from", file]
        self.store_command("backup", "--store", self.store(), "--to", file, check=True)
        first, *others = self.lab.gateways.values()
        first.daemon.terminate(20)
        time.sleep(1.5)
        refused = self.store_command(*restore, "--replace")
        self.assertNotEqual(0, refused.returncode)
        self.assertIn(self.in_use, refused.stderr)
        for controller in self.lab.controllers:
            controller.kill()
        eventually(lambda: "--replace" in self.store_command(*restore).stderr, 20, "it does not overwrite without --replace")
        self.store_command(*restore, "--replace", check=True)
        for i in range(self.controllers):
            self.start_controller(i, 15)
        eventually(lambda: self.settling() is not None, 20, "one decides")
        time.sleep(3)
        self.assertEqual(1, self.settling(), "it grants before all have told")
        self.lab.check_promise()
        first.daemon.start(None)
        eventually(lambda: self.settling() == 0, 20, "it settles")
        eventually(self.all_hold, 20, "every gateway holds addresses again")
        eventually(self.controller_agrees, 20, "the controller and the routes agree")


class WithSqlite(Promise, unittest.TestCase):
    controllers = 1
    in_use = "in use by another controller"

    def store(self):
        return f"sqlite:{self.lab.dir}/controller.db"


class WithEtcd(Promise, unittest.TestCase):
    controllers = members = 3
    in_use = "leads: stop every controller first"

    def store(self):
        return "etcd:" + ",".join(f"127.0.0.1:{2380 + i}" for i in range(self.members))

    def flags(self, i):
        return ["--advertise", f"127.0.0.1:{7460 + i}"]

    def test_what_an_sqlite_file_held_goes_on_in_etcd(self):
        before = {(lease["address"], lease["node_id"]) for lease in self.leases()}
        sqlite = f"sqlite:{self.lab.dir}/controller.db"
        for store, other in ((self.store(), sqlite), (sqlite, self.store())):
            file = f"{self.lab.dir}/{other.split(':')[0]}.backup"
            self.store_command("backup", "--store", store, "--to", file, check=True)
            if store != sqlite:
                for controller in self.lab.controllers:
                    controller.daemon.terminate(10)
            self.store_command("restore", "--store", other, "--from", file, "--replace", check=True)
        for i in range(self.controllers):
            self.start_controller(i)
        eventually(lambda: self.settling() == 0, 40, "it settles")
        eventually(self.controller_agrees, 20, "the controller and the routes agree")
        self.assertEqual(before, {(lease["address"], lease["node_id"]) for lease in self.leases()})

    def victims(self):
        yield from super().victims()
        yield from self.lab.members

    def harm(self, process):
        if process in self.lab.members and any(not m.running() or m.paused for m in self.lab.members):
            return  # two of three must live
        super().harm(process)

    def mend(self, process):
        if process in self.lab.members and not process.running():
            process.daemon.command = [word if word != "new" else "existing" for word in process.daemon.command]
        super().mend(process)


if __name__ == "__main__":
    suite.main()
