# SPDX-License-Identifier: LGPL-2.1-or-later
"""scripts/quickstart as somebody new meets it: start it, paste what it prints, stop it, start it again."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from rookery_harness import BUILD, SLOW, SOURCE, free_port

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("curl", "swaks", "openssl"))), reason="needs curl, swaks, openssl")


def hear_ctrl_c():
    """As in a terminal: one who starts us in the background may have left SIGINT ignored, and a shell can't undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Quickstart:
    def __init__(self, directory, ports):
        environment = dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), **ports)
        self.process = subprocess.Popen([str(SOURCE / "scripts" / "quickstart"), "--no-install", directory], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env=environment, start_new_session=True, preexec_fn=hear_ctrl_c)
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C stops it" in line:
                break
        else:
            self.process.wait(timeout=40 * SLOW)
            raise AssertionError(self.output)

    def command(self, word):
        """The command line that it printed for one program."""
        return re.search(rf"^  ({word} .*)$", self.output, re.M).group(1)

    def paste(self, word, change=lambda line: line, **options):
        return subprocess.run(change(self.command(word)), shell=True, capture_output=True, text=True, timeout=30 * SLOW,
                              **options)

    def stop(self):
        os.kill(self.process.pid, signal.SIGINT)
        rest, _ = self.process.communicate(timeout=40 * SLOW)
        self.output += rest
        return self.process.returncode


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="rook-demo-", dir="/var/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def count(demo):
    listing = demo.paste("curl")
    assert listing.returncode == 0, listing.stderr
    return listing.stdout.count(" FETCH (")


def test_what_it_prints_works_and_the_mail_stays(directory):
    ports = {name: str(free_port()) for name in ("ROOKERY_IMAP_PORT", "ROOKERY_IMAPS_PORT", "ROOKERY_LMTP_PORT")}
    samples = len(list((SOURCE / "data" / "messages").glob("*.eml")))
    demo = Quickstart(directory, ports)
    try:
        assert count(demo) == samples
        delivered = demo.paste("swaks")
        assert delivered.returncode == 0, delivered.stdout
        assert count(demo) == samples + 1
        spoken = demo.paste("openssl", input="a LOGIN alice pass\nb LOGOUT\n")
        assert "a OK" in spoken.stdout
        added = demo.paste("echo")
        assert added.returncode == 0, added.stderr
        second = subprocess.run([str(SOURCE / "scripts" / "quickstart"), "--no-install", directory], capture_output=True,
                                text=True, timeout=40 * SLOW, env=dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), **ports))
        assert second.returncode == 1
        assert "running already" in second.stderr
    finally:
        assert demo.stop() == 0, demo.output
    demo = Quickstart(directory, ports)
    try:
        assert count(demo) == samples + 1
    finally:
        assert demo.stop() == 0, demo.output
