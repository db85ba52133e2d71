# SPDX-License-Identifier: Apache-2.0
"""What the configurations of all our knotds begin with. For str.format: listen, dir."""

SERVER = """\
server:
    listen: [{listen}]
    rundir: {dir}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: {dir}
"""
