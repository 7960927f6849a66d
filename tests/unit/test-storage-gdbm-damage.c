/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * storage-gdbm and damage: each bit of each file of a small store is turned over. What is read after that is right, or an error
 * that is told; what both copies or the log still know is not lost.
 */
#include "../lib/test-budget.h"
#include "gdbm-damage.h"
#include "storage-gdbm/gs-bytes.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* --- bits ------------------------------------------------------------------------------------------------------------------------ */

/* What a flip may do. */
typedef enum {
  NO_LOSS,  /* all is there all the same */
  SOME_LOSS /* what can't be read is told; the rest is right */
} Harm;

static Harm
harm_of (const File *file)
{
  if (g_str_has_prefix (file->name, "mail.") || g_str_has_prefix (file->name, "log."))
    return SOME_LOSS;
  return NO_LOSS;
}

static void
fail_flip (const File *file, guint64 bit, const char *what)
{
  g_error ("%s, bit %" G_GUINT64_FORMAT " of byte %" G_GUINT64_FORMAT ": %s\n%s", file->name, bit % 8, bit / 8, what,
           told->str);
}

static void
check_outcome (const File *file, guint64 bit, Harm harm, const Outcome *outcome)
{
  gboolean noticed = outcome->faults > 0 || told->len > 0, is_log = g_str_has_prefix (file->name, "log.");

  /* A frame that the log has lost was lost as it was told. */
  if (outcome->wrong > 0 && !(is_log && noticed))
    fail_flip (file, bit, "what was read is wrong");
  if (outcome->errors > 0 && harm == NO_LOSS)
    fail_flip (file, bit, "something was lost");
  if (outcome->errors > 0 && !noticed)
    fail_flip (file, bit, "what was lost was not told");
}

static gboolean
flip (Fixture *f, const File *file, guint64 bit, gboolean while_open)
{
  Harm harm = harm_of (file);
  g_autoptr (GError) error = NULL;
  Outcome outcome;
  gboolean noticed;

  lay_out (f, f->image);
  if (while_open)
    open_store (f);
  file->bytes->data[bit / 8] ^= (guint8) (1 << bit % 8);
  write_file (f, file);
  file->bytes->data[bit / 8] ^= (guint8) (1 << bit % 8);
  if (!while_open && !try_open (f, 0, &error))
    fail_flip (file, bit, error->message);
  outcome = use_store (f);
  check_outcome (file, bit, harm, &outcome);
  noticed = outcome.faults > 0 || told->len > 0;
  close_store (f);
  return noticed;
}

/* The first frame of the last log file that no copy holds; others follow it. */
static guint64
find_needed_frame (Fixture *f, const File *log)
{
  g_autofree GsCurrent *current = read_current (f);
  guint64 held = MAX (current->copies[0].sequence, current->copies[1].sequence), at = GS_HEAD_SIZE;
  GsLogFrame frame;
  GsLogHead head;

  g_assert_true (gs_log_head_decode (log->bytes->data, log->bytes->len, &head, NULL));
  for (;; at += GS_PADDED (GS_LOG_FRAME_SIZE + frame.length))
    {
      g_assert_true (gs_log_frame_decode (log->bytes->data + at, log->bytes->len - at, head.epoch, &frame));
      if (frame.sequence > held)
        return at;
    }
}

/* Each bit of what is small and says what the rest is: the readers of it notice. */
static void
test_readers_notice_each_bit (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  const File *log = find_file (f, "log.", TRUE), *segment = find_file (f, "mail.", FALSE);
  guint64 frame = find_needed_frame (f, log), length = gs_get64 (log->bytes->data + frame + 32);
  guint32 head_length = gs_blob_frame_head_length (segment->bytes->data + GS_HEAD_SIZE);
  guint8 *p = log->bytes->data, *s = segment->bytes->data;
  GsSegmentHead segment_head;
  GsLogFrame log_frame;
  GsLogHead head;

  g_assert_true (gs_log_head_decode (p, log->bytes->len, &head, NULL));
#define EACH_BIT(bytes, from, to, read)               \
  for (guint64 bit = (from) *8; bit < (to) *8; bit++) \
    {                                                 \
      (bytes)[bit / 8] ^= (guint8) (1 << bit % 8);    \
      g_assert_false (read);                          \
      (bytes)[bit / 8] ^= (guint8) (1 << bit % 8);    \
    }                                                 \
  g_assert_true (read)
  {
    guint64 epoch = head.epoch;

    EACH_BIT (p, 0, 256, gs_log_head_decode (p, log->bytes->len, &head, NULL));
    EACH_BIT (p + frame, 0, GS_LOG_FRAME_SIZE + length,
              gs_log_frame_decode (p + frame, log->bytes->len - frame, epoch, &log_frame));
  }
  EACH_BIT (s, 0, 256, gs_segment_head_decode (s, segment->bytes->len, &segment_head, NULL));
  for (guint64 bit = 0; bit < head_length * 8; bit++)
    {
      g_auto (GsBlobFrame) blob_frame = { 0 };
      guint8 *at = s + GS_HEAD_SIZE;

      at[bit / 8] ^= (guint8) (1 << bit % 8);
      g_assert_false (gs_blob_frame_head_length (at) == head_length
                      && gs_blob_frame_decode (at, head_length, &blob_frame));
      at[bit / 8] ^= (guint8) (1 << bit % 8);
    }
}

