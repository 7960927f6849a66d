/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See mail-disk.h.
 */
#include "mail-disk.h"

#include <pthread.h>
#include <string.h>

#include "mailbox/verify.h"
#include "storage/storage-private.h"

/* Each store has its folder. It is given no server, so that what it has to say goes to g_debug(). */
static gpointer
open_below (gpointer data, RookServer *server G_GNUC_UNUSED, RookStore *store, const RookStoreSpec *spec,
            GError **error)
{
  MailDisk *disk = data;
  g_autofree char *name = g_path_get_basename (spec->path);
  g_autofree char *path = g_build_filename (disk->path, name, NULL);
  RookStoreSpec there = *spec;

  there.path = path;
  return gs_backend.open (&disk->settings, NULL, store, &there, error);
}

const RookStorageBackend *
mail_disk_get_backend (void)
{
  static RookStorageBackend backend;

  if (backend.name == NULL)
    {
      RookStorageBackend copy = gs_backend;

      copy.open = open_below;
      backend = copy;
    }
  return &backend;
}

/* --- the script ---------------------------------------------------------------------------------------------------------- */

#define N_INBOXES 2

static const Step inboxes[N_INBOXES] = {
  { .kind = CREATE, .name = INBOX },
  { .kind = CREATE, .name = "user/bob" },
};

void
mail_script_init (MailScript *script)
{
  GPtrArray *states = script_write_down ();
  const char *both = g_ptr_array_index (states, 0);

  g_ptr_array_insert (states, 0, g_strndup (both, (gsize) (strchr (both, '\n') + 1 - both)));
  g_ptr_array_insert (states, 0, g_strdup (""));
  script->states = states;
}

void
mail_script_clear (MailScript *script)
{
  g_clear_pointer (&script->states, g_ptr_array_unref);
}

guint
mail_script_end (const MailScript *script)
{
  return script->states->len - 1;
}

static const Step *
locate (guint progress, guint *out_part)
{
  *out_part = 0;
  return progress < N_INBOXES ? &inboxes[progress] : script_locate (progress - N_INBOXES, out_part);
}

guint
mail_script_next (const MailScript *script, guint progress)
{
  guint part;
  const Step *step = locate (progress, &part);

  return step == NULL ? mail_script_end (script) : progress + script_parts_of (step) - part;
}

int
mail_script_perform (const MailScript *script, Run *run, guint progress, guint *out_progress)
{
  guint part, done = 0;
  const Step *step = locate (progress, &part);
  int code = script_perform (run, step, part, script_parts_of (step), &done);

  *out_progress = code == -1 ? mail_script_next (script, progress) : progress + done;
  return code;
}

guint
mail_disk_find (const MailScript *script, Run *run, guint least, guint most)
{
  g_autofree char *text = script_describe (run);

  for (guint i = least; i <= most; i++)
    if (g_str_equal (text, g_ptr_array_index (script->states, i)))
      return i;
  g_error ("neither state %u nor any up to %u, but\n%sfirst is\n%s", least, most, text,
           (const char *) g_ptr_array_index (script->states, least));
}

/* --- is it whole? ---------------------------------------------------------------------------------------------------------- */

static void
on_store_fault (const RookStoreFault *fault, gpointer data)
{
  g_error ("verify of store %s: %s", (const char *) data, fault->text);
}

static void
on_fault (const char *mailbox, guint32 uid, const char *text, gpointer data G_GNUC_UNUSED)
{
  g_error ("verify: %s uid %u: %s", mailbox != NULL ? mailbox : "", uid, text);
}

/* What a CREATE that was cut short leaves is no fault, nor what a cut takes of the cache. */
static void
on_note (const char *mailbox, const char *text, gpointer data G_GNUC_UNUSED)
{
  if (strstr (text, "its making was cut short") == NULL && strstr (text, "cached structure") == NULL)
    g_error ("verify: %s: %s", mailbox != NULL ? mailbox : "", text);
}

static gboolean
on_progress (double percent G_GNUC_UNUSED, const char *text G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  return TRUE;
}

static void
verify_store (RookStore *store, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) stats = g_variant_ref_sink (rook_store_stats (store));
  gboolean damaged;

  g_assert_true (g_variant_lookup (stats, "damaged", "b", &damaged));
  g_assert_false (damaged);
  rook_store_verify (store, on_store_fault, (gpointer) name, NULL, NULL, &error);
  g_assert_no_error (error);
}

void
mail_disk_verify (Run *run)
{
  static const RookVerifyEvents events = { .fault = on_fault, .note = on_note, .progress = on_progress };
  RookMail *mail = run->f->mail;
  RookVerifySums sums;
  g_autoptr (GError) error = NULL;

  fixture_run_job (run->f, ROOK_MAIL_JOB_ROOM); /* where clearing away failed, it goes on */
  fixture_await_clearing (run->f);
  rook_mail_verify (mail, NULL, TRUE, &events, NULL, &sums, &error);
  g_assert_no_error (error);
  verify_store (rook_mail_get_state (mail), "state");
  for (guint i = 0; i < mail->partitions->len; i++)
    {
      RookPartition *partition = g_ptr_array_index (mail->partitions, i);

      g_assert_nonnull (rook_partition_get_store (partition));
      verify_store (rook_partition_get_store (partition), partition->name);
    }
}

void
mail_disk_await (Run *run)
{
  RookMail *mail = run->f->mail;
  gboolean all;

  do
    {
      fixture_settle (run->f);
      all = rook_store_accepts (rook_mail_get_state (mail));
      for (guint i = 0; i < mail->partitions->len; i++)
        {
          RookStore *store = rook_partition_get_store (g_ptr_array_index (mail->partitions, i));

          all &= store == NULL || rook_store_accepts (store);
        }
    }
  while (!all);
}

/* --- upkeep ---------------------------------------------------------------------------------------------------------------- */

struct MailUpkeep {
  RookMail *mail; /* (unowned) */
  pthread_t thread;
  gint stop; /* atomic */
};

static void
keep_up (RookStore *store)
{
  gboolean more = TRUE;

  rook_store_checkpoint (store, NULL);
  for (guint i = 0; more && i < 3; i++)
    if (!rook_store_compact (store, &more, NULL))
      break;
}

void
mail_disk_keep_up (RookMail *mail)
{
  keep_up (rook_mail_get_state (mail));
  for (guint i = 0; i < mail->partitions->len; i++)
    keep_up (rook_partition_get_store (g_ptr_array_index (mail->partitions, i)));
}

static void *
keep_up_all (void *data)
{
  MailUpkeep *upkeep = data;

  while (!g_atomic_int_get (&upkeep->stop))
    {
      mail_disk_keep_up (upkeep->mail);
      g_usleep (1000);
    }
  return NULL;
}

MailUpkeep *
mail_upkeep_start (Run *run)
{
  MailUpkeep *upkeep = g_new0 (MailUpkeep, 1);

  upkeep->mail = run->f->mail;
  g_assert_cmpint (pthread_create (&upkeep->thread, NULL, keep_up_all, upkeep), ==, 0);
  return upkeep;
}

void
mail_upkeep_stop (MailUpkeep *upkeep)
{
  g_atomic_int_set (&upkeep->stop, TRUE);
  pthread_join (upkeep->thread, NULL);
  g_free (upkeep);
}
