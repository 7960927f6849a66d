# SPDX-License-Identifier: LGPL-2.1-or-later
"""SCRAM bound to the TLS connection under it (RFC 5802, 5929, 9266), by a client that is not libsasl2."""

import hashlib
import ssl

import pytest

from rookery_harness import Server
from rookery_wire import ImapWire, Scram

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(scope="module")
def server():
    with Server(config={"auth": {"failure-delay": "0"}}) as running:
        yield running


def context_for(server, version="1.3"):
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def connect(server, context, **options):
    """Under TLS from the start. `options` are those of a TLS session."""
    wire = ImapWire(server.port("imap"))
    wire.ok("STARTTLS")
    wire.start_tls(context, **options)
    return wire


def unique(wire):
    return wire.socket.get_channel_binding("tls-unique")


def end_point(wire):
    return hashlib.sha256(wire.socket.getpeercert(binary_form=True)).digest()


def bound(wire, kind, data, mechanism="SCRAM-SHA-256-PLUS"):
    digest = "sha256" if "256" in mechanism else "sha1"
    return Scram("alice", "pass", digest, f"p={kind}", data).run(wire, mechanism)


def offers(wire):
    return {word for line in wire.ok("CAPABILITY") for word in line.decode().split() if word.startswith("AUTH=SCRAM")}


def test_offered_under_tls_alone(server):
    with ImapWire(server.port("imap")) as wire:
        assert offers(wire) == {"AUTH=SCRAM-SHA-256", "AUTH=SCRAM-SHA-1"}
        assert bound(wire, "tls-unique", b"x").startswith(b"NO [CANNOT]")
    with connect(server, context_for(server)) as wire:
        assert {"AUTH=SCRAM-SHA-256-PLUS", "AUTH=SCRAM-SHA-1-PLUS", "AUTH=SCRAM-SHA-256"} <= offers(wire)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
@pytest.mark.parametrize("kind, data", [("tls-unique", unique), ("tls-server-end-point", end_point)],
                         ids=["unique", "end-point"])
def test_bound_to_this_connection(server, version, mechanism, kind, data):
    with connect(server, context_for(server, version)) as wire:
        assert bound(wire, kind, data(wire), mechanism).startswith(b"OK")


@pytest.mark.parametrize("version", VERSIONS)
def test_bound_to_a_resumed_session(server, version):
    context = context_for(server, version)
    with connect(server, context) as wire:
        wire.ok("NOOP")
        session = wire.socket.session
    with connect(server, context, session=session) as wire:
        assert wire.socket.session_reused
        assert bound(wire, "tls-unique", unique(wire)).startswith(b"OK")


@pytest.mark.parametrize("kind, data", [
    ("tls-unique", b"x" * 12), ("tls-unique", b"x" * 32), ("tls-unique", b""),
    ("tls-server-end-point", hashlib.sha256(b"the thief's").digest()),
    ("tls-exporter", b"x" * 32), ("tls-exported", b"x" * 32), ("", b"x")])
def test_bound_to_another(server, kind, data):
    """What a client is bound to whose connection ends at somebody in between."""
    with connect(server, context_for(server)) as wire:
        assert bound(wire, kind, data).startswith(b"NO [AUTHENTICATIONFAILED]")
        assert bound(wire, "tls-unique", unique(wire)).startswith(b"OK")


def test_client_that_was_shown_no_plus_is_refused(server):
    """Somebody in between took it from the list."""
    with connect(server, context_for(server)) as wire:
        assert Scram("alice", "pass", "sha256", "y").run(wire, "SCRAM-SHA-256").startswith(b"NO [AUTHENTICATIONFAILED]")
        assert Scram("alice", "pass", "sha256", "n").run(wire, "SCRAM-SHA-256-PLUS").startswith(
            b"NO [AUTHENTICATIONFAILED]")
        assert Scram("alice", "pass", "sha256", "n").run(wire, "SCRAM-SHA-256").startswith(b"OK")


def test_client_that_could_is_welcome_where_none_is_offered(server):
    with ImapWire(server.port("imap")) as wire:
        assert Scram("alice", "pass", "sha256", "y").run(wire, "SCRAM-SHA-256").startswith(b"OK")


def test_plus_can_be_left_out():
    settings = {"failure-delay": "0", "mechanisms": ["PLAIN", "SCRAM-SHA-256"]}
    with Server(config={"auth": settings}) as server, connect(server, context_for(server)) as wire:
        assert offers(wire) == {"AUTH=SCRAM-SHA-256"}
        assert Scram("alice", "pass", "sha256", "y").run(wire, "SCRAM-SHA-256").startswith(b"OK")
