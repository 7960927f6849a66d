/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reconstructs the state store: `rookctl reconstruct --mailboxes`.
 *
 * The server does it while it runs without one, and answers mail "try again later" meanwhile: so there is one way of opening
 * stores, as the user that owns them, with the plugins that can, and one way of showing how far it is. That it is begun stands
 * in the new store before anything else, and is taken out by the batch that makes it whole.
 *
 * A copy of an entry may be older than the entry was (change.h): of two that say the same name, the one that changed last has it.
 */
#include "mailbox/reconstruct.h"

#include "mailbox/box.h"
#include "mailbox/codec.h"
#include "mailbox/record.h"
#include "rookery/control.h"

#include <errno.h>
#include <stdio.h>

#define TELL_US (100 * 1000)
#define BATCH_ENTRIES 1000
#define MAX_TOLD 100

/* What is known of one mailbox id. */
typedef struct {
  RookEntry *entry; /* (owned) (nullable) the copy that counts so far */
  guint copy_place; /* the partition it was found on, */
  gboolean has_header;
  guint header_place; /* and the one that has the mailbox: that of its entry, if more than one do */
  GArray *others;     /* (nullable) (element-type guint) which are these */
  guint32 uidvalidity;
} Found;

typedef struct {
  RookMail *mail;
  RookConfig *config; /* (owned) */
  const RookReconstructEvents *events;
  gpointer data;
  RookReconstructSums sums;
  RookStore *state;   /* (owned) (nullable) */
  RookStore **stores; /* (owned) */
  GHashTable *found;  /* id -> Found */
  RookFoundUsers *found_users;
  RookUsers *users;    /* (owned) (nullable) what is made of those */
  guint place;         /* the partition that is looked through */
  guint32 uidvalidity; /* the highest */
  double percent;
  const char *text;
  gint64 told_us; /* monotonic */
  gboolean stopped;
} Reconstruction;

static void
found_free (gpointer data)
{
  Found *found = data;

  g_clear_pointer (&found->entry, rook_entry_unref);
  g_clear_pointer (&found->others, g_array_unref);
  g_free (found);
}

static RookPartition *
partition_at (const Reconstruction *r, guint place)
{
  return g_ptr_array_index (r->mail->partitions, place);
}

static void tell (Reconstruction *r, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
tell (Reconstruction *r, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  r->events->told (text, r->data);
}

static gboolean
go_on (Reconstruction *r)
{
  gint64 now_us = g_get_monotonic_time ();

  if (now_us - r->told_us >= TELL_US && !r->stopped)
    {
      r->told_us = now_us;
      r->stopped = !r->events->progress (r->percent, r->text, r->data);
    }
  return !r->stopped;
}

static gboolean
check_stopped (const Reconstruction *r, GError **error)
{
  if (!r->stopped)
    return TRUE;
  g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "stopped before it was done");
  return FALSE;
}

/* --- what partitions know ----------------------------------------------------------------------------------------------- */

static Found *
find (Reconstruction *r, GBytes *key)
{
  gsize length;
  const char *text = g_bytes_get_data (key, &length);
  g_autofree char *id = g_strndup (text, length);
  Found *found = g_hash_table_lookup (r->found, id);

  if (found != NULL)
    return found;
  found = g_new0 (Found, 1);
  g_hash_table_insert (r->found, g_steal_pointer (&id), found);
  return found;
}

static gboolean
take_header (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  Reconstruction *r = data;
  Found *found = find (r, key);
  RookHeader header;

  if (rook_header_decode (value, &header))
    {
      found->uidvalidity = header.uidvalidity;
      r->uidvalidity = MAX (r->uidvalidity, header.uidvalidity);
    }
  if (found->has_header && found->others == NULL)
    found->others = g_array_new (FALSE, FALSE, sizeof (guint));
  if (found->has_header)
    g_array_append_val (found->others, found->header_place);
  found->has_header = TRUE;
  found->header_place = r->place;
  return go_on (r);
}

