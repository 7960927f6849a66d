/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mailbox service: the semantics of mail, once, for all protocols.
 *
 * Mailboxes are named in one internal form: UTF-8 components separated by "/", `user/NAME` being NAME's INBOX
 * (`user/NAME@DOMAIN` with a domain) and `user/NAME/Folder` what is below; all else is shared. Protocols translate at
 * their edge with a #RookNamespace. Every call names who asks (a #RookIdentity; %NULL: the server itself, which may do
 * everything) and is checked against the mailbox's ACL (RFC 4314).
 *
 * Asynchronous calls are made on a worker and answered on it, never before they return, once the change is on stable
 * storage and visible to every session. A reply of success means durable. On failure nothing was changed.
 */
#pragma once

#include "rookery/auth.h"
#include "rookery/event.h"
#include "rookery/mime.h"

G_BEGIN_DECLS

typedef struct RookMail RookMail;       /* the service */
typedef struct RookMailbox RookMailbox; /* an open mailbox, shared by all its users; reference counted, any thread */
typedef struct RookView RookView;       /* one session's numbered view of a mailbox; one worker */
typedef struct RookNamespace RookNamespace;

ROOK_EXPORT RookMail *rook_server_get_mail (RookServer *server);

#define ROOK_MAIL_ERROR (rook_mail_error_quark ())
ROOK_EXPORT GQuark rook_mail_error_quark (void);
typedef enum {
  ROOK_MAIL_ERROR_NOT_FOUND, /* no such mailbox, or one that the asker may not look up: the same answer */
  ROOK_MAIL_ERROR_EXISTS,
  ROOK_MAIL_ERROR_BAD_NAME,
  ROOK_MAIL_ERROR_NO_PERMISSION,
  ROOK_MAIL_ERROR_QUOTA,
  ROOK_MAIL_ERROR_TOO_BIG,
  ROOK_MAIL_ERROR_BAD_MESSAGE,
  ROOK_MAIL_ERROR_HAS_CHILDREN,
  ROOK_MAIL_ERROR_NOT_ALLOWED, /* never for this mailbox (deleting an INBOX by its owner) */
  ROOK_MAIL_ERROR_READ_ONLY,
  ROOK_MAIL_ERROR_LIMIT,    /* too many keywords, mailboxes ... */
  ROOK_MAIL_ERROR_EXPUNGED, /* the message is gone for good */
  ROOK_MAIL_ERROR_CORRUPT,
  ROOK_MAIL_ERROR_UNAVAILABLE, /* the partition is not mounted, say: try again later */
  ROOK_MAIL_ERROR_TEMPORARY,   /* storage trouble: try again later */
  ROOK_MAIL_ERROR_REMOTE       /* it lives on another server */
} RookMailError;

typedef enum {
  ROOK_FLAG_ANSWERED = 1 << 0,
  ROOK_FLAG_FLAGGED = 1 << 1,
  ROOK_FLAG_DELETED = 1 << 2,
  ROOK_FLAG_SEEN = 1 << 3,
  ROOK_FLAG_DRAFT = 1 << 4,
  ROOK_FLAG_RECENT = 1 << 5 /* a session's, never stored */
} RookFlags;

/* --- names ------------------------------------------------------------------------------------------------------- */

/* How @identity sees names: separator and alternative namespace by config. Immutable; any thread. */
ROOK_EXPORT RookNamespace *rook_mail_get_namespace (RookMail *mail, RookIdentity *identity);
ROOK_EXPORT void rook_namespace_free (RookNamespace *ns);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookNamespace, rook_namespace_free)
ROOK_EXPORT char rook_namespace_get_separator (RookNamespace *ns);
/* From the client's form (UTF-8, not UTF-7) to the internal one and back: a bijection. (transfer full) (nullable) */
ROOK_EXPORT char *rook_namespace_to_internal (RookNamespace *ns, const char *name, GError **error);
ROOK_EXPORT char *rook_namespace_to_external (RookNamespace *ns, const char *internal);
/* Prefixes for NAMESPACE (RFC 2342), with their separator; %NULL: not offered. */
ROOK_EXPORT const char *rook_namespace_get_personal_prefix (RookNamespace *ns);
ROOK_EXPORT const char *rook_namespace_get_other_prefix (RookNamespace *ns);
ROOK_EXPORT const char *rook_namespace_get_shared_prefix (RookNamespace *ns);

/* --- mailboxes by name -------------------------------------------------------------------------------------------- */

typedef struct {
  const char *name; /* internal */
  const char *id;
  const char *partition;
  const char *special_use; /* (nullable) "\\Sent" */
  gboolean has_children;
  gboolean subscribed; /* by the asker */
} RookMailboxInfo;

