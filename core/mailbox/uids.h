/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The uids of the messages of a mailbox, in order, as somebody knows them: the mailbox's heads, commits, views.
 *
 * They are kept by page: a *run* says which records of a page live, and how many live before it. So numbers are found by
 * halving, an expunge costs a few bytes for each page and not for each message, and what differs between two states is
 * found by comparing pages. Runs are shared, and those that one holder knows never change; the last, which does when a
 * message is appended, is each holder's own. Thus one more message costs nothing to the views that have not been told of it,
 * and a thousand views share one array.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define ROOK_RUN_SLOTS 64 /* at most: bits of a run */

/* The uids of a page's records, where they are not first_uid, first_uid + 1, ... */
typedef struct {
  gint ref; /* atomic */
  guint n;
  guint32 uids[];
} RookSparse;

typedef struct {
  guint32 first_uid;  /* of record 0 */
  guint32 before;     /* messages in the runs before */
  guint64 live;       /* bit n: record n is a message */
  RookSparse *sparse; /* (owned) (nullable) */
} RookRun;

typedef struct {
  gint ref;          /* atomic */
  guint n, capacity; /* n: written, by whoever appends */
  RookRun data[];
} RookRuns;

/* All zero: none. */
typedef struct {
  RookRuns *runs; /* (owned) (nullable) shared; this holder knows all of them before its last: */
  RookRun last;
  guint n_runs; /* with the last */
  guint n;      /* messages */
} RookUids;

/* The same ones, sharing all there is. */
RookUids rook_uids_copy (const RookUids *uids);
void rook_uids_clear (RookUids *uids);
/* A page behind the last, as a whole. @sparse: (nullable) the uids of its @n_slots records */
void rook_uids_add_page (RookUids *uids, guint32 first_uid, guint64 live, const guint32 *sparse, guint n_slots);
/* One message in record @slot of the last page; 0: of a new one. In place, if there is room: only one of those who share an
 * array may append, and whoever does so later must know all that was appended, or none of it. */
void rook_uids_append (RookUids *uids, guint slot, guint32 uid);
/* Takes some (sorted) out. */
void rook_uids_drop (RookUids *uids, const guint32 *drop, guint n_drop);
guint32 rook_uids_get (const RookUids *uids, guint index);
guint32 rook_uids_get_last (const RookUids *uids); /* 0: there is none */
/* The index of the first that is >= @uid; uids->n if there is none. */
guint rook_uids_find (const RookUids *uids, guint32 uid);
gboolean rook_uids_contain (const RookUids *uids, guint32 uid);
/* The number of the page in which message @index lies. */
guint rook_uids_find_run (const RookUids *uids, guint index);
const RookRun *rook_uids_run (const RookUids *uids, guint number);
/* What @before had and @now, a later state, does not: to @gone (element-type guint32) the uids, to @numbers the place (from 1) of
 * each, as it is once those before it are gone. */
void rook_uids_compare (const RookUids *before, const RookUids *now, GArray *gone, GArray *numbers);
/* Adds to @uids what is new in @now, a later state. */
void rook_uids_join (RookUids *uids, const RookUids *now);

G_END_DECLS
