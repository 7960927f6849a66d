/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Quota: what the mailboxes below a root hold, and whether more may come.
 *
 * A *root* is a mailbox whose entry has limits. A mailbox counts for the nearest root above it, or itself. Its *total* is what its
 * header says; a root's usage is the sum of totals, in memory. Whatever changes a total says what it is now, and not by how much
 * it changed, so that nothing is counted twice or forgotten, however it meets with a summing.
 *
 * Usage is summed when it is first needed (quota-sum.c): from the headers of the mailboxes below the root. From then on each
 * settled commit, and each change of names, brings it along. A total that is not known for sure (its store failed) is read again.
 *
 * Who adds mail claims room first, under the mailbox's lock, and the claim ends when the commit settles: so many at once
 * can't go beyond a limit, and what fails gives it back.
 *
 * Locks: RookQuotas.lock comes after RookMail.lock and RookMailbox.lock.
 */
#pragma once

#include "mailbox/entry.h"
#include "mailbox/record.h"
#include "rookery/thread.h"

G_BEGIN_DECLS

typedef struct RookQuotas RookQuotas;
typedef struct RookQuotaRoot RookQuotaRoot;
typedef struct RookChangeOp RookChangeOp; /* change.h */

RookQuotas *rook_quotas_new (void);
void rook_quotas_free (RookQuotas *quotas);

/* --- claims ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookQuotaRoot *root; /* (owned) (nullable) */
  guint64 amounts[ROOK_QUOTA_N_RESOURCES];
} RookQuotaClaim;

typedef enum {
  ROOK_QUOTA_STRICT,    /* it has to fit */
  ROOK_QUOTA_OVERSHOOT, /* what is there has to fit: one message may go beyond */
  ROOK_QUOTA_IGNORE     /* it is counted, and not asked for */
} RookQuotaRule;

typedef enum {
  ROOK_QUOTA_GRANTED,
  ROOK_QUOTA_OVER, /* the claim holds nothing: see rook_quota_refuse() */
  ROOK_QUOTA_LATER /* the usage is not known: rook_quota_await(), then ask again */
} RookQuotaAnswer;

/* With the mailbox's lock held. *@claim: empty; ended by rook_quota_settle(), rook_quota_refuse() or rook_quota_unclaim(). */
RookQuotaAnswer rook_quota_claim (RookMailbox *mailbox, const guint64 *amounts, RookQuotaRule rule,
                                  RookQuotaClaim *claim);
/* The same of what comes to the mailbox @name, there or not, or below it. */
RookQuotaAnswer rook_quota_claim_name (RookMail *mail, const char *name, const guint64 *amounts, RookQuotaRule rule,
                                       RookQuotaClaim *claim);
void rook_quota_unclaim (RookMail *mail, RookQuotaClaim *claim);
/* Ends a claim that was answered OVER, publishes QuotaExceed, and makes the error. Without locks. @entry: (nullable) the mailbox
 * that it was for; %NULL: the root's. (transfer full) */
GError *rook_quota_refuse (RookMail *mail, RookQuotaClaim *claim, RookEntry *entry, RookIdentity *identity);
/* With the mailbox's lock held, when a commit has settled: ends its claim, and counts what the durable head says now. */
void rook_quota_settle (RookMailbox *mailbox, RookQuotaClaim *claim);
/* Whether two mailboxes count for the same root, or both for none. */
gboolean rook_quota_is_shared (RookMail *mail, const RookEntry *a, const RookEntry *b);

/* Calls back on this worker, later, once the usage of the root of @name is known or it turned out that part of it can't be had now
 * (an error): then what is known counts for a while. */
void rook_quota_await (RookMail *mail, const char *name, RookMailCallback callback, gpointer data);

/* --- changes of names --------------------------------------------------------------------------------------------------- */

/* With RookMail.lock held, after @after has come in place of @before (nullable). */
void rook_quota_follow (RookMail *mail, const RookEntry *before, RookEntry *after);
/* With RookMail.lock held, behind that: it is new, and nothing is in it. */
void rook_quota_note_empty (RookMail *mail, const char *id);
/* Stores came that were not there: totals that could not be had are asked for again. */
void rook_quota_note_stores (RookMail *mail);
/* Publishes QuotaWithin of each root that has come below its limits since. Without locks. */
void rook_quota_tell (RookMail *mail);

