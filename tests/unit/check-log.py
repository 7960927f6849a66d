# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log has one vocabulary, and doc/log.md is it: every event that the sources log stands there with its fields and
levels and nothing else does, every field is explained there, and whatever names a connection names its protocol.

Speaks TAP. Argument: the source tree. With a second argument `list` it prints what it found in the sources.
"""

import re
import sys
from pathlib import Path

# What a function of its own adds to the pairs that it is given.
CALLS = {
    "rook_log_event": [], "rook_log_message": ["message"], "rook_log_identity": ["conn", "protocol", "user"],
    "rook_log_connection": ["conn", "protocol", "user", "address"], "rook_plugins_log": ["plugin"],
    "gs_log_notice": ["path", "message"],
}
EVENT = re.compile(r"[a-z]+(\.[a-z-]+)+")
KEY = re.compile(r"[a-z-]+")


def arguments_of(text, start):
    """The arguments of the call whose opening parenthesis is before `start`, split at its own commas."""
    arguments, depth, quoted, begin, at = [], 0, False, start, start
    while depth >= 0:
        char = text[at]
        if char == '"' and text[at - 1] != "\\":
            quoted = not quoted
        elif not quoted and char in "([{":
            depth += 1
        elif not quoted and char in ")]}":
            depth -= 1
        if depth < 0 or (char == "," and depth == 0 and not quoted):
            arguments.append(" ".join(text[begin:at].split()))
            begin = at + 1
        at += 1
    return arguments


def literal(argument):
    found = re.fullmatch(r'"([^"\\]*)"', argument)
    return found.group(1) if found else None


def found_in(path, text):
    """(event, fields, levels) of each place in a source that logs."""
    for match in re.finditer(r"\b(%s) \(" % "|".join(CALLS), text):
        arguments = arguments_of(text, match.end())
        at = next((i for i, one in enumerate(arguments) if re.search(r'"%s"|\bevents\[' % EVENT.pattern, one)), None)
        if at is None:
            continue
        where = arguments[at] if "events[" not in arguments[at] else re.search(r"\bevents\[\] = \{([^}]*)\}", text).group(1)
        fields = list(CALLS[match.group(1)])
        if match.group(1) != "rook_log_message" and match.group(1) != "gs_log_notice":
            fields += filter(None, map(literal, arguments[at + 1 if match.group(1) != "rook_plugins_log" else at + 2::2]))
        levels = {level.lower() for one in arguments[:at] for level in re.findall(r"ROOK_LOG_([A-Z]+)", one)}
        names = [event.group(1) for event in re.finditer('"(%s)"' % EVENT.pattern, where)]
        for name in names:  # of several events and levels in one call nobody knows which goes with which
            yield name, fields, levels if len(names) == 1 or len(levels) == 1 else set()
    for match in re.finditer(r'rook_log_record_new \(ROOK_LOG_([A-Z]+), "(%s)"\)' % EVENT.pattern, text):
        body = text[match.end():text.index("\n}", match.end())]
        yield match.group(2), re.findall(r'rook_log_record_add \(record, "([a-z-]+)"', body), {match.group(1).lower()}


def sources(top):
    """Event: (fields, levels) of all places together."""
    events = {}
    for path in sorted([*top.glob("core/**/*.c"), *top.glob("plugins/*/*.c")]):
        if str(path.relative_to(top)) == "core/log/log-connection.c":
            continue
        for event, fields, levels in found_in(path, path.read_text()):
            all_fields, all_levels = events.setdefault(event, ([], set()))
            all_fields += [field for field in fields if field not in all_fields]
            all_levels |= levels
    return events


def rows(text, heading):
    section = re.search(r"^## %s\n(.*?)(?=^## |\Z)" % heading, text, re.M | re.S).group(1)
    for line in re.findall(r"^\| `.*\|$", section, re.M):
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def problems(top):
    """Test point: what is wrong."""
    text = (top / "doc" / "log.md").read_text()
    logged = sources(top)
    told = {row[0].strip("` "): (re.findall(r"`([a-z-]+)`", row[2]), set(re.findall(r"\w+", row[1])))
            for row in rows(text, "Events")}
    explained = [row[0].strip("` ") for row in rows(text, "Fields")]
    used = {field for fields, _ in logged.values() for field in fields}
    yield "sources", [] if len(logged) > 40 else [f"only {len(logged)} events are found"]
    yield "every-event-is-listed", sorted(set(logged) - set(told))
    yield "nothing-else-is-listed", sorted(set(told) - set(logged))
    yield "fields-are-those-of-the-sources", [
        f"{event}: {sorted(logged[event][0])} in the sources, {sorted(told[event][0])} in the table"
        for event in sorted(set(logged) & set(told)) if set(logged[event][0]) != set(told[event][0])]
    yield "levels-are-those-of-the-sources", [
        f"{event}: {sorted(logged[event][1])} in the sources, {sorted(told[event][1])} in the table"
        for event in sorted(set(logged) & set(told)) if logged[event][1] and logged[event][1] != told[event][1]]
    yield "every-field-is-explained-once", sorted(
        {*used} ^ {*explained} | {field for field in explained if explained.count(field) > 1})
    yield "a-connection-comes-with-its-protocol", sorted(
        event for event, (fields, _) in logged.items() if "conn" in fields and "protocol" not in fields)
    yield "keys-are-plain", sorted(field for field in used if not KEY.fullmatch(field))


def main():
    top = Path(sys.argv[1])
    if sys.argv[2:] == ["list"]:
        for event, (fields, levels) in sorted(sources(top).items()):
            print(f"| `{event}` | {', '.join(sorted(levels))} | {' '.join(f'`{field}`' for field in fields)} |")
        return
    number = 0
    for number, (name, wrong) in enumerate(problems(top), 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - /doc/log/{name}")
        for line in wrong:
            print(f"# {line}")
    print(f"1..{number}")


main()
