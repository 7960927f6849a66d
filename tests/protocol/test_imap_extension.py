# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another plugin adds a command and a capability to IMAP (imap/1), and takes them away again."""

import shutil
import subprocess

import pytest

from rookery_harness import BUILD, SOURCE, Server, programs
from rookery_wire import ImapWire


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    module = tmp_path_factory.mktemp("module") / "imap-extra.so"
    makefile = (BUILD / "Makefile").read_text().splitlines()
    flags = next(line.split("=", 1)[1].split() for line in makefile if line.startswith("ROOK_LDFLAGS ="))
    compiler = next(line.split("=", 1)[1].split() for line in makefile if line.startswith("CC ="))
    glib = subprocess.run(["pkg-config", "--cflags", "glib-2.0", "gmodule-2.0"], capture_output=True, text=True, check=True)
    done = subprocess.run([*compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
                           "-o", str(module), str(SOURCE / "tests/protocol/modules/imap-extra.c"),
                           f"-I{SOURCE}/core/include", f"-I{SOURCE}/plugins", *glib.stdout.split(),
                           *(flag for flag in flags if flag.startswith("-fsanitize"))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Server() as one:
        one.stop()
        plugins = one.directory / "plugins"
        shutil.copytree(programs() / "plugins" / ".libs", plugins, ignore=shutil.ignore_patterns("*.la*", "*.o"))
        shutil.copy(module, plugins / module.name)
        (plugins / module.name).chmod(0o644)
        one.settings_of_test = {"server": {"plugin-directory": plugins}, "plugin imap-extra": {}}
        one.configure(one.settings_of_test)
        one.start()
        yield one


def capabilities(wire):
    return wire.ok("CAPABILITY")[0].split()


def test_command_and_capability_are_there(imap):
    wire = imap(None)
    assert b"XECHO" not in capabilities(wire)
    assert wire.command("XECHO x")[1] == b"BAD Log in first"
    wire.login()
    assert b"XECHO" in capabilities(wire)
    assert wire.command("xecho {3}", (b"a b", "")) == ([b'* XECHO "a b"'], b"OK [XDONE] Echoed")
    assert wire.command("XECHO")[1] == b"BAD Missing argument"
    assert wire.command("XECHO a b")[1].startswith(b"BAD ")


def test_a_client_that_has_gone_meanwhile_harms_nobody(imap):
    for _ in range(20):
        wire = imap()
        wire.begin("XECHO x")
        wire.close()
    imap().ok("XECHO x")


def test_both_go_with_their_plugin(server, imap):
    wire = imap()
    wire.ok("XECHO x")
    server.reload({**server.settings_of_test, "plugin imap-extra": None})
    assert b"XECHO" not in capabilities(wire)
    assert wire.command("XECHO x")[1] == b"BAD Unknown command"
    wire.ok("NOOP")
    server.reload(server.settings_of_test)
    wire.ok("XECHO x")
