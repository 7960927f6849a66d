/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the rest of the core sees of the mailbox service beside rookery/mailbox.h: its life, and appending what has been
 * taken apart already.
 */
#pragma once

#include "rookery/mailbox.h"
#include "rookery/storage.h"

G_BEGIN_DECLS

#define ROOK_MAIL_STATE_STORE "mailboxes" /* the state store, in the state directory */
/* The service's own jobs. */
#define ROOK_MAIL_JOB_FORGET "forget-deliveries"
#define ROOK_MAIL_JOB_USERS "forget-users"
#define ROOK_MAIL_JOB_EXPIRE "expire"
#define ROOK_MAIL_JOB_ROOM "make-room"
#define ROOK_MAIL_JOB_CHECKPOINT "checkpoint"
#define ROOK_MAIL_JOB_COMPACT "compact"

/* [mailbox], [partition NAME] */
extern const RookConfigSchema rook_mail_schemas[];

RookMail *rook_mail_new (RookServer *server);
/* Closes the stores if they are open. */
void rook_mail_free (RookMail *mail);
void rook_mail_check (RookConfig *config, GPtrArray *mistakes);
/* What may yet be as it should be: a disk that is not mounted. */
void rook_mail_warn (RookConfig *config, GPtrArray *warnings);
void rook_mail_reconfigure (RookMail *mail, RookConfig *config);

/* At the start: opens the state store and the partitions' and reads the names; before the first connection, after the storage
 * plugin is there. A partition that can't be opened is logged and unavailable; only the state store is an error. Blocks. */
gboolean rook_mail_open_stores (RookMail *mail, GError **error);

/* @error: (nullable): which store could not be opened, and why */
typedef void (*RookMailPrepared) (const GError *error, gpointer data);
/**
 * rook_mail_prepare:
 *
 * In a reload: opens what is not open and whose backend a plugin offers now, on a pool thread, and shows it to nobody before
 * rook_mail_reconfigure(), which has to follow. A store that could not be opened before either is left as it is; any other
 * that can't be opened is the error, and then none is open that was not. @callback runs on the main worker, and inside the
 * call if there is nothing to open.
 */
void rook_mail_prepare (RookMail *mail, RookMailPrepared callback, gpointer data);
/* Adds, for people, what it has opened: "opened partition archive". */
void rook_mail_describe_opened (RookMail *mail, GPtrArray *changes);
/* Ends what can be ended and closes the stores; everything asked for later is UNAVAILABLE. Blocks. */
void rook_mail_close_stores (RookMail *mail);
guint64 rook_mail_get_max_message_size (RookMail *mail);
/* For tests: a backend that no plugin registered, in place of mailbox/storage. Before opening. */
void rook_mail_set_backend (RookMail *mail, const RookStorageBackend *backend, gpointer data);

/* --- content: a message made ready once for any number of mailboxes ---------------------------------------------- */

/* Immutable; reference counted; any thread. */
typedef struct {
  gint ref; /* atomic */
  GBytes *message;
  guint8 guid[20];  /* SHA-1 */
  GBytes *cache;    /* rook_mime_to_cache() */
  char *message_id; /* (nullable) of the header, as it stands */
  char *date;       /* (nullable) */
} RookContent;

typedef void (*RookContentCallback) (RookContent *content, const GError *error, gpointer data); /* (transfer none) */
/* Takes @message apart: at once if it is small, else on the pool. Answered on the calling worker, later.
 * Errors: BAD_MESSAGE (empty, a NUL byte), TOO_BIG, TEMPORARY. */
void rook_content_prepare (RookMail *mail, GBytes *message, RookContentCallback callback, gpointer data);
RookContent *rook_content_ref (RookContent *content);
void rook_content_unref (RookContent *content);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookContent, rook_content_unref)

/* rook_mailbox_append() of what was prepared; @append->message is not looked at. */
void rook_mailbox_append_content (RookMailbox *mailbox, RookIdentity *identity, RookContent *content,
                                  const RookAppend *append, RookAppendCallback callback, gpointer data);

/* Whether whoever sends mail (NULL: nobody in particular) has @right on the mailbox. Memory only, any thread. */
gboolean rook_mail_sender_has_right (RookMail *mail, RookIdentity *sender, const char *name, char right);

/* Whether quota would let a message of @size bytes into the mailbox @name now, which need not be there: else QUOTA. @strict: it has
 * to fit; else what is there has to. Called back on this worker, later. */
void rook_mail_probe_quota (RookMail *mail, const char *name, guint64 size, gboolean strict, RookMailCallback callback,
                            gpointer data);

/* The flag or keyword that @name is: a system flag's bit is added to *@flags (%TRUE), else it is a keyword (%FALSE). */
gboolean rook_flag_from_name (const char *name, RookFlags *flags);

G_END_DECLS
