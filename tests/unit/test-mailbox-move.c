/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moving mailboxes to another partition while they are in use: what is there afterwards is what was there, on every way that it
 * can take and be cut short. The stores are in memory; each counts its blobs from 1, so that a mix-up of ids shows.
 */
#include "mail-fixture.h"
#include "mailbox/verify.h"

#define INBOX "user/alice"
#define A "default"
#define B "other"
#define C "third"
#define THIRD "[partition third]\npath=@SCRATCH@/spool/third\n"

/* --- what there is ------------------------------------------------------------------------------------------------------ */

static RookStore *
store_of (Fixture *f, const char *partition)
{
  return rook_memory_disk_get_store (fixture_disk (f, partition));
}

static gboolean
count_value (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  gpointer *rock = data;
  const char *id = rock[0];
  gsize length = strlen (id);

  if (g_bytes_get_size (key) >= length && memcmp (g_bytes_get_data (key, NULL), id, length) == 0)
    ++*(guint *) rock[1];
  return TRUE;
}

/* Values that @partition has of mailbox @id. */
static guint
count_values (Fixture *f, const char *partition, const char *id)
{
  guint n = 0;
  gpointer rock[] = { (gpointer) id, &n };

  for (RookTable table = ROOK_PART_HEADERS; table <= ROOK_PART_SUMMARIES; table++)
    g_assert_true (rook_store_foreach (store_of (f, partition), table, count_value, rock, NULL));
  return n;
}

static gboolean
count_blob (const RookBlobInfo *info G_GNUC_UNUSED, gpointer data)
{
  ++*(guint *) data;
  return TRUE;
}

static guint
count_blobs (Fixture *f, const char *partition)
{
  guint n = 0;

  g_assert_true (rook_store_foreach_blob (store_of (f, partition), count_blob, &n, NULL));
  return n;
}

static RookEntry *
entry_of (Fixture *f, const char *name)
{
  RookEntry *entry = rook_mail_ref_entry (f->mail, name);

  g_assert_nonnull (entry);
  return entry;
}

static void
assert_lies (Fixture *f, const char *name, const char *partition)
{
  g_autoptr (RookEntry) entry = entry_of (f, name);

  g_assert_cmpstr (entry->partition, ==, partition);
}

static gboolean
has_left (Fixture *f)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&f->mail->lock);
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, f->mail->names->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((RookEntry *) value)->left != NULL && ((RookEntry *) value)->left[0] != NULL)
      return TRUE;
  return FALSE;
}

static void
await_swept (Fixture *f)
{
  while (has_left (f))
    fixture_settle (f);
}

static void
append_text (const char *mailbox, guint32 uid, const char *text, gpointer data)
{
  g_string_append_printf (data, "%s %u: %s\n", mailbox != NULL ? mailbox : "-", uid, text);
}

static void
append_note (const char *mailbox, const char *text, gpointer data)
{
  (void) mailbox;
  (void) text;
  (void) data;
}

static gboolean
go_on (double percent, const char *text, gpointer data)
{
  (void) percent;
  (void) text;
  (void) data;
  return TRUE;
}