/* Where there are several copies (a mailbox was moved), the one that changed last counts. */
static gboolean
take_entry (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value, gpointer data)
{
  Reconstruction *r = data;
  Found *found = find (r, key);
  RookEntry *entry = rook_entry_decode (key, value);

  if (entry == NULL)
    return go_on (r);
  r->uidvalidity = MAX (r->uidvalidity, entry->uidvalidity);
  if (found->entry == NULL || found->entry->change < entry->change)
    {
      g_clear_pointer (&found->entry, rook_entry_unref);
      found->entry = entry;
      found->copy_place = r->place;
    }
  else
    rook_entry_unref (entry);
  return go_on (r);
}

/* A mailbox without a readable entry: the labels of its messages say its name. */
static gboolean
take_label (const RookBlobInfo *info, gpointer data)
{
  Reconstruction *r = data;
  g_auto (RookLabel) label = { 0 };
  Found *found;

  if (info->label == NULL || !rook_label_decode (info->label, &label))
    return go_on (r);
  found = g_hash_table_lookup (r->found, label.mailbox);
  if (found != NULL && found->entry == NULL)
    {
      g_autofree char *owner = rook_name_dup_owner (label.name);
      g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (r->mail);

      found->entry = rook_entry_new (NULL);
      found->entry->id = g_strdup (label.mailbox);
      found->entry->name = g_strdup (label.name);
      found->entry->partition = g_strdup (partition_at (r, r->place)->name);
      found->entry->acl = owner != NULL ? rook_acl_for_owner (owner) : g_strdup (settings->default_acl);
      rook_entry_derive (found->entry);
      tell (r,
            "%s: its entry is lost: its name is that of its messages when they came, and its rights are those of a new "
            "one",
            label.name);
    }
  return go_on (r);
}

static gboolean
take_user (RookTable table G_GNUC_UNUSED, GBytes *key G_GNUC_UNUSED, GBytes *value, gpointer data)
{
  Reconstruction *r = data;

  rook_found_users_take_row (r->found_users, value);
  return go_on (r);
}

static gboolean
take_seen (RookTable table G_GNUC_UNUSED, GBytes *key, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  Reconstruction *r = data;

  rook_found_users_take_seen (r->found_users, key);
  return go_on (r);
}

static gboolean
lacks_entries (const Reconstruction *r)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, r->found);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((const Found *) value)->entry == NULL)
      return TRUE;
  return FALSE;
}

static gboolean
look_through (Reconstruction *r, guint place, GError **error)
{
  RookPartition *partition = partition_at (r, place);
  g_autoptr (GError) failed = NULL;
  guint32 renewed = 0;

  r->place = place;
  r->text = partition->name;
  r->percent = 60.0 * place / r->mail->partitions->len;
  if (rook_renewed_get (r->stores[place], &renewed, &failed)
      && rook_store_foreach (r->stores[place], ROOK_PART_HEADERS, take_header, r, &failed) && !r->stopped
      && rook_store_foreach (r->stores[place], ROOK_PART_ENTRIES, take_entry, r, &failed) && !r->stopped
      && rook_store_foreach (r->stores[place], ROOK_PART_USERS, take_user, r, &failed) && !r->stopped
      && rook_store_foreach (r->stores[place], ROOK_PART_SEEN, take_seen, r, &failed) && !r->stopped
      && lacks_entries (r) && !rook_store_foreach_blob (r->stores[place], take_label, r, &failed)
      && g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNSUPPORTED))
    g_clear_error (&failed);
  r->uidvalidity = MAX (r->uidvalidity, renewed);
  if (failed == NULL)
    return check_stopped (r, error);
  g_propagate_prefixed_error (error, g_steal_pointer (&failed), "partition %s: ", partition->name);
  return FALSE;
}

static gboolean
open_partitions (Reconstruction *r, GError **error)
{
  for (guint i = 0; i < r->mail->partitions->len; i++)
    {
      RookPartition *partition = partition_at (r, i);
      RookStoreSpec spec = { .struct_size = sizeof spec, .path = partition->path };

      r->stores[i] = rook_mail_open_store (r->mail, partition->backend, &spec, error);
      if (r->stores[i] == NULL)
        {
          g_prefix_error (error,
                          "partition %s can't be opened, and without it its mailboxes would be lost (if it holds none, "
                          "take it out of the configuration): ",
                          partition->name);
          return FALSE;
        }
    }
  return TRUE;
}

