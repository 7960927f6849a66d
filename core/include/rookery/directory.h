/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory: where a mailbox lives, and who must agree before that changes.
 *
 * The default answer is "here". A plugin (the murder) may take the directory over: it then says which server holds a
 * mailbox, and every create, delete, rename, ACL change and partition move passes through it in two asynchronous steps,
 * prepare (may refuse) and commit, before the client is answered. Exactly one directory is in force.
 *
 * A plugin that has provided the directory is remembered, over restarts too, until the configuration drops it or switches
 * it off. While it is configured and does not run, every question and every change is answered UNAVAILABLE: "here" could
 * make a second mailbox of one that lives elsewhere.
 */
#pragma once

#include "rookery/plugin.h"

G_BEGIN_DECLS

typedef struct RookDirectoryService RookDirectoryService;

#define ROOK_DIRECTORY_ERROR (rook_directory_error_quark ())
ROOK_EXPORT GQuark rook_directory_error_quark (void);
typedef enum {
  ROOK_DIRECTORY_ERROR_NOT_FOUND,
  ROOK_DIRECTORY_ERROR_CONFLICT,   /* somebody else has, or is making, that name */
  ROOK_DIRECTORY_ERROR_UNAVAILABLE /* whoever must agree can't be asked now */
} RookDirectoryError;

/* Where a mailbox lives. */
typedef struct {
  gboolean local;
  const char *server;    /* (nullable) NULL: local */
  const char *partition; /* (nullable) NULL: the mailbox service knows */
  const char *acl;       /* (nullable) as that server gave it */
} RookLocation;

typedef enum {
  ROOK_CHANGE_CREATE,
  ROOK_CHANGE_DELETE,
  ROOK_CHANGE_RENAME,
  ROOK_CHANGE_ACL,
  ROOK_CHANGE_MOVE
} RookChangeKind;

/* A change that is about to be made; copied by the service: a directory may read it until it has answered. Names in
 * internal form. */
typedef struct {
  gsize struct_size;
  RookChangeKind kind;
  const char *mailbox_id; /* (nullable) before it has one */
  const char *name;
  const char *new_name;  /* (nullable) of a rename */
  const char *partition; /* (nullable) where it is, will be, or moves to */
  const char *acl;       /* (nullable) after the change */
} RookChange;

typedef void (*RookLocateCallback) (const RookLocation *location, const GError *error, gpointer data);
/* @token: (nullable) the directory's own, handed back in commit or abort. */
typedef void (*RookPrepareCallback) (gpointer token, const GError *error, gpointer data);
typedef void (*RookCommitCallback) (const GError *error, gpointer data);

/* What a directory implements. Each is called on a worker and answers by its callback exactly once, from any thread,
 * possibly before it returns; what it hands over is read before the callback returns. */
typedef struct {
  gsize struct_size;
  const char *name;
  void (*locate) (gpointer self, const char *name, RookLocateCallback callback, gpointer data);
  void (*prepare) (gpointer self, const RookChange *change, RookPrepareCallback callback, gpointer data);
  void (*commit) (gpointer self, gpointer token, RookCommitCallback callback, gpointer data);
  void (*abort) (gpointer self, gpointer token); /* after a prepare that said yes; can't fail */
} RookDirectory;

/* There is but one: refused while another plugin's is in force. From the drain of @self on it is asked nothing new; commits
 * and aborts of what it prepared still reach it. */
ROOK_EXPORT gboolean rook_plugin_add_directory (RookPlugin *self, const RookDirectory *directory, gpointer data,
                                                GError **error);

/* What callers use: checks arguments, dispatches, checks the answer (one that is none, or an error of another domain, is
 * UNAVAILABLE, and so is none within `[directory] answer-timeout`; a change agreed to after that is aborted). The callback
 * never comes before these return, and on the worker that called. */
ROOK_EXPORT RookDirectoryService *rook_server_get_directory (RookServer *server);
/* "local" by default, "unavailable" while the plugin that provides it does not run. */
ROOK_EXPORT const char *rook_directory_get_name (RookDirectoryService *service);
ROOK_EXPORT void rook_directory_locate (RookDirectoryService *service, const char *name, RookLocateCallback callback,
                                        gpointer data);
ROOK_EXPORT void rook_directory_prepare (RookDirectoryService *service, const RookChange *change,
                                         RookPrepareCallback callback, gpointer data);
/* @token: what prepare gave; used up by either, which reach the directory that gave it. */
ROOK_EXPORT void rook_directory_commit (RookDirectoryService *service, gpointer token, RookCommitCallback callback,
                                        gpointer data);
ROOK_EXPORT void rook_directory_abort (RookDirectoryService *service, gpointer token);

G_END_DECLS
