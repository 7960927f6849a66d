# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benchmarks, in small: that they run, not what they measure."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rookery_harness import BUILD, SLOW, SOURCE, free_port
from rookery_wire import ImapWire


def environment():
    ports = {name: str(free_port()) for name in ("IMAP_PORT", "IMAPS_PORT", "LMTP_PORT")}
    return dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), USERS="3", **ports)


def test_server_script_keeps_the_mail():
    settings = environment()
    directory = Path(tempfile.mkdtemp(prefix="rook-bench-"))

    def run(verb):
        subprocess.run([str(SOURCE / "bench" / "rookery.sh"), verb, str(directory)], env=settings, check=True,
                       timeout=60 * SLOW, stdout=subprocess.DEVNULL)

    for number in range(2):
        run("start")
        assert f"IMAP_PORT={settings['IMAP_PORT']}\n" in (directory / "ports").read_text()
        with ImapWire(int(settings["IMAP_PORT"])) as wire:
            wire.login("user0003")
            wire.append("INBOX", b"Subject: kept\r\n\r\n")
            assert b"* %d EXISTS" % (number + 1) in wire.ok("SELECT INBOX")
        run("stop")
        assert not (directory / "pid").exists()
    shutil.rmtree(directory)


def test_idle():
    done = subprocess.run([str(SOURCE / "bench" / "idle"), "50", "200", "1"], env=environment(), capture_output=True,
                          text=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^NOOP +median us +[\d.]+ +[\d.]+ +[\d.]+$", done.stdout, re.M), done.stdout
