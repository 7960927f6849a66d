# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plugins switched off and on under load: clients that come and go, the switch itself, and what a leak would show."""

import re
import socket
import threading
from pathlib import Path

from rookery_harness import SANITIZED, SLOW
from rookery_wire import Wire


def control(server, request):
    """One request on the control socket, without a process for it: a thousand rounds want to be quick."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(40 * SLOW)
        client.connect(str(server.run_directory / "control.sock"))
        client.sendall(request + b"\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
    answer = re.sub(rb"\A(progress .*\n)*", b"", answer)
    assert answer.startswith(b"ok"), answer
    return answer


class Load:
    """Clients of a port that come, say something and go, whether it is there or not, until stopped."""

    def __init__(self, port, talk, threads=2):
        self.port, self.talk, self.stopping, self.talks, self.errors = port, talk, False, 0, []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *ignored):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def run(self):
        while not self.stopping:
            try:
                with Wire(self.port) as wire:
                    self.talk(wire)
                    self.talks += 1
            except (ConnectionError, EOFError):
                pass  # switched off now, or in mid-talk
            except Exception as error:  # noqa: BLE001: told at the end
                self.errors.append(error)


def expect(wire, pattern):
    """The next line is like `pattern`, unless the plugin goes just now."""
    line = wire.line()
    if line.startswith(b"* BYE"):
        raise EOFError
    assert re.fullmatch(pattern, line), f"{line} is not like {pattern}"


def talk_notify(wire):
    expect(wire, rb"\+OK .*")
    wire.send(b"WATCH\r\nPING\r\nUNWATCH\r\n")
    for _ in range(3):
        expect(wire, rb"\+OK")


def talk_imap(wire):
    expect(wire, rb"\* OK .*")
    for number in range(3):
        wire.send(f"a{number} NOOP")
        expect(wire, b"a%d OK .*" % number)


def measure(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    maps = Path(f"/proc/{server.process.pid}/maps").read_text().splitlines()
    return {
        "descriptors": server.open_descriptors(),
        "threads": int(re.search(r"^Threads:\s+(\d+)", status, re.M).group(1)),
        "libraries": sum(".so" in line for line in maps),
        "memory": int(re.search(r"^RssAnon:\s+(\d+)", status, re.M).group(1)),
    }


def settle(server, load_port, talk):
    """The same state each time: on, and used once. Pool threads end by themselves after a while."""
    with Wire(load_port) as wire:
        talk(wire)
    control(server, b"status")
    return measure(server)


def toggle(server, on, off, rounds):
    for _ in range(rounds):
        server.configure(off)
        control(server, b"reload")
        server.configure(on)
        control(server, b"reload")


def check_leaks(before, after):
    assert after["libraries"] == before["libraries"]
    assert after["threads"] <= before["threads"] + 2, (before, after)  # of the pool, which come and go
    assert after["descriptors"] <= before["descriptors"] + 3, (before, after)
    if not SANITIZED:
        assert after["memory"] - before["memory"] < 1500, (before, after)  # KiB
