/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mailbox service: the semantics of mail, once, for all protocols.
 *
 * Mailboxes are named in one internal form: UTF-8 components separated by "/", `user/NAME` being NAME's INBOX
 * (`user/NAME@DOMAIN` with a domain) and `user/NAME/Folder` what is below; all else is shared. Protocols translate at
 * their edge with a #RookNamespace. Every call names who asks (a #RookIdentity; %NULL: the server itself, which may do
 * everything) and is checked against the mailbox's ACL (RFC 4314).
 *
 * Asynchronous calls are made on a worker and answered on it, exactly once, never before they return, once the change
 * is on stable storage and visible to every session. A reply of success means durable. On failure nothing was changed;
 * every error is a %ROOK_MAIL_ERROR. A call can't be taken back: its callback comes even if what it was made on (a
 * view, a connection) has gone meanwhile. Strings and arrays given are copied, #GBytes are referenced.
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
  ROOK_MAIL_ERROR_NOT_ALLOWED, /* never for this mailbox (deleting an INBOX by its owner) */
  ROOK_MAIL_ERROR_READ_ONLY,
  ROOK_MAIL_ERROR_LIMIT,    /* too many keywords, mailboxes ... */
  ROOK_MAIL_ERROR_EXPUNGED, /* the message is gone for good */
  ROOK_MAIL_ERROR_CORRUPT,
  ROOK_MAIL_ERROR_UNAVAILABLE, /* the partition is not mounted, say: try again later */
  ROOK_MAIL_ERROR_TEMPORARY,   /* storage trouble: try again later */
  ROOK_MAIL_ERROR_REMOTE,      /* it lives on another server */
  ROOK_MAIL_ERROR_FULL         /* Since ABI 2.3: no space on the store's disk: try again later */
} RookMailError;

typedef enum {
  ROOK_FLAG_ANSWERED = 1 << 0,
  ROOK_FLAG_FLAGGED = 1 << 1,
  ROOK_FLAG_DELETED = 1 << 2,
  ROOK_FLAG_SEEN = 1 << 3,
  ROOK_FLAG_DRAFT = 1 << 4,
  ROOK_FLAG_RECENT = 1 << 5 /* a session's, never stored */
} RookFlags;

#define ROOK_MAX_KEYWORDS 128 /* a mailbox; RookMessage.keywords has a bit for each */

/* --- names ------------------------------------------------------------------------------------------------------- */

/* How @identity sees names: separator and alternative namespace by config (mailbox/separator, mailbox/alt-namespace);
 * administrators always see the plain one. Immutable; any thread. */
ROOK_EXPORT RookNamespace *rook_mail_get_namespace (RookMail *mail, RookIdentity *identity);
ROOK_EXPORT void rook_namespace_free (RookNamespace *ns);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookNamespace, rook_namespace_free)
ROOK_EXPORT char rook_namespace_get_separator (RookNamespace *ns);
/* From the client's form (UTF-8, not UTF-7) to the internal one and back: a bijection, but for two aliases that are
 * accepted and never shown: "inbox" in any case, and one's own "user/NAME/..." where that is not the form in use.
 * BAD_NAME: no internal name corresponds, or it would be no valid one (rook_name_is_valid()). One's own mailboxes that would look
 * like a prefix of the alternative namespace are below "INBOX" in it. %NULL from the second: @internal is no valid name.
 * (transfer full) (nullable) */
ROOK_EXPORT char *rook_namespace_to_internal (RookNamespace *ns, const char *name, GError **error);
ROOK_EXPORT char *rook_namespace_to_external (RookNamespace *ns, const char *internal);
/* Prefixes for NAMESPACE (RFC 2342), with their separator; %NULL: not offered. */
ROOK_EXPORT const char *rook_namespace_get_personal_prefix (RookNamespace *ns);
ROOK_EXPORT const char *rook_namespace_get_other_prefix (RookNamespace *ns);
ROOK_EXPORT const char *rook_namespace_get_shared_prefix (RookNamespace *ns);
/* Whether @internal is the INBOX of the identity the namespace was made for. */
ROOK_EXPORT gboolean rook_namespace_is_inbox (RookNamespace *ns, const char *internal);

/* Whether a mailbox may have this internal name: valid UTF-8 without control characters, at most 1000 bytes and 50 components, no
 * component empty; none of the names that a client's form needs for itself (INBOX in any case: shared, or right below
 * a user's INBOX). */
