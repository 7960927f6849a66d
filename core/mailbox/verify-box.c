/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verifies one mailbox: its header against its records, the records against each other, and the bodies they name.
 *
 * Header and pages are read one after the other while the mailbox is in use. Every commit changes the header, so if that is
 * the same afterwards they belong together; else it is all read again. Bodies are looked at behind that, a page at a time.
 */
#include "mailbox/codec.h"
#include "mailbox/verify.h"

#define MAX_TRIES 5
#define PIECE (1024 * 1024) /* of a body */
#define FLAGS                                                                                    \
  (ROOK_FLAG_ANSWERED | ROOK_FLAG_FLAGGED | ROOK_FLAG_DELETED | ROOK_FLAG_SEEN | ROOK_FLAG_DRAFT \
   | ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED)

typedef struct {
  guint32 uid;
  char *text;
} Fault;

typedef struct {
  RookVerify *v;
  const RookVerifyPlace *place;
  GBytes *key;        /* of the header */
  GBytes *stored;     /* (unowned) the header's value, with the summaries behind it */
  RookHeader header;  /* as stored */
  RookHeader counted; /* what the records add up to */
  GPtrArray *keywords;
  GArray *uids;     /* (element-type guint32) of all records */
  GPtrArray *found; /* (element-type Fault) not told yet: they count once header and pages belong together */
  guint n_pages;
  guint n_uncached;
  gboolean has_gaps; /* some page could not be read: what they add up to can't be compared */
} Box;

static void
fault_free (gpointer data)
{
  g_free (((Fault *) data)->text);
  g_free (data);
}

static void find (Box *box, guint32 uid, const char *format, ...) G_GNUC_PRINTF (3, 4);

static void
find (Box *box, guint32 uid, const char *format, ...)
{
  Fault *fault = g_new (Fault, 1);
  va_list args;

  va_start (args, format);
  *fault = (Fault){ uid, g_strdup_vprintf (format, args) };
  va_end (args);
  g_ptr_array_add (box->found, fault);
}

static void
tell_found (Box *box)
{
  for (guint i = 0; i < box->found->len; i++)
    {
      const Fault *fault = g_ptr_array_index (box->found, i);

      rook_verify_fault (box->v, box->place->name, fault->uid, "%s", fault->text);
    }
}

static gboolean
get (Box *box, RookTable table, GBytes *key, GBytes **out_value)
{
  return rook_verify_get (box->v, box->place->name, table, key, out_value);
}

/* --- records ---------------------------------------------------------------------------------------------------------- */

static gboolean
has_unknown_keyword (const Box *box, const RookRecord *record)
{
  for (guint i = box->keywords->len; i < ROOK_MAX_KEYWORDS; i++)
    if ((record->keywords[i / 64] >> (i % 64) & 1) != 0)
      return TRUE;
  return FALSE;
}

static void
check_record (Box *box, const RookRecord *record, guint32 last_uid)
{
  const RookHeader *header = &box->header;
  guint32 kept = record->flags & (ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED);

  if (record->uid <= last_uid)
    find (box, record->uid, "its uid follows uid %u", last_uid);
  if (record->uid >= header->uidnext)
    find (box, record->uid, "its uid is not below uidnext (%u)", header->uidnext);
  if (record->modseq > header->highest_modseq)
    find (box, record->uid, "its modseq is above the mailbox's");
  if (record->created_modseq > record->modseq)
    find (box, record->uid, "it was changed before it was made");
  if ((record->flags & ~(guint32) FLAGS) != 0 || kept == ROOK_RECORD_PURGED)
    find (box, record->uid, "its flags (%08x) are none", record->flags);
  if (has_unknown_keyword (box, record))
    find (box, record->uid, "it has a keyword that the mailbox does not have");
  if (ABS ((gint) record->zone_minutes) >= 24 * 60)
    find (box, record->uid, "its time zone is none");
  if (record->blob_store != 0)
    find (box, record->uid, "its body lies in store %u, which is not known", record->blob_store);
  if (kept == ROOK_RECORD_EXPUNGED && header->oldest_expunged == 0)
    find (box, record->uid, "it was expunged, and is never purged");
}

