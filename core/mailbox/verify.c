/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verifies mailboxes: which there are by the state store, what each partition has of them, and what belongs to nobody; and
 * `rookctl mailbox verify`, which asks for it.
 *
 * Blobs are listed before the records that name them are read: whatever was there before, and is named by none of them, was
 * left over, for it comes and goes in the same batch as its record.
 */
#include "mailbox/verify.h"

#include "rookery/control.h"

#define TELL_US (100 * 1000)
#define MAX_TOLD 100

gboolean
rook_verify_go_on (RookVerify *v)
{
  gint64 now_us = g_get_monotonic_time ();

  if (now_us - v->told_us >= TELL_US && !v->stopped)
    {
      v->told_us = now_us;
      v->stopped = !v->events->progress (v->percent, v->at, v->data);
    }
  return !v->stopped && v->error == NULL;
}

void
rook_verify_fault (RookVerify *v, const char *mailbox, guint32 uid, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  v->events->fault (mailbox, uid, text, v->data);
}

/* Damage is a fault; what else ends a reading ends it all. */
static void
note_error (RookVerify *v, const char *mailbox, GError *error)
{
  if (g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    rook_verify_fault (v, mailbox, 0, "%s", error->message);
  else if (v->error == NULL)
    v->error = g_error_copy (error);
  g_error_free (error);
}

gboolean
rook_verify_get (RookVerify *v, const char *mailbox, RookTable table, GBytes *key, GBytes **out_value)
{
  g_autoptr (GError) error = NULL;

  if (rook_store_get_wait (v->store, table, key, out_value, &error))
    return TRUE;
  note_error (v, mailbox, g_steal_pointer (&error));
  return FALSE;
}

gboolean
rook_verify_is_there (RookVerify *v, const char *id)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry_by_id (v->mail, id);

  return entry != NULL && !entry->deleted;
}

gboolean
rook_verify_is_here (RookVerify *v, const RookVerifyPlace *place)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry_by_id (v->mail, place->id);

  return entry != NULL && !entry->deleted && g_str_equal (entry->partition, place->partition);
}

/* --- blobs ------------------------------------------------------------------------------------------------------------ */

static int
compare_blobs (gconstpointer a, gconstpointer b)
{
  RookBlobId x = *(const RookBlobId *) a, y = *(const RookBlobId *) b;

  return x < y ? -1 : x > y;
}

static gboolean
add_blob (const RookBlobInfo *info, gpointer data)
{
  RookVerify *v = data;

  g_array_append_val (v->blobs, info->id);
  return rook_verify_go_on (v);
}

static void
list_blobs (RookVerify *v)
{
  g_autoptr (GError) error = NULL;

  v->blobs = g_array_new (FALSE, FALSE, sizeof (RookBlobId));
  if (!rook_store_foreach_blob (v->store, add_blob, v, &error)
      && !g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED))
    note_error (v, NULL, g_steal_pointer (&error));
  g_array_sort (v->blobs, compare_blobs);
  v->named = g_malloc0 (MAX (v->blobs->len, 1));
}

void
rook_verify_name_blob (RookVerify *v, RookBlobId blob)
{
  guint at;

  if (v->blobs != NULL && g_array_binary_search (v->blobs, &blob, compare_blobs, &at))
    v->named[at] = 1;
}

/* One that nobody names, unless it was given back meanwhile. */
static void
tell_nameless (RookVerify *v, const char *partition)
{
  for (guint i = 0; i < v->blobs->len && rook_verify_go_on (v); i++)
    {
      RookBlobId blob = g_array_index (v->blobs, RookBlobId, i);
      g_autoptr (GBytes) there = v->named[i] ? NULL : rook_store_read_wait (v->store, blob, 0, 0, NULL);

      if (there != NULL)
        rook_verify_fault (v, NULL, 0, "partition %s: no message names blob %" G_GUINT64_FORMAT, partition, blob);
    }
}

/* --- \Seen ------------------------------------------------------------------------------------------------------------ */