typedef void (*RookMailCallback) (const GError *error, gpointer data);
typedef void (*RookMailListFunc) (const RookMailboxInfo *info, gpointer data);
typedef void (*RookMailOpenCallback) (RookMailbox *mailbox, const GError *error, gpointer data); /* (transfer full) */

/* Every mailbox that @identity may look up, sorted by internal name, INBOX first. Memory only: does not block; @func may not
 * call back into the service. @prefix: (nullable) only names beginning so. */
ROOK_EXPORT void rook_mail_list (RookMail *mail, RookIdentity *identity, const char *prefix, RookMailListFunc func,
                                 gpointer data);

typedef struct {
  gsize struct_size;
  const char *partition;   /* (nullable) */
  const char *special_use; /* (nullable) */
} RookCreateOptions;
/* Missing parents below a user's INBOX are created too. @options: (nullable) */
ROOK_EXPORT void rook_mail_create (RookMail *mail, RookIdentity *identity, const char *name,
                                   const RookCreateOptions *options, RookMailCallback callback, gpointer data);
ROOK_EXPORT void rook_mail_delete (RookMail *mail, RookIdentity *identity, const char *name, RookMailCallback callback,
                                   gpointer data);
ROOK_EXPORT void rook_mail_rename (RookMail *mail, RookIdentity *identity, const char *name, const char *new_name,
                                   RookMailCallback callback, gpointer data);
ROOK_EXPORT void rook_mail_subscribe (RookMail *mail, RookIdentity *identity, const char *name, gboolean subscribed,
                                      RookMailCallback callback, gpointer data);
/* First login or delivery: makes the user's INBOX and configured folders if mailbox/autocreate is on and they are
 * missing. NOT_FOUND if there is no INBOX and autocreate is off. Costs nothing when it is there. */
ROOK_EXPORT void rook_mail_ensure_user (RookMail *mail, const char *user, RookMailCallback callback, gpointer data);
/* Whether the mailbox exists, for a quick answer to RCPT TO. */
ROOK_EXPORT gboolean rook_mail_exists (RookMail *mail, const char *name);

/* --- an open mailbox ------------------------------------------------------------------------------------------------ */

/* Needs `r` (SELECT) or any right of use. */
ROOK_EXPORT void rook_mail_open (RookMail *mail, RookIdentity *identity, const char *name,
                                 RookMailOpenCallback callback, gpointer data);
ROOK_EXPORT RookMailbox *rook_mailbox_ref (RookMailbox *mailbox);
ROOK_EXPORT void rook_mailbox_unref (RookMailbox *mailbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookMailbox, rook_mailbox_unref)
ROOK_EXPORT const char *rook_mailbox_get_id (RookMailbox *mailbox);
ROOK_EXPORT char *rook_mailbox_dup_name (RookMailbox *mailbox); /* internal; it may be renamed meanwhile */
/* The rights string of @identity on it, "lrswipkxtecda" (RFC 4314). (transfer full) */
ROOK_EXPORT char *rook_mailbox_get_rights (RookMailbox *mailbox, RookIdentity *identity);

typedef struct {
  guint32 uidvalidity, uidnext;
  guint32 messages, recent, unseen, deleted;
  guint32 first_unseen; /* sequence number; 0: none */
  guint64 highest_modseq;
  guint64 size; /* bytes */
} RookMailboxStatus;
/* Of the durable head. */
ROOK_EXPORT void rook_mailbox_get_status (RookMailbox *mailbox, RookIdentity *identity, RookMailboxStatus *out_status);
/* The keyword of bit @index (RookMessage.keywords), %NULL past the last. Never changes its meaning while the mailbox lives. */
ROOK_EXPORT const char *rook_mailbox_get_keyword (RookMailbox *mailbox, guint index);

typedef struct {
  gsize struct_size;
  GBytes *message;             /* whole, CRLF line ends; referenced, not copied */
  RookFlags flags;             /* \Recent is ignored */
  const char *const *keywords; /* (nullable) */
  gint64 internal_date;        /* seconds since 1970; 0: now */
  gint16 zone_minutes;         /* of the internal date, east of UTC */
  gboolean ignore_quota;
  const char *duplicate_key; /* (nullable) a delivery: at most one append for each key; a second succeeds with uid 0 */
  RookEventType event;       /* MESSAGE_NEW or MESSAGE_APPEND */
  const char *session;       /* (nullable) */
} RookAppend;
typedef void (*RookAppendCallback) (guint32 uidvalidity, guint32 uid, const GError *error, gpointer data);
ROOK_EXPORT void rook_mailbox_append (RookMailbox *mailbox, RookIdentity *identity, const RookAppend *append,
                                      RookAppendCallback callback, gpointer data);

