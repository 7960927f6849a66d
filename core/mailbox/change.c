/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way that every operation on names takes: see change.h.
 */
#include "mailbox/change.h"

#include "mailbox/codec.h"

static void
unref_entry (gpointer entry)
{
  g_clear_pointer ((RookEntry **) &entry, rook_entry_unref);
}

RookChangeOp *
rook_change_new (RookMail *mail, RookIdentity *identity, const char *name, const char *new_name,
                 RookMailCallback callback, gpointer data)
{
  RookChangeOp *op = g_new0 (RookChangeOp, 1);

  op->mail = mail;
  op->identity = identity != NULL ? rook_identity_ref (identity) : NULL;
  op->name = g_strdup (name);
  op->new_name = g_strdup (new_name);
  op->callback = callback;
  op->data = data;
  op->before = g_ptr_array_new_with_free_func (unref_entry);
  op->after = g_ptr_array_new_with_free_func (unref_entry);
  return op;
}

static void
change_finish (RookChangeOp *op)
{
  rook_move_end (op, ROOK_MOVE_FAILED);
  rook_mail_end_position (op->mail, op->position);
  rook_turn_end (op->turn);
  rook_quota_unclaim (op->mail, &op->claim);
  op->callback (op->error, op->data);
  g_clear_pointer (&op->identity, rook_identity_unref);
  g_free (op->name);
  g_free (op->new_name);
  g_free (op->partition);
  g_free (op->special_use);
  g_free (op->identifier);
  g_free (op->rights);
  g_free (op->quota);
  g_ptr_array_unref (op->before);
  g_ptr_array_unref (op->after);
  g_clear_pointer (&op->subscribe, g_ptr_array_unref);
  g_free (op->user);
  g_free (op->new_user);
  g_clear_error (&op->error);
  g_free (op);
}

void
rook_change_add (RookChangeOp *op, RookEntry *before, RookEntry *after)
{
  g_ptr_array_add (op->before, before != NULL ? rook_entry_ref (before) : NULL);
  g_ptr_array_add (op->after, after);
}

RookEntry *
rook_change_new_entry (RookChangeOp *op, const char *name, const char *partition, const char *acl)
{
  RookEntry *entry = rook_entry_new (NULL);

  entry->id = rook_entry_make_id ();
  entry->name = g_strdup (name);
  entry->partition = g_strdup (partition);
  entry->acl = g_strdup (acl);
  entry->uidvalidity = rook_mail_next_uidvalidity (op->mail);
  entry->created = entry->changed = g_get_real_time () / G_USEC_PER_SEC;
  rook_entry_derive (entry);
  return entry;
}

static RookEntry *
before_at (RookChangeOp *op, guint i)
{
  return g_ptr_array_index (op->before, i);
}

static RookEntry *
after_at (RookChangeOp *op, guint i)
{
  return g_ptr_array_index (op->after, i);
}

/* --- the last stations ------------------------------------------------------------------------------------------ */

static void
directory_told (RookConsent *consent, const GError *error, gpointer data)
{
  (void) consent;
  (void) error;
  change_finish (data);
}

/* Memory follows the state store: names first, then what is open. */
static void
take_effect (RookChangeOp *op)
{
  rook_mutex_lock (&op->mail->lock);
  /* Tombstones and old names leave before new ones come in. */
  for (guint i = 0; i < op->after->len; i++)
    if (after_at (op, i)->deleted)
      rook_names_put (op->mail, after_at (op, i));
  for (guint i = 0; i < op->after->len; i++)
    if (!after_at (op, i)->deleted)
      rook_names_put (op->mail, after_at (op, i));
  for (guint i = 0; i < op->after->len; i++)
    if (before_at (op, i) == NULL)
      rook_quota_note_empty (op->mail, after_at (op, i)->id);
  rook_mutex_unlock (&op->mail->lock);
  rook_quota_unclaim (op->mail, &op->claim);
  for (guint i = 0; i < op->after->len; i++)
    {
      RookMailbox *mailbox = rook_mail_ref_open (op->mail, after_at (op, i)->id);

      if (mailbox != NULL)
        rook_mailbox_set_entry (mailbox, after_at (op, i));
      if (mailbox != NULL && after_at (op, i)->deleted)
        rook_mailbox_detach (mailbox);
      g_clear_pointer (&mailbox, rook_mailbox_unref);
    }
  rook_move_end (op, ROOK_MOVE_DONE);
}

static void
copies_written (guint64 position, const GError *error, gpointer data)
{
  (void) position;
  if (error != NULL)
    g_error_free (rook_mail_error_from_store (data, error));
}

/* The partitions' copies of entries that have changed: nobody waits, the state store counts. */
static void
write_copies (RookChangeOp *op)
{
  for (guint i = 0; i < op->after->len; i++)
    {
      RookEntry *entry = after_at (op, i);
      RookStore *store = rook_mail_get_store (op->mail, entry->partition, NULL);
      g_autoptr (GBytes) key = rook_bytes_of_text (entry->id), value = rook_entry_encode (entry);
      RookBatch *batch;

      if (before_at (op, i) == NULL || store == NULL)
        continue;
      batch = rook_batch_new (store);
      rook_batch_put (batch, ROOK_PART_ENTRIES, key, value);
      rook_store_commit (store, batch, copies_written, op->mail);
    }
}