/* quota-set.c: asks for the room that what @op has planned needs, then calls @func; op->error is set if there is none. */
void rook_quota_permit (RookChangeOp *op, void (*func) (RookChangeOp *op));

/* --- for verify --------------------------------------------------------------------------------------------------------- */

/* (nullable) (transfer full) how the total of the mailbox @id differs from that of @header, which is what is stored. Looks at the
 * mailbox if it is open; %NULL too if it has changed since. */
char *rook_quota_check_total (RookMail *mail, const char *id, const RookHeader *header);
/* (nullable) (transfer full) how the usage of the root @name differs from the sum of its totals. */
char *rook_quota_check_root (RookMail *mail, const char *name);

/* --- between quota.c and its neighbours: with RookQuotas.lock held ---------------------------------------------------------- */

typedef struct {
  RookMailCallback callback;
  gpointer data;
  RookWorker *worker;
  GError *error; /* (nullable) */
} RookQuotaWaiter;

struct RookQuotaRoot {
  gint ref;                                /* atomic */
  RookEntry *entry;                        /* (owned) the mailbox that it is: name and limits */
  gboolean gone;                           /* it is no root any more */
  gboolean walked;                         /* there is a total for each mailbox below */
  guint structure;                         /* changes when a root came or went below, or it was renamed */
  guint changes;                           /* changes with every total that counts for it */
  guint n_totals, n_unknown;               /* mailboxes; those of them whose total is not known */
  guint64 usage[ROOK_QUOTA_N_RESOURCES];   /* of those that are known */
  guint64 claimed[ROOK_QUOTA_N_RESOURCES]; /* by what is on its way */
  gint64 retry_us;                         /* until then what is known has to do, */
  guint retry_stores;                      /* as long as RookQuotas.stores is this */
  GPtrArray *waiting;                      /* (nullable) (element-type RookQuotaWaiter) while it is being summed */
};

/* Of one mailbox, as its durable head has it. */
typedef struct {
  RookQuotaRoot *root; /* (owned) */
  gboolean is_known;
  guint32 messages;
  guint64 size;
  char id[];
} RookQuotaTotal;

struct RookQuotas {
  RookMutex lock;
  GHashTable *roots;  /* name (of the entry) -> RookQuotaRoot */
  GHashTable *totals; /* id -> RookQuotaTotal, of mailboxes below a root that was summed */
  guint stores;       /* changes when stores come */
  GPtrArray *news;    /* (element-type RookEntry) roots that came below their limits */
  gint n_totals;      /* atomic: of totals */
  gint n_news;        /* atomic */
  gint n_busy;        /* atomic: summings and readings under way, which end soon when the server closes */
};

RookQuotaRoot *rook_quota_root_ref (RookQuotaRoot *root);
void rook_quota_root_unref (RookQuotaRoot *root);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookQuotaRoot, rook_quota_root_unref)
/* The root that a mailbox of this name counts for. (nullable) (transfer none) */
RookQuotaRoot *rook_quota_find_root (RookQuotas *quotas, const char *name);
static inline gboolean
rook_quota_root_is_known (const RookQuotaRoot *root)
{
  return root->walked && root->n_unknown == 0;
}
static inline const char *
rook_quota_root_name (const RookQuotaRoot *root)
{
  return root->entry->name;
}
/* Has the mailbox count for its root, if that is @summed or was summed already. Returns: %TRUE if it counts for @summed and its total
 * is not known. @summed: (nullable) */
gboolean rook_quota_place (RookQuotas *quotas, const RookEntry *entry, RookQuotaRoot *summed);
/* What a header said that was read. Nothing, if the mailbox has told meanwhile. */
void rook_quota_take_header (RookQuotas *quotas, const char *id, guint32 messages, guint64 size);

/* Begins to sum @root on this worker; RookQuotaRoot.waiting is there. Of one that is gone: its totals find others. */
void rook_quota_sum (RookMail *mail, RookQuotaRoot *root);

/* quota-sum.c: without locks. Reads the headers of mailboxes (element-type RookEntry), a few at a time; calls @each for those that
 * could be, then @done with the first error. @entries: (transfer full) */
typedef void (*RookQuotaEach) (const RookEntry *entry, guint32 messages, guint64 size, gpointer data);
void rook_quota_read (RookMail *mail, GPtrArray *entries, RookQuotaEach each, RookMailCallback done, gpointer data);

G_END_DECLS
