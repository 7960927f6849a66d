# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon as a process: command line, start and stop."""

import subprocess

from rookery_harness import built, child_environment


def rookeryd(*arguments):
    return subprocess.run([built(".libs/rookeryd", "rookeryd"), *arguments], capture_output=True, text=True,
                          env=child_environment(), timeout=60)


def test_version_is_printed():
    done = rookeryd("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("rookeryd ")


def test_unknown_option_is_a_usage_error():
    done = rookeryd("--no-such-option")
    assert done.returncode == 2
    assert "no-such-option" in done.stderr
