/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verify: a mailbox that is whole is told clean, and each byte of it that is damaged is told with its name and, where it
 * concerns one message, its uid. The stores are in memory, and are damaged behind the service's back.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control-private.h"
#include "log/log-private.h"
#include "mail-fixture.h"
#include "mailbox/codec.h"
#include "mailbox/verify.h"

#define N_MESSAGES 70 /* two pages */
#define BIG G_GUINT64_CONSTANT (0x7000000000000000)

/* --- what it says ----------------------------------------------------------------------------------------------------- */

typedef struct {
  GString *faults, *notes; /* a line each: "MAILBOX UID: TEXT" */
  gboolean stop;
  RookVerifySums sums;
} Report;

static void
on_fault (const char *mailbox, guint32 uid, const char *text, gpointer data)
{
  g_string_append_printf (((Report *) data)->faults, "%s %u: %s\n", mailbox != NULL ? mailbox : "-", uid, text);
}

static void
on_note (const char *mailbox, const char *text, gpointer data)
{
  g_string_append_printf (((Report *) data)->notes, "%s: %s\n", mailbox != NULL ? mailbox : "-", text);
}

static gboolean
on_progress (double percent, const char *text, gpointer data)
{
  g_assert_cmpfloat (percent, >=, 0);
  g_assert_cmpfloat (percent, <=, 100);
  g_assert_nonnull (text);
  return !((Report *) data)->stop;
}

static const RookVerifyEvents events = { .fault = on_fault, .note = on_note, .progress = on_progress };