ROOK_EXPORT gboolean rook_name_is_valid (const char *internal);
/* The user whose name `user/NAME[/...]` is; %NULL: a shared one. (transfer full) */
ROOK_EXPORT char *rook_name_dup_owner (const char *internal);

/* --- mailboxes by name -------------------------------------------------------------------------------------------- */

/* Whether it is known which mailboxes there are. While no storage plugin has brought the state store it is not, and what
 * is not found is answered UNAVAILABLE. Functions without an error find nothing then: whoever goes by that asks here, and
 * asks first. Memory only, any thread. */
ROOK_EXPORT gboolean rook_mail_is_available (RookMail *mail, GError **error);

typedef struct {
  const char *name;        /* internal */
  const char *id;          /* (nullable) NULL: there is no such mailbox, only a subscription that outlived it */
  const char *partition;   /* (nullable) as id */
  const char *special_use; /* (nullable) "\\Sent" */
  gboolean has_children;
  gboolean subscribed; /* by the asker */
} RookMailboxInfo;

typedef void (*RookMailCallback) (const GError *error, gpointer data);
typedef void (*RookMailListFunc) (const RookMailboxInfo *info, gpointer data);
typedef void (*RookMailOpenCallback) (RookMailbox *mailbox, const GError *error, gpointer data); /* (transfer full) */

typedef struct {
  gsize struct_size;
  const char *prefix;  /* (nullable) only names beginning so */
  const char *after;   /* (nullable) go on behind this name, the last one that the call before gave */
  guint limit;         /* at most so many; 0: 1000 */
  gboolean subscribed; /* the asker's subscriptions, with or without a mailbox, instead of mailboxes */
} RookListQuery;
/* Mailboxes that @identity may look up (right `l`): its own first, INBOX at their head, then the others, each sorted
 * by internal name, children right after their parent. Memory only, called back before it returns; @func may not call
 * back into the service. @query: (nullable). Returns: whether there are more (ask again with @after: a name that was
 * created or deleted meanwhile disturbs nothing). */
ROOK_EXPORT gboolean rook_mail_list (RookMail *mail, RookIdentity *identity, const RookListQuery *query,
                                     RookMailListFunc func, gpointer data);

typedef struct {
  gsize struct_size;
  const char *partition;   /* (nullable) */
  const char *special_use; /* (nullable) */
} RookCreateOptions;
/* Needs `k` on the nearest parent there is (a user on their own names; else an administrator). Missing parents below a user's
 * INBOX are created too. QUOTA: there may be no more mailboxes below the quota root; administrators are not asked. The ACL is the parent's; without one: the owner everything, or mailbox/default-acl if shared.
 * @options: (nullable) */
ROOK_EXPORT void rook_mail_create (RookMail *mail, RookIdentity *identity, const char *name,
                                   const RookCreateOptions *options, RookMailCallback callback, gpointer data);
/* Needs `x`. Children stay, below a name that is no mailbox any more. A user's INBOX goes with all below it and the user's
 * subscriptions and \Seen, and only at the word of an administrator (NOT_ALLOWED); so does a quota root with mailboxes below. Views of it learn by rook_view_is_gone(). */
ROOK_EXPORT void rook_mail_delete (RookMail *mail, RookIdentity *identity, const char *name, RookMailCallback callback,
                                   gpointer data);
/* Needs `x` on it and on all below, which goes along, and `k` on the new parent. It stays its user's, or shared, unless an
 * administrator says otherwise (NO_PERMISSION). Its id and UIDs stay, and its uidvalidity, unless a mailbox with a greater one
 * had the name before: then it gets one that is greater still, and views of it are gone. What comes below another quota root must
 * fit there (QUOTA), unless an administrator brings it. Of one's INBOX: its messages go to the new mailbox, the INBOX stays, empty
 * and with a new uidvalidity, its children too (RFC 3501 6.3.5).
 * @partition: (nullable) move there, with what goes along; at the word of an administrator alone (NO_PERMISSION). NOT_ALLOWED:
 * there is no such partition. @new_name may be @name then, and all below it is moved too. They stay in use meanwhile: views keep
 * their numbers, messages can be read, and changes wait a moment at most. All are moved or none. A user who is renamed keeps
 * subscriptions and \Seen; what was kept for somebody of the new name is forgotten. */
ROOK_EXPORT void rook_mail_rename (RookMail *mail, RookIdentity *identity, const char *name, const char *new_name,
                                   const char *partition, RookMailCallback callback, gpointer data);
