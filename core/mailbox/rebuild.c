/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A partition whose store has lost its tables: its mailboxes are made again, of the labels of their messages and of what the
 * store's log still says. Which there are, and their names, the state store knows.
 *
 * Records are counted by uids: that of uid n is record n - 1, as it was (uids are given one after the other), so that what the
 * log says of a page can be laid over it. Uids without a label become records that are expunged and purged. Where that would be
 * too many, or does not go together, labels alone count.
 *
 * A modseq that is not known is one that no mailbox has reached by counting, so that every client asks anew. New uids begin
 * behind a gap, for the last may have been expunged without a trace.
 */
#include "mailbox/box.h"
#include "mailbox/codec.h"

#define UID_GAP 10000
#define UIDS_A_LINE 4000 /* bytes of a set in the log, whose values are cut at 4,096 */
#define MAX_GAPS 1000000 /* records of uids that are gone, a mailbox */

typedef struct {
  RookLabel label;
  RookBlobId blob, cache; /* 0: none */
  guint64 length;
} Message;

typedef struct {
  RookMail *mail; /* (unowned) */
  const RookPartition *partition;
  const RookStoreRebuilder *store;
  RookUsers *users;  /* (unowned) */
  GHashTable *boxes; /* mailbox id -> GHashTable of uid -> Message */
  guint64 modseq;
} Rebuild;

/* One mailbox. */
typedef struct {
  Rebuild *r;
  const RookEntry *entry;
  GHashTable *messages; /* (nullable) uid -> Message */
  GPtrArray *keywords;
  GPtrArray *pages; /* (element-type RookPage) */
  GArray *records;  /* (element-type RookRecord) */
  RookHeader header;
  GArray *no_flags;    /* uids of messages whose flags the log does not know, nor keywords */
  GArray *no_keywords; /* the same, of keywords alone */
} Box;

static void
message_free (gpointer data)
{
  rook_label_clear (&((Message *) data)->label);
  g_free (data);
}

/* --- labels --------------------------------------------------------------------------------------------------------------- */

/* Of two messages with one uid the later counts: the first was never acknowledged. */
static gboolean
take_blob (const RookBlobInfo *info, gpointer data)
{
  Rebuild *r = data;
  g_auto (RookLabel) label = { 0 };
  GHashTable *messages;
  RookBlobId *slot;
  Message *message;

  if (info->label == NULL || !rook_label_decode (info->label, &label))
    return TRUE;
  messages = g_hash_table_lookup (r->boxes, label.mailbox);
  if (messages == NULL)
    {
      messages = g_hash_table_new_full (NULL, NULL, NULL, message_free);
      g_hash_table_insert (r->boxes, g_strdup (label.mailbox), messages);
    }
  message = g_hash_table_lookup (messages, GUINT_TO_POINTER (label.uid));
  if (message == NULL)
    g_hash_table_insert (messages, GUINT_TO_POINTER (label.uid), message = g_new0 (Message, 1));
  slot = info->blob_class == ROOK_BLOB_CACHE ? &message->cache : &message->blob;
  if (*slot > info->id)
    return TRUE;
  *slot = info->id;
  if (info->blob_class == ROOK_BLOB_CACHE)
    return TRUE;
  message->length = info->length;
  rook_label_clear (&message->label);
  message->label = label;
  label.mailbox = label.name = NULL;
  return TRUE;
}

static gint
compare_uids (gconstpointer a, gconstpointer b)
{
  guint32 x = *(const guint32 *) a, y = *(const guint32 *) b;

  return x < y ? -1 : x > y;
}

/* (element-type guint32) of the messages that have a body, in order */
static GArray *
list_uids (const Box *box)
{
  GArray *uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  GHashTableIter iter;
  gpointer uid, value;

  if (box->messages == NULL)
    return uids;
  g_hash_table_iter_init (&iter, box->messages);
  while (g_hash_table_iter_next (&iter, &uid, &value))
    if (((const Message *) value)->blob != 0)
      {
        guint32 number = GPOINTER_TO_UINT (uid);

        g_array_append_val (uids, number);
      }
  g_array_sort (uids, compare_uids);
  return uids;
}

/* --- records --------------------------------------------------------------------------------------------------------------- */

static void
add_gone (Box *box, guint32 uid)
{
  RookRecord record = {
    .uid = uid, .created_modseq = 1, .modseq = box->r->modseq, .flags = ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED
  };

  g_array_append_val (box->records, record);
}

