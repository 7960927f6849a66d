/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session: one client, from its greeting to its end. Lives on its connection's worker, and so does everything here.
 *
 * It gathers a command, runs it, tells what has changed in the selected mailbox, answers, and goes on to the next. While
 * a command is being carried out the connection is paused. Whatever is asynchronous holds a reference: the client may
 * be gone when it comes back (imap_session_is_gone()).
 */
#pragma once

#include "imap/imap.h"
#include "imap/input.h"

typedef struct RookImapSession ImapSession;

/* Takes a line that is no command: an answer to AUTHENTICATE, DONE. The connection is paused then, and the next line a
 * command again. */
typedef void (*ImapLineFunc) (ImapSession *session, char *line, gsize length);
typedef void (*ImapFunc) (ImapSession *session);

typedef struct {
  char *tag;         /* (owned) (nullable) NULL: no command is being carried out */
  ImapEntry *entry;  /* (owned) (nullable) */
  gboolean uid;      /* it came with UID */
  ImapParser parser; /* of its arguments, which lie in the session's input */
  gint64 started_us;
  gpointer data; /* (owned) (nullable) the command's own, freed by destroy */
  GDestroyNotify destroy;
  char *answer; /* (owned) (nullable) what follows the tag, once it is known */
} ImapCall;

/* What is being told of the selected mailbox; see updates.c. */
typedef struct {
  gboolean running;
  GArray *uids; /* (owned) (nullable) (element-type guint32) whose flags are to be told in any case */
  GArray *seqs; /* (owned) (nullable) (element-type guint32) whose flags are to be told */
  guint next;   /* index of the first not told */
  guint loaded; /* index of the first whose record may not be in memory */
  ImapFunc done;
} ImapUpdates;

struct RookImapSession {
  guint references;
  RookImap *imap;             /* (owned) */
  RookServer *server;         /* (unowned) outlives us */
  RookConnection *connection; /* (unowned) (nullable) NULL once it is closed */
  ImapLimits limits;
  ImapInput input;
  ImapCall call;
  ImapLineFunc line;          /* (nullable) in place of commands */
  ImapFunc drained;           /* (nullable) called once when there is room for output again */
  RookIdentity *identity;     /* (owned) (nullable) */
  RookNamespace *ns;          /* (owned) (nullable) with the identity */
  RookAuthExchange *exchange; /* (owned) (nullable) */
  RookView *view;             /* (owned) (nullable) the selected mailbox */
  ImapUpdates updates;
  guint keywords_told; /* of the selected mailbox, in its last FLAGS response */
  guint bad_commands;
  gboolean idle_again; /* something new came while an idling session was being told */
  gboolean ending;     /* BYE was said */
  gboolean draining;
};

/* Registered with the RookImap as its data. */
extern const RookProtocol imap_protocol;

ImapSession *imap_session_ref (ImapSession *self);
void imap_session_unref (ImapSession *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookImapSession, imap_session_unref)
gboolean imap_session_is_gone (const ImapSession *self);

RookImapState imap_session_get_state (const ImapSession *self);

/* The end of the command being carried out. @code: (nullable) without brackets */
void imap_session_ok (ImapSession *self, const char *code, const char *text);
void imap_session_no (ImapSession *self, const char *code, const char *text);
void imap_session_bad (ImapSession *self, const char *code, const char *text);
/* By the table of errors (reply.h): NO, or BAD if it is a parse error. */
void imap_session_fail (ImapSession *self, const GError *error);

/* Data that lives until the command has ended. */
void imap_session_set_call_data (ImapSession *self, gpointer data, GDestroyNotify destroy);

/* Untagged BYE, and the end. @code: (nullable) */
void imap_session_bye (ImapSession *self, const char *code, const char *text);

/* Calls @func once there is room in the output: at once, or when it has drained. @func checks imap_session_is_gone()
 * not: it is not called then. */
void imap_session_when_drained (ImapSession *self, ImapFunc func);

/* Leaves the selected mailbox, without telling anything. */
void imap_session_unselect (ImapSession *self);
/* Who it is, after login; %NULL for nobody. FALSE: too many connections. */
gboolean imap_session_set_identity (ImapSession *self, RookIdentity *identity, GError **error);
