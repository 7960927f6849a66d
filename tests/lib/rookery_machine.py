# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Debian root that its own systemd runs, in namespaces of its own: services, sandboxes and maintainer scripts are the
real ones. The network is this machine's, so clients here reach the servers there; everything else is shut in.

    with Machine(root) as machine:
        machine.run("systemctl", "start", "rookeryd")

Needs root, and a cgroup2 hierarchy that may be written to: see Machine.missing().
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from rookery_harness import SLOW, HarnessError, run_quietly

# Mounts what systemd expects of a container (systemd.io/CONTAINER_INTERFACE), makes the root ours, becomes process 1.
INIT = """
set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
  touch dev/$device
  mount --bind /dev/$device dev/$device
done
mkdir -p dev/shm dev/pts mnt
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
pivot_root . mnt
cd /
umount -l /mnt
exec env -i container=rookery PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal
"""

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def cgroups():
    """Where cgroup2 is mounted, alone or beside version 1. None: nowhere."""
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (folder / "cgroup.procs").exists() and (folder / "cgroup.controllers").exists():
            return folder
    return None


class Machine:
    """`root`: a folder with a Debian that has systemd; it is changed by what runs there."""

    def __init__(self, root):
        self.root = Path(root)
        self.group = None
        self.process = self.init = None

    @staticmethod
    def missing():
        """What this computer lacks for it, in words; empty: nothing."""
        if os.geteuid() != 0:
            return "root"
        if cgroups() is None or not os.access(cgroups(), os.W_OK):
            return "a writable cgroup2"
        if subprocess.run(["unshare", "--mount", "--pid", "--cgroup", "--fork", "true"], capture_output=True).returncode:
            return "the right to make namespaces"
        return ""

    def __enter__(self):
        self.group = cgroups() / f"rookery-test-{os.getpid()}-{self.root.name}"
        self.group.mkdir(exist_ok=True)
        enter = f'echo $$ >{self.group}/cgroup.procs; exec "$@"'
        # Nothing outlives us, whatever we die of.
        namespaces = ["setpriv", "--pdeathsig", "KILL",
                      "unshare", "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child",
                      "--propagation", "private"]
        self.process = subprocess.Popen(
            ["sh", "-c", enter, "sh", *namespaces, "sh", "-c", INIT, "sh", str(self.root)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            self.wait_for("boots", self.is_up)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *ignored):
        # Process 1 dies with its parent, and everything in there with process 1.
        self.process.kill()
        self.process.communicate()
        deadline = time.monotonic() + 20 * SLOW
        for folder in sorted(self.group.rglob("*/"), reverse=True) + [self.group]:
            while folder.is_dir() and time.monotonic() < deadline:
                try:
                    folder.rmdir()
                except OSError:
                    time.sleep(0.05)

    def is_up(self):
        if self.process.poll() is not None:
            raise HarnessError(f"the machine did not boot: {self.process.stdout.read().decode(errors='replace')}")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children or Path(f"/proc/{children[0]}/comm").read_text() != "systemd\n":
            return False
        self.init = children[0]
        state = subprocess.run(self.command("systemctl", "is-system-running"), capture_output=True, env=ENVIRONMENT)
        return state.stdout in (b"running\n", b"degraded\n")

    @staticmethod
    def wait_for(what, condition, seconds=60):
        deadline = time.monotonic() + seconds * SLOW
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise HarnessError(f"in vain waited until it {what}")
            time.sleep(0.05)
        return found

    def command(self, *words):
        return ["nsenter", "--target", self.init, "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd", *words]

    def run(self, *words, **options):
        """A command there, which must succeed. Returns its output."""
        return run_quietly(*self.command(*words), env=ENVIRONMENT, **options).decode(errors="replace")

    def try_run(self, *words, **options):
        """A command there. Returns the finished process."""
        return subprocess.run(self.command(*words), env=ENVIRONMENT, capture_output=True, text=True, **options)

    # --- its services

    def show(self, unit, name):
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def journal(self, unit):
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def journal_entries(self, *matches):
        """Each as a dictionary of its fields. `matches`: "FIELD=value"."""
        lines = self.run("journalctl", "--no-pager", "-o", "json", *matches).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def copy_base(tarball, root):
    """A fresh root from the tarball of one."""
    shutil.rmtree(root, ignore_errors=True)
    Path(root).mkdir(parents=True)
    run_quietly("tar", "-C", str(root), "-xf", str(tarball))
    shutil.copy("/etc/resolv.conf", Path(root) / "etc/resolv.conf")
