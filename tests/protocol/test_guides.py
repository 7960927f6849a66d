# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the guides show is tried: the plugin in doc/plugin-guide.md is built as it stands there, and does what it says."""

import re

import pytest
from rookery_harness import SOURCE, Server
from rookery_wire import ImapWire


@pytest.fixture
def server(tmp_path):
    text = (SOURCE / "doc" / "plugin-guide.md").read_text()
    source = tmp_path / "mark.c"
    source.write_text(re.search(r"^```c\n(.*?)^```$", text, re.M | re.S).group(1))
    name, senders = re.search(r"^    \[plugin mark\]\n    (\w+)=(.*)$", text, re.M).groups()
    one = Server()
    modules = one.add_module("mark", source)
    one.configure({"server": {"plugin-directory": modules}, "plugin mark": {name: senders}})
    with one:
        yield one


def test_plugin_of_the_guide_flags_what_it_says(server):
    server.deliver("Subject: one\n\nx\n", sender="chief@example.net")
    server.deliver("Subject: two\n\nx\n", sender="other@example.net")
    with ImapWire(server.port("imap")) as wire:
        wire.login("alice")
        wire.ok("SELECT INBOX")
        found = wire.ok("SEARCH FLAGGED")
        assert b"* SEARCH 1" in found
