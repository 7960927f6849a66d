/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bits of any file of a whole mail store, turned over: the state store's and two partitions', while it is closed and while it is
 * in use. Nobody is given a wrong message or flag; what is damaged is told with mailbox and uid; everything else is there.
 */
#include "mail-fixture.h"

#include "../lib/test-budget.h"
#include "mailbox/verify.h"
#include "storage-gdbm/gs-store.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>

#define N_MESSAGES 12

typedef struct {
  char *path; /* (owned) below the place */
  char *data; /* (owned) */
  gsize size;
} File;

typedef struct {
  GsSettings settings;
  char *place;      /* (owned) */
  GPtrArray *image; /* (element-type File) */
  Fixture *mail;
} Damage;

static const char *const names[] = { "user/alice", "user/alice/Work", "user/bob" };
static const char *const stores[] = { "mailboxes", "default", "other" };

/* --- stores that outlive their server ------------------------------------------------------------------------------------ */

static gpointer
open_in_place (gpointer data, RookServer *server, RookStore *store, const RookStoreSpec *spec, GError **error)
{
  Damage *d = data;
  RookStoreSpec there = *spec;
  g_autofree char *name = g_path_get_basename (spec->path), *path = g_build_filename (d->place, name, NULL);

  there.path = path;
  return gs_backend.open (&d->settings, server, store, &there, error);
}

static gboolean
start (Damage *d, GError **error)
{
  static RookStorageBackend backend;

  backend = gs_backend;
  backend.open = open_in_place;
  d->mail = fixture_new_on (&backend, d, NULL);
  return rook_mail_open_stores (d->mail->mail, error);
}

static void
stop (Damage *d)
{
  g_clear_pointer (&d->mail, fixture_free);
}

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED,
            struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

static void
file_free (gpointer data)
{
  File *file = data;

  g_free (file->path);
  g_free (file->data);
  g_free (file);
}

static void
take_image (Damage *d)
{
  d->image = g_ptr_array_new_with_free_func (file_free);
  for (guint i = 0; i < G_N_ELEMENTS (stores); i++)
    {
      g_autofree char *path = g_build_filename (d->place, stores[i], NULL);
      g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
      const char *name;

      while ((name = g_dir_read_name (dir)) != NULL)
        {
          g_autofree char *full = g_build_filename (path, name, NULL);
          File *file;

          if (strcmp (name, "log.spare") == 0 || strcmp (name, "log.filling") == 0 || strcmp (name, "lock") == 0)
            continue;
          file = g_new0 (File, 1);
          file->path = g_build_filename (stores[i], name, NULL);
          g_assert_true (g_file_get_contents (full, &file->data, &file->size, NULL));
          g_ptr_array_add (d->image, file);
        }
    }
}

static void
write_file (Damage *d, const File *file)
{
  g_autofree char *path = g_build_filename (d->place, file->path, NULL);
  FILE *out = fopen (path, "r+");

  if (out == NULL)
    out = fopen (path, "w");
  g_assert_nonnull (out);
  g_assert_cmpuint (fwrite (file->data, 1, file->size, out), ==, file->size);
  g_assert_cmpint (fclose (out), ==, 0);
}

