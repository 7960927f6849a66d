/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Summing: a root's usage from what is stored, when it is first needed. Names are walked in slices, so that every mailbox below has a
 * total; of those that are not known the header is read, and nothing else. All who need it meanwhile wait for one summing.
 *
 * What changes while it goes on is told by whoever changes it (quota.c); where the roots themselves change it begins anew.
 */
#include "mailbox/box.h"
#include "mailbox/quota.h"

#define SLICE 256
#define MAX_READS 16 /* asked for at a time */
#define RETRY_US \
  (10 * G_USEC_PER_SEC) /* what can't be had is not asked for again sooner, but by who wants to know it */
#define MAX_CHECKS 5

/* --- headers ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookMail *mail;     /* (unowned) */
  GPtrArray *entries; /* (element-type RookEntry) */
  guint next, reading;
  GError *error; /* the first */
  RookQuotaEach each;
  RookMailCallback done;
  gpointer data;
} Reading;

typedef struct {
  Reading *reading;
  RookEntry *entry; /* (unowned) of Reading.entries */
} Read;

static void
set_error (Reading *reading, GError *error)
{
  if (reading->error == NULL)
    reading->error = error;
  else
    g_error_free (error);
}

/* A header that is missing or does not read is damage, unless its mailbox has gone meanwhile, or to another partition. */
static void
note_damage (Reading *reading, const RookEntry *entry)
{
  g_autoptr (RookEntry) now = rook_mail_ref_entry_by_id (reading->mail, entry->id);

  if (now == NULL || now->deleted || !g_str_equal (now->partition, entry->partition))
    return;
  rook_log_event (rook_server_get_log (reading->mail->server), ROOK_LOG_ERROR, "mailbox.damaged", "id", entry->id,
                  "partition", entry->partition, "reason", "its header is missing or does not read", NULL);
  set_error (reading,
             g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT, "a stored mailbox below it is damaged"));
}

/* (nullable) (transfer full) */
static GError *
make_closing_error (RookMail *mail)
{
  if (!rook_mail_is_closing (mail))
    return NULL;
  return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing");
}

static void read_more (Reading *reading);

static void
header_read (GBytes *value, const GError *error, gpointer data)
{
  Read *read = data;
  Reading *reading = read->reading;
  RookHeader header;

  if (error != NULL)
    set_error (reading, rook_mail_error_from_store (reading->mail, error));
  else if (value == NULL || !rook_header_decode (value, &header))
    note_damage (reading, read->entry);
  else
    reading->each (read->entry, header.exists, header.size, reading->data);
  g_free (read);
  reading->reading--;
  read_more (reading);
}

static void
read_next (Reading *reading)
{
  RookEntry *entry = g_ptr_array_index (reading->entries, reading->next++);
  g_autoptr (GBytes) key = rook_bytes_of_text (entry->id);
  GError *error = NULL;
  RookStore *store = rook_mail_get_store (reading->mail, entry->partition, &error);
  Read *read;

  if (store == NULL)
    {
      set_error (reading, error);
      return;
    }
  read = g_new (Read, 1);
  *read = (Read){ reading, entry };
  reading->reading++;
  rook_store_get (store, ROOK_PART_HEADERS, key, header_read, read);
}

static void
read_more (Reading *reading)
{
  GError *closing = reading->next < reading->entries->len ? make_closing_error (reading->mail) : NULL;

  if (closing != NULL)
    {
      set_error (reading, closing);
      reading->next = reading->entries->len;
    }
  while (reading->next < reading->entries->len && reading->reading < MAX_READS)
    read_next (reading);
  if (reading->reading > 0)
    return;
  reading->done (reading->error, reading->data);
  g_atomic_int_add (&reading->mail->quotas->n_busy, -1);
  g_ptr_array_unref (reading->entries);
  g_clear_error (&reading->error);
  g_free (reading);
}

void
rook_quota_read (RookMail *mail, GPtrArray *entries, RookQuotaEach each, RookMailCallback done, gpointer data)
{
  Reading *reading = g_new0 (Reading, 1);

  g_atomic_int_inc (&mail->quotas->n_busy);
  *reading = (Reading){ .mail = mail, .entries = entries, .each = each, .done = done, .data = data };
  read_more (reading);
}

/* --- a walk through the names below ------------------------------------------------------------------------------------- */

typedef struct {
  RookMail *mail; /* (unowned) */
  char *name;     /* where it began */
  char *after;    /* (nullable) the name that it has come to */
} Walk;

