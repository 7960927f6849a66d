# SPDX-License-Identifier: LGPL-2.1-or-later
"""scripts/deps by somebody who is not root, on a machine where every program that changes something is a witness."""

import os
import subprocess

from rookery_harness import SOURCE

PROGRAMS = {
    "id": "echo 1000",
    "dpkg-query": "exit 1",
    # As sudo is configured on Debian: it keeps nothing of the environment.
    "sudo": 'exec env -i PATH="$PATH" "$@"',
    "tee": "cat >/dev/null", "chmod": "exit 0", "rm": "exit 0",
    "apt-get": 'echo "frontend=$DEBIAN_FRONTEND $*"',
}


def test_nothing_is_asked_by_debconf_through_sudo(tmp_path):
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([str(SOURCE / "scripts" / "deps"), "--install", "run"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sasl2-bin" in done.stdout
    assert all(line.startswith("frontend=noninteractive ") for line in done.stdout.splitlines()), done.stdout