/* --- what that makes together ------------------------------------------------------------------------------------------- */

/* Several partitions have it, for it was being moved: the one that its entry names counts. What the others have is not known to be
 * of no use, and so is not cleared away. */
static void
choose_place (Reconstruction *r, Found *found)
{
  RookEntry *entry = found->entry;

  for (guint i = 0; i < found->others->len; i++)
    {
      guint *other = &g_array_index (found->others, guint, i), last = found->header_place;

      if (!g_str_equal (partition_at (r, *other)->name, entry->partition))
        continue;
      found->header_place = *other;
      *other = last;
    }
  for (guint i = 0; i < found->others->len; i++)
    tell (r, "%s: partition %s has something of it too, from a move: it is left there", entry->name,
          partition_at (r, g_array_index (found->others, guint, i))->name);
  g_clear_pointer (&entry->left, g_strfreev);
}

/* Contents count for where a mailbox is; its header may lag behind its entry, or the copy of that behind it, in uidvalidity. */
static void
settle_one (Reconstruction *r, const char *id, Found *found)
{
  RookEntry *entry = found->entry;

  if (entry == NULL)
    {
      tell (r, "partition %s has a mailbox %s without a name: it is left there",
            partition_at (r, found->header_place)->name, id);
      return;
    }
  if (found->others != NULL)
    choose_place (r, found);
  if (found->has_header)
    entry->uidvalidity = MAX (entry->uidvalidity, found->uidvalidity);
  if (entry->deleted)
    entry->cleared = !found->has_header;
  else if (!found->has_header)
    tell (r, "%s: partition %s has its entry, and nothing of what was in it", entry->name,
          partition_at (r, found->copy_place)->name);
  rook_entry_set (&entry->partition,
                  partition_at (r, found->has_header ? found->header_place : found->copy_place)->name);
}

static gint
compare_entries (gconstpointer a, gconstpointer b)
{
  const RookEntry *x = *(RookEntry *const *) a, *y = *(RookEntry *const *) b;
  gint order = rook_name_compare (x->name, y->name, NULL);

  if (order == 0 && x->change != y->change)
    return x->change > y->change ? -1 : 1;
  return order != 0 ? order : strcmp (x->id, y->id);
}

static void
give_another_name (Reconstruction *r, RookEntry *entry)
{
  g_autofree char *name =
      g_strdup_printf (rook_name_is_inbox (entry->name) ? "%s/INBOX-%.8s" : "%s-%.8s", entry->name, entry->id);

  tell (r, "two mailboxes are called %s: the one that changed last is; the other, %s, is called %s now", entry->name,
        entry->id, name);
  rook_entry_rename (entry, name);
}

/* Of those with one name all but the first get another. */
static void
part_names (Reconstruction *r, GPtrArray *entries)
{
  g_autoptr (GHashTable) taken = g_hash_table_new (g_str_hash, g_str_equal);

  g_ptr_array_sort (entries, compare_entries);
  for (guint i = 0; i < entries->len; i++)
    {
      RookEntry *entry = g_ptr_array_index (entries, i);

      if (!entry->deleted && !g_hash_table_add (taken, entry->name))
        {
          give_another_name (r, entry);
          g_hash_table_add (taken, entry->name);
        }
    }
}

/* (element-type RookEntry) (unowned) */
static GPtrArray *
settle (Reconstruction *r)
{
  GPtrArray *entries = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer id, value;

  g_hash_table_iter_init (&iter, r->found);
  while (g_hash_table_iter_next (&iter, &id, &value))
    {
      Found *found = value;

      settle_one (r, id, found);
      if (found->entry == NULL)
        continue;
      g_ptr_array_add (entries, found->entry);
      if (found->entry->deleted)
        r->sums.n_tombstones++;
      else
        r->sums.n_mailboxes++;
    }
  part_names (r, entries);
  return entries;
}

/* --- the state store ------------------------------------------------------------------------------------------------------ */

/* What can't be opened is kept, out of the way. */
static gboolean
move_aside (Reconstruction *r, const char *path, GError **error)
{
  g_autofree char *aside = g_strdup_printf ("%s.damaged-%" G_GINT64_FORMAT, path, g_get_real_time () / G_USEC_PER_SEC);

  if (rename (path, aside) == 0)
    {
      tell (r, "the damaged state store is %s now", aside);
      return TRUE;
    }
  g_set_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "%s can't be moved aside: %s", path,
               g_strerror (errno));
  return FALSE;
}

