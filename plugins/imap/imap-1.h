/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface `imap/1`: how another plugin gives IMAP a command or a capability.
 *
 * A plugin that needs "imap/1" looks it up in its init (rook_plugin_lookup()) and registers there. What it registered is
 * taken back when it goes; sessions that are in such a command finish it first. A command is run on the worker of its
 * session, one at a time a session, and ends with exactly one of ok, no, bad and fail, at once or later; until then the
 * session reads no other. Untagged data is written with rook_connection_printf() on the session's connection.
 */
#pragma once

#include "rookery/mailbox.h"
#include "rookery/net.h"

G_BEGIN_DECLS

#define ROOK_IMAP_INTERFACE "imap/1"

typedef struct RookImap RookImap;               /* the plugin */
typedef struct RookImapSession RookImapSession; /* a client */
typedef struct RookImapParser RookImapParser;   /* a cursor over the arguments of the command being run */

/* The states of RFC 3501 section 3, as a mask. */
typedef enum {
  ROOK_IMAP_NOT_AUTHENTICATED = 1 << 0,
  ROOK_IMAP_AUTHENTICATED = 1 << 1, /* and no mailbox selected */
  ROOK_IMAP_SELECTED = 1 << 2,
  ROOK_IMAP_LOGGED_IN = ROOK_IMAP_AUTHENTICATED | ROOK_IMAP_SELECTED,
  ROOK_IMAP_ANY = ROOK_IMAP_NOT_AUTHENTICATED | ROOK_IMAP_LOGGED_IN
} RookImapState;

typedef enum {
  ROOK_IMAP_COMMAND_UID = 1 << 0,        /* also to be had as "UID NAME" */
  ROOK_IMAP_COMMAND_NO_EXPUNGE = 1 << 1, /* without UID no EXPUNGE may be told at its end (RFC 3501 7.4.1) */
  ROOK_IMAP_COMMAND_MESSAGE = 1 << 2,    /* a literal of it, not its first argument, is a message */
  ROOK_IMAP_COMMAND_NO_UPDATES = 1 << 3 /* tells nothing of the mailbox at its end: it has just been selected or left */
} RookImapCommandFlags;

typedef struct {
  gsize struct_size;
  const char *name; /* upper case */
  guint states;     /* in which it is allowed */
  guint flags;
  /* The cursor is after the name: at the space before the first argument, or at the end. */
  void (*run) (RookImapSession *session, RookImapParser *arguments, gpointer data);
} RookImapCommand;

typedef struct {
  gsize struct_size;
  const char *name; /* "IDLE" */
  guint states;     /* in which it is listed */
  /* (nullable) Whether it is listed for this session as it is now. */
  gboolean (*offered) (RookImapSession *session, gpointer data);
} RookImapCapability;

/* The table that rook_plugin_lookup() gives; its data is the RookImap. */
typedef struct {
  gsize struct_size;
  /* @command, @capability: constant. Errors: %ROOK_PLUGIN_ERROR_CONTRACT: the name is taken. In init only. */
  gboolean (*add_command) (RookImap *imap, RookPlugin *plugin, const RookImapCommand *command, gpointer data,
                           GError **error);
  gboolean (*add_capability) (RookImap *imap, RookPlugin *plugin, const RookImapCapability *capability, gpointer data,
                              GError **error);
  /* The session. */
  RookConnection *(*get_connection) (RookImapSession *session); /* (nullable) NULL: the client has gone */
  RookIdentity *(*get_identity) (RookImapSession *session);     /* (nullable) */
  RookNamespace *(*get_namespace) (RookImapSession *session);   /* (nullable) */
  RookView *(*get_view) (RookImapSession *session);             /* (nullable) */
  gboolean (*is_uid) (RookImapSession *session);                /* the command came with UID */
  /* Keep the session while something asynchronous is under way. */
  RookImapSession *(*ref) (RookImapSession *session);
  void (*unref) (RookImapSession *session);
  /* The end of a command. @code: (nullable) "NONEXISTENT", without brackets. */
  void (*ok) (RookImapSession *session, const char *code, const char *text);
  void (*no) (RookImapSession *session, const char *code, const char *text);
  void (*bad) (RookImapSession *session, const char *text);
  void (*fail) (RookImapSession *session, const GError *error); /* by the table of errors */
  /* Arguments. Strings are (transfer full). */
  gboolean (*parse_space) (RookImapParser *arguments, GError **error);
  gboolean (*parse_end) (RookImapParser *arguments, GError **error);
  gboolean (*parse_open) (RookImapParser *arguments, GError **error);
  gboolean (*parse_close) (RookImapParser *arguments, GError **error);
  gboolean (*parse_atom) (RookImapParser *arguments, char **out_atom, GError **error);
  gboolean (*parse_astring) (RookImapParser *arguments, char **out_string, GError **error);
  gboolean (*parse_nstring) (RookImapParser *arguments, char **out_string, GError **error);
  gboolean (*parse_number) (RookImapParser *arguments, guint32 *out_number, GError **error);
  /* A mailbox name, brought to its internal form. */
  gboolean (*parse_mailbox) (RookImapSession *session, RookImapParser *arguments, char **out_name, GError **error);
} RookImapInterface;

G_END_DECLS
