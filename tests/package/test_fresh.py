# SPDX-License-Identifier: LGPL-2.1-or-later
"""The README, followed word for word on a Debian that has nothing: scripts/quickstart, what it prints, Ctrl-C, once more;
then `make install`, and what that installed.

The tests build on each other, in their order. The ports are this machine's, so they are given; all else is as it comes.
"""

import os
import shutil
import subprocess

import pytest
from conftest import FOLDER, copy_checkout
from rookery_machine import Machine, copy_base
from rookery_quickstart import SAMPLES, Quickstart, new_ports

CHECKOUT = "/root/rookery"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Fresh:
    """A machine with a clean checkout, and somebody at its keyboard."""

    def __init__(self, machine):
        self.machine = machine
        self.ports = new_ports()

    def command(self, *words):
        return self.machine.command("env", "-i", "-C", CHECKOUT, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                    "HOME=/root", "LANG=C.UTF-8", *words)

    def try_run(self, line):
        return subprocess.run(self.command("bash", "-c", line), capture_output=True, text=True)

    def run(self, line):
        done = self.try_run(line)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def quickstart(self):
        settings = [f"{name}={value}" for name, value in self.ports.items()]
        return Quickstart(["scripts/quickstart"], dict(os.environ), within=self.command(*settings))


@pytest.fixture(scope="module")
def fresh(base):
    if Machine.missing():
        pytest.skip(f"needs {Machine.missing()}")
    root = FOLDER / "fresh"
    copy_base(base, root)
    copy_checkout(root / CHECKOUT.lstrip("/"))
    with Machine(root) as machine:
        yield Fresh(machine)
    shutil.rmtree(root)


@pytest.mark.parametrize("program", ["gcc", "make", "curl", "swaks", "mutt", "saslpasswd2", "python3"])
def test_nothing_of_what_it_needs_is_there(fresh, program):
    assert fresh.try_run(f"command -v {program}").returncode != 0


def test_quickstart_installs_builds_and_runs_and_what_it_prints_works(fresh):
    demo = fresh.quickstart()
    try:
        demo.check_commands()
    finally:
        assert demo.stop() == 0, demo.output


def test_started_again_it_has_the_mail(fresh):
    demo = fresh.quickstart()
    try:
        assert demo.count() == SAMPLES + 1
    finally:
        assert demo.stop() == 0, demo.output


def test_installed_programs_find_their_library(fresh):
    """In /usr/local, whose libraries the loader finds by its cache alone."""
    fresh.run("make -C build install")
    assert fresh.run("rookeryd --version").startswith("rookeryd ")
    assert fresh.run("rookctl --version").startswith("rookctl ")
    fresh.run("make -C build uninstall")
    assert "librookery" not in fresh.run("ldconfig -p")