static void
report_clear (Report *report)
{
  g_string_free (report->faults, TRUE);
  g_string_free (report->notes, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Report, report_clear)

static Report
verify (Fixture *f, const char *name, gboolean full)
{
  Report report = { .faults = g_string_new (NULL), .notes = g_string_new (NULL) };
  g_autoptr (GError) error = NULL;

  rook_mail_verify (f->mail, name, full, &events, &report, &report.sums, &error);
  g_assert_no_error (error);
  return report;
}

static void
assert_clean (Fixture *f)
{
  g_auto (Report) report = verify (f, NULL, TRUE);

  g_assert_cmpstr (report.faults->str, ==, "");
}

static void
assert_finds (Fixture *f, const char *line)
{
  g_auto (Report) report = verify (f, NULL, TRUE);

  if (strstr (report.faults->str, line) == NULL)
    g_error ("\"%s\" is not among the faults:\n%s", line, report.faults->str);
}

/* --- a mailbox with some of everything ---------------------------------------------------------------------------------- */

static RookStore *
store_of (Fixture *f, const char *partition)
{
  if (strcmp (partition, "state") == 0)
    return rook_mail_get_state (f->mail);
  return rook_partition_get_store (rook_mail_find_partition (f->mail, partition));
}

static void
commit (Fixture *f, const char *partition, RookBatch *batch)
{
  g_autoptr (GError) error = NULL;

  rook_store_commit_wait (store_of (f, partition), batch, NULL, &error);
  g_assert_no_error (error);
}

static Box
make_box (void)
{
  Box box = box_new (NULL, N_MESSAGES);
  Fixture *f = box.f;
  RookMailbox *shared;
  RookView *view;

  must_store (f, box.view, 2, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED | ROOK_FLAG_SEEN, "one");
  must_store (f, box.view, 3, ROOK_STORE_ADD, ROOK_FLAG_ANSWERED, NULL);
  must_store (f, box.view, 6, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_store (f, box.view, 7, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (f, box.view);
  must_store (f, box.view, 8, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_set_acl (f, "user/alice", "bob", "lrs");
  shared = must_open (f, f->bob, "user/alice");
  view = must_view (shared, f->bob);
  must_store (f, view, 9, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  must_store (f, view, 10, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  rook_view_free (view);
  rook_mailbox_unref (shared);
  fixture_settle (f);
  return box;
}

/* --- damage --------------------------------------------------------------------------------------------------------------- */

static GBytes *
get_value (Fixture *f, RookTable table, GBytes *key)
{
  g_autoptr (GError) error = NULL;
  GBytes *value = NULL;

  rook_store_get_wait (store_of (f, "default"), table, key, &value, &error);
  g_assert_no_error (error);
  g_assert_nonnull (value);
  return value;
}

/* @value: (nullable) NULL: there is none */
static void
put_value (Fixture *f, RookTable table, GBytes *key, GBytes *value)
{
  RookBatch *batch = rook_batch_new (store_of (f, "default"));

  if (value != NULL)
    rook_batch_put (batch, table, key, value);
  else
    rook_batch_delete (batch, table, key);
  commit (f, "default", batch);
}

/* A number of @size bytes at @offset of a value becomes @number; @line is found; then all is as before. */
static void
assert_number_matters (Fixture *f, RookTable table, GBytes *key, gsize offset, gsize size, guint64 number,
                       const char *line)
{
  g_autoptr (GBytes) value = get_value (f, table, key), damaged = NULL;
  gsize length;
  guint8 *bytes = g_memdup2 (g_bytes_get_data (value, NULL), g_bytes_get_size (value)), text[8];

  length = g_bytes_get_size (value);
  g_assert_cmpuint (offset + size, <=, length);
  rook_put64 (text, number);
  memcpy (bytes + offset, text + 8 - size, size);
  damaged = g_bytes_new_take (bytes, length);
  put_value (f, table, key, damaged);
  assert_finds (f, line);
  put_value (f, table, key, value);
}

static void
assert_value_matters (Fixture *f, RookTable table, GBytes *key, const char *text, gsize length, const char *line)
{
  g_autoptr (GBytes) value = get_value (f, table, key);
  g_autoptr (GBytes) damaged = text != NULL ? g_bytes_new (text, length) : NULL;

  put_value (f, table, key, damaged);
  assert_finds (f, line);
  put_value (f, table, key, value);
}

/* --- tests ---------------------------------------------------------------------------------------------------------------- */

static void
test_clean (void)
{
  Box box = make_box ();
  Fixture *f = box.f;

  {
    g_auto (Report) all = verify (f, NULL, TRUE);
    g_auto (Report) one = verify (f, "user/alice", FALSE);

    g_assert_cmpstr (all.faults->str, ==, "");
    g_assert_cmpstr (all.notes->str, ==, "");
    g_assert_cmpuint (all.sums.n_mailboxes, ==, 2);
    g_assert_cmpuint (all.sums.n_messages, ==, N_MESSAGES - 2);
    g_assert_cmpstr (one.faults->str, ==, "");
    g_assert_cmpuint (one.sums.n_mailboxes, ==, 1);
  }
  box_clear (&box);
}

/* Offsets are those of doc/format.md; of message 5. */
static void
test_record (void)
{
  static const struct {
    gsize offset, size;
    guint64 number;
    const char *line;
  } fields[] = {
    { 0, 4, 4, "user/alice 4: its uid follows uid 4" },
    { 0, 4, 0, "user/alice 0: its uid follows uid 4" },
    { 4, 2, 0x7fff, "user/alice 5: its time zone" },
    { 8, 8, BIG, "user/alice 5: it was changed before it was made" },
    { 16, 8, 1, "user/alice 0: its header says sync-crc " },
    { 24, 8, 1, "user/alice 0: its header says sync-crc-annot " },
    { 32, 8, 1, "user/alice 5: its body is not of 1 bytes" },
    { 32, 8, 0, "user/alice 5: its body is not of 0 bytes" },
    { 32, 8, BIG, "user/alice 0: its header says size " },
    { 40, 8, 1, "user/alice 5: its body is not that of its GUID" },
    { 52, 8, 1, "user/alice 0: its header says sync-crc " },
    { 60, 4, 3, "user/alice 5: its body lies in store 3" },
    { 64, 8, 1, "user/alice 0: its header says sync-crc-annot " },
    { 72, 8, BIG, "user/alice 5: its body can't be read" },
    { 72, 8, 0, "user/alice 5: it has no body" },
    { 72, 8, BIG, "- 0: partition default: no message names blob " },
    { 80, 8, BIG, "- 0: partition default: no message names blob " },
    { 88, 8, BIG, "user/alice 5: its modseq is above the mailbox's" },
    { 96, 8, 1, "user/alice 0: its header says sync-crc " },
    { 104, 4, 1 << 20, "user/alice 5: its flags (00100000) are none" },
    { 104, 4, ROOK_RECORD_PURGED, "user/alice 5: its flags (40000000) are none" },
    { 104, 4, ROOK_FLAG_SEEN, "user/alice 0: its header says unseen " },
    { 104, 4, ROOK_RECORD_EXPUNGED, "user/alice 0: its header says exists " },
    { 112, 8, 4, "user/alice 5: it has a keyword" },
    { 120, 8, BIG, "user/alice 5: it has a keyword" },
  };
  Box box = make_box ();
  g_autoptr (GBytes) key = rook_page_key (rook_mailbox_get_id (box.mailbox), 0);

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    assert_number_matters (box.f, ROOK_PART_PAGES, key, ROOK_PAGE_HEAD + 4 * ROOK_RECORD_SIZE + fields[i].offset,
                           fields[i].size, fields[i].number, fields[i].line);
  assert_clean (box.f);
  box_clear (&box);
}

static void
test_header (void)
{
  static const struct {
    gsize offset, size;
    guint64 number;
    const char *line;
  } fields[] = {
    { 0, 2, 9, "user/alice 0: its header does not read" },
    { 4, 4, 12, "user/alice 0: its uidvalidity is 12" },
    { 8, 8, BIG, "user/alice 0: a modseq of its header" },
    { 16, 8, BIG, "user/alice 0: a modseq of its header" },
    { 48, 8, BIG, "user/alice 0: a modseq of its header" },
    { 56, 4, 1000, "user/alice 0: uid 1000 was recent" },
    { 80, 4, 69, "user/alice 70: its uid is not below uidnext (69)" },
    { 84, 4, N_MESSAGES - 1, "user/alice 0: page 1 has " },
    { 84, 4, 63, "user/alice 0: there is a page 1 more" },
    { 84, 4, 127, "user/alice 0: page 2 is missing" },
    { 88, 4, 3, "user/alice 0: its header says exists 3, its messages 68" },
    { 96, 8, 3, "user/alice 0: its header says size 3, " },
    { 104, 8, 2, "user/alice 70: its modseq is above" },
    { 112, 4, 3, "user/alice 0: its header says unseen 3, its messages 67" },
    { 116, 4, 3, "user/alice 0: its header says deleted 3, its messages 1" },
    { 120, 4, 3, "user/alice 0: its header says answered 3, its messages 1" },
    { 124, 4, 3, "user/alice 0: its header says flagged 3, its messages 1" },
    { 128, 4, 3, "user/alice 0: its header says sync-crc 3, " },
    { 132, 4, 3, "user/alice 0: its header says sync-crc-annot 3, " },
    { 152, 8, 0, "user/alice 6: it was expunged, and is never purged" },
    { ROOK_HEADER_SIZE, 4, 2, "user/alice 0: page 0 is not what its summary says" },
    { ROOK_HEADER_SIZE + ROOK_SUMMARY_SIZE + 16, 8, 0, "user/alice 0: page 1 is not what its summary says" },
  };
  Box box = make_box ();
  g_autoptr (GBytes) key = rook_bytes_of_text (rook_mailbox_get_id (box.mailbox));

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    assert_number_matters (box.f, ROOK_PART_HEADERS, key, fields[i].offset, fields[i].size, fields[i].number,
                           fields[i].line);
  assert_value_matters (box.f, ROOK_PART_HEADERS, key, NULL, 0, "user/alice 0: its header is missing");
  assert_value_matters (box.f, ROOK_PART_HEADERS, key, "short", 5, "user/alice 0: its header does not read");
  assert_clean (box.f);
  box_clear (&box);
}

static void
test_pages (void)
{
  Box box = make_box ();
  const char *id = rook_mailbox_get_id (box.mailbox);
  g_autoptr (GBytes) first = rook_page_key (id, 0), second = rook_page_key (id, 1);

  assert_value_matters (box.f, ROOK_PART_PAGES, first, NULL, 0,
                        "user/alice 1: page 0, with what is said of uid 1 to 63, is missing");
  assert_value_matters (box.f, ROOK_PART_PAGES, second, "short", 5, "user/alice 0: page 1 has 5 bytes");
  assert_number_matters (box.f, ROOK_PART_PAGES, first, 0, 2, 9, "user/alice 0: page 0 is of another version");
  assert_number_matters (box.f, ROOK_PART_PAGES, second, 2, 2, 9, "user/alice 0: page 1 is of another version");
  /* Across the pages too. */
  assert_number_matters (box.f, ROOK_PART_PAGES, second, ROOK_PAGE_HEAD, 4, 63,
                         "user/alice 63: its uid follows uid 63");
  assert_clean (box.f);
  box_clear (&box);
}

static void
test_what_lies_beside (void)
{
  Box box = make_box ();
  const char *id = rook_mailbox_get_id (box.mailbox);
  g_autoptr (GBytes) key = rook_bytes_of_text (id);
  g_autoptr (GBytes) seen = rook_seen_key (id, rook_users_find_key (box.f->mail->users, "bob"));
  static const char unknown[] = "\1\0\0\0\0\0\0\0\1\0\0\0\11\0\0\3\350"; /* uid 9 to 1000 */

  assert_value_matters (box.f, ROOK_PART_KEYWORDS, key, NULL, 0, "user/alice 2: it has a keyword");
  assert_value_matters (box.f, ROOK_PART_KEYWORDS, key, "one", 3, "user/alice 0: its keywords do not read");
  assert_value_matters (box.f, ROOK_PART_KEYWORDS, key, "other\n", 6, "user/alice 0: its header says sync-crc ");
  assert_value_matters (box.f, ROOK_PART_ENTRIES, key, NULL, 0, "user/alice 0: its entry's copy is missing");
  assert_value_matters (box.f, ROOK_PART_ENTRIES, key, "\1x", 2, "user/alice 0: its entry's copy does not read");
  assert_value_matters (box.f, ROOK_PART_SEEN, seen, "x", 1, "user/alice 0: what bob has seen does not read");
  assert_value_matters (box.f, ROOK_PART_SEEN, seen, unknown, sizeof unknown - 1,
                        "user/alice 9: bob has seen uid 9 to 1000, which are not all there");
  assert_number_matters (box.f, ROOK_PART_SEEN, seen, 1, 8, BIG, "user/alice 0: what bob has seen is newer");
  assert_clean (box.f);
  box_clear (&box);
}

static void
get_record (Box *box, guint32 uid, RookRecord *out)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&box->mailbox->lock);
  guint page, slot;

  g_assert_true (rook_head_get_uid (&box->mailbox->durable, uid, out, &page, &slot));
}

static void
test_bodies (void)
{
  Box box = make_box ();
  Fixture *f = box.f;
  RookBatch *batch = rook_batch_new (store_of (f, "default"));
  g_autoptr (GBytes) body = g_bytes_new ("left over", 9);
  RookRecord lost, uncached;

  get_record (&box, 20, &lost);
  get_record (&box, 66, &uncached);
  rook_batch_release (batch, lost.blob);
  rook_batch_release (batch, uncached.cache);
  rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, body);
  commit (f, "default", batch);
  {
    g_auto (Report) report = verify (f, NULL, FALSE);

    g_assert_true (g_str_has_prefix (report.faults->str, "user/alice 20: its body can't be read: "));
    g_assert_nonnull (strstr (report.faults->str, "\n- 0: partition default: no message names blob "));
    g_assert_nonnull (strstr (report.notes->str, "user/alice: the cached structure of 1 messages is missing"));
  }
  box_clear (&box);
}

/* A structure that does not read costs time once: it is made again, and nobody hears of a change. */
static void
test_structure_is_made_again (void)
{
  Box box = make_box ();
  Fixture *f = box.f;
  RookBatch *batch = rook_batch_new (store_of (f, "default"));
  g_auto (Answer) looked = { .f = f };
  guint64 modseq = status_of (f, "user/alice").highest_modseq;
  RookRecord spoilt, now;

  get_record (&box, 66, &spoilt);
  rook_batch_release (batch, spoilt.cache);
  commit (f, "default", batch);
  update (box.view, TRUE);
  rook_view_get_mime (box.view, rook_view_find_uid (box.view, 66), on_mime, &looked);
  answer_wait (&looked);
  g_assert_no_error (looked.error);
  g_assert_nonnull (looked.mime);
  do
    {
      fixture_settle (f);
      get_record (&box, 66, &now);
    }
  while (now.cache == spoilt.cache);
  g_assert_null (rook_view_update (box.view, TRUE));
  g_assert_cmpuint (status_of (f, "user/alice").highest_modseq, ==, modseq);
  assert_clean (f);
  {
    g_auto (Report) report = verify (f, NULL, TRUE);

    g_assert_null (strstr (report.notes->str, "cached structure"));
  }
  box_clear (&box);
}

static void
test_state_and_partition (void)
{
  Box box = make_box ();
  Fixture *f = box.f;
  RookBatch *batch = rook_batch_new (store_of (f, "state"));
  g_autoptr (RookEntry) entry = rook_mail_ref_entry (f->mail, "user/alice"), twin = rook_entry_new (entry);
  g_autoptr (GBytes) bad = rook_bytes_of_text ("bad"), nobody = rook_bytes_of_text ("nobody");
  g_autoptr (GBytes) key = rook_bytes_of_text (entry->id), twin_key = rook_bytes_of_text ("twin");
  g_autoptr (GBytes) header = get_value (f, ROOK_PART_HEADERS, key), value = NULL;
  guint8 image[ROOK_HEADER_SIZE];
  RookHeader empty;

  rook_entry_set (&twin->partition, "nowhere");
  value = rook_entry_encode (twin);
  rook_batch_put (batch, ROOK_STATE_MAILBOXES, bad, bad);
  rook_batch_put (batch, ROOK_STATE_MAILBOXES, twin_key, value);
  commit (f, "state", batch);
  put_value (f, ROOK_PART_HEADERS, nobody, header);
  rook_header_init (&empty, 5);
  rook_header_encode (&empty, image);
  {
    g_autoptr (GBytes) begun = rook_bytes_of_text ("begun"), nothing = g_bytes_new (image, sizeof image);

    put_value (f, ROOK_PART_HEADERS, begun, nothing);
  }
  assert_finds (f, "- 0: state store: the entry of mailbox bad does not read");
  assert_finds (f, "user/alice 0: its partition nowhere is not there");
  assert_finds (f, "- 0: partition default has a mailbox nobody that the state store does not have there");
  {
    g_auto (Report) report = verify (f, NULL, FALSE);

    g_assert_nonnull (strstr (report.notes->str, "-: partition default has a mailbox begun that"));
    g_assert_null (strstr (report.faults->str, "begun"));
  }
  box_clear (&box);
}

/* What a mailbox goes through leaves no fault. */
static void
test_life (void)
{
  Box box = box_new ("[mailbox]\nkeep-expunged=0s\n", N_MESSAGES);
  Fixture *f = box.f;
  RookMailbox *other;

  must_create (f, f->alice, "user/alice/other");
  other = must_open (f, f->alice, "user/alice/other");
  must_append (f, other, f->alice, MESSAGE);
  rook_mailbox_unref (other);
  must_store (f, box.view, 6, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (f, box.view);
  assert_clean (f);
  fixture_run_job (f, ROOK_MAIL_JOB_EXPIRE);
  assert_clean (f);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice/other", "user/alice/new", NULL), ==, -1);
  assert_clean (f);
  g_assert_cmpint (try_rename (f, f->alice, "user/alice", "user/alice/old", NULL), ==, -1);
  assert_clean (f);
  {
    g_auto (Answer) answer = { .f = f };

    rook_mail_delete (f->mail, f->alice, "user/alice/old", on_mail, &answer);
    answer_wait (&answer);
    g_assert_no_error (answer.error);
    assert_clean (f); /* while it is cleared away, and afterwards */
    fixture_settle (f);
    assert_clean (f);
  }
  box_clear (&box);
}

static void
test_failures (void)
{
  Box box = make_box ();
  Fixture *f = box.f;
  Report report = { .faults = g_string_new (NULL), .notes = g_string_new (NULL), .stop = TRUE };
  g_autoptr (GError) stopped = NULL, missing = NULL, failed = NULL;
  RookVerifySums sums;

  g_assert_false (rook_mail_verify (f->mail, NULL, FALSE, &events, &report, &sums, &stopped));
  g_assert_error (stopped, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY);
  report.stop = FALSE;
  g_assert_false (rook_mail_verify (f->mail, "user/nobody", FALSE, &events, &report, &sums, &missing));
  g_assert_error (missing, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND);
  rook_memory_disk_fail (fixture_disk (f, "default"), 3, ROOK_STORE_ERROR_IO, FALSE);
  g_assert_false (rook_mail_verify (f->mail, NULL, FALSE, &events, &report, &sums, &failed));
  g_assert_error (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IO);
  g_assert_cmpstr (report.faults->str, ==, "");
  report_clear (&report);
  box_clear (&box);
}

/* --- by rookctl, and the server's stop ------------------------------------------------------------------------------------ */

typedef struct {
  char *path;
  const char *request;
  char *answer;
  gint sent, done; /* atomic */
} Client;

static void *
client_thread (void *data)
{
  Client *client = data;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  GString *text = g_string_new (NULL);
  char buffer[4096];
  ssize_t n;

  g_strlcpy (address.sun_path, client->path, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_cmpint (write (fd, client->request, strlen (client->request)), ==, (gssize) strlen (client->request));
  while ((n = read (fd, buffer, sizeof buffer)) > 0)
    {
      g_string_append_len (text, buffer, n);
      g_atomic_int_set (&client->sent, 1);
    }
  close (fd);
  client->answer = g_string_free (text, FALSE);
  g_atomic_int_set (&client->done, 1);
  return NULL;
}

static char *
socket_path (Fixture *f)
{
  g_autofree char *directory = rook_server_dup_run_directory (f->server);

  return g_build_filename (directory, ROOK_CONTROL_SOCKET, NULL);
}

static char *
ask (Fixture *f, const char *request)
{
  g_autofree char *path = socket_path (f);
  Client client = { .path = path, .request = request };
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, client_thread, &client), ==, 0);
  while (g_atomic_int_get (&client.done) == 0)
    fixture_settle (f);
  pthread_join (thread, NULL);
  return client.answer;
}

static void
test_verb (void)
{
  Box box = make_box ();
  Fixture *f = box.f;
  g_autofree char *all = ask (f, "mailbox verify\n");
  g_autofree char *one = ask (f, "mailbox verify --full user/bob\n");
  g_autofree char *missing = ask (f, "mailbox verify nowhere\n");
  g_autofree char *damaged = NULL;
  RookBatch *batch = rook_batch_new (store_of (f, "default"));
  RookRecord lost;

  g_assert_nonnull (strstr (all, "ok\n"));
  g_assert_nonnull (strstr (all, "no faults in 2 mailboxes with 68 messages"));
  g_assert_nonnull (strstr (one, "no faults in 1 mailbox with 0 messages"));
  g_assert_nonnull (strstr (missing, "error "));
  get_record (&box, 20, &lost);
  rook_batch_release (batch, lost.blob);
  commit (f, "default", batch);
  rook_log_set_level (rook_server_get_log (f->server), ROOK_LOG_ERROR);
  damaged = ask (f, "mailbox verify\n");
  g_assert_nonnull (strstr (damaged, "error "));
  g_assert_nonnull (strstr (damaged, "1 fault:"));
  g_assert_nonnull (strstr (damaged, "user/alice uid 20: its body can't be read"));
  box_clear (&box);
}

/* A store that takes for ever to be verified holds up no stop. */
static void
test_stop (void)
{
  Box box = make_box ();
  Fixture *f = box.f;
  g_autofree char *path = socket_path (f);
  Client client = { .path = path, .request = "store verify default\n" };
  pthread_t thread;

  rook_memory_disk_set_endless (fixture_disk (f, "default"), TRUE);
  g_assert_cmpint (pthread_create (&thread, NULL, client_thread, &client), ==, 0);
  while (g_atomic_int_get (&client.sent) == 0) /* of its progress */
    fixture_settle (f);
  box_clear (&box); /* returns */
  pthread_join (thread, NULL);
  g_free (client.answer);
}

/* --- quota -------------------------------------------------------------------------------------------------------------- */

static void
on_quota (const RookQuota *quota, const GError *error, gpointer data)
{
  g_assert_nonnull (quota);
  on_mail (error, data);
}

static RookQuotaTotal *
total_of (Fixture *f, const char *name)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry (f->mail, name);

  return g_hash_table_lookup (f->mail->quotas->totals, entry->id);
}

/* What is counted for a quota root is what headers say, whether their mailboxes are open or not. */
static void
test_quota (void)
{
  Box box = make_box ();
  Fixture *f = box.f;
  const gint64 limits[ROOK_QUOTA_N_RESOURCES] = { 100000, -1, -1, -1 };
  g_auto (Answer) set = { .f = f }, get = { .f = f };
  RookQuotaTotal *total;

  must_create (f, NULL, "user/alice/closed");
  rook_mail_set_quota (f->mail, NULL, "user/alice", limits, on_mail, &set);
  answer_wait (&set);
  rook_mail_get_quota (f->mail, NULL, "user/alice", on_quota, &get);
  answer_wait (&get);
  assert_clean (f);
  total = total_of (f, "user/alice");
  total->messages++;
  assert_finds (f, "user/alice 0: its quota root counts 69 messages of");
  assert_finds (f, "user/alice 0: its usage as a quota root is 68 of resource 1, and its mailboxes add up to 69");
  total->messages--;
  assert_clean (f);
  total_of (f, "user/alice/closed")->size = 1;
  assert_finds (f, "user/alice/closed 0: its quota root counts 0 messages of 1 bytes, its header 0 of 0");
  total_of (f, "user/alice/closed")->size = 0;
  assert_clean (f);
  box_clear (&box);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mailbox/verify/whole-is-told-clean", test_clean);
  g_test_add_func ("/mailbox/verify/each-field-of-a-record-matters", test_record);
  g_test_add_func ("/mailbox/verify/each-field-of-a-header-matters", test_header);
  g_test_add_func ("/mailbox/verify/pages-are-all-there", test_pages);
  g_test_add_func ("/mailbox/verify/keywords-entry-and-seen-fit", test_what_lies_beside);
  g_test_add_func ("/mailbox/verify/bodies-and-blobs-fit", test_bodies);
  g_test_add_func ("/mailbox/verify/structure-is-made-again", test_structure_is_made_again);
  g_test_add_func ("/mailbox/verify/state-and-partitions-fit", test_state_and_partition);
  g_test_add_func ("/mailbox/verify/life-leaves-no-fault", test_life);
  g_test_add_func ("/mailbox/verify/stops-and-fails-as-it-should", test_failures);
  g_test_add_func ("/mailbox/verify/rookctl-asks-for-it", test_verb);
  g_test_add_func ("/mailbox/verify/server-stop-ends-that-of-a-store", test_stop);
  g_test_add_func ("/mailbox/verify/quota", test_quota);
  return g_test_run ();
}