static void
lay_out (Damage *d)
{
  nftw (d->place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  for (guint i = 0; i < G_N_ELEMENTS (stores); i++)
    {
      g_autofree char *path = g_build_filename (d->place, stores[i], NULL);

      g_assert_no_errno (g_mkdir_with_parents (path, 0700));
    }
  for (guint i = 0; i < d->image->len; i++)
    write_file (d, g_ptr_array_index (d->image, i));
}

/* --- the mail ------------------------------------------------------------------------------------------------------------- */

static char *
make_body (guint n)
{
  GString *text = g_string_new (NULL);

  g_string_append_printf (text, "From: a@example.org\r\nSubject: message %u\r\n\r\n", n);
  for (guint i = 0; i < 20 + n; i++)
    g_string_append_printf (text, "line %u of %u\r\n", i, n);
  return g_string_free (text, FALSE);
}

/* The same bodies in each mailbox, which share them; flags of some, and some that are expunged. */
static void
fill_mailbox (Fixture *f, const char *name, guint first)
{
  RookMailbox *mailbox = must_open (f, NULL, name);
  RookView *view;

  for (guint n = 0; n < N_MESSAGES; n++)
    {
      g_autofree char *body = make_body (first + n);

      must_append (f, mailbox, NULL, body);
    }
  view = must_view (mailbox, NULL);
  must_store (f, view, 2, ROOK_STORE_ADD, ROOK_FLAG_FLAGGED, "$Kept");
  must_store (f, view, 3, ROOK_STORE_ADD, ROOK_FLAG_SEEN, NULL);
  must_store (f, view, 5, ROOK_STORE_ADD, ROOK_FLAG_DELETED, NULL);
  must_expunge (f, view);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

static void
checkpoint (Fixture *f)
{
  RookMail *mail = f->mail;

  g_assert_true (rook_store_checkpoint (rook_mail_get_state (mail), NULL));
  for (guint i = 0; i < mail->partitions->len; i++)
    g_assert_true (rook_store_checkpoint (rook_partition_get_store (g_ptr_array_index (mail->partitions, i)), NULL));
}

static void
set_up (Damage *d, gconstpointer data G_GNUC_UNUSED)
{
  d->settings = gs_default_settings;
  d->settings.log_size = 32 * 1024;
  d->settings.segment_size = 32 * 1024;
  d->settings.n_readers = 1;
  d->place = g_dir_make_tmp ("rook-damage-XXXXXX", NULL);
  g_assert_true (start (d, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    must_create (d->mail, NULL, names[i]);
  fill_mailbox (d->mail, names[0], 0);
  checkpoint (d->mail);
  fill_mailbox (d->mail, names[1], 0);
  checkpoint (d->mail);
  fill_mailbox (d->mail, names[2], 3);
  stop (d);
  take_image (d);
}

static void
tear_down (Damage *d, gconstpointer data G_GNUC_UNUSED)
{
  stop (d);
  nftw (d->place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_ptr_array_unref (d->image);
  g_free (d->place);
}

/* --- using it ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
  guint n_unread;  /* messages that can't be read, */
  guint n_closed;  /* and mailboxes */
  GString *faults; /* "MAILBOX UID" of each that verify names, and "STORE" */
  guint n_faults;
  gboolean wrong;
  GString *unread; /* "MAILBOX UID" */
} Outcome;

static void
outcome_clear (Outcome *outcome)
{
  g_string_free (outcome->faults, TRUE);
  g_string_free (outcome->unread, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Outcome, outcome_clear)

static void
read_messages (Fixture *f, const char *name, guint first, RookView *view, Outcome *outcome)
{
  for (guint seq = 1, uid = 1; seq <= rook_view_get_count (view); seq++, uid++)
    {
      g_auto (Answer) answer = { .f = f };
      g_autofree char *wanted = NULL;

      uid += uid == 5; /* which was expunged */
      wanted = make_body (first + uid - 1);
      rook_view_read (view, seq, 0, G_MAXSIZE, on_read, &answer);
      answer_wait (&answer);
      if (answer.error != NULL)
        {
          outcome->n_unread++;
          g_string_append_printf (outcome->unread, "%s %u\n", name, uid);
        }
      else if (g_bytes_get_size (answer.bytes) != strlen (wanted)
               || memcmp (g_bytes_get_data (answer.bytes, NULL), wanted, strlen (wanted)) != 0)
        outcome->wrong = TRUE;
    }
}

static void
use_mailbox (Fixture *f, const char *name, guint first, Outcome *outcome)
{
  g_auto (Answer) answer = { .f = f };
  g_autofree char *text = NULL;
  RookView *view;

  rook_mail_open (f->mail, NULL, name, on_open, &answer);
  answer_wait (&answer);
  if (answer.error != NULL)
    {
      /* Never that there is no such mailbox. */
      outcome->wrong |= code_of (&answer) == ROOK_MAIL_ERROR_NOT_FOUND;
      outcome->n_closed++;
      return;
    }
  view = must_view (answer.mailbox, NULL);
  load_all (view);
  text = view_text (view);
  g_test_message ("%s: %s", name, text);
  if (strstr (text, "2:F") == NULL || strstr (text, "3:S") == NULL || rook_view_get_count (view) != N_MESSAGES - 1)
    outcome->wrong = TRUE;
  read_messages (f, name, first, view, outcome);
  rook_view_free (view);
}

static void
note_fault (const char *mailbox, guint32 uid, const char *text, gpointer data)
{
  Outcome *outcome = data;

  outcome->n_faults++;
  g_string_append_printf (outcome->faults, "%s %u\n", mailbox != NULL ? mailbox : "-", uid);
  g_test_message ("%s %u: %s", mailbox, uid, text);
}

static void
note_note (const char *mailbox G_GNUC_UNUSED, const char *text G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
}

static gboolean
note_progress (double percent G_GNUC_UNUSED, const char *text G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  return TRUE;
}

static void
note_store_fault (const RookStoreFault *fault, gpointer data)
{
  note_fault (NULL, 0, fault->text, data);
}

static void
verify_all (Fixture *f, Outcome *outcome)
{
  static const RookVerifyEvents events = { note_fault, note_note, note_progress };
  RookMail *mail = f->mail;
  RookVerifySums sums;

  g_assert_true (rook_mail_verify (mail, NULL, TRUE, &events, outcome, &sums, NULL));
  g_assert_true (rook_store_verify (rook_mail_get_state (mail), note_store_fault, outcome, NULL, NULL, NULL));
  for (guint i = 0; i < mail->partitions->len; i++)
    {
      RookStore *store = rook_partition_get_store (g_ptr_array_index (mail->partitions, i));

      if (store != NULL)
        g_assert_true (rook_store_verify (store, note_store_fault, outcome, NULL, NULL, NULL));
    }
}

/* --- bits ----------------------------------------------------------------------------------------------------------------------- */

static void
fail_flip (const File *file, guint64 bit, const char *what)
{
  g_error ("%s, bit %" G_GUINT64_FORMAT " of byte %" G_GUINT64_FORMAT ": %s", file->path, bit % 8, bit / 8, what);
}

/* What can't be read verify names, and nothing but segments can't be had back. */
static void
check_outcome (const File *file, guint64 bit, const Outcome *outcome)
{
  gboolean segment = strstr (file->path, "/mail.") != NULL;
  g_auto (GStrv) unread = g_strsplit (outcome->unread->str, "\n", -1);

  if (outcome->wrong)
    fail_flip (file, bit, "what was given is wrong");
  if (outcome->n_unread > 0 && !segment)
    fail_flip (file, bit, "a message was lost");
  if (outcome->n_closed > 0)
    fail_flip (file, bit, "a mailbox was lost");
  for (guint i = 0; unread[i] != NULL && *unread[i] != '\0'; i++)
    {
      g_autofree char *line = g_strconcat (unread[i], "\n", NULL);

      if (strstr (outcome->faults->str, line) == NULL)
        fail_flip (file, bit, "what can't be read is not named");
    }
}

static void
flip (Damage *d, File *file, guint64 bit, gboolean while_open)
{
  g_auto (Outcome) outcome = { .faults = g_string_new (NULL), .unread = g_string_new (NULL) };
  g_autoptr (GError) error = NULL;
  gboolean opened = TRUE;

  lay_out (d);
  if (while_open)
    opened = start (d, &error);
  file->data[bit / 8] ^= (char) (1 << bit % 8);
  write_file (d, file);
  file->data[bit / 8] ^= (char) (1 << bit % 8);
  if (!while_open)
    opened = start (d, &error);
  if (opened)
    {
      for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        use_mailbox (d->mail, names[i], i == 2 ? 3 : 0, &outcome);
      verify_all (d->mail, &outcome);
      check_outcome (file, bit, &outcome);
    }
  else
    fail_flip (file, bit, error->message);
  stop (d);
}

static void
test_any_bit (Damage *d, gconstpointer data)
{
  gint64 end = test_budget_end (0.5);
  guint n = 0;

  do
    {
      File *file = g_ptr_array_index (d->image, g_test_rand_int_range (0, (gint32) d->image->len));

      if (file->size > 0)
        flip (d, file,
              (guint64) g_test_rand_int_range (0, (gint32) file->size) * 8 + (guint64) g_test_rand_int_range (0, 8),
              GPOINTER_TO_UINT (data));
      n++;
    }
  while (g_get_monotonic_time () < end);
  g_test_message ("%u flips", n);
}

/* Each message's body, by a byte of it: the three mailboxes that share it are told apart, by uid. */
static void
test_shared_body (Damage *d, gconstpointer data G_GNUC_UNUSED)
{
  guint hit = 0;

  for (guint i = 0; i < d->image->len; i++)
    {
      File *file = g_ptr_array_index (d->image, i);
      const char *at =
          strstr (file->path, "/mail.") != NULL ? memmem (file->data, file->size, "line 7 of 6\r\n", 13) : NULL;
      g_auto (Outcome) outcome = { .faults = g_string_new (NULL), .unread = g_string_new (NULL) };

      if (at == NULL)
        continue;
      lay_out (d);
      file->data[at - file->data] ^= 1;
      write_file (d, file);
      file->data[at - file->data] ^= 1;
      g_assert_true (start (d, NULL));
      for (guint n = 0; n < G_N_ELEMENTS (names); n++)
        use_mailbox (d->mail, names[n], n == 2 ? 3 : 0, &outcome);
      verify_all (d->mail, &outcome);
      check_outcome (file, (guint64) (at - file->data) * 8, &outcome);
      g_assert_cmpstr (outcome.unread->str, ==, "user/alice 7\nuser/alice/Work 7\nuser/bob 4\n");
      stop (d);
      hit++;
    }
  g_assert_cmpuint (hit, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(path, data, func) \
  g_test_add ("/mailbox/gdbm-damage/" path, Damage, GUINT_TO_POINTER (data), set_up, func, tear_down)
  TEST ("any-bit-while-closed", 0, test_any_bit);
  TEST ("any-bit-while-in-use", 1, test_any_bit);
  TEST ("a-shared-body-is-told-of-each-mailbox", 0, test_shared_body);
  return g_test_run ();
}
