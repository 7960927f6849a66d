/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control service's insides: requests, verbs, clients, calls; and the sections of `rookctl status` that services add.
 */
#pragma once

#include <sys/types.h>

#include "rookery/config.h"
#include "rookery/control.h"
#include "rookery/loop.h"

G_BEGIN_DECLS

#define ROOK_CONTROL_REQUEST_MAX (64 * 1024) /* bytes, line end included */
#define ROOK_CONTROL_CLIENTS_MAX 64
#define ROOK_CONTROL_SOCKET "control.sock" /* in run-directory */

/* --- the service -------------------------------------------------------------------------------------------------- */

/* Listens at once; where that can't be, says so in the log, and the server runs without. */
RookControl *rook_control_new (RookServer *server);
/* Takes nothing any more, and lets go of all clients: what verbs are about goes after it. */
void rook_control_close (RookControl *control);
void rook_control_free (RookControl *control);
void rook_control_check (RookConfig *config, GPtrArray *mistakes);
/* Brings the socket back if somebody has taken its file away. */
void rook_control_reconfigure (RookControl *control, RookConfig *config);
/* (nullable) why there is no socket; NULL: there is one */
const char *rook_control_get_problem (RookControl *control);

/**
 * RookStatusFunc:
 *
 * Returns: (transfer floating) (nullable): what a service has to say in `rookctl status`: a number, a text, a{sv} or
 * aa{sv}. Runs on the main worker, must not block.
 */
typedef GVariant *(*RookStatusFunc) (gpointer data);
/* Adds the section @name (constant), shown in the order added; a service that goes takes it away again. Main worker. */
void rook_control_add_status (RookControl *control, const char *name, RookStatusFunc func, gpointer data);
void rook_control_remove_status (RookControl *control, const char *name);
GVariant *rook_control_get_status (RookControl *control); /* (transfer floating) a{sv} */

/* --- requests: request.c, no state ---------------------------------------------------------------------------------- */

/* Splits a line (without its end) into words as a shell would. Returns: (nullable) at least one word, all UTF-8. */
char **rook_control_parse_request (const char *line, gsize length, GError **error);

/* --- verbs ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  const RookControlVerb *verb;
  gpointer data;
  RookPlugin *plugin; /* (nullable) (unowned) */
} RookVerbEntry;

/* The verb with the most words that @words begins with. @out_n_words: how many those are. Returns: (nullable) */
const RookVerbEntry *rook_control_find_verb (RookControl *control, const char *const *words, guint *out_n_words);
/* That there is no verb @words (one at least), and which begin so. (transfer full) */
char *rook_control_describe_unknown (RookControl *control, const char *const *words);
GPtrArray *rook_control_list_verbs (
    RookControl *control); /* (element-type RookVerbEntry) by name (transfer container) */
RookServer *rook_control_get_server (RookControl *control);
gint64 rook_control_get_started_us (RookControl *control);  /* g_get_real_time() */
void rook_control_add_builtin_verbs (RookControl *control); /* verbs.c */

/* --- clients: client.c ------------------------------------------------------------------------------------------------ */

typedef struct RookControlClient RookControlClient;

/* Serves @fd (owned from here on) on the main worker. */
RookControlClient *rook_control_client_new (RookControl *control, RookWorker *worker, int fd);
void rook_control_client_free (RookControlClient *client);
/* Tells it something and ends. */
void rook_control_client_refuse (RookControlClient *client, const char *message);
/* Called by clients: to carry out a request, and when they are gone. */
void rook_control_run_request (RookControl *control, RookControlClient *client, char *line, gsize length);
void rook_control_client_gone (RookControl *control, RookControlClient *client);
void rook_control_client_progress (RookControlClient *client, double percent, const char *text);
void rook_control_client_finish (RookControlClient *client, const char *head, const char *text);
/* The call that is being carried out for it. (nullable) (unowned) */
void rook_control_client_set_call (RookControlClient *client, RookControlCall *call);
RookControlCall *rook_control_client_get_call (RookControlClient *client);
/* Whether who connected may: root, or who we are. */
gboolean rook_control_peer_is_allowed (int fd, uid_t *out_uid, pid_t *out_pid);

/* --- calls: call.c ------------------------------------------------------------------------------------------------------ */

RookControlCall *rook_control_call_new (RookWorker *worker, RookControlClient *client, RookPlugin *plugin);
/* How many of the first arguments may be options: what stands behind a "--" is none. */
void rook_control_call_set_n_options (RookControlCall *call, guint n_options);
guint rook_control_call_get_n_options (RookControlCall *call);
/* The client is gone, or the plugin goes: nobody waits for it any more. Main worker. */
void rook_control_call_cancel (RookControlCall *call);
RookPlugin *rook_control_call_get_plugin (RookControlCall *call); /* (nullable) */

G_END_DECLS