/* --- views ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  guint32 uid;
  guint64 modseq;
  gint64 internal_date;
  gint16 zone_minutes;
  guint64 size;
  RookFlags flags; /* as this session sees them: the identity's \Seen, its own \Recent */
  guint64 keywords[2];
} RookMessage;

/* A session selects a mailbox. @changed (nullable) is called on the worker when there is something for
 * rook_view_update(), once until that was called. @read_only: EXAMINE. */
ROOK_EXPORT RookView *rook_view_new (RookMailbox *mailbox, RookIdentity *identity, gboolean read_only, RookFunc changed,
                                     gpointer data);
ROOK_EXPORT void rook_view_free (RookView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookView, rook_view_free)
ROOK_EXPORT RookMailbox *rook_view_get_mailbox (RookView *view);
ROOK_EXPORT gboolean rook_view_is_read_only (RookView *view);
ROOK_EXPORT guint32 rook_view_get_count (RookView *view);
ROOK_EXPORT guint32 rook_view_get_uid (RookView *view, guint32 seq); /* 1 <= seq <= count */
/* The first message whose uid is >= @uid: its sequence number, count + 1 if there is none. O(log n). */
ROOK_EXPORT guint32 rook_view_find_uid (RookView *view, guint32 uid);
/* %FALSE: expunged meanwhile and no longer to be had. Memory only (pages of an open mailbox are resident). */
ROOK_EXPORT gboolean rook_view_get_message (RookView *view, guint32 seq, RookMessage *out_message);

/* What a session must be told, in this order: expunged, then exists, then fetch. */
typedef struct {
  GArray *expunged; /* (element-type guint32) sequence numbers, each valid after those before it were removed */
  guint32 exists;   /* new count */
  guint32 recent;
  gboolean exists_changed, recent_changed;
  GArray *changed; /* (element-type guint32) sequence numbers (of the view after this update) whose flags changed */
} RookViewChanges;
/* Brings the view up to date. @allow_expunge %FALSE: messages expunged elsewhere keep their numbers (during FETCH, STORE,
 * SEARCH: RFC 3501 7.4.1). (transfer full) (nullable): nothing new */
ROOK_EXPORT RookViewChanges *rook_view_update (RookView *view, gboolean allow_expunge);
ROOK_EXPORT void rook_view_changes_free (RookViewChanges *changes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookViewChanges, rook_view_changes_free)

typedef void (*RookViewReadCallback) (GBytes *bytes, const GError *error, gpointer data);
typedef void (*RookViewMimeCallback) (RookMime *mime, const GError *error, gpointer data);
/* Of the message's bytes; @length G_MAXSIZE: to its end. May be called back with fewer bytes only at the end. */
ROOK_EXPORT void rook_view_read (RookView *view, guint32 seq, guint64 offset, gsize length,
                                 RookViewReadCallback callback, gpointer data);
/* Structure, envelope and cached headers, from the cache blob. */
ROOK_EXPORT void rook_view_get_mime (RookView *view, guint32 seq, RookViewMimeCallback callback, gpointer data);

typedef enum { ROOK_STORE_SET, ROOK_STORE_ADD, ROOK_STORE_REMOVE } RookStoreMode;
typedef struct {
  gsize struct_size;
  const guint32 *uids; /* sorted */
  guint n_uids;
  RookStoreMode mode;
  RookFlags flags;
  const char *const *keywords; /* (nullable) */
  guint64 unchanged_since;     /* G_MAXUINT64: no condition */
  const char *session;         /* (nullable) */
} RookStoreFlags;
/* @modified: (element-type guint32) (nullable): uids left alone since they had changed (RFC 7162 3.1.3) */
typedef void (*RookStoreFlagsCallback) (GArray *modified, const GError *error, gpointer data);
ROOK_EXPORT void rook_view_store_flags (RookView *view, const RookStoreFlags *store, RookStoreFlagsCallback callback,
                                        gpointer data);
/* Those of @uids (%NULL: all) with \Deleted. The view is told by rook_view_update(). */
ROOK_EXPORT void rook_view_expunge (RookView *view, const guint32 *uids, guint n_uids, RookMailCallback callback,
                                    gpointer data);
/* @source_uids and @dest_uids: pairs, for COPYUID (RFC 4315). */
typedef void (*RookCopyCallback) (guint32 uidvalidity, GArray *source_uids, GArray *dest_uids, const GError *error,
                                  gpointer data);
ROOK_EXPORT void rook_view_copy (RookView *view, const guint32 *uids, guint n_uids, const char *destination,
                                 gboolean move, RookCopyCallback callback, gpointer data);

G_END_DECLS
