/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See mail-fixture.h. The stores are rook_memory_backend's, one disk a path, which outlives the server.
 */
#include "mail-fixture.h"

#include "schedule/schedule-private.h"
#include "storage/storage-private.h"

static gpointer
open_disk (gpointer data, RookServer *server, RookStore *store, const RookStoreSpec *spec, GError **error)
{
  Fixture *f = data;
  g_autofree char *name = g_path_get_basename (spec->path);

  return rook_memory_backend.open (fixture_disk (f, name), server, store, spec, error);
}

/* The memory backend, choosing its disk by the path. */
static const RookStorageBackend *
test_backend (void)
{
  static RookStorageBackend backend;

  if (backend.name == NULL)
    {
      RookStorageBackend copy = rook_memory_backend;

      copy.open = open_disk;
      backend = copy;
    }
  return &backend;
}

RookMemoryDisk *
fixture_disk (Fixture *f, const char *name)
{
  RookMemoryDisk *disk = g_hash_table_lookup (f->disks, name);

  if (disk == NULL)
    {
      disk = rook_memory_disk_new ();
      g_hash_table_insert (f->disks, g_strdup (name), disk);
    }
  return disk;
}

static void
start (Fixture *f)
{
  g_autofree char *text = g_strdup_printf ("[partition default]\npath=@SCRATCH@/spool/default\n"
                                           "[partition other]\npath=@SCRATCH@/spool/other\n%s",
                                           f->config != NULL ? f->config : "");

  f->server = rook_server_new_for_test (text);
  f->mail = rook_server_get_mail (f->server);
  g_assert_nonnull (f->mail);
  if (f->backend != NULL)
    rook_mail_set_backend (f->mail, f->backend, f->backend_data);
  else
    rook_mail_set_backend (f->mail, test_backend (), f);
}

void
fixture_open_stores (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  rook_mail_open_stores (f->mail, &error);
  g_assert_no_error (error);
}

Fixture *
fixture_new_on (const RookStorageBackend *backend, gpointer data, const char *config)
{
  Fixture *f = g_new0 (Fixture, 1);

  f->backend = backend;
  f->backend_data = data;
  f->config = g_strdup (config);
  f->disks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) rook_memory_disk_free);
  f->alice = rook_identity_new ("alice", "alice", NULL, FALSE);
  f->bob = rook_identity_new ("bob", "bob", NULL, FALSE);
  f->admin = rook_identity_new ("admin", "admin", NULL, TRUE);
  start (f);
  return f;
}

Fixture *
fixture_new_without_stores (const char *config)
{
  return fixture_new_on (NULL, NULL, config);
}

Fixture *
fixture_new (const char *config)
{
  Fixture *f = fixture_new_without_stores (config);

  fixture_open_stores (f);
  must_create (f, NULL, "user/alice");
  must_create (f, NULL, "user/bob");
  return f;
}

void
fixture_free (Fixture *f)
{
  fixture_settle (f);
  rook_server_free_for_test (f->server);
  g_hash_table_unref (f->disks);
  rook_identity_unref (f->alice);
  rook_identity_unref (f->bob);
  rook_identity_unref (f->admin);
  g_free (f->config);
  g_free (f);
}

void
fixture_restart_without_stores (Fixture *f)
{
  fixture_settle (f);
  rook_server_free_for_test (f->server);
  start (f);
}

gboolean
fixture_try_restart (Fixture *f, GError **error)
{
  fixture_restart_without_stores (f);
  return rook_mail_open_stores (f->mail, error);
}

void
fixture_restart (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  fixture_try_restart (f, &error);
  g_assert_no_error (error);
}

static void
quit (gpointer data)
{
  rook_loop_quit (data);
}

void
fixture_settle (Fixture *f)
{
  RookLoop *loop = rook_server_get_loop (f->server);

  /* What is posted while this runs comes behind the first quit, and before the second. */
  for (guint i = 0; i < 3; i++)
    {
      g_usleep (2000);
      rook_worker_invoke (rook_loop_get_main_worker (loop), quit, loop, NULL);
      rook_loop_run (loop);
    }
}

void
fixture_await_store (Fixture *f, const char *name)
{
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, name));

  do
    fixture_settle (f);
  while (!rook_store_accepts (store));
}

