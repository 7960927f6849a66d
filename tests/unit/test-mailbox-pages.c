/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages that are not in memory: what a mailbox knows from their summaries, when they are read and when they leave again, and
 * what is left of a mailbox some of whose pages are damaged.
 */
#include "mail-fixture.h"

#include "mailbox/codec.h"

#define NO_CACHE "[mailbox]\npage-cache=0\nopen-cache=0\n"

/* --- the store below -------------------------------------------------------------------------------------------------- */

static void
on_commit (guint64 position, const GError *error, gpointer answer)
{
  (void) position;
  on_mail (error, answer);
}

static void
must_write (Fixture *f, RookBatch *batch)
{
  g_auto (Answer) answer = { .f = f };

  rook_store_commit (rook_memory_disk_get_store (fixture_disk (f, "default")), batch, on_commit, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
}

static RookBatch *
batch_for (Fixture *f)
{
  return rook_batch_new (rook_memory_disk_get_store (fixture_disk (f, "default")));
}

static void
put (RookBatch *batch, RookTable table, GBytes *key, gconstpointer data, gsize length)
{
  g_autoptr (GBytes) value = g_bytes_new (data, length);

  rook_batch_put (batch, table, key, value);
}

static char *
id_of (Fixture *f, const char *name)
{
  RookMailbox *mailbox = must_open (f, NULL, name);
  char *id = g_strdup (rook_mailbox_get_id (mailbox));

  rook_mailbox_unref (mailbox);
  return id;
}

/* What a mailbox is made of, written behind the service's back: @uids in one page. */
static void
write_mailbox (Fixture *f, const char *id, const guint32 *uids, guint n, gboolean has_summaries)
{
  g_autoptr (RookPage) page = rook_page_new (n);
  g_autoptr (GBytes) key = rook_bytes_of_text (id), page_key = rook_page_key (id, 0);
  g_autoptr (GPtrArray) keywords = g_ptr_array_new ();
  RookBatch *batch = batch_for (f);
  guint8 bytes[ROOK_HEADER_SIZE + ROOK_SUMMARY_SIZE];
  RookHeader header;

  rook_header_init (&header, 9);
  for (guint i = 0; i < n; i++)
    {
      RookRecord record = { .uid = uids[i], .size = 10, .modseq = i + 1, .created_modseq = 1, .blob = 1, .cache = 1 };

      rook_page_set (page, i, &record);
      rook_header_count (&header, &record, keywords, 1);
    }
  header.n_records = n;
  header.uidnext = uids[n - 1] + 1;
  header.highest_modseq = n;
  header.has_summaries = has_summaries;
  rook_header_encode (&header, bytes);
  rook_summary_encode (&page->summary, bytes + ROOK_HEADER_SIZE);
  put (batch, ROOK_PART_HEADERS, key, bytes, has_summaries ? sizeof bytes : ROOK_HEADER_SIZE);
  put (batch, ROOK_PART_PAGES, page_key, page->data, ROOK_PAGE_HEAD + n * ROOK_RECORD_SIZE);
  must_write (f, batch);
}

/* --- what the service does ---------------------------------------------------------------------------------------------- */

static void
must_copy (Box *box, guint n)
{
  g_auto (Answer) answer = { .f = box->f };
  g_autofree guint32 *uids = g_new (guint32, n);

  for (guint i = 0; i < n; i++)
    uids[i] = rook_view_get_uid (box->view, i + 1);
  rook_view_copy (box->view, uids, n, "user/alice", FALSE, on_copy, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  update (box->view, TRUE);
}

static void
grow (Box *box, guint n)
{
  while (rook_view_get_count (box->view) < n)
    must_copy (box, MIN (rook_view_get_count (box->view), n - rook_view_get_count (box->view)));
}

static void
reopen (Box *box)
{
  rook_view_free (box->view);
  rook_mailbox_unref (box->mailbox);
  fixture_restart (box->f);
  box->mailbox = must_open (box->f, box->f->alice, "user/alice");
  box->view = must_view (box->mailbox, box->f->alice);
}

static int
try_load (Box *box, guint32 first, guint32 last)
{
  g_auto (Answer) answer = { .f = box->f };

  rook_view_load (box->view, first, last, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

static guint
count_filled (RookMailbox *mailbox)
{
  guint n = 0;

  for (guint page = 0; page < mailbox->durable.pages->len; page++)
    n += !rook_page_is_hollow (rook_head_page (&mailbox->durable, page));
  return n;
}

/* --- opening ------------------------------------------------------------------------------------------------------------ */

static void
test_open_reads_no_page (void)
{
  Box box = box_new (NULL, 200);
  RookMailboxStatus status;

  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_SEEN | ROOK_FLAG_DELETED, NULL);
  must_store (box.f, box.view, 64, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (box.f, box.view);
  must_store (box.f, box.view, 2, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  reopen (&box);
  g_assert_cmpuint (count_filled (box.mailbox), ==, 0);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  g_assert_cmpuint (status.messages, ==, 198);
  g_assert_cmpuint (status.unseen, ==, 197);
  g_assert_cmpuint (status.first_unseen, ==, 2);
  g_assert_cmpuint (rook_view_get_uid (box.view, 1), ==, 2);
  g_assert_cmpuint (rook_view_get_uid (box.view, 62), ==, 63);
  g_assert_cmpuint (rook_view_get_uid (box.view, 63), ==, 65);
  g_assert_cmpuint (count_filled (box.mailbox), ==, 0);
  box_clear (&box);
}

static void
test_load_reads_its_pages_alone (void)
{
  Box box = box_new (NULL, 200);
  RookMessage message;

  reopen (&box);
  g_assert_false (rook_view_get_message (box.view, 70, &message));
  g_assert_cmpint (try_load (&box, 64, 127), ==, -1);
  g_assert_cmpuint (count_filled (box.mailbox), ==, 2);
  g_assert_true (rook_view_get_message (box.view, 70, &message));
  g_assert_cmpuint (message.uid, ==, 70);
  g_assert_false (rook_view_get_message (box.view, 63, &message));
  box_clear (&box);
}

/* Past what lies behind the header, and past one block. */
static void
test_summaries_in_blocks (void)
{
  const guint n = (ROOK_HEADER_SUMMARIES + ROOK_BLOCK_SUMMARIES + 2) * ROOK_PAGE_RECORDS + 5;
  Box box = box_new (NULL, 63);
  RookMailboxStatus status;

  grow (&box, n);
  must_store (box.f, box.view, n, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  must_store (box.f, box.view, 1600, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (box.f, box.view, n - 70, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (box.f, box.view);
  reopen (&box);
  g_assert_cmpuint (count_filled (box.mailbox), ==, 0);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  g_assert_cmpuint (status.messages, ==, n - 2);
  g_assert_cmpuint (status.unseen, ==, n - 3);
  g_assert_cmpuint (rook_view_get_uid (box.view, 1600), ==, 1601);
  g_assert_cmpuint (rook_view_get_uid (box.view, n - 2), ==, n);
  g_assert_cmpint (try_load (&box, n - 2, n - 2), ==, -1);
  g_assert_cmpuint (count_filled (box.mailbox), ==, 1);
  box_clear (&box);
}

static gboolean
has_block (Fixture *f, RookStore *store, const char *id)
{
  g_autoptr (GBytes) key = rook_page_key (id, 0);
  g_auto (Answer) answer = { .f = f };

  rook_store_get (store, ROOK_PART_SUMMARIES, key, on_read, &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  return answer.bytes != NULL;
}

static void
test_blocks_go_with_their_mailbox (void)
{
  Box box = box_new (NULL, 63);
  g_autofree char *id = g_strdup (rook_mailbox_get_id (box.mailbox));
  RookStore *store = box.mailbox->place->store;
  g_auto (Answer) deleted = { .f = box.f };

  grow (&box, (ROOK_HEADER_SUMMARIES + 1) * ROOK_PAGE_RECORDS);
  g_assert_true (has_block (box.f, store, id));
  g_clear_pointer (&box.view, rook_view_free);
  g_clear_pointer (&box.mailbox, rook_mailbox_unref);
  rook_mail_delete (box.f->mail, box.f->admin, "user/alice", on_mail, &deleted);
  answer_wait (&deleted);
  g_assert_no_error (deleted.error);
  while (has_block (box.f, store, id)) /* a page at a time */
    fixture_settle (box.f);
  box_clear (&box);
}

/* A page whose uids have gaps is read when its mailbox is opened. */
static void
test_sparse_page (void)
{
  static const guint32 uids[] = { 3, 4, 9, 1000 };
  g_autoptr (Fixture) f = fixture_new (NO_CACHE);
  g_autofree char *id = id_of (f, "user/alice");
  RookMailbox *mailbox;
  RookView *view;

  write_mailbox (f, id, uids, G_N_ELEMENTS (uids), TRUE);
  mailbox = must_open (f, f->alice, "user/alice");
  view = must_view (mailbox, f->alice);
  assert_view (view, "3:r 4:r 9:r 1000:r");
  must_store (f, view, 9, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (f, view);
  g_assert_cmpuint (must_append (f, mailbox, f->alice, MESSAGE), ==, 1001);
  update (view, TRUE);
  assert_view (view, "3:r 4:r 1000:r 1001:r");
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

/* Of the format that had no summaries: they are written with the next change. */
static void
test_older_format_is_upgraded (void)
{
  static const guint32 uids[] = { 1, 2, 3 };
  g_autoptr (Fixture) f = fixture_new (NO_CACHE);
  g_autofree char *id = id_of (f, "user/alice");
  RookMailbox *mailbox;
  RookView *view;

  write_mailbox (f, id, uids, G_N_ELEMENTS (uids), FALSE);
  mailbox = must_open (f, f->alice, "user/alice");
  view = must_view (mailbox, f->alice);
  g_assert_false (mailbox->durable.header.has_summaries);
  must_store (f, view, 2, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  g_assert_true (mailbox->durable.header.has_summaries);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
  fixture_restart (f);
  mailbox = must_open (f, f->alice, "user/alice");
  g_assert_true (mailbox->durable.header.has_summaries);
  g_assert_cmpuint (count_filled (mailbox), ==, 0);
  view = must_view (mailbox, f->alice);
  assert_view (view, "1: 2:S 3:");
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

/* --- out of memory again ------------------------------------------------------------------------------------------------ */

static void
test_pages_leave_memory (void)
{
  Box box = box_new (NO_CACHE, 200);
  RookMessage message;

  update (box.view, TRUE);
  g_assert_cmpint (try_load (&box, 1, 63), ==, -1);
  g_assert_cmpint (try_load (&box, 64, 126), ==, -1);
  g_assert_cmpuint (count_filled (box.mailbox), ==, 1);
  g_assert_true (rook_view_get_message (box.view, 64, &message));
  g_assert_false (rook_view_get_message (box.view, 1, &message));
  box_clear (&box);
}

/* EXPUNGE goes through a large mailbox some pages at a time, and finds what is to go in the first and in the last. */
static void
test_expunge_finds_all_in_a_large_mailbox (void)
{
  const guint n = 300 * ROOK_PAGE_RECORDS;
  Box box = box_new (NO_CACHE, 63);

  grow (&box, n);
  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (box.f, box.view, n, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  reopen (&box);
  must_expunge (box.f, box.view);
  update (box.view, TRUE);
  g_assert_cmpuint (rook_view_get_count (box.view), ==, n - 2);
  box_clear (&box);
}

/* A page that was in memory when others had to be read is still there when they have come: else they would be read in turns. */
static void
test_pages_stay_until_the_others_have_come (void)
{
  Box box = box_new (NO_CACHE, 63);

  must_copy (&box, 63);
  must_copy (&box, 126);
  g_assert_cmpuint (rook_view_get_count (box.view), ==, 252);
  box_clear (&box);
}

/* What another session changed stays until this one has been told. */
static void
test_changed_pages_stay_for_those_not_told (void)
{
  Box box = box_new (NO_CACHE, 200);
  RookView *other;
  RookViewChanges *changes;

  update (box.view, TRUE);
  other = must_view (box.mailbox, box.f->alice);
  must_store (box.f, other, 5, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED, NULL);
  update (other, TRUE);
  must_store (box.f, other, 150, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED, NULL);
  changes = rook_view_update (box.view, TRUE);
  g_assert_nonnull (changes);
  g_assert_cmpuint (changes->changed->len, ==, 2);
  g_assert_cmpuint (g_array_index (changes->changed, guint32, 0), ==, 5);
  rook_view_changes_free (changes);
  rook_view_free (other);
  box_clear (&box);
}

/* Bodies and structure can be asked for without loading first. */
static void
test_read_brings_its_page (void)
{
  Box box = box_new (NO_CACHE, 70);
  g_auto (Answer) body = { .f = box.f }, mime = { .f = box.f };

  reopen (&box);
  rook_view_read (box.view, 70, 0, G_MAXSIZE, on_read, &body);
  answer_wait (&body);
  g_assert_no_error (body.error);
  g_assert_cmpuint (g_bytes_get_size (body.bytes), ==, strlen (MESSAGE));
  rook_view_get_mime (box.view, 1, on_mime, &mime);
  answer_wait (&mime);
  g_assert_no_error (mime.error);
  box_clear (&box);
}

/* --- damage ------------------------------------------------------------------------------------------------------------- */

/* Three pages, of which the second is lost, and some of each are to be expunged. */
static Box
damaged_box (void)
{
  Box box = box_new (NO_CACHE, 150);
  g_autoptr (GBytes) key = rook_page_key (box.mailbox->id, 1);
  RookBatch *batch = batch_for (box.f);

  must_store (box.f, box.view, 10, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (box.f, box.view, 100, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (box.f, box.view, 140, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  update (box.view, TRUE);
  rook_batch_delete (batch, ROOK_PART_PAGES, key);
  must_write (box.f, batch);
  reopen (&box);
  return box;
}

static void
test_damaged_page_is_told_and_the_rest_is_there (void)
{
  Box box = damaged_box ();
  RookMessage message;

  g_assert_cmpint (try_load (&box, 1, 150), ==, ROOK_MAIL_ERROR_CORRUPT);
  g_assert_true (rook_view_get_message (box.view, 63, &message));
  g_assert_false (rook_view_get_message (box.view, 64, &message));
  g_assert_false (rook_view_get_message (box.view, 126, &message));
  g_assert_true (rook_view_get_message (box.view, 127, &message));
  must_store (box.f, box.view, 1, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED, NULL);
  g_assert_cmpuint (must_append (box.f, box.mailbox, box.f->alice, MESSAGE), ==, 151);
  box_clear (&box);
}

static void
test_damaged_page_stops_no_expunge (void)
{
  Box box = damaged_box ();
  g_auto (Answer) answer = { .f = box.f };
  RookMailboxStatus status;

  rook_view_expunge (box.view, NULL, 0, on_mail, &answer);
  answer_wait (&answer);
  g_assert_error (answer.error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT);
  rook_mailbox_get_status (box.mailbox, box.f->alice, &status);
  g_assert_cmpuint (status.messages, ==, 148);
  g_assert_cmpuint (status.deleted, ==, 1);
  box_clear (&box);
}

static void
test_store_on_a_damaged_page_is_refused (void)
{
  Box box = damaged_box ();
  const guint32 uid = 70;
  g_auto (Answer) answer = { .f = box.f };

  rook_view_store_flags (box.view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = &uid,
                                            .n_uids = 1,
                                            .mode = ROOK_STORE_ADD,
                                            .flags = ROOK_FLAG_SEEN,
                                            .unchanged_since = G_MAXUINT64 },
                         on_store, &answer);
  answer_wait (&answer);
  g_assert_error (answer.error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT);
  box_clear (&box);
}

/* A page that reads well but is not what its summary says is damage as well. */
static void
test_summary_and_page_must_agree (void)
{
  static const guint32 uids[] = { 1, 2, 3 };
  g_autoptr (Fixture) f = fixture_new (NO_CACHE);
  g_autofree char *id = id_of (f, "user/alice");
  g_autoptr (GBytes) key = rook_page_key (id, 0), flags = NULL;
  RookBatch *batch = batch_for (f);
  guint8 deleted[4];
  Box box = { .f = f };

  write_mailbox (f, id, uids, G_N_ELEMENTS (uids), TRUE);
  rook_put32 (deleted, ROOK_FLAG_DELETED);
  flags = g_bytes_new (deleted, sizeof deleted);
  rook_batch_patch (batch, ROOK_PART_PAGES, key, ROOK_PAGE_HEAD + 104, flags);
  must_write (f, batch);
  box.mailbox = must_open (f, f->alice, "user/alice");
  box.view = must_view (box.mailbox, f->alice);
  g_assert_cmpint (try_load (&box, 1, 3), ==, ROOK_MAIL_ERROR_CORRUPT);
  rook_view_free (box.view);
  rook_mailbox_unref (box.mailbox);
}

static void
test_damaged_summaries_are_told (void)
{
  static const guint32 uids[] = { 1, 2, 3 };
  g_autoptr (Fixture) f = fixture_new (NO_CACHE);
  g_autofree char *id = id_of (f, "user/alice");
  g_autoptr (GBytes) key = rook_bytes_of_text (id);

  for (guint bit = 0; bit < ROOK_SUMMARY_SIZE * 8; bit++)
    {
      g_auto (Answer) read = { .f = f }, opened = { .f = f };
      RookBatch *batch = batch_for (f);
      g_autofree guint8 *bytes = NULL;
      gsize length;

      write_mailbox (f, id, uids, G_N_ELEMENTS (uids), TRUE);
      rook_store_get (rook_memory_disk_get_store (fixture_disk (f, "default")), ROOK_PART_HEADERS, key, on_read, &read);
      answer_wait (&read);
      bytes = g_memdup2 (g_bytes_get_data (read.bytes, &length), g_bytes_get_size (read.bytes));
      bytes[ROOK_HEADER_SIZE + bit / 8] ^= (guint8) (1u << bit % 8);
      put (batch, ROOK_PART_HEADERS, key, bytes, length);
      must_write (f, batch);
      rook_mail_open (f->mail, f->alice, "user/alice", on_open, &opened);
      answer_wait (&opened);
      if (opened.error == NULL)
        {
          Box box = { .f = f, .mailbox = opened.mailbox, .view = must_view (opened.mailbox, f->alice) };

          g_assert_cmpint (try_load (&box, 1, rook_view_get_count (box.view)), ==, ROOK_MAIL_ERROR_CORRUPT);
          rook_view_free (box.view);
        }
      else
        g_assert_error (opened.error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT);
    }
}

/* --- the first that is not seen ----------------------------------------------------------------------------------------- */

/* As it is found by looking at each message. */
static void
assert_unseen (Box *box, RookIdentity *identity)
{
  RookView *view = must_view (box->mailbox, identity);
  RookMailboxStatus status;
  guint first = 0, unseen = 0;

  load_all (view);
  for (guint seq = 1; seq <= rook_view_get_count (view); seq++)
    {
      RookMessage message;

      g_assert_true (rook_view_get_message (view, seq, &message));
      if ((message.flags & ROOK_FLAG_SEEN) != 0)
        continue;
      unseen++;
      first = first == 0 ? seq : first;
    }
  rook_mailbox_get_status (box->mailbox, identity, &status);
  g_assert_cmpuint (status.unseen, ==, unseen);
  g_assert_cmpuint (status.first_unseen, ==, first);
  rook_view_free (view);
}

static void
test_first_unseen_is_that_of_all_messages (void)
{
  Box box = box_new (NULL, 140);
  RookMailbox *bobs;
  RookView *view;

  must_set_acl (box.f, "user/alice", "bob", "lrs");
  bobs = must_open (box.f, box.f->bob, "user/alice");
  view = must_view (bobs, box.f->bob);
  for (guint round = 0; round < 60; round++)
    {
      gboolean by_bob = g_test_rand_bit ();
      guint32 uid = (guint32) (round < 40 ? 1 + round : (guint) g_test_rand_int_range (1, 141));

      if (round % 10 == 9)
        must_store (box.f, box.view, uid, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
      else
        must_store (box.f, by_bob ? view : box.view, uid,
                    g_test_rand_int_range (0, 5) > 0 ? ROOK_STORE_ADD : ROOK_STORE_REMOVE, ROOK_FLAG_SEEN, NULL);
      if (round % 10 == 9)
        must_expunge (box.f, box.view);
      assert_unseen (&box, box.f->alice);
      assert_unseen (&box, box.f->bob);
    }
  rook_view_free (view);
  rook_mailbox_unref (bobs);
  box_clear (&box);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/mailbox/pages/" path, func)
  ADD ("open-reads-no-page", test_open_reads_no_page);
  ADD ("load-reads-its-pages-alone", test_load_reads_its_pages_alone);
  ADD ("summaries-in-blocks", test_summaries_in_blocks);
  ADD ("blocks-go-with-their-mailbox", test_blocks_go_with_their_mailbox);
  ADD ("sparse-page", test_sparse_page);
  ADD ("older-format-is-upgraded", test_older_format_is_upgraded);
  ADD ("pages-leave-memory", test_pages_leave_memory);
  ADD ("expunge-finds-all-in-a-large-mailbox", test_expunge_finds_all_in_a_large_mailbox);
  ADD ("pages-stay-until-the-others-have-come", test_pages_stay_until_the_others_have_come);
  ADD ("changed-pages-stay-for-those-not-told", test_changed_pages_stay_for_those_not_told);
  ADD ("read-brings-its-page", test_read_brings_its_page);
  ADD ("damaged-page-is-told-and-the-rest-is-there", test_damaged_page_is_told_and_the_rest_is_there);
  ADD ("damaged-page-stops-no-expunge", test_damaged_page_stops_no_expunge);
  ADD ("store-on-a-damaged-page-is-refused", test_store_on_a_damaged_page_is_refused);
  ADD ("summary-and-page-must-agree", test_summary_and_page_must_agree);
  ADD ("damaged-summaries-are-told", test_damaged_summaries_are_told);
  ADD ("first-unseen-is-that-of-all-messages", test_first_unseen_is_that_of_all_messages);
  return g_test_run ();
}