/* It may be deleted, or lie elsewhere: nothing more goes into it that would be lost. */
static void
doubt (RookChangeOp *op)
{
  rook_move_end (op, ROOK_MOVE_UNKNOWN);
  for (guint i = 0; i < op->after->len; i++)
    if (after_at (op, i)->deleted)
      rook_mail_doubt (op->mail, after_at (op, i)->id);
}

/* Memory follows the state store in what it says of users. */
static void
take_effect_for_user (RookChangeOp *op)
{
  RookUsers *users = op->mail->users;
  RookUserName *named = NULL;

  if (op->user != NULL)
    {
      const char *key = rook_users_find_key (users, op->user);

      named = rook_users_change (users, op->user, op->new_user);
      if (named != NULL || key != NULL)
        rook_mail_tell_user (op->mail, named != NULL ? named->id : rook_user_key_parse (key), named);
      g_clear_pointer (&named, rook_user_name_free);
    }
  if (op->subscribe != NULL)
    rook_users_note_stored (users, after_at (op, 0)->owner);
  for (guint i = 0; op->subscribe != NULL && i < op->subscribe->len; i++)
    rook_users_set_subscribed (users, after_at (op, 0)->owner, g_ptr_array_index (op->subscribe, i), TRUE);
}

static void
state_written (guint64 position, const GError *error, gpointer data)
{
  RookChangeOp *op = data;

  (void) position;
  if (error == NULL)
    take_effect_for_user (op);
  g_clear_pointer (&op->user_turn, rook_turn_end);
  if (error != NULL)
    {
      op->error = rook_mail_error_from_store (op->mail, error);
      if (g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_UNKNOWN))
        doubt (op);
      rook_consent_abort (g_steal_pointer (&op->consent));
      change_finish (op);
      return;
    }
  take_effect (op);
  rook_quota_tell (op->mail);
  write_copies (op);
  if (op->done != NULL)
    op->done (op);
  rook_consent_commit (g_steal_pointer (&op->consent), directory_told, op);
}

static void
add_uidvalidity (RookChangeOp *op, RookBatch *batch)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (ROOK_META_UIDVALIDITY), value = NULL;
  guint8 bytes[4];

  rook_mutex_lock (&op->mail->lock);
  rook_put32 (bytes, op->mail->names->last_uidvalidity);
  rook_mutex_unlock (&op->mail->lock);
  value = g_bytes_new (bytes, sizeof bytes);
  rook_batch_put (batch, ROOK_STATE_META, key, value);
}

/* Whether nothing comes, and something goes: that may use the room kept for it. What the reservation refuses the commit refuses. */
static void
reserve_deletion (RookChangeOp *op, RookBatch *batch)
{
  gboolean frees = op->after->len > 0;

  for (guint i = 0; i < op->after->len; i++)
    frees &= after_at (op, i)->deleted;
  if (frees)
    rook_batch_reserve (batch, 0, TRUE, NULL);
}

/* In the user's turn. */
static void
add_user (RookChangeOp *op, RookBatch *batch)
{
  g_autoptr (GBytes) one = g_bytes_new_static ("\001", 1);
  RookUser *user;

  if (op->user != NULL)
    rook_users_add_change (op->mail->users, batch, op->user, op->new_user);
  if (op->subscribe == NULL)
    return;
  user = rook_users_need (op->mail->users, after_at (op, 0)->owner, batch);
  for (guint i = 0; i < op->subscribe->len; i++)
    {
      g_autofree char *packed = rook_subscription_pack (after_at (op, 0)->owner, g_ptr_array_index (op->subscribe, i));
      g_autoptr (GBytes) key = rook_subscription_key (user->named.id, packed);

      rook_batch_put (batch, ROOK_STATE_SUBSCRIPTIONS, key, one);
    }
}

static void
write_batch (RookChangeOp *op)
{
  RookBatch *batch = rook_batch_new (rook_mail_get_state (op->mail));

  for (guint i = 0; i < op->after->len; i++)
    {
      g_autoptr (GBytes) key = rook_bytes_of_text (after_at (op, i)->id);
      g_autoptr (GBytes) value = rook_entry_encode (after_at (op, i));

      rook_batch_put (batch, ROOK_STATE_MAILBOXES, key, value);
    }
  add_user (op, batch);
  add_uidvalidity (op, batch);
  reserve_deletion (op, batch);
  rook_store_commit (rook_mail_get_state (op->mail), batch, state_written, op);
}

static void
user_turn (RookTurn *turn, gpointer data)
{
  RookChangeOp *op = data;

  op->user_turn = turn;
  write_batch (op);
}