static void
check_page (Box *box, GBytes *value, guint number, RookSummary *out_summary)
{
  guint n = MIN (box->header.n_records - number * ROOK_PAGE_RECORDS, ROOK_PAGE_RECORDS);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (value, &length);

  if (length != ROOK_PAGE_HEAD + (gsize) n * ROOK_RECORD_SIZE)
    find (box, 0, "page %u has %" G_GSIZE_FORMAT " bytes, and should hold %u records", number, length, n);
  else if (rook_get16 (bytes) != ROOK_PAGE_VERSION || rook_get16 (bytes + 2) != ROOK_RECORD_SIZE)
    find (box, 0, "page %u is of another version", number);
  else
    for (guint i = 0; i < n; i++)
      {
        guint32 last = box->uids->len > 0 ? g_array_index (box->uids, guint32, box->uids->len - 1) : 0;
        RookRecord record;

        rook_record_decode (bytes + ROOK_PAGE_HEAD + (gsize) i * ROOK_RECORD_SIZE, &record);
        check_record (box, &record, last);
        if ((record.flags & ROOK_RECORD_EXPUNGED) == 0)
          rook_header_count (&box->counted, &record, box->keywords, 1);
        rook_summary_note (out_summary, i, NULL, &record);
        g_array_append_val (box->uids, record.uid);
      }
}

/* The first uid of a page as its summary, if that can be read, says it; else 0. */
static guint32
first_uid (Box *box, guint number)
{
  g_autoptr (GBytes) value = NULL;
  RookSummary summary;
  gsize length, offset;
  const guint8 *stored;
  gint block;

  if (number >= box->n_pages)
    return box->header.uidnext;
  rook_summary_locate (number, &block, &offset);
  if (block < 0)
    value = g_bytes_ref (box->stored);
  else
    {
      g_autoptr (GBytes) key = rook_page_key (box->place->id, (guint32) block);

      rook_store_get_wait (box->v->store, ROOK_PART_SUMMARIES, key, &value, NULL);
    }
  stored = value != NULL ? g_bytes_get_data (value, &length) : NULL;
  if (!box->header.has_summaries || stored == NULL || offset + ROOK_SUMMARY_SIZE > length
      || !rook_summary_decode (stored + offset,
                               MIN (box->header.n_records - number * ROOK_PAGE_RECORDS, ROOK_PAGE_RECORDS), &summary))
    return 0;
  return summary.first_uid;
}

/* A page that is lost, with whose messages. */
static void
find_lost (Box *box, guint number, const char *what)
{
  guint32 first = first_uid (box, number), next = first_uid (box, number + 1);

  box->has_gaps = TRUE;
  if (first != 0 && next > first)
    find (box, first, "page %u, with what is said of uid %u to %u, %s", number, first, next - 1, what);
  else
    find (box, 0, "page %u %s", number, what);
}

/* %FALSE: it ends. @out_value: (nullable) it is not there, or damaged, which is told */
static gboolean
get_page (Box *box, guint number, GBytes *key, GBytes **out_value)
{
  g_autoptr (GError) error = NULL;

  if (rook_store_get_wait (box->v->store, ROOK_PART_PAGES, key, out_value, &error))
    {
      if (*out_value == NULL && number < box->n_pages)
        find_lost (box, number, "is missing");
      return TRUE;
    }
  if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    {
      box->v->error = g_steal_pointer (&error);
      return FALSE;
    }
  find_lost (box, number, error->message);
  return TRUE;
}

/* %FALSE: it could not be read. @summary: what the page's records add up to; none if the page does not read */
static gboolean
check_summary (Box *box, guint number, const RookSummary *summary)
{
  g_autoptr (GBytes) value = NULL;
  guint8 bytes[ROOK_SUMMARY_SIZE];
  gsize length, offset;
  const guint8 *stored;
  gint block;

  if (!box->header.has_summaries || summary->first_uid == 0)
    return TRUE;
  rook_summary_locate (number, &block, &offset);
  if (block < 0)
    value = g_bytes_ref (box->stored);
  else
    {
      g_autoptr (GBytes) key = rook_page_key (box->place->id, (guint32) block);

      if (!get (box, ROOK_PART_SUMMARIES, key, &value))
        return FALSE;
    }
  stored = value != NULL ? g_bytes_get_data (value, &length) : NULL;
  rook_summary_encode (summary, bytes);
  if (stored == NULL || (block >= 0 && !rook_summary_block_is_valid (value)) || offset + sizeof bytes > length)
    find (box, 0, "the summary of page %u is missing", number);
  else if (memcmp (stored + offset, bytes, sizeof bytes) != 0)
    find (box, 0, "page %u is not what its summary says", number);
  return TRUE;
}