/* Whether a deleted mailbox, or what a move has left, is being cleared away. */
static gboolean
has_uncleared (RookMail *mail)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mail->lock);
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, mail->names->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const RookEntry *entry = value;

      if ((entry->deleted && !entry->cleared) || (entry->left != NULL && entry->left[0] != NULL))
        return TRUE;
    }
  return FALSE;
}

void
fixture_await_clearing (Fixture *f)
{
  while (rook_mail_get_state (f->mail) != NULL && has_uncleared (f->mail))
    fixture_settle (f);
}

void
fixture_run_job (Fixture *f, const char *name)
{
  RookJobEntry *entry = rook_schedule_find (rook_server_get_schedule (f->server), name);

  while (entry->run != NULL) /* it came by itself */
    fixture_settle (f);
  g_assert_nonnull (rook_schedule_start (entry));
  while (entry->run != NULL)
    fixture_settle (f);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

void
answer_wait (Answer *answer)
{
  while (!answer->done)
    rook_loop_run (rook_server_get_loop (answer->f->server));
}

void
answer_clear (Answer *answer)
{
  g_clear_error (&answer->error);
  g_clear_pointer (&answer->mailbox, rook_mailbox_unref);
  g_clear_pointer (&answer->bytes, g_bytes_unref);
  g_clear_pointer (&answer->mime, rook_mime_unref);
  g_clear_pointer (&answer->uids, g_array_unref);
  g_clear_pointer (&answer->dest_uids, g_array_unref);
}

static void
done (Answer *answer, const GError *error)
{
  g_assert_false (answer->done);
  answer->done = TRUE;
  g_assert_true (error == NULL || error->domain == ROOK_MAIL_ERROR);
  answer->error = error != NULL ? g_error_copy (error) : NULL;
  rook_loop_quit (rook_server_get_loop (answer->f->server));
}

void
on_mail (const GError *error, gpointer answer)
{
  done (answer, error);
}

void
on_open (RookMailbox *mailbox, const GError *error, gpointer data)
{
  ((Answer *) data)->mailbox = mailbox;
  done (data, error);
}

void
on_append (guint32 uidvalidity, guint32 uid, const GError *error, gpointer data)
{
  Answer *answer = data;

  answer->uidvalidity = uidvalidity;
  answer->uid = uid;
  done (answer, error);
}

void
on_read (GBytes *bytes, const GError *error, gpointer data)
{
  ((Answer *) data)->bytes = bytes != NULL ? g_bytes_ref (bytes) : NULL;
  done (data, error);
}

void
on_mime (RookMime *mime, const GError *error, gpointer data)
{
  ((Answer *) data)->mime = mime != NULL ? rook_mime_ref (mime) : NULL;
  done (data, error);
}

void
on_store (GArray *modified, const GError *error, gpointer data)
{
  ((Answer *) data)->uids = modified != NULL ? g_array_ref (modified) : NULL;
  done (data, error);
}

void
on_copy (guint32 uidvalidity, GArray *source, GArray *dest, const GError *error, gpointer data)
{
  Answer *answer = data;

  answer->uidvalidity = uidvalidity;
  answer->uids = source != NULL ? g_array_ref (source) : NULL;
  answer->dest_uids = dest != NULL ? g_array_ref (dest) : NULL;
  done (answer, error);
}

int
code_of (const Answer *answer)
{
  return answer->error != NULL ? answer->error->code : -1;
}

/* --- calls that must succeed ------------------------------------------------------------------------------------ */

void
must_create (Fixture *f, RookIdentity *identity, const char *name)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_create (f->mail, identity, name, NULL, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
}

RookMailbox *
must_open (Fixture *f, RookIdentity *identity, const char *name)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_open (f->mail, identity, name, on_open, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  return g_steal_pointer (&answer.mailbox);
}

guint32
must_append (Fixture *f, RookMailbox *mailbox, RookIdentity *identity, const char *text)
{
  g_auto (Answer) answer = { .f = f };
  g_autoptr (GBytes) message = g_bytes_new (text, strlen (text));

  rook_mailbox_append (
      mailbox, identity,
      &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
      on_append, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  return answer.uid;
}

RookView *
must_view (RookMailbox *mailbox, RookIdentity *identity)
{
  g_autoptr (GError) error = NULL;
  RookView *view = rook_view_new (mailbox, identity, FALSE, NULL, NULL, &error);

  g_assert_no_error (error);
  return view;
}

void
must_store (Fixture *f, RookView *view, guint32 uid, RookStoreMode mode, RookFlags flags, const char *keyword)
{
  g_auto (Answer) answer = { .f = f };
  const char *const keywords[] = { keyword, NULL };

  rook_view_store_flags (view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = &uid,
                                            .n_uids = 1,
                                            .mode = mode,
                                            .flags = flags,
                                            .keywords = keywords,
                                            .unchanged_since = G_MAXUINT64 },
                         on_store, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  g_assert_null (answer.uids);
}

void
must_expunge (Fixture *f, RookView *view)
{
  g_auto (Answer) answer = { .f = f };

  rook_view_expunge (view, NULL, 0, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
}

void
must_set_acl (Fixture *f, const char *name, const char *identifier, const char *rights)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_set_acl (f->mail, NULL, name, identifier, rights, on_mail, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
}

int
try_rename (Fixture *f, RookIdentity *identity, const char *name, const char *new_name, const char *partition)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_rename (f->mail, identity, name, new_name, partition, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

RookMailboxStatus
status_of (Fixture *f, const char *name)
{
  RookMailbox *mailbox = must_open (f, NULL, name);
  RookMailboxStatus status;

  rook_mailbox_get_status (mailbox, NULL, &status);
  rook_mailbox_unref (mailbox);
  return status;
}

void
load_all (RookView *view)
{
  Fixture f = { .server = rook_view_get_mailbox (view)->mail->server };
  g_auto (Answer) answer = { .f = &f };

  rook_view_load (view, 1, rook_view_get_count (view), on_mail, &answer);
  answer_wait (&answer);
}

char *
view_text (RookView *view)
{
  static const struct {
    RookFlags flag;
    char letter;
  } letters[] = { { ROOK_FLAG_SEEN, 'S' },     { ROOK_FLAG_DELETED, 'D' }, { ROOK_FLAG_FLAGGED, 'F' },
                  { ROOK_FLAG_ANSWERED, 'A' }, { ROOK_FLAG_DRAFT, 'T' },   { ROOK_FLAG_RECENT, 'r' } };
  GString *out = g_string_new (NULL);

  load_all (view);
  for (guint seq = 1; seq <= rook_view_get_count (view); seq++)
    {
      RookMessage message;

      g_assert_true (rook_view_get_message (view, seq, &message));
      g_string_append_printf (out, "%s%u:", seq > 1 ? " " : "", message.uid);
      for (guint i = 0; i < G_N_ELEMENTS (letters); i++)
        if ((message.flags & letters[i].flag) != 0)
          g_string_append_c (out, letters[i].letter);
      if (message.expunged)
        g_string_append_c (out, 'x');
      for (guint k = 0; k < ROOK_MAX_KEYWORDS; k++)
        if ((message.keywords[k / 64] >> (k % 64) & 1) != 0)
          g_string_append_printf (out, "+%s", rook_mailbox_get_keyword (rook_view_get_mailbox (view), k));
    }
  return g_string_free (out, FALSE);
}

/* --- boxes ------------------------------------------------------------------------------------------------------ */

Box
box_new (const char *config, guint n_messages)
{
  Box box = { .f = fixture_new (config) };

  box.mailbox = must_open (box.f, box.f->alice, "user/alice");
  for (guint i = 0; i < n_messages; i++)
    must_append (box.f, box.mailbox, box.f->alice, MESSAGE);
  box.view = must_view (box.mailbox, box.f->alice);
  return box;
}

void
box_clear (Box *box)
{
  g_clear_pointer (&box->view, rook_view_free);
  g_clear_pointer (&box->mailbox, rook_mailbox_unref);
  fixture_free (box->f);
}

void
assert_view (RookView *view, const char *expected)
{
  g_autofree char *text = view_text (view);

  g_assert_cmpstr (text, ==, expected);
}

void
update (RookView *view, gboolean allow_expunge)
{
  RookViewChanges *changes = rook_view_update (view, allow_expunge);

  g_clear_pointer (&changes, rook_view_changes_free);
}

void
count (gpointer data)
{
  ++*(guint *) data;
}