static void
seen_free (gpointer data)
{
  RookVerifySeen *seen = data;

  g_free (seen->user);
  g_bytes_unref (seen->value);
  g_free (seen);
}

typedef struct {
  RookVerify *v;
  const char *only; /* (nullable) id */
} Listing;

static gboolean
add_seen (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  const Listing *listing = data;
  g_autofree char *id = NULL, *user = NULL;
  gboolean old, is_read = rook_seen_key_parse (key, &id, &user, &old);
  GPtrArray *rows;
  RookVerifySeen *row;

  if (!is_read || (listing->only != NULL && !g_str_equal (listing->only, id)))
    return rook_verify_go_on (listing->v);
  rows = g_hash_table_lookup (listing->v->seen, id);
  row = g_new (RookVerifySeen, 1);
  *row = (RookVerifySeen){ old ? g_steal_pointer (&user) : rook_users_describe (listing->v->mail->users, user),
                           g_bytes_ref (value) };
  if (rows == NULL)
    {
      rows = g_ptr_array_new_with_free_func (seen_free);
      g_hash_table_insert (listing->v->seen, g_steal_pointer (&id), rows);
    }
  g_ptr_array_add (rows, row);
  return rook_verify_go_on (listing->v);
}

/* --- what belongs to nobody ------------------------------------------------------------------------------------------- */

typedef struct {
  RookVerify *v;
  GHashTable *known; /* ids of those that were verified */
  GPtrArray *others; /* (element-type utf8) ids of those that were not */
} Others;

static gboolean
look_at_header (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  Others *others = data;
  gsize length;
  const char *bytes = g_bytes_get_data (key, &length);
  g_autofree char *id = g_strndup (bytes, length);

  if (!g_hash_table_contains (others->known, id) || !rook_verify_is_there (others->v, id))
    g_ptr_array_add (others->others, g_steal_pointer (&id));
  return rook_verify_go_on (others->v);
}

/* Whether it lies there, or comes, or has been moved away. */
static gboolean
is_expected (RookVerify *v, const char *partition, const char *id)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry_by_id (v->mail, id);

  return entry != NULL
         && (rook_entry_set_contains (entry->left, partition)
             || (!entry->deleted && g_str_equal (entry->partition, partition)));
}

/* Not one that is being cleared away, or has come meanwhile. One whose making was cut short is harmless: it never was
 * there, and nothing is in it. */
static void
tell_orphan (RookVerify *v, const char *partition, const char *id)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (id), value = NULL;
  g_autoptr (RookEntry) entry = NULL;
  g_autofree char *text =
      g_strdup_printf ("partition %s has a mailbox %s that the state store does not have there", partition, id);
  RookHeader header;

  /* Of a tombstone what is asked first counts: it is told that all is cleared after that was done. */
  entry = rook_mail_ref_entry_by_id (v->mail, id);
  if (entry != NULL && ((entry->deleted && !entry->cleared) || rook_entry_set_contains (entry->left, partition)))
    return;
  if (!rook_verify_get (v, NULL, ROOK_PART_HEADERS, key, &value) || value == NULL)
    return;
  if (entry == NULL)
    entry = rook_mail_ref_entry_by_id (v->mail, id);
  if (is_expected (v, partition, id))
    return;
  if (rook_header_decode (value, &header) && header.n_records == 0)
    {
      g_autofree char *harmless = g_strconcat (text, ": its making was cut short, or is under way", NULL);

      v->events->note (NULL, harmless, v->data);
    }
  else
    rook_verify_fault (v, entry != NULL ? entry->name : NULL, 0, "%s", text);
}

/* --- from mailbox to mailbox ------------------------------------------------------------------------------------------ */

static void
place_free (gpointer data)
{
  RookVerifyPlace *place = data;

  g_free (place->id);
  g_free (place->name);
  g_free (place->partition);
  g_free (place);
}

static RookVerifyPlace *
place_new (const RookEntry *entry)
{
  RookVerifyPlace *place = g_new (RookVerifyPlace, 1);

  *place = (RookVerifyPlace){ g_strdup (entry->id), g_strdup (entry->name), g_strdup (entry->partition),
                              entry->uidvalidity, entry->history != NULL };
  return place;
}

