# SPDX-License-Identifier: LGPL-2.1-or-later
"""A rookeryd of the build directory for one test or a module of tests.

Starts it on free loopback ports with a configuration, a certificate and users of its own in a scratch directory, and
at the end insists that it stops cleanly: exit status 0 on SIGTERM, no sanitizer report and no critical warning.
What a protocol says is not known here; see rookery_wire.py for reading and writing lines.

Run by root, as in CI, the harness starts the server as the user nobody (and not as root that drops its rights, for the
leak sanitizer cannot look at such a process); Server(as_root=True) is for the tests that are about just that.

    server = Server(config={"limits": {"line": "1K"}, "listener lmtp": None})
    with server:
        server.port("imap"), server.path("lmtp"), server.ctl("status"), server.reload({"log": {"level": "debug"}})

Environment: ROOKERY_BUILD_DIR (default: build/ in the source tree), ROOKERY_SLOW (factor on every deadline, for
sanitizers and valgrind), ROOKERY_KEEP (leave the scratch directories), ROOKERY_WRAPPER (a command before rookeryd).
"""

import atexit
import errno
import fcntl
import functools
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("ROOKERY_BUILD_DIR", SOURCE / "build")).resolve()
SLOW = float(os.environ.get("ROOKERY_SLOW", "1"))
# A sanitizer keeps what is freed and takes its time: what is measured in memory, or by the thousand, is for other builds.
SANITIZED = "define ROOK_SANITIZED 1" in (BUILD / "config.h").read_text() if (BUILD / "config.h").exists() else False
LIB = SOURCE / "tests" / "lib"
PASSWORD = "pass"
USERS = ("alice", "bob", "carol", "admin")
REALM = "example.org"
UNPRIVILEGED = "nobody"

# What no run may leave on standard error.
BAD_OUTPUT = re.compile(
    r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: |\bCRITICAL \*\*|-CRITICAL\b"
    r"|GLib(-\w+)?-WARNING|Bail out!|\bassertion .* failed|stack smashing detected")


class HarnessError(AssertionError):
    """The server did not do what every test relies on."""


PORTS = range(12000, 32000)  # below those that the system gives to clients (net.ipv4.ip_local_port_range)


def next_port():
    """Each in its turn, over all processes that test on this machine at the time."""
    with open(Path(tempfile.gettempdir()) / f"rookery-test-ports-{os.geteuid()}", "a+", encoding="ascii") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)
        counter.seek(0)
        last = counter.read().strip()
        port = int(last) + 1 if last.isdigit() and int(last) + 1 in PORTS else PORTS[os.getpid() % len(PORTS)]
        counter.truncate(0)
        counter.write(str(port))
        return port


def free_port(family=socket.AF_INET, address="127.0.0.1"):
    """A TCP port that nobody uses now, and that nobody else is given soon."""
    for _ in PORTS:
        port = next_port()
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
    raise HarnessError("no port is free")


