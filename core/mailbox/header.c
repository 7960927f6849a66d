/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mailbox's header: its bytes, its totals, and the CRCs by which replication compares two mailboxes.
 *
 * What changes with every append lies side by side, so that the patch of a header is short.
 */
#include <zlib.h>

#include "mailbox/codec.h"
#include "mailbox/record.h"

enum {
  AT_VERSION = 0, /* 2 bytes, then 2 of size */
  AT_UIDVALIDITY = 4,
  AT_CREATED_MODSEQ = 8,
  AT_FOLDER_MODSEQ = 16,
  AT_POP_LOGIN = 24,
  AT_POP_SHOW_AFTER = 32,
  AT_OPTIONS = 40,
  AT_TYPE = 44,
  AT_PURGED_MODSEQ = 48,
  AT_RECENT_UID = 56,
  AT_RECENT_TIME = 64,
  AT_LAST_APPEND = 72,
  AT_UIDNEXT = 80,
  AT_N_RECORDS = 84,
  AT_EXISTS = 88,
  AT_SIZE = 96,
  AT_HIGHEST_MODSEQ = 104,
  AT_UNSEEN = 112,
  AT_DELETED = 116,
  AT_ANSWERED = 120,
  AT_FLAGGED = 124,
  AT_SYNC_CRC = 128,
  AT_SYNC_CRC_ANNOT = 132,
  AT_SEQUENCE = 136,
  AT_CHANGE = 144,
  AT_OLDEST_EXPUNGED = 152,
  AT_END = 160 /* the rest is room */
};
G_STATIC_ASSERT (AT_END <= ROOK_HEADER_SIZE);

void
rook_header_init (RookHeader *header, guint32 uidvalidity)
{
  *header = (RookHeader){ .uidvalidity = uidvalidity,
                          .uidnext = 1,
                          .highest_modseq = 1,
                          .folder_modseq = 1,
                          .created_modseq = 1,
                          .has_summaries = TRUE,
                          .sync_crc_annot = ROOK_CRC_ANNOT_START };
}

void
rook_header_encode (const RookHeader *header, guint8 *out)
{
  memset (out, 0, ROOK_HEADER_SIZE);
  rook_put16 (out + AT_VERSION, header->has_summaries ? ROOK_HEADER_VERSION : 1);
  rook_put16 (out + AT_VERSION + 2, ROOK_HEADER_SIZE);
  rook_put32 (out + AT_UIDVALIDITY, header->uidvalidity);
  rook_put64 (out + AT_CREATED_MODSEQ, header->created_modseq);
  rook_put64 (out + AT_FOLDER_MODSEQ, header->folder_modseq);
  rook_put64 (out + AT_POP_LOGIN, (guint64) header->last_pop_login);
  rook_put64 (out + AT_POP_SHOW_AFTER, (guint64) header->pop3_show_after);
  rook_put32 (out + AT_OPTIONS, header->options);
  rook_put32 (out + AT_TYPE, header->type);
  rook_put64 (out + AT_PURGED_MODSEQ, header->purged_modseq);
  rook_put32 (out + AT_RECENT_UID, header->recent_uid);
  rook_put64 (out + AT_RECENT_TIME, (guint64) header->recent_time);
  rook_put64 (out + AT_LAST_APPEND, (guint64) header->last_append);
  rook_put32 (out + AT_UIDNEXT, header->uidnext);
  rook_put32 (out + AT_N_RECORDS, header->n_records);
  rook_put32 (out + AT_EXISTS, header->exists);
  rook_put64 (out + AT_SIZE, header->size);
  rook_put64 (out + AT_HIGHEST_MODSEQ, header->highest_modseq);
  rook_put32 (out + AT_UNSEEN, header->unseen);
  rook_put32 (out + AT_DELETED, header->deleted);
  rook_put32 (out + AT_ANSWERED, header->answered);
  rook_put32 (out + AT_FLAGGED, header->flagged);
  rook_put32 (out + AT_SYNC_CRC, header->sync_crc);
  rook_put32 (out + AT_SYNC_CRC_ANNOT, header->sync_crc_annot);
  rook_put64 (out + AT_SEQUENCE, header->sequence);
  rook_put64 (out + AT_CHANGE, header->change);
  rook_put64 (out + AT_OLDEST_EXPUNGED, (guint64) header->oldest_expunged);
}