static gboolean
check_pages (Box *box)
{
  box->n_pages = (box->header.n_records + ROOK_PAGE_RECORDS - 1) / ROOK_PAGE_RECORDS;
  for (guint i = 0; i <= box->n_pages; i++)
    {
      g_autoptr (GBytes) key = rook_page_key (box->place->id, i);
      g_autoptr (GBytes) value = NULL;
      RookSummary summary = { 0 };

      if (!rook_verify_go_on (box->v) || !get_page (box, i, key, &value))
        return FALSE;
      if (value != NULL && i < box->n_pages)
        check_page (box, value, i, &summary);
      else if (value != NULL)
        find (box, 0, "there is a page %u more than its header says", i);
      if (!check_summary (box, i, &summary))
        return FALSE;
    }
  return TRUE;
}

/* --- header ----------------------------------------------------------------------------------------------------------- */

static void
compare (Box *box, const char *what, guint64 stored, guint64 counted)
{
  if (stored != counted)
    find (box, 0, "its header says %s %" G_GUINT64_FORMAT ", its messages %" G_GUINT64_FORMAT, what, stored, counted);
}

static void
compare_sums (Box *box)
{
  const RookHeader *header = &box->header, *counted = &box->counted;

  compare (box, "exists", header->exists, counted->exists);
  compare (box, "unseen", header->unseen, counted->unseen);
  compare (box, "deleted", header->deleted, counted->deleted);
  compare (box, "answered", header->answered, counted->answered);
  compare (box, "flagged", header->flagged, counted->flagged);
  compare (box, "size", header->size, counted->size);
  compare (box, "sync-crc", header->sync_crc, counted->sync_crc);
  compare (box, "sync-crc-annot", header->sync_crc_annot, counted->sync_crc_annot);
}

static void
check_header (Box *box)
{
  const RookHeader *header = &box->header;

  if (!box->has_gaps)
    compare_sums (box);
  if (header->uidvalidity > MAX (box->place->uidvalidity, rook_mail_get_renewed (box->v->mail, box->place->partition))
      || (header->uidvalidity < box->place->uidvalidity && !box->place->was_renamed))
    find (box, 0, "its uidvalidity is %u, in the state store %u", header->uidvalidity, box->place->uidvalidity);
  if (header->recent_uid >= header->uidnext)
    find (box, 0, "uid %u was recent, and is not below uidnext (%u)", header->recent_uid, header->uidnext);
  if (MAX (MAX (header->purged_modseq, header->folder_modseq), header->created_modseq) > header->highest_modseq)
    find (box, 0, "a modseq of its header is above its highest");
}

static void
check_total (Box *box)
{
  g_autofree char *text = rook_quota_check_total (box->v->mail, box->place->id, &box->header);

  if (text != NULL)
    find (box, 0, "%s", text);
}

static void
check_root (RookVerify *v, const RookVerifyPlace *place)
{
  g_autofree char *text = rook_quota_check_root (v->mail, place->name);

  if (text != NULL)
    rook_verify_fault (v, place->name, 0, "%s", text);
}

/* Names, each ended by a line feed. */
static void
read_keywords (Box *box, GBytes *value)
{
  gsize length = 0;
  const char *text = value != NULL ? g_bytes_get_data (value, &length) : "";
  const char *end = text + length, *stop;

  for (; text < end && (stop = memchr (text, '\n', (gsize) (end - text))) != NULL; text = stop + 1)
    {
      g_autofree char *name = g_strndup (text, (gsize) (stop - text));

      if (*name == '\0' || strlen (name) != (gsize) (stop - text) || box->keywords->len == ROOK_MAX_KEYWORDS)
        break;
      g_ptr_array_add (box->keywords, g_steal_pointer (&name));
    }
  if (text < end)
    find (box, 0, "its keywords do not read");
}

static void
check_copy (Box *box, GBytes *value)
{
  g_autoptr (RookEntry) entry = value != NULL ? rook_entry_decode (box->key, value) : NULL;

  if (entry == NULL)
    find (box, 0, value == NULL ? "its entry's copy is missing" : "its entry's copy does not read");
}

/* --- \Seen of others -------------------------------------------------------------------------------------------------- */

/* Whether all of @first to @last are uids of the mailbox. */
static gboolean
knows_range (const Box *box, guint32 first, guint32 last)
{
  const guint32 *uids = (const guint32 *) (gpointer) box->uids->data;
  guint low = 0, high = box->uids->len;

  while (low < high)
    {
      guint middle = (low + high) / 2;

      if (uids[middle] < first)
        low = middle + 1;
      else
        high = middle;
    }
  return low + (gsize) (last - first) < box->uids->len && uids[low] == first && uids[low + (last - first)] == last;
}

