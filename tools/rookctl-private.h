/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of rookctl share: a call over the socket, and an answer as text or JSON. A library of its own, so that the
 * unit test can link it.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* rookctl's exit status. */
enum { ROOKCTL_OK = 0, ROOKCTL_REFUSED = 1, ROOKCTL_USAGE = 2, ROOKCTL_UNREACHABLE = 3 };

/* --- calls: rookctl-call.c -------------------------------------------------------------------------------------------- */

typedef void (*RookctlProgress) (double percent, const char *text, gpointer data);

/**
 * rookctl_call:
 * @silence_s: how long the server may say nothing at all before it is given up; 0: for ever
 * @words: the verb and its arguments
 * @progress: (nullable)
 * @out_result: (out) (nullable): of ROOKCTL_OK; %NULL if there is none
 * @out_message: (out): of the other three
 *
 * Sends a request and waits for its end. Returns: an exit status.
 */
int rookctl_call (const char *socket_path, guint silence_s, const char *const *words, RookctlProgress progress,
                  gpointer data, GVariant **out_result, char **out_message);
/* "progress 42 text": %FALSE if @line is something else. @out_text points into @line. */
gboolean rookctl_parse_progress (const char *line, double *out_percent, const char **out_text);
/* The exit status that an error message of the server's stands for. */
int rookctl_status_of_error (const char *message);
/* Whether @message is the usage of a verb that lacks just its last argument, PASSWORD, in @words. */
gboolean rookctl_lacks_password (const char *message, const char *const *words);

/* --- showing: rookctl-show.c -------------------------------------------------------------------------------------------- */

/* For people: what is in @value as text with a line end, "" for nothing. Control characters don't reach the terminal. */
char *rookctl_show_text (GVariant *value);
/* "12.3 MiB" ...: a number as its key's ending says. */
char *rookctl_show_number (const char *key, GVariant *number);
/* "[#####     ]  50% text", at most @columns wide. */
char *rookctl_show_progress (double percent, const char *text, guint columns);

/* --- json: rookctl-json.c ----------------------------------------------------------------------------------------------- */

char *rookctl_show_json (GVariant *value);

/* --- without a server: rookctl-local.c ----------------------------------------------------------------------------------- */

/**
 * rookctl_describe:
 * @modules: where plugins are looked for, so that their settings are in it too
 * @arguments: as of the verb `config describe`
 *
 * Returns: (nullable) (transfer full): the description, made from the tables in this very program; %NULL: no such group.
 */
GVariant *rookctl_describe (const char *modules, const char *const *arguments);

G_END_DECLS