def make_certificate(directory, name="localhost", names=("localhost", "127.0.0.1", "::1")):
    """A self-signed certificate, its own authority. Returns the paths of certificate and key."""
    certificate, key = Path(directory) / f"{name}.crt", Path(directory) / f"{name}.key"
    alternatives = ",".join(("IP:" if re.fullmatch(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:]*", n) else "DNS:") + n for n in names)
    run_quietly("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternatives}", "-days", "30",
                "-keyout", str(key), "-out", str(certificate))
    key.chmod(0o600)
    return certificate, key


@functools.cache
def made_once():
    """A folder for what servers of this process begin with, and would each take a dozen processes to make."""
    folder = Path(tempfile.mkdtemp(prefix="rook-made-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def first_certificate():
    """Of every server: certificate and key, to copy."""
    return make_certificate(made_once())


@functools.cache
def first_sasldb(users):
    """The password file, to copy, of servers with these users."""
    path = made_once() / f"sasldb2-{first_sasldb.cache_info().currsize}"
    for user in users:
        set_password(path, user, PASSWORD, REALM)
    return path


def set_password(sasldb, user, password, realm):
    run_quietly("/usr/sbin/saslpasswd2", "-p", "-c", "-f", str(sasldb), "-u", realm, user, input=password.encode())
    sasldb.chmod(0o600)


def run_quietly(*command, **options):
    """Runs a tool that must succeed; what it said is in the error if it does not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        raise HarnessError(f"{shlex.join(command)}: status {done.returncode}\n{done.stdout.decode(errors='replace')}")
    return done.stdout


def built(*names):
    """The first of these files of the build directory that exists."""
    for name in names:
        if (BUILD / name).exists():
            return BUILD / name
    raise HarnessError(f"{BUILD} has no {names[0]}: build first, or set ROOKERY_BUILD_DIR")


@functools.cache
def programs():
    """The folder from which nobody can run rookeryd: the build directory, or a copy if that is out of reach."""
    built(".libs/rookeryd", "rookeryd")
    if os.geteuid() != 0 or subprocess.run(
            ["setpriv", "--reuid", UNPRIVILEGED, "--clear-groups", "test", "-r", str(BUILD / "core/.libs/librookery-core.so")]
    ).returncode == 0:
        return BUILD
    copy = Path(tempfile.mkdtemp(prefix="rook-programs-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    for folder in (".libs", "core/.libs", "plugins/.libs"):
        (copy / folder).mkdir(parents=True)
        for pattern in ("rookeryd", "*.so", "*.so.*"):
            for source in (BUILD / folder).glob(pattern):
                shutil.copy2(source, copy / folder / source.name)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)
    return copy


def build_module(name, directory, source=None):
    """Compiles `source` (default: tests/protocol/modules/NAME.c), with the sanitizers that the build has, to a module in
    `directory`."""
    makefile = dict(line.split(" = ", 1) for line in (BUILD / "Makefile").read_text().splitlines() if " = " in line)
    flags = [flag for flag in makefile["ROOK_LDFLAGS"].split() if flag.startswith("-fsanitize")]
    glib = subprocess.run(["pkg-config", "--cflags", "glib-2.0", "gmodule-2.0"], capture_output=True, text=True, check=True)
    module = Path(directory) / f"{name}.so"
    run_quietly(*makefile["CC"].split(), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                "-fvisibility=hidden", "-o", str(module), str(source or SOURCE / f"tests/protocol/modules/{name}.c"),
                f"-I{SOURCE}/core/include", f"-I{SOURCE}/plugins", *glib.stdout.split(), *flags)
    module.chmod(0o644)
    return module


def wait_until(condition):
    deadline = time.monotonic() + 30 * SLOW
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def child_environment(extra=()):
    """For programs of the build directory: the built library first, sanitizers strict."""
    environment = dict(os.environ)
    libraries = [str(programs() / "core" / ".libs"), environment.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = ":".join(part for part in libraries if part)
    options = {  # intercept_tls_get_addr: see run-tap
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:handle_abort=1:intercept_tls_get_addr=0",
        "LSAN_OPTIONS": f"suppressions={LIB / 'lsan.supp'}:print_suppressions=0",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "TSAN_OPTIONS": f"suppressions={LIB / 'tsan.supp'}:intercept_tls_get_addr=0",
    }
    for name, value in options.items():
        environment[name] = ":".join(part for part in (value, environment.get(name)) if part)
    # GLib's slices pass memory between threads in a way that the thread sanitizer does not see.
    environment["G_SLICE"] = "always-malloc"
    environment.pop("NOTIFY_SOCKET", None)
    environment.update(extra)
    return environment


def merge(base, changes):
    """Groups of settings, changed: a group or a key set to None goes."""
    merged = {group: dict(keys) for group, keys in base.items()}
    for group, keys in (changes or {}).items():
        if keys is None:
            merged.pop(group, None)
            continue
        settings = merged.setdefault(group, {})
        for key, value in keys.items():
            if value is None:
                settings.pop(key, None)
            else:
                settings[key] = value
    return merged


def write_config(path, groups):
    """Writes them as a key file; lists become `a;b`, booleans `true` or `false`."""
    def text(value):
        if isinstance(value, bool):
            return "true" if value else "false"
        return ";".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

    lines = []
    for group, keys in groups.items():
        lines += [f"[{group}]"] + [f"{key}={text(value)}" for key, value in keys.items()] + [""]
    Path(path).write_text("\n".join(lines))


class Server:
    """One rookeryd. `config` changes the default settings (see merge()); `users` get PASSWORD."""

    def __init__(self, config=None, users=USERS, environment=None, plugins=None, as_root=False, sockets=(), **popen):
        # Paths of UNIX sockets must be short, and reachable for nobody, which pytest's are not.
        self.directory = Path(tempfile.mkdtemp(prefix="rook-"))
        self.run_directory = Path(tempfile.mkdtemp(prefix="rook-run-"))
        self.state_directory = self.directory / "state"
        self.spool = self.directory / "spool"
        self.config_path = self.directory / "rookery.conf"
        self.log_path = self.directory / "rookeryd.stderr"
        self.sasldb = self.directory / "sasldb2"
        self.users = users
        self.environment = dict(environment or {})
        self.popen = popen
        self.as_root = as_root
        self.sockets = list(sockets)  # (name, listening socket), handed over as systemd does
        self.user = UNPRIVILEGED if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0 and not as_root:
            self.popen = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": [], **popen}
        self.plugins = plugins
        self.process = None
        self.changes = config
        self.prepared = False
        self.ports = {name: free_port() for name in ("imap", "imaps")}

    # --- settings

    def default_config(self):
        """Everything on loopback; plain text is allowed there, since most tests are not about TLS."""
        groups = {
            "server": {
                "state-directory": self.state_directory, "run-directory": self.run_directory,
                "plugin-directory": programs() / "plugins" / ".libs", "user": self.user, "workers": 2,
                # Else the process may not be looked at, not even by its own leak sanitizer.
                "core-dumps": True,
            },
            "partition default": {"path": self.spool},
            "mailbox": {"autocreate": "delivery"},
            "tls": {"certificate": self.certificate, "private-key": self.key},
            "auth": {
                "backend": "sasldb", "sasldb-path": self.sasldb, "default-realm": REALM, "admins": ["admin"],
                "allow-plaintext-on-loopback": True,
            },
        }
        plugins = self.plugins
        if plugins is None:
            plugins = [name for name in ("storage-gdbm", "imap", "lmtp") if (BUILD / f"plugins/{name}.la").exists()]
        for name in plugins:
            groups[f"plugin {name}"] = {}
        if "imap" in plugins:
            for name, tls in (("imap", "starttls"), ("imaps", "implicit")):
                groups[f"listener {name}"] = {
                    "protocol": "imap", "address": f"127.0.0.1:{self.ports[name]}", "tls": tls}
        if "lmtp" in plugins:
            groups["listener lmtp"] = {
                "protocol": "lmtp", "address": self.path("lmtp"), "socket-mode": "0666", "tls": "none"}
        return groups

    def prepare(self):
        """Directories, certificate, users and configuration; once."""
        if self.prepared:
            return
        for path in (self.directory, self.state_directory, self.spool, self.directory / "conf.d"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.certificate, self.key = (Path(shutil.copy(one, self.directory)) for one in first_certificate())
        if self.users:
            shutil.copy(first_sasldb(tuple(self.users)), self.sasldb)
        self.configure(self.changes)
        self.log_path.touch()
        if os.geteuid() == 0:
            for path in (self.directory, self.run_directory, *self.directory.rglob("*")):
                shutil.chown(path, self.user)
        self.prepared = True

    def add_module(self, name, source=None):
        """Builds `source` (default: tests/protocol/modules/NAME.c) as a plugin. Returns the plugin directory that has it and all others."""
        self.prepare()
        plugins = self.directory / "plugins"
        if not plugins.exists():
            shutil.copytree(programs() / "plugins" / ".libs", plugins, ignore=shutil.ignore_patterns("*.la*", "*.o"))
        build_module(name, plugins, source)
        return plugins

    def configure(self, changes=None):
        """Writes the configuration anew: the default one with `changes`. Takes effect at start or reload."""
        self.settings = merge(self.default_config(), changes)
        write_config(self.config_path, self.settings)

    def add_user(self, user, password=PASSWORD, realm=REALM):
        set_password(self.sasldb, user, password, realm)
        if os.geteuid() == 0:
            shutil.chown(self.sasldb, self.user)

    def port(self, listener):
        return self.ports[listener]

    def path(self, listener):
        """Of a UNIX socket, by its listener's name."""
        return self.run_directory / f"{listener}.sock"

    # --- life

    def program(self):
        linked = programs() / ".libs" / "rookeryd"
        return str(linked if linked.exists() else programs() / "rookeryd")

    def activation(self):
        """A command that runs another with `sockets` as descriptors 3 and up, and says so (sd_listen_fds(3))."""
        if not self.sockets:
            return []
        self.popen["pass_fds"] = [one.fileno() for _, one in self.sockets]
        script = (
            "import os, sys\n"
            "high = [os.dup2(int(fd), 100 + i) for i, fd in enumerate(sys.argv[1].split(','))]\n"
            "[os.dup2(fd, 3 + i) for i, fd in enumerate(high)]\n"
            "[os.close(fd) for fd in high]\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=sys.argv[2])\n"
            "os.execvp(sys.argv[3], sys.argv[3:])\n")
        return ["/usr/bin/python3", "-c", script, ",".join(map(str, self.popen["pass_fds"])),
                ":".join(name for name, _ in self.sockets)]

    def start(self, wait=True):
        self.prepare()
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        notify.bind(str(self.run_directory / "notify.sock"))
        (self.run_directory / "notify.sock").chmod(0o666)
        environment = child_environment({"NOTIFY_SOCKET": str(self.run_directory / "notify.sock"), **self.environment})
        command = self.activation() + shlex.split(os.environ.get("ROOKERY_WRAPPER", "")) + [
            self.program(), "--config", str(self.config_path)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, cwd=self.directory, **self.popen)
        try:
            if wait:
                self.wait_ready(notify)
        finally:
            notify.close()
            (self.run_directory / "notify.sock").unlink()
        return self

    def wait_ready(self, notify):
        """Until it says READY=1, or (built without libsystemd) answers on its control socket."""
        deadline = time.monotonic() + 20 * SLOW
        notify.settimeout(0.1)
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise HarnessError(f"rookeryd ended with status {self.process.returncode}:\n{self.log()}")
            try:
                if b"READY=1" in notify.recv(4096).split(b"\n"):
                    return
            except socket.timeout:
                if "HAVE_LIBSYSTEMD 1" not in (BUILD / "config.h").read_text() and self.answers():
                    return
        self.kill()
        raise HarnessError(f"rookeryd was not ready in time:\n{self.log()}")

    def answers(self):
        return subprocess.run(self.ctl_command("status"), capture_output=True, env=child_environment()).returncode == 0

    def stop(self, check=True):
        """SIGTERM, and whatever a clean stop means. Returns the exit status."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(timeout=40 * SLOW)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise HarnessError(f"rookeryd did not stop on SIGTERM:\n{self.log()}") from None
        if check:
            self.check_log()
            if status != 0:
                raise HarnessError(f"rookeryd ended with status {status}:\n{self.log()}")
        return status

    def kill(self):
        """SIGKILL: what a power cut looks like to the disk cache."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def cleanup(self):
        if self.process is not None:
            self.kill()
        if not os.environ.get("ROOKERY_KEEP"):
            shutil.rmtree(self.run_directory, ignore_errors=True)
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, value, traceback):
        try:
            # After a failed test the server's own complaint would only hide the first one.
            self.stop(check=kind is None)
        finally:
            if kind is not None:
                print(self.log())
            self.cleanup()

    # --- looking at it

    def log(self, tail=20000):
        """The end of what it wrote to standard error."""
        return self.log_path.read_text(errors="replace")[-tail:] if self.log_path.exists() else ""

    def check_log(self):
        found = BAD_OUTPUT.search(self.log_path.read_text(errors="replace"))
        if found:
            text = self.log_path.read_text(errors="replace")
            raise HarnessError(f"rookeryd complained:\n{text[max(0, found.start() - 2000):found.start() + 8000]}")

    def wait_log(self, pattern, timeout=10):
        """Until a line of the log matches. Returns the match."""
        deadline = time.monotonic() + timeout * SLOW
        while time.monotonic() < deadline:
            found = re.search(pattern, self.log_path.read_text(errors="replace"), re.M)
            if found:
                return found
            time.sleep(0.02)
        raise HarnessError(f"no line like {pattern!r} in the log:\n{self.log()}")

    def ctl_command(self, *words, as_json=False):
        return [str(built("rookctl")), "--socket", str(self.run_directory / "control.sock"),
                *(["--json"] if as_json else []), *map(str, words)]

    def ctl(self, *words, as_json=False, check=True, stdin=None):
        """rookctl. Returns its output, parsed if `as_json`; with check=False the finished process."""
        done = subprocess.run(self.ctl_command(*words, as_json=as_json), input=stdin, capture_output=True, text=True,
                              env=child_environment(), timeout=60 * SLOW)
        if not check:
            return done
        if done.returncode != 0:
            raise HarnessError(f"rookctl {' '.join(map(str, words))}: status {done.returncode}: {done.stderr}")
        return json.loads(done.stdout) if as_json else done.stdout

    def plugin_state(self, name):
        """Of the plugin; None: it is not there any more."""
        rows = [row for row in self.ctl("plugin", "list", as_json=True) if row["name"] == name]
        return rows[0]["state"] if rows else None

    def reload(self, changes=None, check=True):
        """A new configuration (default settings with `changes`), put into force by rookctl."""
        if changes is not None:
            self.configure(changes)
        return self.ctl("reload", check=check)

    def check_config(self):
        """rookeryd --check-config on the configuration as it is written now. Returns the finished process."""
        self.prepare()
        command = self.activation() + [self.program(), "--config", str(self.config_path), "--check-config"]
        return subprocess.run(command, capture_output=True, text=True, env=child_environment(), timeout=60 * SLOW,
                              **self.popen)

    def resident_kib(self):
        """Memory in use now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+)", status, re.M).group(1))

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # --- mail in

    def deliver(self, message, *recipients, sender="sender@example.net"):
        """By LMTP to `recipients` (default: alice); every one must be accepted."""
        if isinstance(message, str):
            message = message.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        recipients = recipients or ("alice",)
        client = smtplib.LMTP()
        client.timeout = 30 * SLOW
        client.connect(str(self.path("lmtp")))
        try:
            refused = client.sendmail(sender, list(recipients), message)
            if refused:
                raise HarnessError(f"refused: {refused}")
        finally:
            client.close()