static void
check_seen (Box *box)
{
  GPtrArray *rows = g_hash_table_lookup (box->v->seen, box->place->id);

  for (guint i = 0; rows != NULL && i < rows->len; i++)
    {
      const RookVerifySeen *row = g_ptr_array_index (rows, i);
      RookSeenSet *set = rook_seen_set_decode (row->user, row->value);

      if (set == NULL)
        {
          find (box, 0, "what %s has seen does not read", row->user);
          continue;
        }
      if (set->stamp > box->header.highest_modseq)
        find (box, 0, "what %s has seen is newer than the mailbox", row->user);
      for (guint r = 0; r + 1 < set->ranges->len; r += 2)
        {
          guint32 first = g_array_index (set->ranges, guint32, r), last = g_array_index (set->ranges, guint32, r + 1);

          if (!knows_range (box, first, last))
            find (box, first, "%s has seen uid %u to %u, which are not all there", row->user, first, last);
        }
      rook_seen_set_unref (set);
    }
}

/* --- one consistent reading ------------------------------------------------------------------------------------------- */

static void
begin_reading (Box *box)
{
  rook_header_init (&box->counted, 1);
  g_ptr_array_set_size (box->keywords, 0);
  g_ptr_array_set_size (box->found, 0);
  g_array_set_size (box->uids, 0);
  box->has_gaps = FALSE;
}

/* %FALSE: there is nothing to go on with. @stored: (nullable) the header */
static gboolean
read_all (Box *box, GBytes *stored)
{
  g_autoptr (GBytes) keywords = NULL, copy = NULL;

  if (stored == NULL || !rook_header_decode (stored, &box->header))
    {
      find (box, 0, stored == NULL ? "its header is missing" : "its header does not read");
      return FALSE;
    }
  if (!get (box, ROOK_PART_KEYWORDS, box->key, &keywords) || !get (box, ROOK_PART_ENTRIES, box->key, &copy))
    return FALSE;
  box->stored = stored;
  read_keywords (box, keywords);
  check_copy (box, copy);
  if (!check_pages (box))
    return FALSE;
  check_header (box);
  check_total (box);
  check_seen (box);
  return TRUE;
}

static gboolean
is_same (GBytes *a, GBytes *b)
{
  return a == NULL || b == NULL ? a == b : g_bytes_equal (a, b);
}

/* %FALSE: its bodies need not be looked at. */
static gboolean
check_reading (Box *box)
{
  g_autoptr (GBytes) before = NULL;
  gboolean ok;

  if (!get (box, ROOK_PART_HEADERS, box->key, &before))
    return FALSE;
  for (guint i = 0; i < MAX_TRIES; i++)
    {
      g_autoptr (GBytes) after = NULL;

      begin_reading (box);
      ok = read_all (box, before);
      if (box->v->stopped || box->v->error != NULL || !get (box, ROOK_PART_HEADERS, box->key, &after))
        return FALSE;
      if (is_same (before, after))
        {
          if (box->found->len > 0 && rook_verify_is_here (box->v, box->place))
            tell_found (box);
          return ok;
        }
      g_bytes_unref (before);
      before = g_steal_pointer (&after);
    }
  box->v->events->note (box->place->name, "it changes all the while: only its bodies were looked at", box->v->data);
  return TRUE;
}

/* --- bodies ----------------------------------------------------------------------------------------------------------- */

/* (nullable) (transfer full) what is wrong with the body */
static char *
check_size (RookVerify *v, const RookRecord *record)
{
  g_autoptr (GError) error = NULL;
  guint64 last = MAX (record->size, 1) - 1;
  g_autoptr (GBytes) end = NULL;

  if (record->blob == 0)
    return g_strdup ("it has no body");
  end = rook_store_read_wait (v->store, record->blob, last, 2, &error);
  if (end == NULL)
    return g_strdup_printf ("its body can't be read: %s", error->message);
  if (g_bytes_get_size (end) != MIN (record->size, 1))
    return g_strdup_printf ("its body is not of %" G_GUINT64_FORMAT " bytes", record->size);
  return NULL;
}

