# SPDX-License-Identifier: LGPL-2.1-or-later
"""[tls NAME] chosen by the name that a client asks for: not the certificate alone, but all that the group says."""

import ssl

import pytest

from rookery_harness import Server, make_certificate
from rookery_wire import ImapWire


@pytest.fixture(scope="module")
def server():
    one = Server()
    certificate, key = make_certificate(one.directory, "strict.example", names=("strict.example", "*.strict.example"))
    one.prepare()  # whose files they are from then on
    one.strict = certificate
    one.configure({"tls strict": {"certificate": certificate, "private-key": key, "min-version": "TLSv1.3",
                                  "session-tickets": False, "cipher-suites": "TLS_AES_128_GCM_SHA256"},
                   "tls": {"cipher-suites": "TLS_AES_256_GCM_SHA384"}})
    with one:
        yield one


def context(certificate, **attributes):
    made = ssl.create_default_context(cafile=str(certificate))
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def connect(server, name, certificate, **attributes):
    return ImapWire(server.port("imaps"), tls=context(certificate, **attributes), server_name=name)


@pytest.mark.parametrize("name", ["strict.example", "a.strict.example", "STRICT.example"])
def test_group_decides_on_the_version(server, name):
    with connect(server, name, server.strict) as wire:
        assert wire.socket.version() == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(server, name, server.strict, maximum_version=ssl.TLSVersion.TLSv1_2)
    with connect(server, "localhost", server.certificate, maximum_version=ssl.TLSVersion.TLSv1_2) as wire:
        assert wire.socket.version() == "TLSv1.2"


def test_group_decides_on_the_cipher_suite(server):
    with connect(server, "strict.example", server.strict) as wire:
        assert wire.socket.cipher()[0] == "TLS_AES_128_GCM_SHA256"
    with connect(server, "localhost", server.certificate) as wire:
        assert wire.socket.cipher()[0] == "TLS_AES_256_GCM_SHA384"


def test_group_decides_on_tickets(server):
    with connect(server, "strict.example", server.strict) as wire:
        wire.ok("NOOP")
        assert wire.socket.session is None or not wire.socket.session.has_ticket
    with connect(server, "localhost", server.certificate) as wire:
        wire.ok("NOOP")
        assert wire.socket.session.has_ticket


def test_unknown_and_missing_names_get_the_listeners_own(server):
    for name in ("elsewhere.example", None):
        made = context(server.certificate, check_hostname=False)
        with ImapWire(server.port("imaps"), tls=made, server_name=name) as wire:
            assert wire.socket.cipher()[0] == "TLS_AES_256_GCM_SHA384"