static void
add_message (Box *box, guint32 uid)
{
  const Message *message = g_hash_table_lookup (box->messages, GUINT_TO_POINTER (uid));
  RookRecord record = { .uid = uid,
                        .zone_minutes = message->label.zone_minutes,
                        .created_modseq = 1,
                        .internal_date = message->label.internal_date,
                        .save_date = message->label.save_date,
                        .size = message->length,
                        .blob = message->blob,
                        .cache = message->cache,
                        .modseq = box->r->modseq,
                        .last_updated = message->label.save_date,
                        .flags = message->label.flags & ~(ROOK_RECORD_EXPUNGED | ROOK_RECORD_PURGED) };

  memcpy (record.guid, message->label.guid, sizeof record.guid);
  g_array_append_val (box->records, record);
}

/* %FALSE: they are not by their uids' places. */
static gboolean
add_records (Box *box)
{
  g_autoptr (GArray) uids = list_uids (box);
  guint32 last = uids->len > 0 ? g_array_index (uids, guint32, uids->len - 1) : 0;
  gboolean by_place = last - uids->len <= MAX_GAPS;

  for (guint i = 0, next = 1; i < uids->len; i++)
    {
      guint32 uid = g_array_index (uids, guint32, i);

      for (; by_place && next < uid; next++)
        add_gone (box, next);
      add_message (box, uid);
      next = uid + 1;
    }
  return by_place;
}

/* --- what the log says ------------------------------------------------------------------------------------------------------ */

static GBytes *
encode_page (const Box *box, guint number)
{
  guint first = number * ROOK_PAGE_RECORDS, n = MIN (box->records->len - first, ROOK_PAGE_RECORDS);
  gsize size = ROOK_PAGE_HEAD + (gsize) n * ROOK_RECORD_SIZE;
  guint8 *bytes = g_malloc0 (size);

  rook_put16 (bytes, ROOK_PAGE_VERSION);
  rook_put16 (bytes + 2, ROOK_RECORD_SIZE);
  for (guint i = 0; i < n; i++)
    rook_record_encode (&g_array_index (box->records, RookRecord, first + i),
                        bytes + ROOK_PAGE_HEAD + (gsize) i * ROOK_RECORD_SIZE);
  return g_bytes_new_take (bytes, size);
}

/* Whether @known goes with @record: else records have other places than their uids'. */
static gboolean
goes_with (const RookRecord *record, const RookRecord *known)
{
  return known->uid == record->uid && (record->blob == 0 || known->blob == record->blob);
}

/* What the log knows are bytes: of a modseq that has changed perhaps the last alone. So it is laid over this as well, and what
 * comes out the same is known. */
static GBytes *
turn_over (GBytes *base, guint n)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (base, &size);
  guint8 *bytes = g_memdup2 (data, size);

  for (guint i = 0; i < n; i++)
    for (guint at = ROOK_RECORD_CHANGING; at < ROOK_RECORD_SIZE; at++)
      bytes[ROOK_PAGE_HEAD + (gsize) i * ROOK_RECORD_SIZE + at] ^= 0xff;
  return g_bytes_new_take (bytes, size);
}

/* Whether it is known which of the keywords it has, all of whose names are. */
static gboolean
knows_keywords (const Box *box, const RookRecord *known, const RookRecord *turned)
{
  guint64 mask[2] = { 0 };

  for (guint k = 0; k < box->keywords->len; k++)
    mask[k / 64] |= G_GUINT64_CONSTANT (1) << k % 64;
  return box->keywords->len > 0 && ((known->keywords[0] ^ turned->keywords[0]) & mask[0]) == 0
         && ((known->keywords[1] ^ turned->keywords[1]) & mask[1]) == 0;
}

/* @known, @turned: what the log makes of @record, and of the same turned over */
static void
take_known (Box *box, RookRecord *record, const RookRecord *known, const RookRecord *turned)
{
  gboolean is_there = (known->flags & ROOK_RECORD_EXPUNGED) == 0;
  gint64 updated = is_there ? record->last_updated : (gint64) (box->r->modseq / 1000);

  *record = *known;
  if (known->modseq != turned->modseq)
    record->modseq = box->r->modseq;
  if (known->last_updated != turned->last_updated)
    record->last_updated = updated;
  if (is_there && ((known->flags ^ turned->flags) & 0xff) != 0)
    g_array_append_val (box->no_flags, record->uid);
  else if (is_there && !knows_keywords (box, known, turned))
    g_array_append_val (box->no_keywords, record->uid);
}