/* A name stays subscribed when its mailbox is deleted, and does not follow a rename (RFC 3501 6.3.6). A user's own do when the user is
 * renamed. LIMIT: there would be more than mailbox/max-subscriptions. */
ROOK_EXPORT void rook_mail_subscribe (RookMail *mail, RookIdentity *identity, const char *name, gboolean subscribed,
                                      RookMailCallback callback, gpointer data);

typedef enum { ROOK_ENSURE_LOGIN, ROOK_ENSURE_DELIVERY } RookEnsure;
/* Makes @user's INBOX and the folders of mailbox/autocreate-folders (subscribed) if there is none and mailbox/autocreate
 * allows it on this occasion; NOT_FOUND if it does not. Costs nothing when it is there. */
ROOK_EXPORT void rook_mail_ensure_user (RookMail *mail, const char *user, RookEnsure occasion,
                                        RookMailCallback callback, gpointer data);
/* Whether the mailbox exists, for a quick answer to RCPT TO. Memory only, any thread, like what follows. */
ROOK_EXPORT gboolean rook_mail_exists (RookMail *mail, const char *name);
/* Whether rook_mail_ensure_user() would say yes. */
ROOK_EXPORT gboolean rook_mail_user_may_exist (RookMail *mail, const char *user, RookEnsure occasion);

/* Rights in the order "lrswipkxtecdan" (RFC 4314, `n`: RFC 5257; `c` and `d` are derived). (transfer full);
 * %NULL: no such mailbox, or one that @identity may not look up. */
ROOK_EXPORT char *rook_mail_get_rights (RookMail *mail, RookIdentity *identity, const char *name);
/* "IDENTIFIER TAB RIGHTS TAB" repeated; a negative identifier begins with "-". Needs `a`. (transfer full) (nullable) */
ROOK_EXPORT char *rook_mail_get_acl (RookMail *mail, RookIdentity *identity, const char *name, GError **error);
/* Needs `a`. @rights: as in SETACL: "lrs" replaces, "+lrs" adds, "-lrs" removes; "" drops the entry. */
ROOK_EXPORT void rook_mail_set_acl (RookMail *mail, RookIdentity *identity, const char *name, const char *identifier,
                                    const char *rights, RookMailCallback callback, gpointer data);

/* --- quota (RFC 9208) --------------------------------------------------------------------------------------------- */

/* A quota root is a mailbox with limits, which hold for it and everything below, up to the next root: `user/NAME` for all of
 * NAME's mailboxes. Expunged messages do not count, nor does what was deleted. Limits go where their mailbox goes, and end with
 * it; but when a user's INBOX gives its messages to another mailbox, they stay with the INBOX. */
typedef enum {
  ROOK_QUOTA_STORAGE,            /* bytes of messages */
  ROOK_QUOTA_MESSAGE,            /* messages */
  ROOK_QUOTA_MAILBOX,            /* mailboxes, the root among them */
  ROOK_QUOTA_ANNOTATION_STORAGE, /* bytes; there is nothing yet that would count */
  ROOK_QUOTA_N_RESOURCES
} RookQuotaResource;

typedef struct {
  const char *root;                      /* internal name */
  gint64 limits[ROOK_QUOTA_N_RESOURCES]; /* -1: none */
  guint64 usage[ROOK_QUOTA_N_RESOURCES]; /* durable; what is on its way is not in it, but its room is taken */
} RookQuota;
typedef void (*RookQuotaCallback) (const RookQuota *quota, const GError *error, gpointer data);
typedef void (*RookQuotaRootFunc) (const char *root, const gint64 *limits, gpointer data);

/* For administrators. @limits: (nullable) ROOK_QUOTA_N_RESOURCES of them, in place of all that were; -1: none. %NULL: it is no
 * quota root any more. They hold for what is there at once; nothing is taken away for being above them. */
ROOK_EXPORT void rook_mail_set_quota (RookMail *mail, RookIdentity *identity, const char *name, const gint64 *limits,
                                      RookMailCallback callback, gpointer data);
/* For administrators, and for the owner of the mailbox. NOT_FOUND: no such mailbox, or it is no quota root. UNAVAILABLE, TEMPORARY, CORRUPT: what part of its mailboxes
 * hold can't be told now; as long as that is so mail is let in by what the others hold. */