/* Every body is that of its GUID, and nothing belongs to nobody. */
static void
assert_clean (Fixture *f)
{
  static const RookVerifyEvents events = { .fault = append_text, .note = append_note, .progress = go_on };
  g_autoptr (GString) faults = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  RookVerifySums sums;

  rook_mail_verify (f->mail, NULL, TRUE, &events, faults, &sums, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (faults->str, ==, "");
}

/* Nothing of @name is on @partition. */
static void
assert_gone_from (Fixture *f, const char *partition, const char *name)
{
  g_autoptr (RookEntry) entry = entry_of (f, name);

  g_assert_cmpuint (count_values (f, partition, entry->id), ==, 0);
}

typedef struct {
  RookMailbox *mailbox;
  GString *out;
  Answer answer;
} Describing;

/* While the pages are in memory for it. */
static void
describe_records (const GError *error, gpointer data)
{
  Describing *describing = data;
  RookMailbox *mailbox = describing->mailbox;
  GString *out = describing->out;

  g_assert_no_error (error);
  for (guint p = 0; p < mailbox->durable.pages->len; p++)
    for (guint slot = 0; slot < rook_head_page (&mailbox->durable, p)->n; slot++)
      {
        RookRecord record;

        g_assert_false (rook_page_is_hollow (rook_head_page (&mailbox->durable, p)));
        rook_head_get (&mailbox->durable, p, slot, &record);
        g_string_append_printf (
            out, "%u %d %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT, record.uid,
            record.zone_minutes, record.created_modseq, record.internal_date, record.save_date, record.size);
        g_string_append_printf (out, " %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %x %" G_GINT64_MODIFIER "x\n",
                                record.modseq, record.last_updated, record.flags, record.keywords[0]);
      }
  on_mail (error, &describing->answer);
}

/* All that a mailbox is, but for where. */
static char *
describe (Fixture *f, const char *name)
{
  RookMailbox *mailbox = must_open (f, f->bob, name);
  RookMailboxStatus status;
  GString *out = g_string_new (mailbox->id);
  GArray *all = g_array_new (FALSE, FALSE, sizeof (guint));
  Describing describing = { mailbox, out, { .f = f } };
  guint8 image[ROOK_HEADER_SIZE];

  for (guint p = 0; p < mailbox->durable.pages->len; p++)
    g_array_append_val (all, p);
  rook_mailbox_fill (mailbox, all, describe_records, &describing);
  answer_wait (&describing.answer);
  rook_header_encode (&mailbox->durable.header, image);
  for (guint i = 0; i < sizeof image; i++)
    g_string_append_printf (out, "%02x", image[i]);
  for (guint k = 0; k < mailbox->durable.n_keywords; k++)
    g_string_append_printf (out, " %s", rook_mailbox_get_keyword (mailbox, k));
  rook_mailbox_get_status (mailbox, f->bob, &status);
  g_string_append_printf (out, "\n%u of %u not seen by bob\n", status.unseen, status.messages);
  rook_mailbox_unref (mailbox);
  return g_string_free (out, FALSE);
}

/* --- what is done ------------------------------------------------------------------------------------------------------- */

static guint32
add_message (Fixture *f, RookMailbox *mailbox, guint n)
{
  g_autofree char *text = g_strdup_printf ("Subject: %u\r\n\r\nbody of %u\r\n", n, n);

  return must_append (f, mailbox, f->alice, text);
}

/* Flags, a keyword, messages that bob has seen, some that were expunged. */
static void
make_history (Fixture *f, const char *name, guint n)
{
  RookMailbox *mailbox;
  RookView *view, *bobs;

  must_set_acl (f, name, "bob", "lrswipte");
  mailbox = must_open (f, f->bob, name);
  for (guint i = 0; i < n; i++)
    add_message (f, mailbox, i);
  view = must_view (mailbox, f->alice);
  bobs = must_view (mailbox, f->bob);
  must_store (f, view, 1, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED, "work");
  must_store (f, bobs, 2, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  must_store (f, view, 3, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (f, view, n, ROOK_STORE_ADD, ROOK_FLAG_DELETED | ROOK_FLAG_SEEN, NULL);
  must_expunge (f, view);
  rook_view_free (view);
  rook_view_free (bobs);
  rook_mailbox_unref (mailbox);
}

static void
must_move (Fixture *f, const char *name, const char *partition)
{
  g_assert_cmpint (try_rename (f, f->admin, name, name, partition), ==, -1);
  assert_lies (f, name, partition);
}

static char *
read_body (Fixture *f, RookView *view, guint32 seq)
{
  g_auto (Answer) answer = { .f = f };
  gsize length;
  const char *text;

  rook_view_read (view, seq, 0, G_MAXSIZE, on_read, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  text = g_bytes_get_data (answer.bytes, &length);
  return g_strndup (text, length);
}

static void
assert_body (Fixture *f, RookView *view, guint32 seq, guint n)
{
  g_autofree char *expected = g_strdup_printf ("Subject: %u\r\n\r\nbody of %u\r\n", n, n);
  g_autofree char *text = read_body (f, view, seq);

  g_assert_cmpstr (text, ==, expected);
}

/* Messages in the way, so that equal ids are other bodies on the partitions. */
static void
occupy (Fixture *f, const char *partition)
{
  RookCreateOptions options = { .struct_size = sizeof options, .partition = partition };
  g_autofree char *name = g_strconcat ("shared-", partition, NULL);
  g_auto (Answer) created = { .f = f };
  RookMailbox *mailbox;

  rook_mail_create (f->mail, NULL, name, &options, on_mail, &created);
  answer_wait (&created);
  g_assert_no_error (created.error);
  mailbox = must_open (f, NULL, name);
  for (guint i = 0; i < 7; i++)
    {
      g_autofree char *text = g_strdup_printf ("Subject: %s %u\r\n\r\nin the way\r\n", partition, i);

      must_append (f, mailbox, NULL, text);
    }
  rook_mailbox_unref (mailbox);
}

/* --- tests: all of it ------------------------------------------------------------------------------------------------------ */

static void
check_all_moves (const char *config, guint n)
{
  g_autoptr (Fixture) f = fixture_new (config);
  g_autofree char *before = NULL, *after = NULL, *again = NULL, *back = NULL;
  guint blobs;

  occupy (f, B);
  make_history (f, INBOX, n);
  before = describe (f, INBOX);
  blobs = count_blobs (f, A);
  must_move (f, INBOX, B);
  after = describe (f, INBOX);
  g_assert_cmpstr (after, ==, before);
  await_swept (f);
  assert_gone_from (f, A, INBOX);
  g_assert_cmpuint (count_blobs (f, A), ==, 0);
  assert_clean (f);
  fixture_restart (f);
  again = describe (f, INBOX);
  g_assert_cmpstr (again, ==, before);
  must_move (f, INBOX, A);
  await_swept (f);
  back = describe (f, INBOX);
  g_assert_cmpstr (back, ==, before);
  assert_gone_from (f, B, INBOX);
  g_assert_cmpuint (count_blobs (f, A), ==, blobs);
  assert_clean (f);
}

static void
test_everything (void)
{
  check_all_moves (NULL, 130);
}

static void
test_everything_without_page_cache (void)
{
  check_all_moves ("[mailbox]\npage-cache=0\nopen-cache=0\n", 130);
}

/* More pages than have their summaries behind the header. */
static void
test_blocks (void)
{
  check_all_moves (NULL, (ROOK_HEADER_SUMMARIES + 1) * ROOK_PAGE_RECORDS + 5);
}

static void
test_empty (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_move (f, INBOX, B);
  await_swept (f);
  assert_gone_from (f, A, INBOX);
  g_assert_cmpuint (status_of (f, INBOX).messages, ==, 0);
  assert_clean (f);
}

/* --- who may, and where ------------------------------------------------------------------------------------------------------ */

static void
test_refused (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  g_assert_cmpint (try_rename (f, f->alice, INBOX, INBOX, B), ==, ROOK_MAIL_ERROR_NO_PERMISSION);
  g_assert_cmpint (try_rename (f, f->admin, INBOX, INBOX, "none"), ==, ROOK_MAIL_ERROR_NOT_ALLOWED);
  g_assert_cmpint (try_rename (f, f->admin, "user/nobody", "user/nobody", B), ==, ROOK_MAIL_ERROR_NOT_FOUND);
  g_assert_cmpint (try_rename (f, f->admin, INBOX, INBOX, NULL), ==, ROOK_MAIL_ERROR_EXISTS);
  g_assert_cmpint (try_rename (f, f->admin, INBOX, INBOX, A), ==, -1); /* it lies there */
  assert_lies (f, INBOX, A);
  g_assert_false (has_left (f));
}

static void
test_unavailable_partition (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_autoptr (GError) error = NULL;

  rook_memory_disk_fail (fixture_disk (f, B), 1, ROOK_STORE_ERROR_IO, FALSE);
  g_assert_true (fixture_try_restart (f, &error));
  g_assert_cmpint (try_rename (f, f->admin, INBOX, INBOX, B), ==, ROOK_MAIL_ERROR_UNAVAILABLE);
  assert_lies (f, INBOX, A);
}

static void
test_tree (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  must_create (f, f->alice, INBOX "/a");
  must_create (f, f->alice, INBOX "/a/b");
  make_history (f, INBOX "/a/b", 5);
  must_move (f, INBOX "/a/b", B); /* a part of it lies there */
  must_move (f, INBOX, B);
  await_swept (f);
  assert_lies (f, INBOX "/a", B);
  assert_lies (f, INBOX "/a/b", B);
  assert_lies (f, "user/bob", A);
  g_assert_cmpint (try_rename (f, f->admin, INBOX "/a", INBOX "/c", A), ==, -1);
  await_swept (f);
  assert_lies (f, INBOX "/c", A);
  assert_lies (f, INBOX "/c/b", A);
  assert_lies (f, INBOX, B);
  g_assert_cmpuint (status_of (f, INBOX "/c/b").messages, ==, 3);
  assert_gone_from (f, B, INBOX "/c/b");
  assert_clean (f);
  fixture_restart (f);
  assert_lies (f, INBOX "/c/b", A);
}

/* One of them can't be moved: none is. */
static void
test_tree_is_moved_whole (void)
{
  static const char *const names[] = { INBOX, INBOX "/a", INBOX "/b" };
  guint n_refused = 0;

  for (guint nth = 1; nth < 40; nth++)
    {
      g_autoptr (Fixture) f = fixture_new (NULL);
      const char *where;

      must_create (f, f->alice, names[1]);
      must_create (f, f->alice, names[2]);
      for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        make_history (f, names[i], 4);
      rook_memory_disk_fail (fixture_disk (f, B), nth, ROOK_STORE_ERROR_IO, FALSE);
      where = try_rename (f, f->admin, INBOX, INBOX, B) == -1 ? B : A;
      n_refused += where[0] == A[0];
      rook_memory_disk_fail (fixture_disk (f, B), 0, ROOK_STORE_ERROR_IO, FALSE);
      await_swept (f);
      for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        {
          assert_lies (f, names[i], where);
          assert_gone_from (f, where[0] == A[0] ? B : A, names[i]);
          g_assert_cmpuint (status_of (f, names[i]).messages, ==, 2);
        }
      assert_clean (f);
    }
  g_assert_cmpuint (n_refused, >, 10);
}

/* The messages go, a new INBOX stays where it was. */
static void
test_rename_of_inbox (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);

  make_history (f, INBOX, 5);
  g_assert_cmpint (try_rename (f, f->admin, INBOX, INBOX "/old", B), ==, -1);
  await_swept (f);
  assert_lies (f, INBOX, A);
  assert_lies (f, INBOX "/old", B);
  g_assert_cmpuint (status_of (f, INBOX).messages, ==, 0);
  g_assert_cmpuint (status_of (f, INBOX "/old").messages, ==, 3);
  assert_clean (f);
}

/* A delivery that comes once more is known, wherever the mailbox was when it came first. */
static void
test_deliveries_are_known (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox = must_open (f, f->alice, INBOX);
  const char *const places[] = { B, A, B };

  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (GBytes) message = g_bytes_new_static (MESSAGE, strlen (MESSAGE));
      g_auto (Answer) answer = { .f = f };

      rook_mailbox_append (mailbox, f->alice,
                           &(RookAppend){ .struct_size = sizeof (RookAppend),
                                          .message = message,
                                          .duplicate_key = "key",
                                          .event = ROOK_EVENT_MESSAGE_NEW },
                           on_append, &answer);
      answer_wait (&answer);
      g_assert_no_error (answer.error);
      g_assert_cmpuint (answer.uid, ==, i == 0 ? 1 : 0);
      if (i < G_N_ELEMENTS (places))
        must_move (f, INBOX, places[i]);
    }
  rook_mailbox_unref (mailbox);
}

/* --- while it is in use ------------------------------------------------------------------------------------------------------ */

static void
test_view_stays (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox = must_open (f, f->alice, INBOX);
  RookView *view, *other;
  RookMessage message;

  occupy (f, B);
  for (guint i = 1; i <= 100; i++)
    add_message (f, mailbox, i);
  view = must_view (mailbox, f->alice);
  other = must_view (mailbox, f->alice);
  must_store (f, other, 2, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (f, other);
  load_all (view);
  must_move (f, INBOX, B);
  g_assert_false (rook_view_is_gone (view));
  g_assert_cmpuint (rook_view_get_count (view), ==, 100);
  for (guint seq = 1; seq <= 100; seq++) /* what was loaded still is */
    {
      g_assert_true (rook_view_get_message (view, seq, &message));
      g_assert_cmpuint (message.uid, ==, seq);
      assert_body (f, view, seq, seq);
    }
  await_swept (f);
  assert_body (f, view, 2, 2); /* expunged elsewhere, and not told yet */
  must_store (f, view, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  g_assert_cmpuint (add_message (f, mailbox, 101), ==, 101);
  update (view, TRUE);
  g_assert_cmpuint (rook_view_get_count (view), ==, 100);
  assert_body (f, view, 100, 101);
  rook_view_free (view);
  rook_view_free (other);
  rook_mailbox_unref (mailbox);
  assert_clean (f);
}

typedef struct {
  Fixture *f;
  RookMailbox *mailbox;
  RookView *view;
  Answer moved;
} Moving;

/* A move that has begun, and has written nothing there yet. */
static void
moving_begin (Moving *m, guint n)
{
  *m = (Moving){ .f = fixture_new (NULL) };
  m->moved.f = m->f;
  occupy (m->f, B);
  must_set_acl (m->f, INBOX, "bob", "lrs");
  m->mailbox = must_open (m->f, m->f->alice, INBOX);
  for (guint i = 1; i <= n; i++)
    add_message (m->f, m->mailbox, i);
  m->view = must_view (m->mailbox, m->f->alice);
  rook_memory_disk_hold (fixture_disk (m->f, B), TRUE);
  rook_mail_rename (m->f->mail, m->f->admin, INBOX, INBOX, B, on_mail, &m->moved);
  while (!has_left (m->f))
    fixture_settle (m->f);
  fixture_settle (m->f);
  g_assert_false (m->moved.done);
}

static void
moving_end (Moving *m)
{
  answer_clear (&m->moved);
  rook_view_free (m->view);
  rook_mailbox_unref (m->mailbox);
  fixture_free (m->f);
}

/* While it is being copied everything goes on, and goes along. */
static void
test_changes_while_copying (void)
{
  Moving m;
  g_autofree char *before = NULL, *after = NULL;
  guint n_blobs;

  moving_begin (&m, 70);
  n_blobs = count_blobs (m.f, B);
  while (count_blobs (m.f, B) == n_blobs) /* the first page is there, the second not yet */
    {
      rook_memory_disk_step (fixture_disk (m.f, B));
      while (!rook_memory_disk_has_stepped (fixture_disk (m.f, B)))
        fixture_settle (m.f);
    }
  g_assert_cmpuint (count_blobs (m.f, B), ==, n_blobs + 2 * ROOK_PAGE_RECORDS);
  must_store (m.f, m.view, 1, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED, "new");
  must_store (m.f, m.view, 2, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (m.f, m.view);
  g_assert_cmpuint (add_message (m.f, m.mailbox, 71), ==, 71);
  before = describe (m.f, INBOX);
  g_assert_false (m.moved.done);
  rook_memory_disk_hold (fixture_disk (m.f, B), FALSE);
  answer_wait (&m.moved);
  g_assert_no_error (m.moved.error);
  after = describe (m.f, INBOX);
  g_assert_cmpstr (after, ==, before);
  await_swept (m.f);
  assert_clean (m.f);
  moving_end (&m);
}

/* Once all is copied, changes wait, until it is known where they go. Reading goes on. */
static void
test_changes_while_held (void)
{
  Moving m;
  g_auto (Answer) appended = { 0 }, stored = { 0 }, opened = { 0 };
  g_autoptr (GBytes) message = g_bytes_new_static (MESSAGE, strlen (MESSAGE));
  guint32 uid = 3;

  moving_begin (&m, 70);
  rook_memory_disk_hold (fixture_disk (m.f, "mailboxes"), TRUE);
  rook_memory_disk_hold (fixture_disk (m.f, B), FALSE);
  while (!m.mailbox->held)
    fixture_settle (m.f);
  appended.f = stored.f = opened.f = m.f;
  rook_mailbox_append (
      m.mailbox, m.f->alice,
      &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
      on_append, &appended);
  rook_view_store_flags (m.view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = &uid,
                                            .n_uids = 1,
                                            .mode = ROOK_STORE_ADD,
                                            .flags = ROOK_FLAG_FLAGGED,
                                            .unchanged_since = G_MAXUINT64 },
                         on_store, &stored);
  rook_mail_open (m.f->mail, m.f->alice, INBOX, on_open, &opened);
  answer_wait (&opened);
  g_assert_true (opened.mailbox == m.mailbox);
  answer_clear (&opened);
  fixture_settle (m.f);
  g_assert_false (appended.done || stored.done || m.moved.done);
  rook_memory_disk_hold (fixture_disk (m.f, "mailboxes"), FALSE);
  answer_wait (&m.moved);
  answer_wait (&appended);
  answer_wait (&stored);
  g_assert_no_error (m.moved.error);
  g_assert_no_error (appended.error);
  g_assert_no_error (stored.error);
  g_assert_cmpuint (appended.uid, ==, 71);
  assert_lies (m.f, INBOX, B);
  await_swept (m.f);
  assert_clean (m.f);
  moving_end (&m);
}

/* What somebody reads where it was stays until it is read; moving it back waits for that. */
static void
test_reader_stays (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox = must_open (f, f->alice, INBOX);
  g_auto (Answer) back = { .f = f };
  RookPlace *place;

  for (guint i = 1; i <= 5; i++)
    add_message (f, mailbox, i);
  place = rook_mailbox_ref_place (mailbox);
  must_move (f, INBOX, B);
  fixture_settle (f);
  g_assert_cmpuint (count_blobs (f, A), ==, 10);
  rook_mail_rename (f->mail, f->admin, INBOX, INBOX, A, on_mail, &back);
  fixture_settle (f);
  g_assert_false (back.done);
  g_assert_cmpuint (count_blobs (f, A), ==, 10);
  rook_place_unref (place);
  answer_wait (&back);
  g_assert_no_error (back.error);
  rook_mailbox_unref (mailbox);
  await_swept (f);
  assert_lies (f, INBOX, A);
  g_assert_cmpuint (count_blobs (f, A), ==, 10);
  g_assert_cmpuint (count_blobs (f, B), ==, 0);
  assert_clean (f);
}

/* --- cut short --------------------------------------------------------------------------------------------------------------- */

/* Nothing of it is left at the target, and the source is what it was. */
static void
assert_stayed (Fixture *f, const char *before)
{
  g_autofree char *after = NULL;

  await_swept (f);
  after = describe (f, INBOX);
  assert_lies (f, INBOX, A);
  assert_gone_from (f, B, INBOX);
  g_assert_cmpstr (after, ==, before);
  assert_clean (f);
}

static void
test_full_target (void)
{
  g_autofree char *before = NULL;
  guint n = 0, n_refused = 0;

  for (gboolean failed = TRUE; failed; n++)
    {
      g_autoptr (Fixture) f = fixture_new (NULL);
      RookMemoryDisk *disk = fixture_disk (f, B);
      int code;

      g_clear_pointer (&before, g_free);
      make_history (f, INBOX, 70);
      before = describe (f, INBOX);
      rook_memory_disk_fail (disk, n + 1, ROOK_STORE_ERROR_FULL, FALSE);
      code = try_rename (f, f->admin, INBOX, INBOX, B);
      failed = !rook_memory_disk_will_fail (disk);
      rook_memory_disk_fail (disk, 0, ROOK_STORE_ERROR_FULL, FALSE);
      g_assert_true (code == ROOK_MAIL_ERROR_FULL || code == ROOK_MAIL_ERROR_TEMPORARY || code == -1);
      n_refused += code != -1;
      if (code != -1)
        assert_stayed (f, before);
      else
        assert_lies (f, INBOX, B); /* what failed came after it */
    }
  g_assert_cmpuint (n_refused, >, 5);
}

/* The server stops in the middle: it is told, and the next start clears away what was copied. */
static void
test_stop_while_copying (void)
{
  Moving m;
  g_autofree char *before = NULL;

  moving_begin (&m, 70);
  g_clear_pointer (&m.view, rook_view_free); /* what was recent is written then */
  g_clear_pointer (&m.mailbox, rook_mailbox_unref);
  fixture_settle (m.f);
  before = describe (m.f, INBOX);
  rook_memory_disk_hold (fixture_disk (m.f, B), FALSE);
  fixture_restart (m.f);
  g_assert_true (m.moved.done);
  if (m.moved.error == NULL)
    assert_lies (m.f, INBOX, B);
  else
    {
      g_assert_cmpint (code_of (&m.moved), ==, ROOK_MAIL_ERROR_UNAVAILABLE);
      assert_stayed (m.f, before);
    }
  answer_clear (&m.moved);
  fixture_free (m.f);
}

/* The source could not be cleared away: the next start does it, and so does moving it back. */
static void
leave_source (Fixture *f)
{
  RookMailbox *mailbox = must_open (f, f->alice, INBOX);
  RookPlace *place = rook_mailbox_ref_place (mailbox);

  must_move (f, INBOX, B);
  fixture_settle (f);
  rook_memory_disk_fail (fixture_disk (f, A), 3, ROOK_STORE_ERROR_IO, FALSE);
  rook_mailbox_unref (mailbox);
  rook_place_unref (place);
  while (rook_memory_disk_will_fail (fixture_disk (f, A)))
    fixture_settle (f);
  fixture_await_store (f, A);
}

static void
test_source_left (void)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (Fixture) f = fixture_new (THIRD);
      g_autofree char *before = NULL, *after = NULL;

      make_history (f, INBOX, 130);
      before = describe (f, INBOX);
      leave_source (f);
      assert_clean (f);
      if (i == 0)
        fixture_restart (f);
      if (i == 1)
        must_move (f, INBOX, A);
      if (i == 2)
        {
          must_move (f, INBOX, C);
          fixture_restart (f);
          must_move (f, INBOX, A);
          must_move (f, INBOX, B);
          must_move (f, INBOX, A);
          must_move (f, INBOX, C);
        }
      await_swept (f);
      after = describe (f, INBOX);
      g_assert_cmpstr (after, ==, before);
      assert_lies (f, INBOX, i == 0 ? B : i == 1 ? A : C);
      if (i != 1)
        assert_gone_from (f, A, INBOX);
      if (i != 0)
        assert_gone_from (f, B, INBOX);
      assert_clean (f);
    }
}

/* Deleted before that: nothing is left of it anywhere. */
static void
test_source_left_and_deleted (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  g_auto (Answer) deleted = { .f = f };

  make_history (f, INBOX, 130);
  leave_source (f);
  rook_mail_delete (f->mail, f->admin, INBOX, on_mail, &deleted);
  answer_wait (&deleted);
  g_assert_no_error (deleted.error);
  fixture_restart (f);
  await_swept (f);
  while (count_blobs (f, A) + count_blobs (f, B) > 0)
    fixture_settle (f);
  assert_clean (f);
}

/* Nobody knows where it lies: nothing is taken into it that may be lost, and neither side is cleared away. */
static void
test_unknown_outcome (void)
{
  for (guint applied = 0; applied < 2; applied++)
    {
      Moving m;
      g_autofree char *before = NULL, *after = NULL;

      moving_begin (&m, 70);
      before = describe (m.f, INBOX);
      rook_memory_disk_fail (fixture_disk (m.f, "mailboxes"), 1, ROOK_STORE_ERROR_UNKNOWN, applied);
      rook_memory_disk_hold (fixture_disk (m.f, B), FALSE);
      answer_wait (&m.moved);
      g_assert_cmpint (code_of (&m.moved), ==, ROOK_MAIL_ERROR_TEMPORARY);
      g_assert_true (rook_view_is_gone (m.view));
      g_clear_pointer (&m.view, rook_view_free);
      g_clear_pointer (&m.mailbox, rook_mailbox_unref);
      fixture_restart (m.f);
      await_swept (m.f);
      assert_lies (m.f, INBOX, applied ? B : A);
      after = describe (m.f, INBOX);
      g_assert_cmpstr (after, ==, before);
      assert_gone_from (m.f, applied ? A : B, INBOX);
      assert_clean (m.f);
      answer_clear (&m.moved);
      fixture_free (m.f);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/move/" path, func)
  ADD ("everything", test_everything);
  ADD ("everything-without-page-cache", test_everything_without_page_cache);
  ADD ("blocks", test_blocks);
  ADD ("empty", test_empty);
  ADD ("refused", test_refused);
  ADD ("unavailable-partition", test_unavailable_partition);
  ADD ("tree", test_tree);
  ADD ("tree-is-moved-whole", test_tree_is_moved_whole);
  ADD ("rename-of-inbox", test_rename_of_inbox);
  ADD ("deliveries-are-known", test_deliveries_are_known);
  ADD ("view-stays", test_view_stays);
  ADD ("changes-while-copying", test_changes_while_copying);
  ADD ("changes-while-held", test_changes_while_held);
  ADD ("reader-stays", test_reader_stays);
  ADD ("full-target", test_full_target);
  ADD ("stop-while-copying", test_stop_while_copying);
  ADD ("source-left", test_source_left);
  ADD ("source-left-and-deleted", test_source_left_and_deleted);
  ADD ("unknown-outcome", test_unknown_outcome);
  return g_test_run ();
}