static void
walk_begin (Walk *walk, RookMail *mail, const char *name)
{
  g_free (walk->name);
  g_clear_pointer (&walk->after, g_free);
  walk->mail = mail;
  walk->name = g_strdup (name);
}

static void
walk_clear (Walk *walk)
{
  g_free (walk->name);
  g_free (walk->after);
}

/* Calls @each for the next entries, with RookMail.lock and RookQuotas.lock held. %FALSE: those were the last. */
static gboolean
walk_some (Walk *walk, void (*each) (RookEntry *entry, gpointer data), gpointer data)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&walk->mail->lock);
  g_autoptr (RookLocker) inner = rook_locker_new (&walk->mail->quotas->lock);
  GTree *tree = walk->mail->names->tree;
  GTreeNode *node =
      walk->after != NULL ? g_tree_upper_bound (tree, walk->after) : g_tree_lower_bound (tree, walk->name);
  const char *last = NULL;

  for (guint n = 0; node != NULL && n < SLICE; node = g_tree_node_next (node), n++)
    {
      const char *name = g_tree_node_key (node);

      if (!g_str_equal (name, walk->name) && !rook_name_is_below (name, walk->name))
        return FALSE;
      each (g_tree_node_value (node), data);
      last = name;
    }
  if (last != NULL)
    {
      g_free (walk->after);
      walk->after = g_strdup (last);
    }
  return node != NULL;
}

/* --- summing ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  RookMail *mail;      /* (unowned) */
  RookQuotaRoot *root; /* (owned) */
  guint structure;     /* the root's when the walk began */
  Walk walk;
  GPtrArray *unknown; /* (element-type RookEntry) whose headers are to be read */
} Summing;

static void
answer_waiter (gpointer data)
{
  RookQuotaWaiter *waiter = data;

  waiter->callback (waiter->error, waiter->data);
}

static void
free_waiter (gpointer data)
{
  RookQuotaWaiter *waiter = data;

  g_clear_error (&waiter->error);
  g_free (waiter);
}

static void
summing_free (Summing *summing)
{
  walk_clear (&summing->walk);
  g_clear_pointer (&summing->unknown, g_ptr_array_unref);
  rook_quota_root_unref (summing->root);
  g_atomic_int_add (&summing->mail->quotas->n_busy, -1);
  g_free (summing);
}

static void
finish (Summing *summing, const GError *error)
{
  g_autoptr (GPtrArray) waiting = NULL;

  rook_mutex_lock (&summing->mail->quotas->lock);
  waiting = g_steal_pointer (&summing->root->waiting);
  rook_mutex_unlock (&summing->mail->quotas->lock);
  for (guint i = 0; waiting != NULL && i < waiting->len; i++)
    {
      RookQuotaWaiter *waiter = g_ptr_array_index (waiting, i);

      waiter->error = error != NULL ? g_error_copy (error) : NULL;
      rook_worker_invoke (waiter->worker, answer_waiter, waiter, free_waiter);
    }
  summing_free (summing);
}

static void begin (gpointer data);

static void
take_header (const RookEntry *entry, guint32 messages, guint64 size, gpointer data)
{
  Summing *summing = data;
  g_autoptr (RookLocker) locker = rook_locker_new (&summing->mail->quotas->lock);

  rook_quota_take_header (summing->mail->quotas, entry->id, messages, size);
}

/* If all was read and some are not known they have come meanwhile, and it goes on. Of a root that went meanwhile none may be left. */
static void
headers_read (const GError *error, gpointer data)
{
  Summing *summing = data;
  RookQuotaRoot *root = summing->root;
  gboolean again;

  rook_mutex_lock (&summing->mail->quotas->lock);
  again = root->gone ? root->n_totals > 0 : !rook_quota_root_is_known (root) && error == NULL;
  root->retry_stores = summing->mail->quotas->stores;
  root->retry_us = error != NULL ? g_get_monotonic_time () + RETRY_US : 0;
  rook_mutex_unlock (&summing->mail->quotas->lock);
  if (again)
    rook_worker_invoke (rook_worker_current (), begin, summing, NULL);
  else
    finish (summing, error);
}