static void
write_state (RookChangeOp *op)
{
  if (op->user != NULL)
    rook_user_turn_take (op->mail, op->user, op->new_user, user_turn, op);
  else if (op->subscribe != NULL)
    rook_user_turn_take (op->mail, after_at (op, 0)->owner, NULL, user_turn, op);
  else
    write_batch (op);
}

/* --- partitions ------------------------------------------------------------------------------------------------- */

static void
partition_written (guint64 position, const GError *error, gpointer data)
{
  RookChangeOp *op = data;

  (void) position;
  if (error != NULL && op->error == NULL)
    op->error = rook_mail_error_from_store (op->mail, error);
  if (--op->waiting > 0)
    return;
  if (op->error == NULL)
    {
      write_state (op);
      return;
    }
  rook_consent_abort (g_steal_pointer (&op->consent));
  change_finish (op);
}

/* What a new mailbox is in its partition. Patches, not puts, would build on nothing: the header is whole. */
static void
add_header (RookBatch *batch, const RookEntry *entry)
{
  g_autoptr (GBytes) key = rook_bytes_of_text (entry->id), value = NULL, copy = rook_entry_encode (entry);
  guint8 image[ROOK_HEADER_SIZE];
  RookHeader header;

  rook_header_init (&header, entry->uidvalidity);
  rook_header_encode (&header, image);
  value = g_bytes_new (image, sizeof image);
  rook_batch_put (batch, ROOK_PART_HEADERS, key, value);
  rook_batch_put (batch, ROOK_PART_ENTRIES, key, copy);
}

/* The batch of @partition with the headers of those mailboxes that are new there. (nullable) */
static RookBatch *
headers_for (RookChangeOp *op, RookPartition *partition)
{
  RookBatch *batch = NULL;

  for (guint i = 0; i < op->after->len; i++)
    {
      if (before_at (op, i) != NULL || !g_str_equal (after_at (op, i)->partition, partition->name))
        continue;
      if (batch == NULL)
        batch = rook_batch_new (rook_partition_get_store (partition));
      add_header (batch, after_at (op, i));
    }
  return batch;
}

static void
write_partitions (RookChangeOp *op)
{
  if (op->position == 0)
    op->position = rook_mail_begin_position (op->mail);
  for (guint i = 0; i < op->after->len; i++)
    after_at (op, i)->change = op->position;
  op->waiting = 1;
  for (guint i = 0; i < op->mail->partitions->len; i++)
    {
      RookPartition *partition = g_ptr_array_index (op->mail->partitions, i);
      RookStore *store = rook_partition_get_store (partition);
      RookBatch *batch = store != NULL ? headers_for (op, partition) : NULL;

      if (batch == NULL)
        continue;
      op->waiting++;
      rook_store_commit (store, batch, partition_written, op);
    }
  partition_written (0, NULL, op);
}

/* --- the first stations ----------------------------------------------------------------------------------------- */

static void
moves_prepared (const GError *error, gpointer data)
{
  RookChangeOp *op = data;

  if (error == NULL)
    {
      write_partitions (op);
      return;
    }
  op->error = g_error_copy (error);
  rook_consent_abort (g_steal_pointer (&op->consent));
  change_finish (op);
}

static void
directory_asked (RookConsent *consent, const GError *error, gpointer data)
{
  RookChangeOp *op = data;

  op->consent = consent;
  if (error != NULL)
    {
      op->error = g_error_copy (error);
      change_finish (op);
      return;
    }
  if (rook_move_is_needed (op))
    rook_move_begin (op, moves_prepared);
  else
    write_partitions (op);
}

static void
ask_directory (RookChangeOp *op)
{
  RookConsent *consent = rook_consent_new (op->mail);

  for (guint i = 0; i < op->after->len; i++)
    {
      RookEntry *before = before_at (op, i), *after = after_at (op, i);

      if (before == NULL)
        rook_consent_add (consent, ROOK_CHANGE_CREATE, NULL, after);
      else if (after->deleted)
        rook_consent_add (consent, ROOK_CHANGE_DELETE, before, NULL);
      else if (!g_str_equal (before->name, after->name))
        rook_consent_add (consent, ROOK_CHANGE_RENAME, before, after);
      else if (!g_str_equal (before->partition, after->partition))
        rook_consent_add (consent, ROOK_CHANGE_MOVE, before, after);
      else if (!g_str_equal (before->acl, after->acl))
        rook_consent_add (consent, ROOK_CHANGE_ACL, before, after);
    }
  rook_consent_prepare (consent, directory_asked, op);
}

/* Quota has been asked. */
static void
permitted (RookChangeOp *op)
{
  if (op->error != NULL)
    change_finish (op);
  else
    ask_directory (op);
}

static void
my_turn (RookTurn *turn, gpointer data)
{
  RookChangeOp *op = data;

  op->turn = turn;
  if (!rook_mail_is_available (op->mail, &op->error) || !op->plan (op, &op->error) || op->after->len == 0)
    change_finish (op);
  else
    rook_quota_permit (op, permitted);
}

void
rook_change_run (RookChangeOp *op)
{
  rook_turn_take (op->mail, op->name, op->new_name, my_turn, op);
}