typedef struct {
  RookVerify *v;
  GPtrArray *places;
} Places;

static gboolean
add_place (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  Places *places = data;
  g_autoptr (RookEntry) entry = rook_entry_decode (key, value);
  gsize length;
  const char *id = g_bytes_get_data (key, &length);

  if (entry == NULL)
    rook_verify_fault (places->v, NULL, 0, "state store: the entry of mailbox %.*s does not read", (int) length, id);
  else if (!entry->deleted)
    {
      if (rook_mail_find_partition (places->v->mail, entry->partition) == NULL)
        rook_verify_fault (places->v, entry->name, 0, "its partition %s is not there", entry->partition);
      g_ptr_array_add (places->places, place_new (entry));
    }
  return rook_verify_go_on (places->v);
}

static int
compare_places (gconstpointer a, gconstpointer b)
{
  const RookVerifyPlace *x = *(RookVerifyPlace *const *) a, *y = *(RookVerifyPlace *const *) b;

  return rook_name_compare (x->name, y->name, NULL);
}

/* (nullable) NULL: it can't be told which there are. */
static GPtrArray *
list_places (RookVerify *v, const char *name)
{
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func (place_free);
  g_autoptr (RookEntry) entry = name != NULL ? rook_mail_ref_entry (v->mail, name) : NULL;
  RookStore *state = rook_mail_get_state (v->mail);
  Places places = { v, list };

  if (entry != NULL)
    g_ptr_array_add (list, place_new (entry));
  else if (name != NULL)
    g_set_error_literal (&v->error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "no such mailbox");
  else if (state == NULL)
    g_set_error_literal (&v->error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "there is no state store");
  else
    rook_store_foreach (state, ROOK_STATE_MAILBOXES, add_place, &places, &v->error);
  g_ptr_array_sort (list, compare_places);
  for (guint i = 1; i < list->len; i++)
    {
      const RookVerifyPlace *a = g_ptr_array_index (list, i - 1), *b = g_ptr_array_index (list, i);

      if (g_str_equal (a->name, b->name) && rook_verify_is_there (v, a->id) && rook_verify_is_there (v, b->id))
        rook_verify_fault (v, b->name, 0, "two mailboxes have its name, %s and %s", a->id, b->id);
    }
  return v->error == NULL ? g_steal_pointer (&list) : NULL;
}

static guint
verify_places (RookVerify *v, GPtrArray *places, const char *partition, guint n_before)
{
  guint n = 0;

  for (guint i = 0; i < places->len; i++)
    {
      const RookVerifyPlace *place = g_ptr_array_index (places, i);

      if (!g_str_equal (place->partition, partition))
        continue;
      v->at = place->name;
      v->percent = 100.0 * (n_before + n++) / places->len;
      if (!rook_verify_go_on (v))
        break;
      rook_verify_box (v, place);
    }
  v->at = "what belongs to none";
  return n;
}

/* What moves have left there, or bring: first, since it may be whole in a moment, and have a header. */
static void
add_left (RookVerify *v, const char *partition, GPtrArray *others)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&v->mail->lock);
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, v->mail->names->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (rook_entry_set_contains (((RookEntry *) value)->left, partition))
      g_ptr_array_add (others, g_strdup (((RookEntry *) value)->id));
}

/* No fault: it is cleared away, by the next start at the latest. */
static void
tell_left (RookVerify *v, const char *partition, const char *id)
{
  g_autofree char *text = NULL;

  if (rook_verify_name_all (v, id) == 0)
    return;
  text = g_strdup_printf ("partition %s has something of mailbox %s, which lies elsewhere: it is being moved, or was",
                          partition, id);
  v->events->note (NULL, text, v->data);
}

