#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one command in a small virtual machine with a kernel of Debian's, and ends with the command's status.

    tests/vm/run_in_vm.py [--timeout SECONDS] [--kernel-of SUITE] [--qemu "-device ..."] COMMAND...

The machine has the host's whole file system, read-only under a tmpfs that is gone afterwards: what is installed or built
here runs there, and nothing that runs there is left here. It starts in the directory it was called from and has its
environment's ISTHMUS_*. KVM is used where there is one that boots, else qemu computes: everything then takes ten to twenty
times as long.
"""

import argparse
import io
import lzma
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
# Until the host's file system is there nothing else can be loaded.
FIRST_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
TIMED_OUT = 124  # as timeout(1) says it


class VmFailed(Exception):
    """The machine did not come to the end of the command."""


def kernel_directory(suite):
    fetch = [f"{HERE}/fetch-kernel.sh", *([suite] if suite else [])]
    return subprocess.run(fetch, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def modules_in_order(kernel, version):
    """Paths of the first modules, each after those it needs."""
    paths = []
    for module in FIRST_MODULES:
        shown = subprocess.run(["/usr/sbin/modprobe", "-d", kernel, "-S", version, "--show-depends", module], check=True,
                               stdout=subprocess.PIPE, text=True).stdout
        for path in re.findall(r"^insmod (\S+)", shown, re.MULTILINE):
            if path not in paths:
                paths.append(path)
    return paths


def module_name(path):
    return os.path.basename(path).removesuffix(".xz")


def script_of(command):
    kept = {name: value for name, value in os.environ.items() if name.startswith("ISTHMUS_") or name in ("CI", "HOME")}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in kept.items())
    return f"{exports}export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" \
           f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(command)}\n"


def build_initramfs(directory, kernel, version, command):
    """A cpio archive with busybox, the first modules and the command."""
    root = f"{directory}/root"
    for name in ("bin", "lib", "dev"):
        os.makedirs(f"{root}/{name}")
    shutil.copy("/bin/busybox", f"{root}/bin/busybox")
    shutil.copy(f"{HERE}/init.sh", f"{root}/init")
    shutil.copy(f"{HERE}/second.sh", f"{root}/second.sh")
    modules = modules_in_order(kernel, version)
    for path in modules:
        with (lzma.open if path.endswith(".xz") else open)(path, "rb") as module:
            with open(f"{root}/lib/{module_name(path)}", "wb") as file:
                shutil.copyfileobj(module, file)
    names = "\n".join(module_name(path) for path in modules)
    for name, text in (("modules", names), ("kernel", kernel), ("command", script_of(command))):
        with open(f"{root}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    names = sorted(os.path.relpath(os.path.join(at, name), root) for at, below, files in os.walk(root) for name in below + files)
    with open(f"{directory}/initramfs", "wb") as archive:
        subprocess.run(["/bin/busybox", "cpio", "-o", "-H", "newc"], cwd=root, input="\n".join(names).encode(), stdout=archive,
                       stderr=subprocess.DEVNULL, check=True)
    return f"{directory}/initramfs"


def qemu_command(accelerator, directory, kernel, version, command, extra):
    return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            # la57: five levels of page tables only cost time where qemu computes
            "-machine", f"q35,accel={accelerator}", "-cpu", "max,la57=off", "-smp", "2", "-m", "3072",
            "-kernel", f"{kernel}/boot/vmlinuz-{version}", "-initrd", build_initramfs(directory, kernel, version, command),
            "-append", "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off",
            "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-rng-pci", "-serial", "stdio", "-serial", f"file:{directory}/status", *extra]


def best_accelerator():
    """Machines that are virtual themselves may have a KVM that ends at once or never comes to the guest's first line."""
    if not os.access("/dev/kvm", os.W_OK):
        return "tcg"
    try:
        if run_in_vm(["/bin/true"], timeout=20, out=io.BytesIO(), accelerator="kvm") == 0:
            return "kvm"
    except VmFailed:
        pass
    print("run_in_vm: the KVM of this machine boots nothing, qemu computes", file=sys.stderr)
    return "tcg"


def run_in_vm(command, timeout=900, extra=(), suite=None, out=sys.stdout.buffer, accelerator=None):
    """Prints what the command prints and returns its status. `extra`: further words for qemu. `suite`: of Debian, whose
    kernel it is; none: that of this machine."""
    accelerator = accelerator or best_accelerator()
    kernel = kernel_directory(suite)
    [version] = os.listdir(f"{kernel}/lib/modules")
    with tempfile.TemporaryDirectory(prefix="isthmus-vm-") as directory:
        with open(f"{directory}/status", "w", encoding="ascii"):
            pass  # as it stays where qemu does not even begin
        words = qemu_command(accelerator, directory, kernel, version, command, extra)
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as qemu:
            late = threading.Event()
            timer = threading.Timer(timeout, lambda: (late.set(), qemu.kill()))
            timer.start()
            try:
                while chunk := qemu.stdout.read1(65536):
                    out.write(chunk)
                    out.flush()
            finally:
                timer.cancel()
                qemu.kill()
        if late.is_set():
            print(f"run_in_vm: not done after {timeout} s", file=sys.stderr)
            return TIMED_OUT
        with open(f"{directory}/status", encoding="ascii") as file:
            status = file.read().strip()
    if not status.isdigit():
        raise VmFailed("the virtual machine ended before the command did: see its console above")
    return int(status)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", type=float, default=900)
    parser.add_argument("--kernel-of", metavar="SUITE", help="of Debian; else the kernel of the suite of this machine")
    parser.add_argument("--qemu", type=shlex.split, default=[], help="further words for qemu, e.g. devices")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        parser.error("name a command")
    try:
        sys.exit(run_in_vm(command, arguments.timeout, arguments.qemu, arguments.kernel_of))
    except VmFailed as failure:
        sys.exit(f"run_in_vm: {failure}")


if __name__ == "__main__":
    main()