/* Every mailbox below has a total now, unless the roots have changed under the walk. */
static void
walked (Summing *summing)
{
  RookQuotaRoot *root = summing->root;
  gboolean anew;

  rook_mutex_lock (&summing->mail->quotas->lock);
  anew = root->structure != summing->structure;
  root->walked |= !anew;
  rook_mutex_unlock (&summing->mail->quotas->lock);
  if (anew)
    rook_worker_invoke (rook_worker_current (), begin, summing, NULL);
  else
    rook_quota_read (summing->mail, g_steal_pointer (&summing->unknown), take_header, headers_read, summing);
}

static void
place (RookEntry *entry, gpointer data)
{
  Summing *summing = data;

  if (rook_quota_place (summing->mail->quotas, entry, summing->root))
    g_ptr_array_add (summing->unknown, rook_entry_ref (entry));
}

static void
walk (gpointer data)
{
  Summing *summing = data;
  g_autoptr (GError) closing = make_closing_error (summing->mail);

  if (closing != NULL)
    finish (summing, closing);
  else if (walk_some (&summing->walk, place, summing))
    rook_worker_invoke (rook_worker_current (), walk, summing, NULL);
  else
    walked (summing);
}

static void
begin (gpointer data)
{
  Summing *summing = data;

  rook_mutex_lock (&summing->mail->quotas->lock);
  summing->structure = summing->root->structure;
  walk_begin (&summing->walk, summing->mail, rook_quota_root_name (summing->root));
  rook_mutex_unlock (&summing->mail->quotas->lock);
  g_clear_pointer (&summing->unknown, g_ptr_array_unref);
  summing->unknown = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_entry_unref);
  walk (summing);
}

void
rook_quota_sum (RookMail *mail, RookQuotaRoot *root)
{
  Summing *summing = g_new0 (Summing, 1);

  g_atomic_int_inc (&mail->quotas->n_busy);
  summing->mail = mail;
  summing->root = rook_quota_root_ref (root);
  rook_worker_invoke (rook_worker_current (), begin, summing, NULL);
}

/* --- checking ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  RookQuotas *quotas;
  RookQuotaRoot *root; /* (owned) */
  guint64 usage[ROOK_QUOTA_N_RESOURCES];
} Check;

static void
add_to_check (RookEntry *entry, gpointer data)
{
  Check *check = data;
  const RookQuotaTotal *total = g_hash_table_lookup (check->quotas->totals, entry->id);

  if (total == NULL || total->root != check->root)
    return;
  check->usage[ROOK_QUOTA_MAILBOX]++;
  check->usage[ROOK_QUOTA_STORAGE] += total->size;
  check->usage[ROOK_QUOTA_MESSAGE] += total->messages;
}

/* The root of @name, if its usage is known, and the number of its changes. (nullable) (transfer full) */
static RookQuotaRoot *
ref_known (RookQuotas *quotas, const char *name, guint *out_changes)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&quotas->lock);
  RookQuotaRoot *root = g_hash_table_lookup (quotas->roots, name);

  if (root == NULL || !rook_quota_root_is_known (root))
    return NULL;
  *out_changes = root->changes;
  return rook_quota_root_ref (root);
}

/* (nullable) (transfer full) *@out_changed: it says nothing, since the root changed meanwhile. */
static char *
check_once (RookMail *mail, const char *name, gboolean *out_changed)
{
  guint changes;
  g_autoptr (RookQuotaRoot) root = ref_known (mail->quotas, name, &changes);
  Check check = { mail->quotas, root, { 0 } };
  Walk walk = { NULL, NULL, NULL };
  char *text = NULL;

  *out_changed = FALSE;
  if (root == NULL)
    return NULL;
  walk_begin (&walk, mail, name);
  while (walk_some (&walk, add_to_check, &check))
    continue;
  walk_clear (&walk);
  rook_mutex_lock (&mail->quotas->lock);
  *out_changed = root->changes != changes;
  for (guint i = 0; !*out_changed && text == NULL && i < ROOK_QUOTA_N_RESOURCES; i++)
    if (check.usage[i] != root->usage[i])
      text = g_strdup_printf ("its usage as a quota root is %" G_GUINT64_FORMAT
                              " of resource %u, and its mailboxes add up to %" G_GUINT64_FORMAT,
                              root->usage[i], i, check.usage[i]);
  rook_mutex_unlock (&mail->quotas->lock);
  return text;
}

char *
rook_quota_check_root (RookMail *mail, const char *name)
{
  gboolean changed = TRUE;
  char *text = NULL;

  for (guint i = 0; changed && i < MAX_CHECKS; i++)
    text = check_once (mail, name, &changed);
  return text;
}
