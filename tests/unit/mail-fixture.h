/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server with the mailbox service on stores in memory, and its calls made to wait: for tests alone.
 */
#pragma once

#include "daemon/server-private.h"
#include "mailbox/box.h"
#include "storage/memory.h"

G_BEGIN_DECLS

typedef struct {
  RookServer *server;
  RookMail *mail;
  GHashTable *disks;                 /* last part of the path -> RookMemoryDisk */
  const RookStorageBackend *backend; /* (nullable) (unowned) NULL: in memory */
  gpointer backend_data;
  char *config;
  RookIdentity *alice, *bob, *admin;
} Fixture;

/* With INBOXes of alice and bob. @config: (nullable) more of it; partitions "default" and "other" are there. */
Fixture *fixture_new (const char *config);
/* The same without anything in it, as while no storage plugin runs, and what its coming does. */
Fixture *fixture_new_without_stores (const char *config);
void fixture_open_stores (Fixture *f);
/* The latter with stores of @backend. */
Fixture *fixture_new_on (const RookStorageBackend *backend, gpointer data, const char *config);
void fixture_free (Fixture *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Fixture, fixture_free)
/* Ends the server and starts another on what was durable. */
void fixture_restart (Fixture *f);
/* The other server has no stores yet. */
void fixture_restart_without_stores (Fixture *f);
/* The same, which may fail: the other server is there then, without stores. */
gboolean fixture_try_restart (Fixture *f, GError **error);
RookMemoryDisk *fixture_disk (Fixture *f, const char *name); /* "mailboxes" (the state store), "default", "other" */

/* What a call was answered with. Run the loop until it was. */
typedef struct {
  Fixture *f;
  gboolean done;
  GError *error;
  guint32 uidvalidity, uid;
  RookMailbox *mailbox;
  GBytes *bytes;
  RookMime *mime;
  GArray *uids, *dest_uids;
} Answer;
void answer_wait (Answer *answer);
void answer_clear (Answer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)
void on_mail (const GError *error, gpointer answer);
void on_open (RookMailbox *mailbox, const GError *error, gpointer answer);
void on_append (guint32 uidvalidity, guint32 uid, const GError *error, gpointer answer);
void on_read (GBytes *bytes, const GError *error, gpointer answer);
void on_mime (RookMime *mime, const GError *error, gpointer answer);
void on_store (GArray *modified, const GError *error, gpointer answer);
void on_copy (guint32 uidvalidity, GArray *source, GArray *dest, const GError *error, gpointer answer);

/* Runs the loop for everything that is due. */
void fixture_settle (Fixture *f);
/* After a failed batch: until the store of fixture_disk (@name) takes batches again. */
void fixture_await_store (Fixture *f, const char *name);
/* Runs a job of the schedule, to its end. */
void fixture_run_job (Fixture *f, const char *name);
/* That a mailbox could not be cleared away is not told: the job make-room, or the next start, goes on with it. So that is awaited. */
void fixture_await_clearing (Fixture *f);

/* Calls that must succeed. */
void must_create (Fixture *f, RookIdentity *identity, const char *name);
RookMailbox *must_open (Fixture *f, RookIdentity *identity, const char *name);
guint32 must_append (Fixture *f, RookMailbox *mailbox, RookIdentity *identity, const char *text);
RookView *must_view (RookMailbox *mailbox, RookIdentity *identity);
void must_store (Fixture *f, RookView *view, guint32 uid, RookStoreMode mode, RookFlags flags, const char *keyword);
void must_expunge (Fixture *f, RookView *view);
void must_set_acl (Fixture *f, const char *name, const char *identifier, const char *rights);
/* A call that may fail. Returns: its code, as code_of(). @partition: (nullable) */
int try_rename (Fixture *f, RookIdentity *identity, const char *name, const char *new_name, const char *partition);
/* As the server sees it. */
RookMailboxStatus status_of (Fixture *f, const char *name);
/* Brings all its records into memory. */
void load_all (RookView *view);
/* "1:Sr 2:D" : uid and flags of what the view has; S, D, F, A, T (draft), r (recent), x (expunged elsewhere). */
char *view_text (RookView *view);
/* The code of what a call answered; -1: success. */
int code_of (const Answer *answer);

/* A mailbox with messages, and a view of it: what most tests begin with. */
typedef struct {
  Fixture *f;
  RookMailbox *mailbox;
  RookView *view;
} Box;
Box box_new (const char *config, guint n_messages);
void box_clear (Box *box);
void assert_view (RookView *view, const char *expected); /* as view_text() gives it */
void update (RookView *view, gboolean allow_expunge);
void count (gpointer data); /* adds one to the guint at @data: a view's `changed` */

#define MESSAGE "From: a@example.org\r\nSubject: s\r\n\r\nbody\r\n"

G_END_DECLS