static char *
check_guid (RookVerify *v, const RookRecord *record)
{
  g_autoptr (GChecksum) sha1 = g_checksum_new (G_CHECKSUM_SHA1);
  guint8 digest[20];
  gsize length = sizeof digest;

  for (guint64 at = 0; at < record->size && rook_verify_go_on (v);)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) piece = rook_store_read_wait (v->store, record->blob, at, PIECE, &error);
      gsize n = 0;
      const guchar *bytes = piece != NULL ? g_bytes_get_data (piece, &n) : NULL;

      if (n == 0)
        return g_strdup_printf ("its body can't be read: %s", error != NULL ? error->message : "it has an end");
      g_checksum_update (sha1, bytes, (gssize) n);
      at += n;
    }
  g_checksum_get_digest (sha1, digest, &length);
  if (v->stopped || memcmp (digest, record->guid, sizeof digest) == 0)
    return NULL;
  return g_strdup ("its body is not that of its GUID");
}

/* The next record of a page, while there is one. */
static gboolean
next_record (GBytes *page, guint slot, RookRecord *out)
{
  gsize end = ROOK_PAGE_HEAD + (gsize) (slot + 1) * ROOK_RECORD_SIZE, length;
  const guint8 *bytes = g_bytes_get_data (page, &length);

  if (slot >= ROOK_PAGE_RECORDS || end > length)
    return FALSE;
  rook_record_decode (bytes + end - ROOK_RECORD_SIZE, out);
  return TRUE;
}

/* Whether the record still names that body: it may have been purged, or the mailbox deleted. */
static gboolean
is_current (Box *box, GBytes *key, guint slot, const RookRecord *record)
{
  g_autoptr (GBytes) page = NULL;
  RookRecord now;

  return get (box, ROOK_PART_PAGES, key, &page) && page != NULL && next_record (page, slot, &now)
         && now.blob == record->blob && (now.flags & ROOK_RECORD_PURGED) == 0;
}

static void
check_body (Box *box, GBytes *key, guint slot, const RookRecord *record)
{
  RookVerify *v = box->v;
  g_autofree char *what = check_size (v, record);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) cache = NULL;

  if (what == NULL && v->full)
    what = check_guid (v, record);
  if (what != NULL && is_current (box, key, slot, record))
    rook_verify_fault (v, box->place->name, record->uid, "%s", what);
  cache = record->cache != 0 ? rook_store_read_wait (v->store, record->cache, 0, 1, &error) : NULL;
  if (cache == NULL && is_current (box, key, slot, record))
    box->n_uncached++;
  rook_verify_name_blob (v, record->blob);
  rook_verify_name_blob (v, record->cache);
}

static gboolean
check_bodies (Box *box)
{
  gboolean whole = TRUE;

  for (guint i = 0; i < box->n_pages; i++)
    {
      g_autoptr (GBytes) key = rook_page_key (box->place->id, i);
      g_autoptr (GBytes) page = NULL;
      RookRecord record;

      if (!rook_store_get_wait (box->v->store, ROOK_PART_PAGES, key, &page, NULL) || page == NULL)
        whole = FALSE; /* which was told */
      for (guint slot = 0; page != NULL && rook_verify_go_on (box->v) && next_record (page, slot, &record); slot++)
        if ((record.flags & ROOK_RECORD_PURGED) == 0)
          check_body (box, key, slot, &record);
    }
  return whole;
}

guint
rook_verify_name_all (RookVerify *v, const char *id)
{
  guint i = 0;

  for (; rook_verify_go_on (v); i++)
    {
      g_autoptr (GBytes) key = rook_page_key (id, i);
      g_autoptr (GBytes) page = NULL;
      RookRecord record;

      if (!rook_verify_get (v, NULL, ROOK_PART_PAGES, key, &page))
        v->partial = TRUE;
      if (page == NULL)
        break;
      for (guint slot = 0; next_record (page, slot, &record); slot++)
        {
          rook_verify_name_blob (v, record.blob);
          rook_verify_name_blob (v, record.cache);
        }
    }
  return i;
}

void
rook_verify_box (RookVerify *v, const RookVerifyPlace *place)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (place->id);
  g_autoptr (GPtrArray) keywords = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (fault_free);
  g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  Box box = { .v = v, .place = place, .key = key, .keywords = keywords, .found = found, .uids = uids };

  if ((!check_reading (&box) || !check_bodies (&box)) && rook_verify_is_here (v, place))
    v->partial = TRUE;
  check_root (v, place);
  v->sums.n_mailboxes++;
  v->sums.n_messages += box.counted.exists;
  if (box.n_uncached > 0)
    {
      g_autofree char *text = g_strdup_printf (
          "the cached structure of %u messages is missing, and will be made again as they are read", box.n_uncached);

      v->events->note (place->name, text, v->data);
    }
}
