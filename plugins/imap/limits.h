/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The limits on what an IMAP client may send, as the plugin's key table names them.
 */
#pragma once

#include <glib.h>

typedef struct {
  gsize line;            /* a line without its literals, bytes (line-limit) */
  guint64 literal;       /* one literal that is not a message, bytes (literal-limit) */
  guint64 command;       /* a command with all its literals but a message, bytes (command-limit) */
  guint64 message;       /* the literal of APPEND, bytes (message-limit) */
  guint arguments;       /* atoms, strings, ranges and flags of a command (argument-limit) */
  guint nesting;         /* parentheses and NOTs within each other (nesting-limit) */
  guint bad_commands;    /* BAD answers until BYE (bad-command-limit) */
  guint idle_timeout_ms; /* idle-timeout */
} ImapLimits;