ROOK_EXPORT void rook_mail_get_quota (RookMail *mail, RookIdentity *identity, const char *root,
                                      RookQuotaCallback callback, gpointer data);
/* The root that the mailbox @name counts for; @quota is %NULL if there is none. Needs `r`, or an administrator. */
ROOK_EXPORT void rook_mail_get_mailbox_quota (RookMail *mail, RookIdentity *identity, const char *name,
                                              RookQuotaCallback callback, gpointer data);
/* For administrators (others have none): the quota roots behind @after (nullable), sorted by internal name, at most @limit; 0: 1000.
 * Memory only, called back before it returns. Returns: whether there are more. */
ROOK_EXPORT gboolean rook_mail_list_quota_roots (RookMail *mail, RookIdentity *identity, const char *after, guint limit,
                                                 RookQuotaRootFunc func, gpointer data);

/* --- an open mailbox ------------------------------------------------------------------------------------------------ */

/* Needs any right of use (`r`, `s`, `w`, `i`, `p`, `t`, `e`); rook_view_new() then needs `r`. One object serves all who open the
 * same mailbox. */
ROOK_EXPORT void rook_mail_open (RookMail *mail, RookIdentity *identity, const char *name,
                                 RookMailOpenCallback callback, gpointer data);
ROOK_EXPORT RookMailbox *rook_mailbox_ref (RookMailbox *mailbox);
ROOK_EXPORT void rook_mailbox_unref (RookMailbox *mailbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookMailbox, rook_mailbox_unref)
ROOK_EXPORT const char *rook_mailbox_get_id (RookMailbox *mailbox);
ROOK_EXPORT char *rook_mailbox_dup_name (RookMailbox *mailbox); /* internal; it may be renamed meanwhile */
/* As rook_mail_get_rights(); "" if none. (transfer full) */
ROOK_EXPORT char *rook_mailbox_get_rights (RookMailbox *mailbox, RookIdentity *identity);

typedef struct {
  guint32 uidvalidity, uidnext;
  guint32 messages, recent, unseen, deleted;
  guint32 first_unseen; /* sequence number; 0: none */
  guint64 highest_modseq;
  guint64 size; /* bytes */
} RookMailboxStatus;
/* Of the durable head. Needs `r`: without it all is 0, uidvalidity too, which never is else. */
ROOK_EXPORT void rook_mailbox_get_status (RookMailbox *mailbox, RookIdentity *identity, RookMailboxStatus *out_status);
/* The keyword of bit @index (RookMessage.keywords), %NULL past the last. Never changes its meaning while the mailbox lives; the
 * string is valid as long as @mailbox. Compared without case, kept in the case of its first use. */
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
  /* Since ABI 2.2: quota refuses it only if what is there is above a limit already, whatever its own size */
  gboolean may_overshoot;
} RookAppend;
/* @uidvalidity, @uid: for APPENDUID (RFC 4315) */
typedef void (*RookAppendCallback) (guint32 uidvalidity, guint32 uid, const GError *error, gpointer data);
/* Needs `i`; flags that need a right the asker lacks (`s`, `w`, `t`) are left out. Errors: NO_PERMISSION, TOO_BIG
 * (mailbox/max-message-size), BAD_MESSAGE (empty, a NUL byte), LIMIT (keywords), QUOTA, TEMPORARY, FULL, NOT_FOUND
 * (deleted meanwhile). */
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
  guint64 keywords[ROOK_MAX_KEYWORDS / 64];
  guint64 created_modseq;
  gint64 save_date;  /* seconds since 1970: when it came into this mailbox (RFC 8514) */
  guint8 guid[20];   /* SHA-1 of its bytes */
  gboolean expunged; /* elsewhere; this view has not been told yet */
} RookMessage;

/* A session selects a mailbox: sequence numbers 1 to count, which change in rook_view_update() and nowhere else. Needs
 * `r` (NOT_FOUND: nor may it look the mailbox up), all the time: while that is taken away the session knows what it was told, and
 * gets nothing more. Calls are answered NO_PERMISSION, rook_view_get_message() %FALSE, and rook_view_update() has nothing new; when
 * it is given back all goes on where it was. All its functions belong to the worker that made it. @changed (nullable) is called
 * there when there is something for rook_view_update(), once until that was called, never after rook_view_free(). @read_only:
 * EXAMINE (also without being asked if the identity has none of the rights `s`, `w`, `t`, `e`); \Recent is then shown, not
 * claimed. */
