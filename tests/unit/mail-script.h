/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A script that does with mailboxes everything that can be done, part by part, and the state of everything as a text: for
 * tests of what becomes of it where a part of it fails.
 */
#pragma once

#include "mail-fixture.h"

G_BEGIN_DECLS

#define INBOX "user/alice"

typedef struct {
  Fixture *f;
  RookView *view;     /* (owned) (nullable) alice's session on her INBOX, which stays */
  GPtrArray *answers; /* (element-type Answer) (owned) kept: none may be given twice */
} Run;

typedef enum {
  CREATE,    /* @name, on partition @other if not NULL */
  APPEND,    /* @size bytes to @name, @parts times at once */
  DELIVER,   /* to @name with the key @other */
  FLAG,      /* @flags and the keyword @other to @uids of @name */
  SET_ACL,   /* bob everything on @name */
  COPY,      /* @uids of @name to @other */
  MOVE,      /* the same; its parts: copied, expunged */
  EXPUNGE,   /* @name */
  FETCH,     /* everything of @name */
  SUBSCRIBE, /* alice to @name */
  UNSUBSCRIBE,
  RENAME,    /* @name to @other */
  PARTITION, /* @name to partition @other, with all below it */
  DELETE     /* @name */
} Kind;

typedef struct {
  Kind kind;
  const char *name, *other;
  guint32 uids[3]; /* to the first 0 */
  RookFlags flags;
  gsize size;
  gboolean by_bob;
  guint parts; /* 0: one */
} Step;

Run *run_new (void);                                                /* on a server with the INBOXes of alice and bob */
Run *run_new_on (const RookStorageBackend *backend, gpointer data); /* stores of @backend, not opened */
void run_free (Run *run);
/* Opens the stores anew. */
void run_restart (Run *run);
/* The next answer. (transfer none) */
Answer *run_ask (Run *run);
/* Waits for it. Returns: its code, -1: success. */
int run_wait (Answer *answer);
int run_open_view (Run *run, RookIdentity *who, const char *name, RookView **out_view);
/* The session on the INBOX; a new one if the mailbox was taken from under it, or has another name now. */
int run_take_session (Run *run);
Answer *run_append (Run *run, RookMailbox *mailbox, gsize size, const char *key);
int run_store_flags (Run *run, RookView *view, const Step *step, RookFlags flags);
/* Bytes and structure of every message of @view. */
int run_fetch (Run *run, RookView *view);
/* Of steps that are about names. */
int run_change_names (Run *run, const Step *step);
/* Names of all mailboxes. (transfer full) */
GPtrArray *run_list (Run *run);

/* Parts are counted over all steps. Returns: (nullable) the step of part @part; *@out_from: which part of the step it is. */
const Step *script_locate (guint part, guint *out_from);
guint script_parts_of (const Step *step);
/* Parts @from to @to - 1 of @step. @out_done: how many were answered with success though the whole was not. */
int script_perform (Run *run, const Step *step, guint from, guint to, guint *out_done);
/* What is there before each part of the script, and at its end: as described in a run on stores in memory. (transfer full) */
GPtrArray *script_write_down (void);
/* Every mailbox with its messages, their flags and bodies, and the subscriptions. (transfer full) */
char *script_describe (Run *run);
/* Where the script ends, so described. */
#define SCRIPT_END                                                                                            \
  "user/alice on other: 2 next 3 | 1: 300 | 2: 300\n"                                                         \
  "user/alice/b on other: 1 next 2 | 1: 500\n"                                                                \
  "user/alice/c on other: 6 next 8 | 1: 100 bob:S | 3:F+work 100 | 4:F+work 100 | 5: 100 | 6: 400 | 7: 600\n" \
  "user/alice/old on default: 1 next 4 | 1:F+work 100\n"                                                      \
  "user/bob on default: 0 next 1\n"                                                                           \
  "subscribed: user/alice/a\n"

G_END_DECLS