static gboolean
lay_over (Box *box, guint number)
{
  const RookStoreRebuilder *store = box->r->store;
  guint first = number * ROOK_PAGE_RECORDS, n = MIN (box->records->len - first, ROOK_PAGE_RECORDS);
  g_autoptr (GBytes) key = rook_page_key (box->entry->id, number), base = encode_page (box, number);
  g_autoptr (GBytes) turned_base = turn_over (base, n);
  g_autoptr (GBytes) value = store->recall (store->self, ROOK_PART_PAGES, key, base);
  g_autoptr (GBytes) turned_value = store->recall (store->self, ROOK_PART_PAGES, key, turned_base);

  if (value == NULL || turned_value == NULL || g_bytes_get_size (value) != g_bytes_get_size (base)
      || g_bytes_get_size (turned_value) != g_bytes_get_size (base))
    return FALSE;
  for (guint i = 0; i < n; i++)
    {
      gsize at = ROOK_PAGE_HEAD + (gsize) i * ROOK_RECORD_SIZE;
      RookRecord *record = &g_array_index (box->records, RookRecord, first + i), known, turned;

      rook_record_decode ((const guint8 *) g_bytes_get_data (value, NULL) + at, &known);
      rook_record_decode ((const guint8 *) g_bytes_get_data (turned_value, NULL) + at, &turned);
      if (!goes_with (record, &known))
        return FALSE;
      take_known (box, record, &known, &turned);
    }
  return TRUE;
}

static void
recall_keywords (Box *box)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (box->entry->id);
  g_autoptr (GBytes) value = box->r->store->recall (box->r->store->self, ROOK_PART_KEYWORDS, key, NULL);
  gsize length = 0;
  const char *text = value != NULL ? g_bytes_get_data (value, &length) : NULL;
  g_autofree char *copy = text != NULL ? g_strndup (text, length) : g_strdup ("");
  g_auto (GStrv) names = g_strsplit (copy, "\n", ROOK_MAX_KEYWORDS + 1);

  for (guint i = 0; i < ROOK_MAX_KEYWORDS && names[i] != NULL && *names[i] != '\0'; i++)
    g_ptr_array_add (box->keywords, g_strdup (names[i]));
}

/* The uid that comes next, if the log knows it: a number that does not depend on what it is laid over. */
static guint32
recall_uidnext (const Box *box)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (box->entry->id);
  guint8 zeros[ROOK_HEADER_SIZE] = { 0 };
  guint32 found[2];

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GBytes) base = NULL, value = NULL;
      RookHeader header;

      rook_header_init (&header, 1);
      header.uidnext = i + 1;
      rook_header_encode (&header, zeros);
      base = g_bytes_new (zeros, sizeof zeros);
      value = box->r->store->recall (box->r->store->self, ROOK_PART_HEADERS, key, base);
      found[i] = value != NULL && rook_header_decode (value, &header) ? header.uidnext : i;
    }
  return found[0] == found[1] ? found[0] : 0;
}

/* --- a mailbox ---------------------------------------------------------------------------------------------------------------- */

static void
put_value (Box *box, RookTable table, GBytes *key, GBytes *value)
{
  box->r->store->put (box->r->store->self, table, key, value);
}

/* What the records add up to, and the blobs they name. */
static void
add_up (Box *box)
{
  RookHeader *header = &box->header;

  for (guint i = 0; i < box->records->len; i++)
    {
      RookRecord *record = &g_array_index (box->records, RookRecord, i);

      for (guint k = box->keywords->len; k < ROOK_MAX_KEYWORDS; k++)
        record->keywords[k / 64] &= ~(G_GUINT64_CONSTANT (1) << k % 64);
      if (i % ROOK_PAGE_RECORDS == 0)
        g_ptr_array_add (box->pages, rook_page_new (ROOK_PAGE_RECORDS));
      rook_page_set (g_ptr_array_index (box->pages, box->pages->len - 1), i % ROOK_PAGE_RECORDS, record);
      if ((record->flags & ROOK_RECORD_PURGED) != 0)
        continue;
      box->r->store->keep (box->r->store->self, record->blob);
      box->r->store->keep (box->r->store->self, record->cache);
      if ((record->flags & ROOK_RECORD_EXPUNGED) != 0)
        header->oldest_expunged = 1;
      else
        rook_header_count (header, record, box->keywords, 1);
      header->last_append = MAX (header->last_append, record->save_date);
    }
  header->n_records = box->records->len;
}