gboolean
rook_header_decode (GBytes *bytes, RookHeader *out)
{
  gsize length;
  const guint8 *in = g_bytes_get_data (bytes, &length);
  guint version;

  if (length < ROOK_HEADER_SIZE)
    return FALSE;
  version = rook_get16 (in + AT_VERSION);
  if (version < 1 || version > ROOK_HEADER_VERSION)
    return FALSE;
  *out = (RookHeader){ .uidvalidity = rook_get32 (in + AT_UIDVALIDITY),
                       .created_modseq = rook_get64 (in + AT_CREATED_MODSEQ),
                       .folder_modseq = rook_get64 (in + AT_FOLDER_MODSEQ),
                       .last_pop_login = (gint64) rook_get64 (in + AT_POP_LOGIN),
                       .pop3_show_after = (gint64) rook_get64 (in + AT_POP_SHOW_AFTER),
                       .options = rook_get32 (in + AT_OPTIONS),
                       .type = rook_get32 (in + AT_TYPE),
                       .purged_modseq = rook_get64 (in + AT_PURGED_MODSEQ),
                       .recent_uid = rook_get32 (in + AT_RECENT_UID),
                       .recent_time = (gint64) rook_get64 (in + AT_RECENT_TIME),
                       .last_append = (gint64) rook_get64 (in + AT_LAST_APPEND),
                       .uidnext = rook_get32 (in + AT_UIDNEXT),
                       .n_records = rook_get32 (in + AT_N_RECORDS),
                       .exists = rook_get32 (in + AT_EXISTS),
                       .size = rook_get64 (in + AT_SIZE),
                       .highest_modseq = rook_get64 (in + AT_HIGHEST_MODSEQ),
                       .unseen = rook_get32 (in + AT_UNSEEN),
                       .deleted = rook_get32 (in + AT_DELETED),
                       .answered = rook_get32 (in + AT_ANSWERED),
                       .flagged = rook_get32 (in + AT_FLAGGED),
                       .sync_crc = rook_get32 (in + AT_SYNC_CRC),
                       .sync_crc_annot = rook_get32 (in + AT_SYNC_CRC_ANNOT),
                       .sequence = rook_get64 (in + AT_SEQUENCE),
                       .change = rook_get64 (in + AT_CHANGE),
                       .oldest_expunged = (gint64) rook_get64 (in + AT_OLDEST_EXPUNGED),
                       .has_summaries = version >= 2 };
  return out->uidvalidity != 0 && out->uidnext != 0;
}

void
rook_header_count (RookHeader *header, const RookRecord *record, GPtrArray *keywords, int sign)
{
  guint32 one = (guint32) sign;

  header->exists += one;
  header->size += (guint64) sign * record->size;
  header->unseen += (record->flags & ROOK_FLAG_SEEN) == 0 ? one : 0;
  header->deleted += (record->flags & ROOK_FLAG_DELETED) != 0 ? one : 0;
  header->answered += (record->flags & ROOK_FLAG_ANSWERED) != 0 ? one : 0;
  header->flagged += (record->flags & ROOK_FLAG_FLAGGED) != 0 ? one : 0;
  header->sync_crc ^= rook_record_crc (record, keywords);
  header->sync_crc_annot ^= rook_record_crc_annot (record);
}

/* --- CRCs ------------------------------------------------------------------------------------------------------- */

static guint32
crc_of (const char *text)
{
  return (guint32) crc32 (0, (const Bytef *) text, (uInt) strlen (text));
}

