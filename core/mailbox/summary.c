/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Summaries of pages: their bytes, how they follow what happens to records, and where they are kept. See record.h.
 */
#include "mailbox/codec.h"
#include "mailbox/record.h"

/* Where each field lies. */
enum {
  AT_FIRST_UID = 0,
  AT_N_DELETED = 4,
  AT_N_KEPT = 5,
  AT_BITS = 6, /* IS_ */
  AT_RESERVED = 7,
  AT_LIVE = 8,
  AT_UNSEEN = 16,
  AT_MAX_MODSEQ = 24,
};
enum { IS_SPARSE = 1 };
G_STATIC_ASSERT (AT_MAX_MODSEQ + 8 == ROOK_SUMMARY_SIZE);
G_STATIC_ASSERT (ROOK_PAGE_RECORDS < 64);
G_STATIC_ASSERT (ROOK_BLOCK_HEAD + ROOK_BLOCK_SUMMARIES * ROOK_SUMMARY_SIZE <= 8192);

void
rook_summary_encode (const RookSummary *summary, guint8 *out)
{
  rook_put32 (out + AT_FIRST_UID, summary->first_uid);
  out[AT_N_DELETED] = summary->n_deleted;
  out[AT_N_KEPT] = summary->n_kept;
  out[AT_BITS] = summary->is_sparse ? IS_SPARSE : 0;
  out[AT_RESERVED] = 0;
  rook_put64 (out + AT_LIVE, summary->live);
  rook_put64 (out + AT_UNSEEN, summary->unseen);
  rook_put64 (out + AT_MAX_MODSEQ, summary->max_modseq);
}

gboolean
rook_summary_decode (const guint8 *bytes, guint n, RookSummary *out)
{
  *out = (RookSummary){ .first_uid = rook_get32 (bytes + AT_FIRST_UID),
                        .n_deleted = bytes[AT_N_DELETED],
                        .n_kept = bytes[AT_N_KEPT],
                        .is_sparse = (bytes[AT_BITS] & IS_SPARSE) != 0,
                        .live = rook_get64 (bytes + AT_LIVE),
                        .unseen = rook_get64 (bytes + AT_UNSEEN),
                        .max_modseq = rook_get64 (bytes + AT_MAX_MODSEQ) };
  return (bytes[AT_BITS] & ~IS_SPARSE) == 0 && bytes[AT_RESERVED] == 0 && out->first_uid != 0 && n > 0
         && (out->live >> n) == 0 && (out->unseen & ~out->live) == 0 && out->n_deleted + out->n_kept <= n;
}

gboolean
rook_summary_equal (const RookSummary *a, const RookSummary *b)
{
  guint8 first[ROOK_SUMMARY_SIZE], second[ROOK_SUMMARY_SIZE];

  rook_summary_encode (a, first);
  rook_summary_encode (b, second);
  return memcmp (first, second, sizeof first) == 0;
}

static gboolean
counts_as_deleted (guint32 flags)
{
  return (flags & (ROOK_FLAG_DELETED | ROOK_RECORD_EXPUNGED)) == ROOK_FLAG_DELETED;
}

static gboolean
counts_as_kept (guint32 flags)
{
  return (flags & (ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED)) == ROOK_RECORD_EXPUNGED;
}

void
rook_summary_note (RookSummary *summary, guint slot, const guint32 *before, const RookRecord *record)
{
  guint64 bit = G_GUINT64_CONSTANT (1) << slot;
  gboolean lives = (record->flags & ROOK_RECORD_EXPUNGED) == 0;

  if (before != NULL)
    {
      summary->n_deleted -= counts_as_deleted (*before);
      summary->n_kept -= counts_as_kept (*before);
    }
  summary->n_deleted += counts_as_deleted (record->flags);
  summary->n_kept += counts_as_kept (record->flags);
  summary->live = lives ? summary->live | bit : summary->live & ~bit;
  summary->unseen = lives && (record->flags & ROOK_FLAG_SEEN) == 0 ? summary->unseen | bit : summary->unseen & ~bit;
  summary->max_modseq = MAX (summary->max_modseq, record->modseq);
  if (slot == 0)
    summary->first_uid = record->uid;
  else if (record->uid != summary->first_uid + slot)
    summary->is_sparse = TRUE;
}

void
rook_summary_locate (guint number, gint *out_block, gsize *out_offset)
{
  if (number < ROOK_HEADER_SUMMARIES)
    {
      *out_block = -1;
      *out_offset = ROOK_HEADER_SIZE + (gsize) number * ROOK_SUMMARY_SIZE;
      return;
    }
  number -= ROOK_HEADER_SUMMARIES;
  *out_block = (gint) (number / ROOK_BLOCK_SUMMARIES);
  *out_offset = ROOK_BLOCK_HEAD + (gsize) (number % ROOK_BLOCK_SUMMARIES) * ROOK_SUMMARY_SIZE;
}

void
rook_summary_block_head (guint8 *out)
{
  memset (out, 0, ROOK_BLOCK_HEAD);
  rook_put16 (out, ROOK_BLOCK_VERSION);
  rook_put16 (out + 2, ROOK_SUMMARY_SIZE);
}

gboolean
rook_summary_block_is_valid (GBytes *value)
{
  gsize length;
  const guint8 *bytes = g_bytes_get_data (value, &length);

  return length >= ROOK_BLOCK_HEAD && rook_get16 (bytes) == ROOK_BLOCK_VERSION
         && rook_get16 (bytes + 2) == ROOK_SUMMARY_SIZE;
}

guint
rook_summary_count_blocks (guint n_pages)
{
  if (n_pages <= ROOK_HEADER_SUMMARIES)
    return 0;
  return (n_pages - ROOK_HEADER_SUMMARIES + ROOK_BLOCK_SUMMARIES - 1) / ROOK_BLOCK_SUMMARIES;
}
