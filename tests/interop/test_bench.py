# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benchmarks, in small: that they run, not what they measure."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from rookery_harness import BUILD, SANITIZED, SLOW, SOURCE, UNPRIVILEGED, child_environment, free_port, programs, run_quietly
from rookery_wire import ImapWire


def environment():
    names = ("IMAP_PORT", "IMAPS_PORT", "LMTP_PORT", "POP3_PORT", "NNTP_PORT")
    ports = {name: str(free_port()) for name in names}
    return dict(os.environ, ROOKERY_BUILD_DIR=str(BUILD), USERS="3", **ports)


class Script:
    """bench/rookery.sh in a directory of `user` (None: whoever runs the tests)."""

    def __init__(self, user=None):
        self.settings = environment()
        self.base = Path(tempfile.mkdtemp(prefix="rook-bench-"))
        self.directory = self.base / "server"
        self.options = {}
        if user:
            # Neither checkout nor build directory need be in that user's reach.
            self.options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
            self.settings["ROOKERY_BUILD_DIR"] = str(programs())
            os.chown(self.base, pwd.getpwnam(user).pw_uid, -1)
        self.script = shutil.copy(SOURCE / "bench" / "rookery.sh", self.base)
        os.chmod(self.script, 0o755)
        os.chmod(self.base, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.run("stop")
        shutil.rmtree(self.base)

    def try_run(self, verb):
        """The finished script. What it says goes to a file, since the server keeps what it is given."""
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run([self.script, verb, str(self.directory)], env=self.settings, timeout=120 * SLOW, cwd="/",
                                  stdout=output, stderr=subprocess.STDOUT, **self.options)
            output.seek(0)
            return done.returncode, output.read()

    def run(self, verb):
        status, output = self.try_run(verb)
        assert status == 0, output

    def ctl(self, *words, **options):
        run_quietly(str(BUILD / "rookctl"), "--socket", str(self.directory / "run" / "control.sock"), *words,
                    env=child_environment(), **options)

    def open(self):
        return ImapWire(int(self.settings["IMAP_PORT"]))

    def pid(self):
        return int((self.directory / "pid").read_text())


@pytest.fixture(params=[None, *([UNPRIVILEGED] if os.geteuid() == 0 else [])], ids=lambda user: user or "self")
def script(request):
    with Script(request.param) as one:
        yield one


def test_server_script_keeps_the_mail(script):
    names = ("IMAP_PORT", "IMAPS_PORT", "LMTP_PORT")
    for number in range(2):
        script.run("start")
        assert (script.directory / "ports").read_text() == "".join(f"{name}={script.settings[name]}\n" for name in names)
        with script.open() as wire:
            wire.login("user0003")
            wire.append("INBOX", b"Subject: kept\r\n\r\n")
            assert b"* %d EXISTS" % (number + 1) in wire.ok("SELECT INBOX")
        script.run("stop")
        assert not (script.directory / "pid").exists()
    script.settings["USERS"] = "4"
    script.run("start")
    with script.open() as wire:
        wire.login("user0004")


def test_server_script_starts_a_server_that_can_be_administered(script):
    script.run("start")
    script.ctl("reload")
    script.ctl("user", "add", "newcomer", input=b"pass\n")
    with script.open() as wire:
        wire.login("newcomer")
    with script.open() as wire:
        wire.login("admin")
    # Whoever measures need not be who started it.
    for name in ("pid", "ports", "cert.pem"):
        assert (script.directory / name).stat().st_mode & 0o444 == 0o444
    for name in ("state", "spool", "run", "key.pem", "state/sasldb2"):
        assert (script.directory / name).stat().st_mode & 0o077 == 0


def test_server_script_runs_one_server_in_a_directory(script):
    script.run("start")
    first = script.pid()
    ports = (script.directory / "ports").read_text()
    served = script.settings
    script.settings = {**served, **{name: str(free_port()) for name in ("IMAP_PORT", "IMAPS_PORT", "LMTP_PORT")}}
    status, output = script.try_run("start")
    assert status == 1
    assert f"already running in {script.directory} (process {first})" in output
    assert script.pid() == first
    assert (script.directory / "ports").read_text() == ports
    script.run("stop")
    with pytest.raises(ConnectionRefusedError):
        ImapWire(int(served["IMAP_PORT"]))
    script.run("start")
    assert script.pid() != first


def test_server_script_does_not_stop_what_is_not_its_own(script):
    script.run("start")
    script.run("stop")
    with subprocess.Popen(["sleep", "600"], **script.options) as other:
        (script.directory / "pid").write_text(f"{other.pid}\n")
        script.run("stop")
        assert other.poll() is None
        other.kill()
    assert not (script.directory / "pid").exists()


# What a busy machine measures must decide neither: nothing is a thousand times slower, nothing a thousand times faster.
@pytest.mark.parametrize("options, status, mark", [((), 0, ""), (("--threshold", "1000"), 0, ""),
                                                   (("--threshold", "0.001"), 1, "  too much")])
def test_idle_measures_and_holds_the_ratio_against_the_threshold(options, status, mark):
    done = subprocess.run([str(SOURCE / "bench" / "idle"), *options, "50", "200", "1"], env=environment(),
                          capture_output=True, text=True, timeout=120 * SLOW)
    for command in ("NOOP", "FETCH 1 FLAGS"):
        for column in ("median us", "p99 us"):
            assert re.search(rf"^{command} +{column} +[\d.]+ +[\d.]+ +[\d.]+{mark}$", done.stdout, re.M), done.stdout
    # Wake-ups aside, which are few enough here to be anything.
    assert done.returncode == status or "wake-ups" in next(line for line in done.stdout.splitlines() if "too much" in line)


def test_further_lines_say_again_what_the_script_says(script):
    script.settings["ROOKERY_EXTRA"] = "[limits]\nconnections-per-user=1\n"
    script.run("start")
    with script.open() as first, script.open() as second:
        first.login("user0001")
        assert not second.command("LOGIN user0001 pass")[1].startswith(b"OK")


def test_large_fills_and_opens():
    done = subprocess.run([str(SOURCE / "bench" / "large"), "--warm", "2000", "1"], env=environment(), timeout=300 * SLOW,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^start [\d.]+ s  cold [\d.]+ ms  warm [\d.]+ ms  change [\d.]+ ms  private memory \d+ MB$", done.stdout, re.M)
    assert "2000 messages" in done.stderr


def test_store_measures_the_bare_store(tmp_path):
    run_quietly("make", "-s", "-C", str(BUILD), "bench/store")
    program = str(BUILD / "bench" / "store")
    speed = run_quietly(program, "speed", str(tmp_path), "0.05", "1", timeout=120 * SLOW).decode()
    for work in ("delivery of 4 KiB", "flag patch"):
        for clients in (1, 8, 20, 100):
            assert re.search(rf"^{work} +{clients}( +[\d.]+){{5}}$", speed, re.M), speed
    compacted = run_quietly(program, "compact", str(tmp_path), "4", "1", "2", timeout=120 * SLOW).decode()
    for line in (r"before +\d+ deliveries/s; a commit took: median [\d.]+ ms, .*", r"compacting +\d+ deliveries/s; .*",
                 r"the longest that commits were held up by a slice of compaction: [\d.]+ ms"):
        assert re.search(f"^{line}$", compacted, re.M), compacted
    restarted = run_quietly(program, "restart", str(tmp_path), "0.2", "1", timeout=120 * SLOW).decode()
    assert re.search(r"^medians: \d+ ms, \d+ ms of the processor; the longest: \d+ ms, \d+ ms$", restarted, re.M), restarted
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first itself")
def test_locks_are_measured():
    done = subprocess.run([str(SOURCE / "bench" / "locks"), "300", "1"], env=environment(), timeout=300 * SLOW,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    held = re.findall(r"^ +(\d+) us +(\d+) +(\d+)$", done.stdout, re.M)
    assert len(held) == 24
    assert sum(int(own) for _, own, _ in held) == sum(int(clock) for _, _, clock in held) > 1000


def test_many_mailboxes_are_made_opened_and_listed():
    done = subprocess.run([str(SOURCE / "bench" / "many"), "40", "3", "8"], env=environment(), timeout=300 * SLOW,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made 40 mailboxes of 3 messages" in done.stdout
    assert re.search(r"^opened 8 in [\d.]+ s: \d+ MB private$", done.stdout, re.M), done.stdout
    assert "listed 56 in" in done.stdout  # 40, and INBOX and the source of eight users