static void
put_pages (Box *box, GByteArray *header_value)
{
  g_autoptr (GByteArray) block = NULL;

  for (guint number = 0; number < box->pages->len; number++)
    {
      const RookPage *page = g_ptr_array_index (box->pages, number);
      g_autoptr (GBytes) key = rook_page_key (box->entry->id, number), value = encode_page (box, number);
      guint8 summary[ROOK_SUMMARY_SIZE], head[ROOK_BLOCK_HEAD];
      gsize offset;
      gint place;

      put_value (box, ROOK_PART_PAGES, key, value);
      rook_summary_encode (&page->summary, summary);
      rook_summary_locate (number, &place, &offset);
      if (place < 0)
        {
          g_byte_array_append (header_value, summary, sizeof summary);
          continue;
        }
      if (offset == ROOK_BLOCK_HEAD)
        {
          g_clear_pointer (&block, g_byte_array_unref);
          rook_summary_block_head (head);
          block = g_byte_array_append (g_byte_array_new (), head, sizeof head);
        }
      g_byte_array_append (block, summary, sizeof summary);
      {
        g_autoptr (GBytes) block_key = rook_page_key (box->entry->id, (guint32) place);
        g_autoptr (GBytes) so_far = g_bytes_new (block->data, block->len);

        put_value (box, ROOK_PART_SUMMARIES, block_key, so_far);
      }
    }
}

static void
put_box (Box *box)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (box->entry->id), copy = rook_entry_encode (box->entry), value = NULL;
  g_autoptr (GByteArray) header = g_byte_array_new ();
  guint32 known = recall_uidnext (box), last = 0;
  guint8 image[ROOK_HEADER_SIZE];

  rook_header_init (&box->header, box->entry->uidvalidity);
  add_up (box);
  if (box->records->len > 0)
    last = g_array_index (box->records, RookRecord, box->records->len - 1).uid;
  box->header.uidnext = known > last ? known : last + MIN (UID_GAP, G_MAXUINT32 - last);
  box->header.recent_uid = box->header.uidnext - 1;
  box->header.highest_modseq = box->header.folder_modseq = box->r->modseq;
  box->header.change = box->entry->change;
  rook_header_encode (&box->header, image);
  g_byte_array_append (header, image, sizeof image);
  put_pages (box, header);
  value = g_bytes_new (header->data, header->len);
  put_value (box, ROOK_PART_HEADERS, key, value);
  put_value (box, ROOK_PART_ENTRIES, key, copy);
}

/* --- what is lost, by uid and by user ------------------------------------------------------------------------------------------- */

static void
tell (const Box *box, const char *uids, const char *user, const char *reason)
{
  rook_log_event (rook_server_get_log (box->r->mail->server), ROOK_LOG_WARNING, "mailbox.rebuilt", "user", user,
                  "mailbox", box->entry->name, "id", box->entry->id, "partition", box->r->partition->name, "uid", uids,
                  "reason", reason, NULL);
}

/* As many lines as it takes. */
static void
tell_uids (const Box *box, const GArray *uids, const char *reason)
{
  g_autoptr (GString) set = g_string_new (NULL);

  for (guint i = 0, next; i < uids->len; i = next)
    {
      guint32 first = g_array_index (uids, guint32, i);

      for (next = i + 1; next < uids->len && g_array_index (uids, guint32, next) == first + next - i;)
        next++;
      g_string_append_printf (set, "%s%u", set->len > 0 ? "," : "", first);
      if (next > i + 1)
        g_string_append_printf (set, ":%u", first + next - i - 1);
      if (set->len > UIDS_A_LINE || next == uids->len)
        {
          tell (box, set->str, NULL, reason);
          g_string_truncate (set, 0);
        }
    }
}

/* Who has no id has seen nothing. */
static gboolean
has_lost_seen (const Box *box, const char *name)
{
  const char *user = rook_users_find_key (box->r->users, name);
  g_autoptr (GBytes) key = user != NULL ? rook_seen_key (box->entry->id, user) : NULL;
  g_autoptr (GBytes) value = NULL;

  if (key != NULL)
    value = box->r->store->recall (box->r->store->self, ROOK_PART_SEEN, key, NULL);
  return key != NULL && value == NULL;
}