static void
verify_rest (RookVerify *v, GPtrArray *places, const char *partition)
{
  g_autoptr (GHashTable) known = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) others = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) left = g_ptr_array_new_with_free_func (g_free);
  Others listing = { v, known, others };

  for (guint i = 0; i < places->len; i++)
    {
      const RookVerifyPlace *place = g_ptr_array_index (places, i);

      if (g_str_equal (place->partition, partition))
        g_hash_table_add (known, place->id);
    }
  add_left (v, partition, left);
  if (!rook_store_foreach (v->store, ROOK_PART_HEADERS, look_at_header, &listing, &error))
    note_error (v, NULL, g_steal_pointer (&error));
  for (guint i = 0; i < left->len; i++)
    tell_left (v, partition, g_ptr_array_index (left, i));
  for (guint i = 0; i < others->len; i++)
    rook_verify_name_all (v, g_ptr_array_index (others, i));
  if (v->partial)
    v->events->note (NULL, "what no message names can't be told, since some records can't be read", v->data);
  else
    tell_nameless (v, partition);
  for (guint i = 0; i < others->len && rook_verify_go_on (v); i++)
    tell_orphan (v, partition, g_ptr_array_index (others, i));
}

static guint
verify_partition (RookVerify *v, GPtrArray *places, const char *partition, const char *only, guint n_before)
{
  g_autoptr (GError) error = NULL;
  Listing listing = { v, only };
  guint n = 0;

  v->at = "what others have seen";
  v->partial = FALSE;
  v->seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  if (!rook_store_foreach (v->store, ROOK_PART_SEEN, add_seen, &listing, &error))
    note_error (v, NULL, g_steal_pointer (&error));
  if (only == NULL && rook_verify_go_on (v))
    list_blobs (v);
  if (rook_verify_go_on (v))
    n = verify_places (v, places, partition, n_before);
  if (only == NULL && rook_verify_go_on (v))
    verify_rest (v, places, partition);
  g_clear_pointer (&v->seen, g_hash_table_unref);
  g_clear_pointer (&v->blobs, g_array_unref);
  g_clear_pointer (&v->named, g_free);
  return n;
}

gboolean
rook_mail_verify (RookMail *mail, const char *name, gboolean full, const RookVerifyEvents *events, gpointer data,
                  RookVerifySums *out_sums, GError **error)
{
  RookVerify v = { .mail = mail, .full = full, .events = events, .data = data, .at = "names" };
  g_autoptr (GPtrArray) places = list_places (&v, name);
  const RookVerifyPlace *only = name != NULL && places != NULL ? g_ptr_array_index (places, 0) : NULL;
  guint n = 0;

  for (guint i = 0; places != NULL && i < mail->partitions->len && rook_verify_go_on (&v); i++)
    {
      RookPartition *partition = g_ptr_array_index (mail->partitions, i);

      if (only != NULL && !g_str_equal (only->partition, partition->name))
        continue;
      v.store = rook_partition_get_store (partition);
      if (v.store != NULL)
        n += verify_partition (&v, places, partition->name, only != NULL ? only->id : NULL, n);
      else
        rook_verify_fault (&v, NULL, 0, "partition %s is not available: its mailboxes were not looked at",
                           partition->name);
    }
  if (v.error == NULL && v.stopped)
    g_set_error_literal (&v.error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "stopped before it was done");
  if (v.error != NULL)
    {
      g_propagate_error (error, v.error);
      return FALSE;
    }
  *out_sums = v.sums;
  return TRUE;
}

/* --- rookctl mailbox verify ------------------------------------------------------------------------------------------- */

typedef struct {
  RookMail *mail; /* (unowned) */
  RookControlCall *call;
  char *name; /* (owned) (nullable) */
  gboolean full;
  guint n_faults, n_notes;
  GString *faults, *notes;
} Asked;

static void
note_fault (const char *mailbox, guint32 uid, const char *text, gpointer data)
{
  Asked *asked = data;
  g_autofree char *number = uid != 0 ? g_strdup_printf ("%u", uid) : NULL;

  if (asked->n_faults++ >= MAX_TOLD)
    return;
  rook_log_event (rook_server_get_log (asked->mail->server), ROOK_LOG_ERROR, "mailbox.fault", "mailbox", mailbox, "uid",
                  number, "reason", text, NULL);
  g_string_append_printf (asked->faults, "\n%s%s%s%s%s", mailbox != NULL ? mailbox : "", number != NULL ? " uid " : "",
                          number != NULL ? number : "", mailbox != NULL ? ": " : "", text);
}