/* Text to be summed, put together by hand: printf() was most of what a change of a record cost. */
typedef struct {
  char text[256];
  guint length;
} Text;

static void
add_text (Text *to, const char *text)
{
  gsize length = strlen (text);

  g_assert (to->length + length < sizeof to->text);
  memcpy (to->text + to->length, text, length);
  to->length += (guint) length;
}

static void
add_number (Text *to, guint64 number, guint base)
{
  char digits[24];
  guint n = sizeof digits;

  digits[--n] = '\0';
  do
    digits[--n] = "0123456789abcdef"[number % base];
  while ((number /= base) != 0);
  add_text (to, digits + n);
}

static void
add_time (Text *to, gint64 seconds)
{
  if (seconds < 0)
    add_text (to, "-");
  add_number (to, seconds < 0 ? -(guint64) seconds : (guint64) seconds, 10);
}

static guint32
crc_of_text (const Text *text)
{
  return (guint32) crc32 (0, (const Bytef *) text->text, text->length);
}

static guint32
crc_of_keywords (const RookRecord *record, GPtrArray *keywords)
{
  guint32 crc = 0;

  for (guint i = 0; i < keywords->len; i++)
    if ((record->keywords[i / 64] >> (i % 64) & 1) != 0)
      {
        g_autofree char *name = g_ascii_strdown (g_ptr_array_index (keywords, i), -1);

        crc ^= crc_of (name);
      }
  return crc;
}

guint32
rook_record_crc (const RookRecord *record, GPtrArray *keywords)
{
  static const struct {
    RookFlags flag;
    const char *name;
  } names[] = { { ROOK_FLAG_DELETED, "\\deleted" },
                { ROOK_FLAG_ANSWERED, "\\answered" },
                { ROOK_FLAG_FLAGGED, "\\flagged" },
                { ROOK_FLAG_DRAFT, "\\draft" },
                { ROOK_FLAG_SEEN, "\\seen" } };
  guint32 flags = 0;
  Text text = { .length = 0 };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if ((record->flags & names[i].flag) != 0)
      flags ^= crc_of (names[i].name);
  if (record->keywords[0] != 0 || record->keywords[1] != 0)
    flags ^= crc_of_keywords (record, keywords);
  add_number (&text, record->uid, 10);
  add_text (&text, " ");
  add_number (&text, record->modseq, 10);
  add_text (&text, " ");
  add_time (&text, record->last_updated);
  add_text (&text, " (");
  add_number (&text, flags, 10);
  add_text (&text, ") ");
  add_time (&text, record->internal_date);
  add_text (&text, " ");
  for (guint i = 0; i < sizeof record->guid; i++)
    {
      add_number (&text, record->guid[i] >> 4, 16);
      add_number (&text, record->guid[i] & 15, 16);
    }
  return crc_of_text (&text);
}

/* An annotation's text up to its value. */
static Text
annotation (const RookRecord *record, const char *entry)
{
  Text text = { .length = 0 };

  add_number (&text, record->uid, 10);
  add_text (&text, " /vendor/cmu/cyrus-imapd/");
  add_text (&text, entry);
  add_text (&text, "  ");
  return text;
}

guint32
rook_record_crc_annot (const RookRecord *record)
{
  guint32 crc = 0;

  if (record->thread_id != 0)
    {
      Text text = annotation (record, "thrid");

      add_number (&text, record->thread_id, 16);
      crc ^= crc_of_text (&text);
    }
  if (record->save_date != 0)
    {
      Text text = annotation (record, "savedate");

      add_time (&text, record->save_date);
      crc ^= crc_of_text (&text);
    }
  if (record->created_modseq != 0)
    {
      Text text = annotation (record, "createdmodseq");

      add_number (&text, record->created_modseq, 10);
      crc ^= crc_of_text (&text);
    }
  return crc;
}