/* Of those whom the mailbox's rights name; of whom a group or "anyone" lets in the name is not known any more. */
static void
tell_seen (const Box *box)
{
  g_auto (GStrv) words = g_strsplit (box->entry->acl, "\t", -1);
  gboolean has_others = FALSE;

  for (guint i = 0; words[i] != NULL && words[i + 1] != NULL; i += 2)
    if (g_str_equal (words[i], "anyone") || g_str_has_prefix (words[i], "group:"))
      has_others = TRUE;
    else if (words[i][0] != '-' && g_strcmp0 (words[i], box->entry->owner) != 0 && has_lost_seen (box, words[i]))
      tell (box, NULL, words[i], "what this user had seen is lost, if anything was");
  if (has_others)
    tell (box, NULL, NULL,
          "what users had seen who may read it as \"anyone\" or of a group is lost, but for what changed lately");
}

static void
tell_box (const Box *box)
{
  g_autofree char *text =
      g_strdup_printf ("%u messages are there again, %u of them with the flags that they last had; uids go on at %u",
                       box->header.exists, box->header.exists - box->no_flags->len, box->header.uidnext);

  tell (box, NULL, NULL, text);
  tell_uids (box, box->no_flags,
             "flags are those that they came with, keywords are lost, any that were expunged are back");
  tell_uids (box, box->no_keywords, "keywords are lost, if they had any");
  tell_seen (box);
}

/* By labels alone. */
static void
start_over (Box *box)
{
  g_ptr_array_set_size (box->keywords, 0);
  g_array_set_size (box->records, 0);
  g_array_set_size (box->no_flags, 0);
  g_array_set_size (box->no_keywords, 0);
  add_records (box);
  for (guint i = 0; i < box->records->len; i++)
    if (g_array_index (box->records, RookRecord, i).blob != 0)
      g_array_append_val (box->no_flags, g_array_index (box->records, RookRecord, i).uid);
}

static void
rebuild_box (Rebuild *r, const RookEntry *entry)
{
  g_autoptr (GPtrArray) keywords = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) pages = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_page_unref);
  g_autoptr (GArray) records = g_array_new (FALSE, FALSE, sizeof (RookRecord));
  g_autoptr (GArray) no_flags = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GArray) no_keywords = g_array_new (FALSE, FALSE, sizeof (guint32));
  Box box = { .r = r,
              .entry = entry,
              .messages = g_hash_table_lookup (r->boxes, entry->id),
              .keywords = keywords,
              .pages = pages,
              .records = records,
              .no_flags = no_flags,
              .no_keywords = no_keywords };
  gboolean fits = add_records (&box);

  if (fits)
    recall_keywords (&box);
  for (guint first = 0; fits && first < records->len; first += ROOK_PAGE_RECORDS)
    fits = lay_over (&box, first / ROOK_PAGE_RECORDS);
  if (!fits)
    start_over (&box);
  put_box (&box);
  tell_box (&box);
}

/* (element-type RookEntry) what there is on the partition */
static GPtrArray *
list_entries (const RookRebuildFor *whom)
{
  GPtrArray *entries = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_entry_unref);
  g_autoptr (RookLocker) locker = whom->names == NULL ? rook_locker_new (&whom->mail->lock) : NULL;
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, (whom->names != NULL ? whom->names : whom->mail->names)->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      RookEntry *entry = value;

      if (!entry->deleted && g_str_equal (entry->partition, whom->partition->name))
        g_ptr_array_add (entries, rook_entry_ref (entry));
    }
  return entries;
}

gboolean
rook_mail_rebuild_partition (const RookStoreRebuilder *rebuilder, gpointer data, GError **error)
{
  const RookRebuildFor *whom = data;
  Rebuild r = { .mail = whom->mail,
                .users = whom->users != NULL ? whom->users : whom->mail->users,
                .partition = whom->partition,
                .store = rebuilder,
                .boxes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_hash_table_unref),
                .modseq = (guint64) g_get_real_time () / 1000 };
  g_autoptr (GPtrArray) entries = list_entries (whom);

  (void) error;
  rebuilder->foreach_blob (rebuilder->self, take_blob, &r);
  for (guint i = 0; i < entries->len; i++)
    rebuild_box (&r, g_ptr_array_index (entries, i));
  g_hash_table_unref (r.boxes);
  return TRUE;
}
