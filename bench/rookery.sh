#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs the built rookeryd from a scratch directory on loopback, with the same interface as scripts for other servers, so
# that they can be measured side by side.
#   rookery.sh start DIR   make DIR (config, users, certificate), start, wait
#   rookery.sh stop DIR    stop it; DIR and its mail stay
# Leaves DIR/pid and DIR/ports (shell assignments). Started by root, the server runs as nobody; reload, `rookctl user` and
# all else work as where it is installed (rookctl --socket DIR/run/control.sock).
#
# Environment: IMAP_PORT IMAPS_PORT LMTP_PORT   ports on 127.0.0.1
#   POP3_PORT NNTP_PORT  taken, and without effect as long as there is no plugin for them: DIR/ports names what is served
#   USERS                number of test users (user0001.., password "pass";
#                        administrator "admin", password "pass")
#   ROOKERY_BUILD_DIR    what to run (build/ in the source tree)
#   ROOKERY_EXTRA        further lines of rookery.conf
#   ROOKERY_WRAPPER      a command before rookeryd
#
# Left as shipped: everything about durability (a reply means the disk has it), TLS, threads.
# Raised, because the shipped limits would refuse the test's connections: connections in all and by user, commands a second,
# the listen queue.
set -eu
usage() { echo "usage: $0 start|stop DIR" >&2; exit 2; }
[ $# -eq 2 ] || usage
verb=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
D=$(cd "$2" && pwd)
: "${IMAP_PORT:=12143}" "${IMAPS_PORT:=12993}" "${LMTP_PORT:=12024}" "${USERS:=200}"
: "${ROOKERY_BUILD_DIR:=$here/../build}" "${ROOKERY_EXTRA:=}" "${ROOKERY_WRAPPER:=}"
PATH=$PATH:/usr/sbin:/usr/local/sbin
export PATH

# One server a DIR: the lock is the server's too, so it is held for as long as that runs, whoever started it.
lock() {
    exec 8>"$D/lock"
    flock -n 8
}

configure() {
    B=$(cd "$ROOKERY_BUILD_DIR" && pwd)
    [ -x "$B/.libs/rookeryd" ] || { echo "$0: $B has no rookeryd: build first, or set ROOKERY_BUILD_DIR" >&2; exit 1; }
    runs_as=$(id -un)
    if [ "$(id -u)" = 0 ]; then runs_as=nobody; fi
    # Read by the server's user at a reload, by whoever measures: all but what holds secrets and mail.
    umask 022
    chmod 755 "$D"
    mkdir -p "$D/program"
    mkdir -p -m 700 "$D/state" "$D/spool" "$D/run"
    # What an earlier version of this script left beside the state, where the server could not change it.
    [ ! -f "$D/sasldb2" ] || mv "$D/sasldb2" "$D/state/"
    # The server may run as another user, who need not be able to look into the build directory.
    for file in "$B"/.libs/rookeryd "$B"/core/.libs/librookery-core.so.* "$B"/plugins/.libs/*.so; do
        install -m 755 "$file" "$D/program/"
    done
    [ -f "$D/cert.pem" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$D/key.pem" -out "$D/cert.pem" 2>/dev/null
    # USERS may have grown since the last start.
    made=$(cat "$D/users" 2>/dev/null || echo 0)
    [ "$made" -gt 0 ] || printf 'pass' | saslpasswd2 -p -c -f "$D/state/sasldb2" -u localhost admin
    while [ "$made" -lt "$USERS" ]; do
        made=$((made + 1))
        printf 'pass' | saslpasswd2 -p -c -f "$D/state/sasldb2" -u localhost "$(printf 'user%04d' "$made")"
    done
    echo "$made" >"$D/users"
    chmod 600 "$D/state/sasldb2" "$D/key.pem"
    cat >"$D/rookery.conf" <<CONFIG
[server]
state-directory=$D/state
run-directory=$D/run
plugin-directory=$D/program
user=$runs_as
hostname=localhost
[partition default]
path=$D/spool
[tls]
certificate=$D/cert.pem
private-key=$D/key.pem
[auth]
backend=sasldb
sasldb-path=$D/state/sasldb2
default-realm=localhost
mechanisms=PLAIN;LOGIN
admins=admin
allow-plaintext-on-loopback=true
[mailbox]
autocreate=delivery
[limits]
connections=100000
connections-per-user=0
commands-per-second=0
[plugin storage-gdbm]
[plugin imap]
[plugin lmtp]
[listener imap]
protocol=imap
address=127.0.0.1:$IMAP_PORT
tls=starttls
backlog=4096
[listener imaps]
protocol=imap
address=127.0.0.1:$IMAPS_PORT
tls=implicit
backlog=4096
[listener lmtp]
protocol=lmtp
address=127.0.0.1:$LMTP_PORT
backlog=4096
CONFIG
    # In a file of its own, where it may say again what is said above.
    mkdir -p "$D/conf.d"
    printf '%s\n' "$ROOKERY_EXTRA" >"$D/conf.d/extra.conf"
    # What it runs must be root's, what it writes its own.
    if [ "$runs_as" != "$(id -un)" ]; then
        chown -R "$runs_as" "$D/state" "$D/spool" "$D/run" "$D/key.pem"
    fi
    printf 'IMAP_PORT=%s\nIMAPS_PORT=%s\nLMTP_PORT=%s\n' "$IMAP_PORT" "$IMAPS_PORT" "$LMTP_PORT" >"$D/ports"
}

greets() { # an IMAP server answers on our port
    python3 -c 'import socket,sys
s=socket.create_connection(("127.0.0.1",int(sys.argv[1])),2); s.settimeout(5)
sys.exit(0 if s.recv(99).startswith(b"* OK") else 1)' "$IMAP_PORT" 2>/dev/null
}

start() {
    lock || { echo "$0: already running in $D (process $(cat "$D/pid" 2>/dev/null))" >&2; exit 1; }
    if greets; then echo "$0: port $IMAP_PORT is taken" >&2; exit 1; fi
    configure
    ulimit -n "$(ulimit -H -n)" 2>/dev/null || true
    # shellcheck disable=SC2086
    LD_LIBRARY_PATH=$D/program $ROOKERY_WRAPPER "$D/program/rookeryd" --config "$D/rookery.conf" \
        >>"$D/log" 2>&1 </dev/null &
    echo $! >"$D/pid"
    i=0
    until greets; do
        i=$((i + 1))
        if [ $i -gt 600 ] || ! kill -0 "$(cat "$D/pid")" 2>/dev/null; then
            echo "$0: did not start; see $D/log" >&2
            tail -5 "$D/log" >&2
            kill -9 "$(cat "$D/pid")" 2>/dev/null || true
            rm -f "$D/pid"
            exit 1
        fi
        sleep 0.1
    done
}

stop() {
    if [ -f "$D/pid" ] && ! lock; then # or it is the number of somebody else's process by now
        kill "$(cat "$D/pid")" 2>/dev/null || true
        flock -w 60 8 || { echo "$0: process $(cat "$D/pid") does not stop" >&2; exit 1; }
    fi
    rm -f "$D/pid"
}

case $verb in
start) start ;;
stop) stop ;;
*) usage ;;
esac