static gboolean
is_there (Reconstruction *r, const char *key, gboolean *out_there, GError **error)
{
  g_autoptr (GBytes) bytes = rook_bytes_of_text (key), value = NULL;

  if (!rook_store_get_wait (r->state, ROOK_STATE_META, bytes, &value, error))
    return FALSE;
  *out_there = value != NULL;
  return TRUE;
}

/* One that is whole is not touched. */
static gboolean
check_unfinished (Reconstruction *r, GError **error)
{
  gboolean unfinished, whole;

  if (!is_there (r, ROOK_META_RECONSTRUCTING, &unfinished, error) || !is_there (r, ROOK_META_FORMAT, &whole, error))
    return FALSE;
  if (!whole || unfinished)
    return TRUE;
  g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_ALLOWED,
                       "the state store is there: `rookctl reload` opens it");
  return FALSE;
}

static gboolean
open_state (Reconstruction *r, GError **error)
{
  g_autofree char *path = rook_mail_make_state_path (r->config);
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = path, .create = TRUE };
  const char *backend = rook_mail_get_state_backend (r->config);
  g_autoptr (GError) failed = NULL;

  r->state = rook_mail_open_store (r->mail, backend, &spec, &failed);
  if (r->state == NULL
      && (g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_IDENTITY)
          || g_error_matches (failed, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
      && !rook_is_empty_place (path))
    {
      g_clear_error (&failed);
      if (!move_aside (r, path, error))
        return FALSE;
      r->state = rook_mail_open_store (r->mail, backend, &spec, &failed);
    }
  if (failed != NULL)
    g_propagate_prefixed_error (error, g_steal_pointer (&failed), "the state store can't be made: ");
  return r->state != NULL && check_unfinished (r, error);
}

static gboolean
add_key (RookTable table, GBytes *key, GBytes *value G_GNUC_UNUSED, gpointer data)
{
  rook_batch_delete (data, table, key);
  return TRUE;
}

/* Says that it is begun, and takes out what an attempt before has left. */
static gboolean
begin (Reconstruction *r, GError **error)
{
  RookBatch *batch = rook_batch_new (r->state);
  g_autoptr (GBytes) key = rook_bytes_of_text (ROOK_META_RECONSTRUCTING), one = g_bytes_new_static ("\001", 1);

  rook_batch_put (batch, ROOK_STATE_META, key, one);
  if (rook_store_foreach (r->state, ROOK_STATE_MAILBOXES, add_key, batch, error)
      && rook_store_foreach (r->state, ROOK_STATE_SUBSCRIPTIONS, add_key, batch, error)
      && rook_store_foreach (r->state, ROOK_STATE_USERS, add_key, batch, error)
      && rook_store_foreach (r->state, ROOK_STATE_GONE, add_key, batch, error))
    return rook_store_commit_wait (r->state, batch, NULL, error);
  rook_batch_free (batch);
  return FALSE;
}

static void
add_entry (Reconstruction *r, RookBatch *batch, const RookEntry *entry)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (entry->id), value = rook_entry_encode (entry);

  rook_batch_put (batch, ROOK_STATE_MAILBOXES, key, value);
  if (!entry->deleted && entry->owner != NULL)
    {
      g_autofree char *packed = rook_subscription_pack (entry->owner, entry->name);
      const RookUser *user = rook_users_need (r->users, entry->owner, NULL);
      g_autoptr (GBytes) subscription = rook_subscription_key (user->named.id, packed);
      g_autoptr (GBytes) one = g_bytes_new_static ("\001", 1);

      rook_batch_put (batch, ROOK_STATE_SUBSCRIPTIONS, subscription, one);
    }
}