static void
note_note (const char *mailbox, const char *text, gpointer data)
{
  Asked *asked = data;

  if (asked->n_notes++ < MAX_TOLD)
    g_string_append_printf (asked->notes, "\n%s%s%s", mailbox != NULL ? mailbox : "", mailbox != NULL ? ": " : "",
                            text);
}

static gboolean
note_progress (double percent, const char *text, gpointer data)
{
  Asked *asked = data;

  rook_control_call_progress (asked->call, percent, text);
  return !rook_mail_is_closing (asked->mail) && !rook_control_call_is_cancelled (asked->call);
}

static const RookVerifyEvents events = { .fault = note_fault, .note = note_note, .progress = note_progress };

static void
answer (Asked *asked, const RookVerifySums *sums)
{
  g_autofree char *text = NULL;

  if (asked->n_faults > 0)
    {
      rook_control_call_fail (asked->call, "%u fault%s%s%s%s", asked->n_faults, asked->n_faults == 1 ? "" : "s",
                              asked->n_faults > MAX_TOLD ? "; the first of them:" : ":", asked->faults->str,
                              asked->notes->str);
      return;
    }
  text = g_strdup_printf ("no faults in %u mailbox%s with %" G_GUINT64_FORMAT " message%s%s", sums->n_mailboxes,
                          sums->n_mailboxes == 1 ? "" : "es", sums->n_messages, sums->n_messages == 1 ? "" : "s",
                          asked->notes->str);
  rook_control_call_done (asked->call, g_variant_new_string (text));
}

/* On a pool thread. */
static void
work (gpointer data)
{
  Asked *asked = data;
  RookMail *mail = asked->mail;
  g_autoptr (GError) error = NULL;
  RookVerifySums sums = { 0 };

  if (rook_mail_verify (mail, asked->name, asked->full, &events, asked, &sums, &error))
    answer (asked, &sums);
  else
    rook_control_call_fail (asked->call, "%s%s", error->message, asked->faults->str);
  g_string_free (asked->faults, TRUE);
  g_string_free (asked->notes, TRUE);
  g_free (asked->name);
  g_free (asked);
  rook_mail_end_blocking (mail);
}

static void
run_verify (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookMail *mail = data;
  gboolean full = g_strcmp0 (arguments[0], "--full") == 0;
  g_autoptr (GError) error = NULL;
  Asked *asked;

  if (!rook_mail_is_available (mail, &error) || !rook_mail_begin_blocking (mail))
    {
      rook_control_call_fail (call, "%s", error != NULL ? error->message : "the server stops");
      return;
    }
  asked = g_new (Asked, 1);
  *asked = (Asked){ .mail = mail,
                    .call = call,
                    .name = g_strdup (arguments[full ? 1 : 0]),
                    .full = full,
                    .faults = g_string_new (NULL),
                    .notes = g_string_new (NULL) };
  if (rook_pool_run (rook_server_get_pool (mail->server), 0, work, NULL, asked))
    return;
  rook_mail_end_blocking (mail);
  rook_control_call_fail (call, "too much to do: try again later");
  g_string_free (asked->faults, TRUE);
  g_string_free (asked->notes, TRUE);
  g_free (asked->name);
  g_free (asked);
}

static const RookControlVerb verify_verb = { .struct_size = sizeof (RookControlVerb),
                                             .name = "mailbox verify",
                                             .arguments = "[--full] [NAME]",
                                             .help =
                                                 "Compares one mailbox, or all, with what is stored of it, and tells "
                                                 "each fault; with --full it reads every message.",
                                             .max_arguments = 2,
                                             .run = run_verify };

void
rook_mail_add_verify (RookMail *mail)
{
  RookControl *control = rook_server_get_control (mail->server);

  if (control != NULL)
    rook_control_add (control, &verify_verb, mail);
}
