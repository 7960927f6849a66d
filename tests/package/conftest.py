# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the packages share: the packages, the same ones as of a later version, and a Debian to use them in.

All of it lies in build/package/. Environment: ROOKERY_PACKAGE_DIR (another place), ROOKERY_DEBS (a folder with packages
that are built already).
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from rookery_harness import SOURCE, run_quietly
from rookery_machine import Machine, copy_base

# What takes long is run when named: scripts/test fresh.
collect_ignore = ["test_fresh.py"]

FOLDER = Path(os.environ.get("ROOKERY_PACKAGE_DIR", SOURCE / "build" / "package")).resolve()
NEXT_VERSION = "99.0-1"

# Changes nothing of the packages but what leads a debugger to its symbols, which are not made; and configure and libtool
# are run by a shell that takes half the time of bash.
QUICKER = {"DEB_BUILD_OPTIONS": f"nocheck noautodbgsym parallel={os.cpu_count()}", "DEB_CFLAGS_STRIP": "-g",
           "CONFIG_SHELL": shutil.which("dash") or "/bin/sh"}

# In every root made here, so that one tarball does for all.
BASE_PACKAGES = "ca-certificates,systemd,systemd-sysv,dbus"


def mirror():
    """Of this machine, so that what works here works in the root."""
    texts = [p.read_text() for p in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*"))
             if p.is_file()]
    found = re.search(r"(?:^URIs:|^deb(?: \[.*?\])?)\s+(\S*/debian/?)(?:\s|$)", "\n".join(texts), re.M)
    return found.group(1) if found else "http://deb.debian.org/debian"


def copy_checkout(folder):
    """The files of the checkout, without what else lies there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = run_quietly("git", "-C", str(SOURCE), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, names.decode().split("\0")):
        if (SOURCE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(SOURCE / name, folder / name)


@pytest.fixture(scope="session")
def debs():
    """The folder of the packages, built from the files of the checkout."""
    if "ROOKERY_DEBS" in os.environ:
        return Path(os.environ["ROOKERY_DEBS"]).resolve()
    source = FOLDER / "source" / "rookery"
    shutil.rmtree(source.parent, ignore_errors=True)
    copy_checkout(source)
    run_quietly("dpkg-buildpackage", "-us", "-uc", "-b", cwd=source, env={**os.environ, **QUICKER})
    return source.parent


def binary_packages(folder):
    return [deb for deb in sorted(folder.glob("*.deb")) if "dbgsym" not in deb.name]


@pytest.fixture(scope="session")
def next_debs(debs):
    """The same packages once more, with a later version: what an upgrade installs."""
    folder = FOLDER / "next"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for deb in binary_packages(debs):
        name, version, _ = deb.name.split("_")
        unpacked = folder / name
        run_quietly("dpkg-deb", "-R", str(deb), str(unpacked))
        control = unpacked / "DEBIAN" / "control"
        control.write_text(control.read_text().replace(f"(= {version})", f"(= {NEXT_VERSION})")
                           .replace(f"\nVersion: {version}\n", f"\nVersion: {NEXT_VERSION}\n"))
        run_quietly("dpkg-deb", "--root-owner-group", "-Znone", "-b", str(unpacked), str(folder))
        shutil.rmtree(unpacked)
    return folder


@pytest.fixture(scope="session")
def base():
    """The tarball of a minimal Debian with systemd; made by mmdebstrap once, and kept."""
    tarball = FOLDER / "base-systemd.tar"
    if not tarball.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        unfinished = FOLDER / "new-base.tar"
        run_quietly("mmdebstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", "--dpkgopt=force-unsafe-io",
                    "--skip=cleanup/apt/lists", "bookworm", str(unfinished), mirror())
        unfinished.rename(tarball)
    return tarball


@pytest.fixture(scope="session")
def machine(base, debs, next_debs):
    """A minimal Debian, running, with the packages at hand in /debs and /next; nothing of them is installed yet."""
    if Machine.missing():
        pytest.skip(f"needs {Machine.missing()}")
    root = FOLDER / "root"
    copy_base(base, root)
    for folder, packages in (("debs", debs), ("next", next_debs)):
        (root / folder).mkdir()
        for deb in binary_packages(packages):
            shutil.copy(deb, root / folder)
    with Machine(root) as one:
        one.run("apt-get", "-q", "update")
        yield one