static gboolean
write_entries (Reconstruction *r, GPtrArray *entries, GError **error)
{
  r->text = "the state store";
  for (guint i = 0; i < entries->len;)
    {
      RookBatch *batch = rook_batch_new (r->state);

      for (guint end = MIN (i + BATCH_ENTRIES, entries->len); i < end; i++)
        add_entry (r, batch, g_ptr_array_index (entries, i));
      if (!rook_store_commit_wait (r->state, batch, NULL, error))
        return FALSE;
      r->percent = 60 + 40.0 * i / entries->len;
      if (!go_on (r))
        return check_stopped (r, error);
    }
  return TRUE;
}

/* After the entries, whose owners have ids by then. Those that were given up are cleared away by a job. */
static gboolean
write_users (Reconstruction *r, GError **error)
{
  g_autoptr (GArray) gone = rook_users_list_gone (r->users);
  g_autoptr (GBytes) one = g_bytes_new_static ("\001", 1);

  for (guint i = 0; i < r->users->all->len + gone->len;)
    {
      RookBatch *batch = rook_batch_new (r->state);

      for (guint end = MIN (i + BATCH_ENTRIES, r->users->all->len + gone->len); i < end; i++)
        if (i < r->users->all->len)
          rook_users_put (batch, &((RookUser *) g_ptr_array_index (r->users->all, i))->named);
        else
          {
            g_autoptr (GBytes) key = rook_user_id_bytes (g_array_index (gone, guint64, i - r->users->all->len));

            rook_batch_put (batch, ROOK_STATE_GONE, key, one);
          }
      if (!rook_store_commit_wait (r->state, batch, NULL, error))
        return FALSE;
      if (!go_on (r))
        return check_stopped (r, error);
    }
  return TRUE;
}

/* With this batch it is whole. */
static gboolean
finish (Reconstruction *r, GError **error)
{
  RookBatch *batch = rook_batch_new (r->state);
  g_autoptr (GBytes) unfinished = rook_bytes_of_text (ROOK_META_RECONSTRUCTING);
  g_autoptr (GBytes) format_key = rook_bytes_of_text (ROOK_META_FORMAT), format = NULL;
  g_autoptr (GBytes) uidvalidity_key = rook_bytes_of_text (ROOK_META_UIDVALIDITY), uidvalidity = NULL;
  guint8 bytes[4];

  rook_put32 (bytes, ROOK_STATE_FORMAT);
  format = g_bytes_new (bytes, sizeof bytes);
  rook_put32 (bytes, r->uidvalidity);
  uidvalidity = g_bytes_new (bytes, sizeof bytes);
  rook_batch_put (batch, ROOK_STATE_META, format_key, format);
  rook_batch_put (batch, ROOK_STATE_META, uidvalidity_key, uidvalidity);
  for (guint i = 0; i < r->mail->partitions->len; i++)
    rook_known_put (batch, partition_at (r, i)->name, rook_store_get_id (r->stores[i]),
                    rook_store_get_position (r->stores[i]));
  rook_batch_delete (batch, ROOK_STATE_META, unfinished);
  return rook_store_commit_wait (r->state, batch, NULL, error);
}

/* --- all of it ------------------------------------------------------------------------------------------------------------ */

static gboolean
reconstruct (Reconstruction *r, GError **error)
{
  g_autoptr (GPtrArray) entries = NULL;
  guint n_lost;

  if (!open_partitions (r, error) || !open_state (r, error) || !begin (r, error))
    return FALSE;
  for (guint i = 0; i < r->mail->partitions->len; i++)
    if (!look_through (r, i, error))
      return FALSE;
  entries = settle (r);
  r->users = rook_found_users_settle (r->found_users, &n_lost);
  if (!write_entries (r, entries, error) || !write_users (r, error) || !finish (r, error))
    return FALSE;
  if (n_lost > 0)
    tell (r, "what users had seen in mailboxes of others is lost for %u of them: no partition knows their names",
          n_lost);
  r->sums.n_partitions = r->mail->partitions->len;
  tell (r, "who was subscribed to what is lost: everybody is subscribed to all mailboxes of their own now");
  return TRUE;
}