/* A record of a copy, and the file CURRENT. */
static void
test_records_notice_each_bit (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  File *file = find_file (f, "CURRENT", FALSE);
  g_autofree GsCurrent *current = g_new0 (GsCurrent, 1);
  GsStore store = { .path = f->path, .dir = open (f->path, O_RDONLY | O_DIRECTORY) };
  guint8 record[64], key[] = { 0, 1, 'k' };
  gsize length;

  for (guint64 bit = 0; bit < file->bytes->len * 8; bit++)
    {
      g_autoptr (GError) error = NULL;

      file->bytes->data[bit / 8] ^= (guint8) (1 << bit % 8);
      write_file (f, file);
      file->bytes->data[bit / 8] ^= (guint8) (1 << bit % 8);
      g_assert_false (gs_current_read (&store, current, &error));
      g_assert_error (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT);
    }
  close (store.dir);
  g_assert_cmpuint (gs_record_size (50), ==, sizeof record);
  gs_record_encode (key, 3, "01234567890123456789012345678901234567890123456789", 50, record);
  EACH_BIT (record, 0, 9, gs_record_decode (key, 3, record, sizeof record, &length));
  EACH_BIT (record, GS_RECORD_HEAD, GS_RECORD_HEAD + 50, gs_record_decode (key, 3, record, sizeof record, &length));
  EACH_BIT (key, 0, 3, gs_record_decode (key, 3, record, sizeof record, &length));
}

/* The same in a store that is opened and used: whatever is hit, it is noticed. */
static void
test_small_things (Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  const File *log = find_file (f, "log.", TRUE), *segment = find_file (f, "mail.", FALSE);
  const File *identity = find_file (f, "IDENTITY", FALSE), *current = find_file (f, "CURRENT", FALSE);
  guint64 frame = find_needed_frame (f, log);
  gint64 end = test_budget_end (0.3);
  guint n = 0;
  const struct {
    const File *file;
    guint64 from, length;
  } places[] = {
    { identity, 0, identity->bytes->len },
    { current, 0, current->bytes->len },
    { log, 0, 256 },
    { log, frame, GS_LOG_FRAME_SIZE + 8 }, /* with some of what it is the head of */
    { segment, 0, 256 },
    { segment, GS_HEAD_SIZE, GS_BLOB_FRAME_SIZE + 24 }, /* key and label too */
  };

  for (; n < G_N_ELEMENTS (places) || g_get_monotonic_time () < end; n++)
    {
      guint place = n % G_N_ELEMENTS (places);
      guint64 bit = places[place].from * 8 + (guint64) g_test_rand_int_range (0, (gint32) places[place].length * 8);

      if (!flip (f, places[place].file, bit, FALSE))
        fail_flip (places[place].file, bit, "nobody noticed");
    }
  g_test_message ("%u flips", n);
}

/* Any bit of any file, for as long as there is time: @data: while the store is open. */
static void
test_any_bit (Fixture *f, gconstpointer data)
{
  gboolean while_open = GPOINTER_TO_UINT (data);
  gint64 end = test_budget_end (0.35);
  guint n = 0, noticed = 0;

  do
    {
      const File *file = g_ptr_array_index (f->image, g_test_rand_int_range (0, (gint32) f->image->len));
      guint64 bit =
          (guint64) g_test_rand_int_range (0, (gint32) file->bytes->len) * 8 + (guint64) g_test_rand_int_range (0, 8);

      noticed += flip (f, file, bit, while_open);
      n++;
    }
  while (g_get_monotonic_time () < end);
  g_test_message ("%u flips, %u of them noticed; the others were in bytes that mean nothing", n, noticed);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  listen_to_stores ();
#define TEST(path, data, func) DAMAGE_TEST ("/storage-gdbm-damage/" path, data, func)
  TEST ("flip/readers-notice-each-bit", 0, test_readers_notice_each_bit);
  TEST ("flip/records-notice-each-bit", 0, test_records_notice_each_bit);
  TEST ("flip/small-things", 0, test_small_things);
  TEST ("flip/any-bit-while-closed", 0, test_any_bit);
  TEST ("flip/any-bit-while-open", 1, test_any_bit);
  return g_test_run ();
}
