# SPDX-License-Identifier: LGPL-2.1-or-later
"""scripts/quickstart with what is built here: start it, paste what it prints, stop it, start it again."""

import os
import shutil
import socket
import subprocess
import tempfile

import pytest
from rookery_harness import BUILD, SLOW, SOURCE
from rookery_quickstart import PORTS, SAMPLES, Quickstart, new_ports

PROGRAMS = ("curl", "swaks", "openssl", "mutt", "tmux")
SCRIPT = str(SOURCE / "scripts" / "quickstart")

pytestmark = pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason="needs " + ", ".join(PROGRAMS))


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="rook-demo-", dir="/var/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_what_it_prints_works_and_the_mail_stays(directory):
    command, environment = [SCRIPT, "--no-install", directory], dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), **new_ports())
    demo = Quickstart(command, environment)
    try:
        demo.check_commands()
        second = subprocess.run(command, capture_output=True, text=True, timeout=40 * SLOW, env=environment)
        assert second.returncode == 1
        assert "running already" in second.stderr
    finally:
        assert demo.stop() == 0, demo.output
    demo = Quickstart(command, environment)
    try:
        assert demo.count() == SAMPLES + 1
    finally:
        assert demo.stop() == 0, demo.output


@pytest.mark.parametrize("variable", PORTS)
def test_port_that_is_taken_is_named_with_the_way_out(directory, variable):
    ports = new_ports()
    with socket.create_server(("127.0.0.1", int(ports[variable]))):
        done = subprocess.run([SCRIPT, "--no-install", directory], capture_output=True, text=True, timeout=40 * SLOW,
                              env=dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), **ports))
    assert done.returncode == 1
    assert f"another program serves port {ports[variable]}; set {variable} to a free one" in done.stderr


def test_directory_that_would_not_paste_is_refused(directory):
    done = subprocess.run([SCRIPT, "--no-install", directory + "/a b"], capture_output=True, text=True, timeout=40 * SLOW)
    assert done.returncode == 2
    assert "a b" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_directory_that_the_server_could_not_come_to_is_refused_at_once(directory):
    """mkdtemp() makes it for its owner alone, as /root is."""
    done = subprocess.run([SCRIPT, "--no-install", directory + "/a/b"], capture_output=True, text=True, timeout=40 * SLOW,
                          env=dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), **new_ports()))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and f"{directory} is closed to nobody" in done.stderr
    assert os.listdir(directory) == []


@pytest.mark.parametrize("variable, value, said", [
    ("ROOKERY_IMAP_PORT", "999999", "'999999' is no port"), ("ROOKERY_LMTP_PORT", "imap", "'imap' is no port"),
    ("ROOKERY_IMAPS_PORT", "0", "'0' is no port"), ("ROOKERY_BUILD_DIR", "/nonexistent", "there is no rookeryd")])
def test_what_could_not_work_is_refused_before_anything_is_made(directory, variable, value, said):
    done = subprocess.run([SCRIPT, "--no-install", directory], capture_output=True, text=True, timeout=40 * SLOW,
                          env=dict(os.environ, **{"ROOKERY_BUILD_DIR": str(BUILD), **new_ports(), variable: value}))
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert os.listdir(directory) == []


def test_all_ports_that_are_taken_are_told_at_once(directory):
    ports = new_ports()
    with socket.create_server(("127.0.0.1", int(ports["ROOKERY_IMAP_PORT"]))), \
            socket.create_server(("127.0.0.1", int(ports["ROOKERY_LMTP_PORT"]))):
        done = subprocess.run([SCRIPT, "--no-install", directory], capture_output=True, text=True, timeout=40 * SLOW,
                              env=dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), **ports))
    assert done.returncode == 1
    assert "set ROOKERY_IMAP_PORT to" in done.stderr and "set ROOKERY_LMTP_PORT to" in done.stderr