gboolean
rook_mail_reconstruct (RookMail *mail, const RookReconstructEvents *events, gpointer data,
                       RookReconstructSums *out_sums, GError **error)
{
  Reconstruction r = { .mail = mail,
                       .config = rook_server_get_config (mail->server),
                       .events = events,
                       .data = data,
                       .stores = g_new0 (RookStore *, mail->partitions->len + 1),
                       .found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, found_free),
                       .found_users = rook_found_users_new (),
                       .text = "" };
  gboolean ok = reconstruct (&r, error);

  for (guint i = 0; i < mail->partitions->len; i++)
    g_clear_pointer (&r.stores[i], rook_store_close);
  g_clear_pointer (&r.state, rook_store_close);
  g_hash_table_unref (r.found);
  rook_found_users_free (r.found_users);
  g_clear_pointer (&r.users, rook_users_free);
  g_free (r.stores);
  rook_config_unref (r.config);
  if (ok)
    *out_sums = r.sums;
  return ok;
}

/* --- rookctl reconstruct ---------------------------------------------------------------------------------------------------- */

typedef struct {
  RookMail *mail; /* (unowned) */
  RookControlCall *call;
  guint n_told;
  GString *told;
} Asked;

static void
note_told (const char *text, gpointer data)
{
  Asked *asked = data;

  rook_log_event (rook_server_get_log (asked->mail->server), ROOK_LOG_WARNING, "mailbox.reconstructed", "reason", text,
                  NULL);
  if (asked->n_told++ < MAX_TOLD)
    g_string_append_printf (asked->told, "\n%s", text);
}

static gboolean
note_progress (double percent, const char *text, gpointer data)
{
  Asked *asked = data;

  rook_control_call_progress (asked->call, percent, text);
  return !rook_mail_is_closing (asked->mail) && !rook_control_call_is_cancelled (asked->call);
}

static const RookReconstructEvents events = { .told = note_told, .progress = note_progress };

static void
answer (Asked *asked, const RookReconstructSums *sums)
{
  g_autofree char *text =
      g_strdup_printf ("%u mailboxes and %u tombstones of %u partitions; `rookctl reload` opens them%s%s",
                       sums->n_mailboxes, sums->n_tombstones, sums->n_partitions, asked->told->str,
                       asked->n_told > MAX_TOLD ? "\n... and more, which the log has" : "");

  rook_control_call_done (asked->call, g_variant_new_string (text));
}

static void
asked_free (Asked *asked)
{
  g_string_free (asked->told, TRUE);
  g_free (asked);
}

/* On a pool thread. */
static void
work (gpointer data)
{
  Asked *asked = data;
  RookMail *mail = asked->mail;
  g_autoptr (GError) error = NULL;
  RookReconstructSums sums = { 0 };

  if (rook_mail_reconstruct (mail, &events, asked, &sums, &error))
    answer (asked, &sums);
  else
    rook_control_call_fail (asked->call, "%s", error->message);
  asked_free (asked);
  rook_mail_end_blocking (mail);
}

static void
run_reconstruct (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookMail *mail = data;
  Asked *asked;

  if (g_strcmp0 (arguments[0], "--mailboxes") != 0)
    {
      rook_control_call_fail (call,
                              "what is to be reconstructed? --mailboxes: the state store, of what the partitions know");
      return;
    }
  if (rook_mail_get_state (mail) != NULL)
    {
      rook_control_call_fail (call, "the state store is there, and in use: there is nothing to reconstruct");
      return;
    }
  asked = g_new0 (Asked, 1);
  *asked = (Asked){ .mail = mail, .call = call, .told = g_string_new (NULL) };
  if (rook_mail_begin_reconstruct (mail))
    {
      if (rook_pool_run (rook_server_get_pool (mail->server), 0, work, NULL, asked))
        return;
      rook_mail_end_blocking (mail);
    }
  rook_control_call_fail (call, "too much to do: try again later");
  asked_free (asked);
}

static const RookControlVerb reconstruct_verb = {
  .struct_size = sizeof (RookControlVerb),
  .name = "reconstruct",
  .arguments = "--mailboxes",
  .help =
      "Makes the state store, if it is lost, of what the partitions know: ids, names, rights; and tells what is lost.",
  .max_arguments = 1,
  .run = run_reconstruct,
};

void
rook_mail_add_reconstruct (RookMail *mail)
{
  RookControl *control = rook_server_get_control (mail->server);

  if (control != NULL)
    rook_control_add (control, &reconstruct_verb, mail);
}
