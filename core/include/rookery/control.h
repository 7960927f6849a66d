/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket, which rookctl speaks to: verbs that services and plugins offer to the administrator.
 *
 * `run-directory`/control.sock, mode 0600, for root and the daemon's own user (checked by SO_PEERCRED). A client sends one
 * line: the verb and its arguments as shell-quoted words. It is answered by any number of lines `progress PERCENT TEXT`,
 * then one line `ok` followed by the result as GVariant text (g_variant_print() with types) to the end of the stream, or
 * `error` and a message to the end of the stream. A client that goes away cancels its call. At most 64 KiB of request, 64
 * clients.
 *
 * A word that begins with "--" must be one of the verb's options, which its usage names; behind a word "--", which is dropped,
 * words are taken as they are.
 *
 * Requests are not logged beyond their verb. A password is an argument as any other; if the last word of a verb's usage is
 * PASSWORD and it is not given, rookctl asks for it without showing it, or reads a line of its standard input, and sends it
 * behind a "--": it may be anything.
 */
#pragma once

#include "rookery/plugin.h"

G_BEGIN_DECLS

typedef struct RookControl RookControl;
typedef struct RookControlCall RookControlCall;

typedef struct {
  gsize struct_size;
  const char *name;      /* one to three words: "plugin list" */
  const char *arguments; /* usage of what follows: "[--all] NAME" ("" for none) */
  const char *help;      /* a sentence */
  guint min_arguments, max_arguments;
  /* Carries it out, on the main worker, must not block; answers by rook_control_call_done() or _fail(), from any thread. */
  void (*run) (gpointer data, RookControlCall *call, const char *const *arguments);
} RookControlVerb;

ROOK_EXPORT gboolean rook_plugin_add_control_verb (RookPlugin *self, const RookControlVerb *verb, gpointer data,
                                                   GError **error);

ROOK_EXPORT RookControl *rook_server_get_control (RookServer *server);
/* For a service of the core. @verb is constant. */
ROOK_EXPORT void rook_control_add (RookControl *control, const RookControlVerb *verb, gpointer data);

ROOK_EXPORT void rook_control_call_progress (RookControlCall *call, double percent, const char *text);
ROOK_EXPORT gboolean rook_control_call_is_cancelled (RookControlCall *call);
/* @result: (transfer floating) (nullable): shown by rookctl as text, or as JSON with --json. A dictionary a{sv} is shown as
 * `key: value` lines, an array of dictionaries as a table, a string as it is; a number whose key ends in -bytes, -seconds,
 * -ms or -time (g_get_real_time()) in the way people read it. Ends the call: exactly once, here or below. Any thread. */
ROOK_EXPORT void rook_control_call_done (RookControlCall *call, GVariant *result);
ROOK_EXPORT void rook_control_call_fail (RookControlCall *call, const char *format, ...) G_GNUC_PRINTF (2, 3);

G_END_DECLS