ROOK_EXPORT RookView *rook_view_new (RookMailbox *mailbox, RookIdentity *identity, gboolean read_only, RookFunc changed,
                                     gpointer data, GError **error);
/* Calls made through it go on; their callbacks still come. */
ROOK_EXPORT void rook_view_free (RookView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookView, rook_view_free)
ROOK_EXPORT RookMailbox *rook_view_get_mailbox (RookView *view);
ROOK_EXPORT gboolean rook_view_is_read_only (RookView *view);
/* The mailbox was deleted (NOT_FOUND), or it got another uidvalidity, or its store failed and nobody knows how (TEMPORARY: it has
 * to be opened again): everything but rook_view_free() fails from now on. @changed tells this too. */
ROOK_EXPORT gboolean rook_view_is_gone (RookView *view);
ROOK_EXPORT guint32 rook_view_get_count (RookView *view);
ROOK_EXPORT guint32 rook_view_get_recent (RookView *view);
ROOK_EXPORT guint32 rook_view_get_uid (RookView *view, guint32 seq); /* 1 <= seq <= count */
/* The first message whose uid is >= @uid: its sequence number, count + 1 if there is none. O(log n). */
ROOK_EXPORT guint32 rook_view_find_uid (RookView *view, guint32 uid);
/* Brings the records of messages @first to @last into memory, where they stay until the next load or update of this view:
 * call it before rook_view_get_message() on them. Ranges of any size; long ones cost memory, so go in pieces of some
 * thousands. CORRUPT: those that are not damaged are there all the same. */
ROOK_EXPORT void rook_view_load (RookView *view, guint32 first, guint32 last, RookMailCallback callback, gpointer data);
/* %FALSE: not loaded, damaged, or expunged elsewhere and no longer to be had. Memory only. */
ROOK_EXPORT gboolean rook_view_get_message (RookView *view, guint32 seq, RookMessage *out_message);

/* What a session must be told, in this order: expunged, then exists and recent, then fetch. */
typedef struct {
  GArray *expunged; /* (element-type guint32) sequence numbers, each valid after those before it were removed */
  guint32 exists;   /* new count */
  guint32 recent;
  gboolean exists_changed, recent_changed;
  guint64 highest_modseq; /* what may be told: never beyond what this view has been told */
  GArray *expunged_uids;  /* (element-type guint32) the same messages, for VANISHED (RFC 7162) */
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
/* Structure, envelope and cached headers, from the cache blob. @mime: (transfer none) */
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
  gboolean silent;             /* rook_view_update() of this view does not report these changes (RFC 3501 6.4.6) */
} RookStoreFlags;
/* @modified: (element-type guint32) (nullable): uids left alone since they had changed (RFC 7162 3.1.3) */
/* Needs `s` for \Seen, `t` for \Deleted, `w` for the rest: what the asker may not change is left as it is; NO_PERMISSION if that
 * is everything. UIDs that are not there are passed over. What is set already changes no modseq. */
typedef void (*RookStoreFlagsCallback) (GArray *modified, const GError *error, gpointer data);
ROOK_EXPORT void rook_view_store_flags (RookView *view, const RookStoreFlags *store, RookStoreFlagsCallback callback,
                                        gpointer data);
/* Those of @uids (sorted; %NULL: all that this view knows) with \Deleted. Needs `e`. The view is told by rook_view_update(). */
ROOK_EXPORT void rook_view_expunge (RookView *view, const guint32 *uids, guint n_uids, RookMailCallback callback,
                                    gpointer data);
/* @source_uids and @dest_uids: pairs, for COPYUID (RFC 4315). All or nothing, in the order of the source; flags and internal
 * dates come along as far as the asker's rights there go. Needs `r` here and `i` there; @move: also `t` and `e` here;
 * the messages are then expunged here once they are safe there. QUOTA: they do not all fit; a move below one
 * quota root always does. NOT_FOUND, with nothing done: [TRYCREATE]. UIDs that
 * are not there are passed over; nothing to copy is success with uidvalidity 0. */
typedef void (*RookCopyCallback) (guint32 uidvalidity, GArray *source_uids, GArray *dest_uids, const GError *error,
                                  gpointer data);
ROOK_EXPORT void rook_view_copy (RookView *view, const guint32 *uids, guint n_uids, const char *destination,
                                 gboolean move, RookCopyCallback callback, gpointer data);

G_END_DECLS
