# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benchmarks, in small: that they run, not what they measure."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from rookery_harness import BUILD, SLOW, SOURCE, free_port
from rookery_wire import ImapWire


def environment():
    names = ("IMAP_PORT", "IMAPS_PORT", "LMTP_PORT", "POP3_PORT", "NNTP_PORT")
    ports = {name: str(free_port()) for name in names}
    return dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), USERS="3", **ports)


def test_server_script_keeps_the_mail():
    settings = environment()
    directory = Path(tempfile.mkdtemp(prefix="rook-bench-"))

    def run(verb):
        subprocess.run([str(SOURCE / "bench" / "rookery.sh"), verb, str(directory)], env=settings, check=True,
                       timeout=60 * SLOW, stdout=subprocess.DEVNULL)

    served = "".join(f"{name}={settings[name]}\n" for name in ("IMAP_PORT", "IMAPS_PORT", "LMTP_PORT"))
    for number in range(2):
        run("start")
        assert (directory / "ports").read_text() == served
        with ImapWire(int(settings["IMAP_PORT"])) as wire:
            wire.login("user0003")
            wire.append("INBOX", b"Subject: kept\r\n\r\n")
            assert b"* %d EXISTS" % (number + 1) in wire.ok("SELECT INBOX")
        run("stop")
        assert not (directory / "pid").exists()
    settings["USERS"] = "4"
    run("start")
    with ImapWire(int(settings["IMAP_PORT"])) as wire:
        wire.login("user0004")
    run("stop")
    shutil.rmtree(directory)


# What a busy machine measures must decide neither: nothing is a thousand times slower, nothing a thousand times faster.
@pytest.mark.parametrize("options, status, mark", [((), 0, ""), (("--threshold", "1000"), 0, ""),
                                                   (("--threshold", "0.001"), 1, "  too much")])
def test_idle_measures_and_holds_the_ratio_against_the_threshold(options, status, mark):
    done = subprocess.run([str(SOURCE / "bench" / "idle"), *options, "50", "200", "1"], env=environment(),
                          capture_output=True, text=True, timeout=120 * SLOW)
    for command in ("NOOP", "FETCH 1 FLAGS"):
        for column in ("median us", "p99 us"):
            assert re.search(rf"^{command} +{column} +[\d.]+ +[\d.]+ +[\d.]+{mark}$", done.stdout, re.M), done.stdout
    # Wake-ups aside, which are few enough here to be anything.
    assert done.returncode == status or "wake-ups" in next(line for line in done.stdout.splitlines() if "too much" in line)
