# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures that protocol and interop tests share."""

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
sys.dont_write_bytecode = True

from rookery_harness import Server, free_port  # noqa: E402
from rookery_wire import ImapWire, Wire  # noqa: E402


@pytest.fixture
def make_server():
    """A function that starts a server with settings of the test's own; all are stopped and checked at its end."""
    servers = []

    def make(config=None, start=True, **options):
        server = Server(config=config, **options)
        servers.append(server)
        return server.start() if start else server

    yield make
    try:
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            print(server.log())
            server.cleanup()


@pytest.fixture(scope="module")
def server():
    """One server with the default settings for all tests of a module; they share its mail, so use separate users."""
    one = Server()
    one.start()
    yield one
    try:
        one.stop()
    finally:
        print(one.log())
        one.cleanup()


@pytest.fixture
def imap(server):
    """A function that opens an IMAP connection to `server`, logged in unless user is None."""
    wires = []

    def connect(user="alice", password="pass", **options):
        wire = ImapWire(server.port("imap"), **options)
        wires.append(wire)
        return wire.login(user, password) if user else wire

    yield connect
    for wire in wires:
        wire.close()


@pytest.fixture
def lmtp(server):
    """A function that opens an LMTP connection to `server`; the greeting is still to be read."""
    wires = []

    def connect(**options):
        wires.append(Wire(server.path("lmtp"), **options))
        return wires[-1]

    yield connect
    for wire in wires:
        wire.close()


@pytest.fixture
def rng(request):
    """A random number generator; its seed is printed, and can be given as ROOKERY_TEST_SEED."""
    seed = int(os.environ.get("ROOKERY_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"{request.node.nodeid}: ROOKERY_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def budget():
    """Seconds that a random test may take (ROOKERY_TEST_SECONDS)."""
    return float(os.environ.get("ROOKERY_TEST_SECONDS", "5"))


@pytest.fixture
def free_port_number():
    """A TCP port of 127.0.0.1 that nobody uses now."""
    return free_port()
