# SPDX-License-Identifier: LGPL-2.1-or-later
"""scripts/quickstart as somebody new meets it: started, read to its end, each printed command pasted, Ctrl-C."""

import os
import re
import shlex
import signal
import subprocess
import time
import uuid
from pathlib import Path

from rookery_harness import SLOW, SOURCE, free_port

PORTS = ("ROOKERY_IMAP_PORT", "ROOKERY_IMAPS_PORT", "ROOKERY_LMTP_PORT")
SAMPLES = len(list((SOURCE / "data" / "messages").glob("*.eml")))


def new_ports():
    return {name: str(free_port()) for name in PORTS}


def hear_ctrl_c():
    """As in a terminal: one who starts us in the background may have left SIGINT ignored, and a shell can't undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Quickstart:
    """A running demo. `within`: a command in front of whatever is typed, say nsenter to get into another root."""

    def __init__(self, command, environment, within=()):
        self.within = list(within)
        self.process = subprocess.Popen([*self.within, *command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=environment, start_new_session=True,
                                        preexec_fn=hear_ctrl_c)
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C stops it" in line:
                break
        else:
            self.process.wait(timeout=40 * SLOW)
            raise AssertionError(self.output)

    def commands(self):
        """Every command line that it printed."""
        return re.findall(r"^  ([^#\s].*)$", self.output[self.output.index("Ready."):], re.M)

    def paste(self, line, **options):
        return subprocess.run([*self.within, "bash", "-c", line], capture_output=True, text=True, timeout=120 * SLOW, **options)

    def stop(self):
        """Ctrl-C. One who goes into another root waits there for a child, and would not pass the signal on."""
        pid = self.process.pid
        if self.within:
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        os.kill(pid, signal.SIGINT)
        rest, _ = self.process.communicate(timeout=40 * SLOW)
        self.output += rest
        return self.process.returncode

    def check_commands(self):
        """Pastes each command, in their order, and looks at what it does."""
        checks = [
            (r"curl .* -X 'FETCH", self.check_list), (r"curl .*MAILINDEX=1", self.check_first),
            (r"openssl s_client ", self.check_by_hand), (r"swaks ", self.check_delivery), (r"mutt ", self.check_mutt),
            (r"\S*rookctl .* status$", self.check_status), (r"echo \w+ \| \S*rookctl .* user add ", self.check_user),
        ]
        self.listing = next(line for line in self.commands() if re.match(checks[0][0], line))
        done = set()
        for line in self.commands():
            kind, check = next((kind, check) for kind, check in checks if re.match(kind, line))
            check(line)
            done.add(kind)
        assert done == {kind for kind, _ in checks}

    def count(self, line=None):
        """How many messages the first command shows."""
        listing = self.paste(line or next(one for one in self.commands() if "-X 'FETCH" in one))
        assert listing.returncode == 0, listing.stderr
        return listing.stdout.count(" FETCH (")

    def check_list(self, line):
        assert self.count(line) == SAMPLES

    def check_first(self, line):
        message = self.paste(line)
        assert message.returncode == 0 and "Subject: " in message.stdout, message

    def check_by_hand(self, line):
        spoken = self.paste(line, input="a LOGIN alice pass\nb LOGOUT\n")
        assert "a OK" in spoken.stdout, spoken

    def check_delivery(self, line):
        before = self.count()
        delivered = self.paste(line)
        assert delivered.returncode == 0, delivered.stdout
        assert self.count() == before + 1

    def check_status(self, line):
        status = self.paste(line)
        assert status.returncode == 0 and "  imap: running\n" in status.stdout, status

    def check_user(self, line):
        added = self.paste(line)
        assert added.returncode == 0, added.stderr
        name, password = line.split()[-1], line.split()[1]
        as_other = self.listing.replace("alice:pass", f"{name}:{password}")
        assert self.paste(re.sub(r"/INBOX.*", "/", as_other)).returncode == 0

    def check_mutt(self, line):
        """Needs a terminal: tmux has one."""
        name = f"rook-{uuid.uuid4().hex[:8]}"

        def tmux(*arguments):
            return subprocess.run(["tmux", "-L", name, "-f", "/dev/null", *arguments], capture_output=True, text=True,
                                  timeout=120 * SLOW)

        try:
            reader = shlex.join([*self.within, "env", "TERM=screen", "bash", "-c", line])
            begun = tmux("new-session", "-d", "-x", "120", "-y", "30", reader)
            assert begun.returncode == 0, begun
            deadline, screen = time.monotonic() + 30 * SLOW, ""
            while "one more" not in screen:
                assert time.monotonic() < deadline, screen
                screen = tmux("capture-pane", "-p").stdout
                time.sleep(0.05)
        finally:
            tmux("kill-server")
