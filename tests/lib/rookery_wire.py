# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lines over a real socket, byte for byte: what protocol tests write and read.

Wire knows no protocol; ImapWire knows tags and literals, and no more. Scram logs in by it.
"""

import base64
import hashlib
import hmac
import os
import re
import socket
import ssl

SLOW = float(os.environ.get("ROOKERY_SLOW", "1"))
TIMEOUT = 20


class Wire:
    """A connection to a port of 127.0.0.1, a UNIX socket (a path), or (address, port)."""

    def __init__(self, where, tls=None, timeout=TIMEOUT, server_name="localhost"):
        self.timeout = timeout * SLOW
        if isinstance(where, int):
            where = ("127.0.0.1", where)
        if isinstance(where, tuple):
            self.socket = socket.create_connection(where, timeout=self.timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(self.timeout)
            self.socket.connect(str(where))
        self.buffer = b""
        if tls:
            self.start_tls(tls, server_name)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        self.socket.close()

    def start_tls(self, certificate, server_name="localhost", **options):
        """From here on under TLS; the peer must show `certificate` (a path, or an SSLContext)."""
        if self.buffer:
            raise AssertionError(f"unread before TLS: {self.buffer!r}")
        context = certificate
        if not isinstance(context, ssl.SSLContext):
            context = ssl.create_default_context(cafile=str(certificate))
        self.socket = context.wrap_socket(self.socket, server_hostname=server_name, **options)

    def send(self, data):
        """Bytes as they are; a str is ASCII and gets CRLF."""
        self.socket.sendall(data if isinstance(data, bytes) else data.encode() + b"\r\n")

    def fill(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def read(self, count):
        """Exactly so many bytes."""
        while len(self.buffer) < count:
            if not self.fill():
                raise EOFError(f"closed after {self.buffer!r}")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def line(self):
        """One line, without its CRLF, which it must have."""
        while b"\n" not in self.buffer:
            if not self.fill():
                raise EOFError(f"closed after {self.buffer!r}")
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"bare LF after {line!r}"
        return line[:-1]

    def expect(self, pattern):
        """The next line must match the whole of `pattern` (bytes: equal, str: a regular expression)."""
        line = self.line()
        if isinstance(pattern, bytes):
            assert line == pattern
            return line
        match = re.fullmatch(pattern, line.decode("utf-8", "surrogateescape"), re.S)
        assert match, f"{line!r} is not like {pattern!r}"
        return match

    def expect_close(self):
        """The peer closes, saying nothing more."""
        try:
            while self.fill():
                pass
        except (ConnectionResetError, ssl.SSLError):
            pass
        assert not self.buffer, f"still said {self.buffer!r}"

    def silent(self, seconds=0.3):
        """Whether nothing comes for so long, not even the end."""
        self.socket.settimeout(seconds)
        try:
            if not self.buffer:
                self.fill()
            return False
        except (socket.timeout, ssl.SSLWantReadError):
            return True
        finally:
            self.socket.settimeout(self.timeout)


class ImapWire(Wire):
    """Whole responses with their literals, and commands by tag."""

    def __init__(self, where, greeting=True, **options):
        super().__init__(where, **options)
        self.number = 0
        self.greeting = self.response() if greeting else None

    def response(self):
        """One response line, any literals in it included as they came: b'... {3}\\r\\nabc ...'."""
        whole = b""
        while True:
            line = self.line()
            whole += line
            literal = re.search(rb"\{(\d+)\}$", line)
            if not literal:
                return whole
            whole += b"\r\n" + self.read(int(literal.group(1)))

    def finish(self, tag):
        """Reads to the tagged response of `tag`. Returns (untagged responses, tagged response without the tag)."""
        untagged = []
        while True:
            response = self.response()
            if response.startswith(tag.encode() + b" "):
                return untagged, response[len(tag) + 1:]
            untagged.append(response)

    def next_tag(self):
        self.number += 1
        return f"a{self.number}"

    def begin(self, command):
        """Sends a command and does not wait. Returns its tag."""
        tag = self.next_tag()
        self.send(tag.encode() + b" " + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return tag

    def command(self, command, *literals):
        """A command; after each literal announced in it (`{n}` at the end of a part) comes the next of `literals` as
        (bytes, rest-of-line). Returns (untagged, tagged)."""
        tag = self.begin(command)
        untagged = []
        for data, rest in literals:
            while True:
                response = self.response()
                if response.startswith(b"+"):
                    break
                if response.startswith(tag.encode() + b" "):
                    return untagged, response[len(tag) + 1:]
                untagged.append(response)
            self.send(data + (rest if isinstance(rest, bytes) else rest.encode()) + b"\r\n")
        more, tagged = self.finish(tag)
        return untagged + more, tagged

    def ok(self, command, *literals):
        """The same, and it must be OK. Returns the untagged responses."""
        untagged, tagged = self.command(command, *literals)
        assert tagged.startswith(b"OK"), f"{command!r}: {tagged!r}"
        return untagged

    def login(self, user="alice", password="pass"):
        self.ok(f"LOGIN {user} {password}")
        return self

    def append(self, mailbox, message, arguments=""):
        """APPEND; returns the tagged response."""
        head = f"APPEND {mailbox} {arguments + ' ' if arguments else ''}{{{len(message)}}}"
        return self.command(head, (message, b""))[1]


class Scram:
    """A client of RFC 5802 and 7677, written down here so that the server is not tested with its own library.

    `flag` is how it says that it is bound: "n", "y", or "p=KIND", with the data of that kind in `binding`.
    """

    def __init__(self, user, password, digest, flag="n", binding=b""):
        self.password, self.digest = password.encode(), digest
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r=fyko+d2lbbFgONRv9qkxdawL"
        self.header, self.binding = f"{flag},,".encode(), binding

    def first(self):
        return base64.b64encode(self.header + self.bare.encode()).decode()

    def hmac(self, key, text):
        return hmac.new(key, text, self.digest).digest()

    def final(self, challenge):
        server = base64.b64decode(challenge).decode()
        fields = dict(part.split("=", 1) for part in server.split(","))
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        key = self.hmac(salted, b"Client Key")
        without_proof = f"c={base64.b64encode(self.header + self.binding).decode()},r={fields['r']}"
        message = f"{self.bare},{server},{without_proof}".encode()
        signature = self.hmac(hashlib.new(self.digest, key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.expected = base64.b64encode(self.hmac(self.hmac(salted, b"Server Key"), message)).decode()
        return base64.b64encode(f"{without_proof},p={base64.b64encode(proof).decode()}".encode()).decode()

    def run(self, wire, mechanism):
        """Returns the tagged answer, without its tag."""
        tag = wire.begin(f"AUTHENTICATE {mechanism} {self.first()}")
        line = wire.response()
        if line.startswith(b"+ "):
            wire.send(self.final(line[2:]))
            line = wire.response()
        if line.startswith(b"+ "):
            assert base64.b64decode(line[2:]).decode() == f"v={self.expected}"
            wire.send("")
            return wire.finish(tag)[1]
        return line.split(b" ", 1)[1]
