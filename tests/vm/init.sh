#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# The first process of the virtual machine: makes a root file system out of the host's, read-only under a tmpfs, and
# goes on in it with second.sh. Where a step fails the kernel panics, for its first process ends, and so does the machine.
set -e
/bin/busybox --install -s /bin
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t devtmpfs dev /dev
stty -F /dev/console -opost # lines end as the command ends them

# shellcheck disable=SC2013 # one name a line, without blanks
for module in $(cat /modules); do insmod "/lib/$module"; done
mkdir -p /lower /upper /new
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /lower
mount -t tmpfs -o size=75% upper /upper
mkdir /upper/changes /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/changes,workdir=/upper/work root /new

# Of the host's own nothing that lives: these would be its processes and devices.
for place in proc sys dev run tmp; do mkdir -p "/new/$place"; done
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t bpf bpf /new/sys/fs/bpf
mount -t cgroup2 cgroup /new/sys/fs/cgroup
mount -t tmpfs run /new/run
mount -t tmpfs tmp /new/tmp
mkdir -p /new/run/lock /new/usr/lib/modules
mount --move /dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts pts /new/dev/pts
mount -t tmpfs shm /new/dev/shm
mount --bind "/new$(cat /kernel)/lib/modules" /new/usr/lib/modules
cp /command /second.sh /new/run/
# It is this process that must change its root: the kernel looks for modprobe in it.
exec switch_root /new /bin/sh /run/second.sh
