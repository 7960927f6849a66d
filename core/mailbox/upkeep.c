/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Upkeep of the stores by hand (rookctl store ...) and by the schedule: checkpoint, compact, verify. Stores look after
 * themselves; this is for quiet hours, before a backup, and for whoever wants to know.
 */
#include "control/control-private.h"
#include "loop/loop-private.h"
#include "mailbox/box.h"
#include "rookery/schedule.h"

#define STATE "state"
#define MAX_FAULTS_TOLD 100

typedef struct Upkeep Upkeep;
typedef gboolean (*UpkeepFunc) (Upkeep *upkeep, RookStore *store, GError **error);

/* One run over one store or all of them, on a pool thread. The stores stay open until it is over. */
struct Upkeep {
  RookMail *mail; /* (unowned) */
  UpkeepFunc func;
  char *only;            /* (owned) (nullable) NULL: all stores */
  RookControlCall *call; /* (nullable) who asked: */
  RookJobRun *run;       /* (nullable) one of the two */
  const char *place;     /* the store that it is at */
  guint n_places, n_done;
  guint n_slices, n_faults;
  GString *faults; /* the text of the first of them */
};

static void
upkeep_free (Upkeep *upkeep)
{
  g_string_free (upkeep->faults, TRUE);
  g_free (upkeep->only);
  g_free (upkeep);
}

static gboolean
is_cancelled (Upkeep *upkeep)
{
  return rook_mail_is_closing (upkeep->mail)
         || (upkeep->call != NULL ? rook_control_call_is_cancelled (upkeep->call)
                                  : rook_job_run_is_cancelled (upkeep->run));
}

/* @percent: of the store that it is at. */
static void
tell_progress (Upkeep *upkeep, double percent, const char *text)
{
  g_autofree char *where = g_strdup_printf ("%s: %s", upkeep->place, text);
  double whole = (upkeep->n_done * 100 + percent) / upkeep->n_places;

  if (upkeep->call != NULL)
    rook_control_call_progress (upkeep->call, whole, where);
  else
    rook_job_run_progress (upkeep->run, whole, where);
}

/* --- what is done to a store ---------------------------------------------------------------------------------------- */

static gboolean
checkpoint (Upkeep *upkeep, RookStore *store, GError **error)
{
  tell_progress (upkeep, 0, "checkpoint");
  return rook_store_checkpoint (store, error);
}

static gboolean
compact (Upkeep *upkeep, RookStore *store, GError **error)
{
  gboolean more = TRUE;

  while (more && !is_cancelled (upkeep))
    {
      tell_progress (upkeep, 0, "compaction");
      if (!rook_store_compact (store, &more, error))
        return FALSE;
      upkeep->n_slices++;
    }
  return TRUE;
}

/* Whose it is, if the store's user can tell: a message by its label, a value by its key. (transfer full) (nullable) */
static char *
describe_owner (RookMail *mail, const RookStoreFault *fault)
{
  g_auto (RookLabel) label = { 0 };
  g_autofree char *id = NULL;
  g_autoptr (RookEntry) entry = NULL;
  gsize length = 0;
  const char *key = fault->key != NULL ? g_bytes_get_data (fault->key, &length) : NULL;

  if (fault->label != NULL && rook_label_decode (fault->label, &label))
    {
      entry = rook_mail_ref_entry_by_id (mail, label.mailbox);
      return g_strdup_printf ("%s uid %u", entry != NULL ? entry->name : label.name, label.uid);
    }
  id = key != NULL ? g_strndup (key, strnlen (key, length)) : NULL;
  entry = id != NULL ? rook_mail_ref_entry_by_id (mail, id) : NULL;
  return entry != NULL ? g_strdup (entry->name) : NULL;
}

static void
note_fault (const RookStoreFault *fault, gpointer data)
{
  Upkeep *upkeep = data;
  g_autofree char *owner = describe_owner (upkeep->mail, fault);

  if (upkeep->n_faults++ < MAX_FAULTS_TOLD)
    g_string_append_printf (upkeep->faults, "\n%s: %s%s%s%s", upkeep->place, fault->text,
                            owner != NULL ? " (mailbox " : "", owner != NULL ? owner : "", owner != NULL ? ")" : "");
}

static gboolean
note_progress (double percent, const char *text, gpointer data)
{
  tell_progress (data, percent, text);
  return !is_cancelled (data);
}

/* What is not there can not be whole. */
static void
note_closed (Upkeep *upkeep, const char *name)
{
  g_autofree char *reason = rook_mail_dup_reason (upkeep->mail, rook_mail_find_partition (upkeep->mail, name));

  upkeep->n_faults++;
  g_string_append_printf (upkeep->faults, "\n%s: is not available, and was not looked at: %s", name, reason);
}

static gboolean
verify (Upkeep *upkeep, RookStore *store, GError **error)
{
  return rook_store_verify (store, note_fault, upkeep, note_progress, upkeep, error);
}

/* --- from store to store -------------------------------------------------------------------------------------------- */

static gboolean
is_meant (const Upkeep *upkeep, const char *name)
{
  return upkeep->only == NULL || g_str_equal (upkeep->only, name);
}

static gboolean
go_to (Upkeep *upkeep, const char *name, RookStore *store, GError **error)
{
  if (!is_meant (upkeep, name) || is_cancelled (upkeep))
    return TRUE;
  if (store == NULL && upkeep->func == verify)
    {
      note_closed (upkeep, name);
      return TRUE;
    }
  if (store == NULL)
    {
      if (upkeep->only == NULL)
        return TRUE;
      g_set_error (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "store %s is not open", name);
      return FALSE;
    }
  upkeep->place = name;
  if (!upkeep->func (upkeep, store, error))
    {
      g_prefix_error (error, "store %s: ", name);
      return FALSE;
    }
  upkeep->n_done++;
  return TRUE;
}

static gboolean
go_round (Upkeep *upkeep, GError **error)
{
  GPtrArray *partitions = upkeep->mail->partitions;

  if (!go_to (upkeep, STATE, rook_mail_get_state (upkeep->mail), error))
    return FALSE;
  for (guint i = 0; i < partitions->len; i++)
    {
      RookPartition *partition = g_ptr_array_index (partitions, i);

      if (!go_to (upkeep, partition->name, rook_partition_get_store (partition), error))
        return FALSE;
    }
  return TRUE;
}

/* "no faults in 3 stores"; (nullable) of what has nothing to tell. */
static GVariant *
sum_up (const Upkeep *upkeep)
{
  if (upkeep->func != verify)
    return NULL;
  return g_variant_new_take_string (
      g_strdup_printf ("no faults in %u store%s", upkeep->n_done, upkeep->n_done == 1 ? "" : "s"));
}

static void
answer_call (Upkeep *upkeep, const GError *error)
{
  if (error != NULL)
    rook_control_call_fail (upkeep->call, "%s", error->message);
  else if (upkeep->n_faults > 0)
    rook_control_call_fail (upkeep->call, "%u fault%s%s%s", upkeep->n_faults, upkeep->n_faults == 1 ? "" : "s",
                            upkeep->n_faults > MAX_FAULTS_TOLD ? "; the first of them:" : ":", upkeep->faults->str);
  else
    rook_control_call_done (upkeep->call, sum_up (upkeep));
}

static void
answer_job (Upkeep *upkeep, const GError *error)
{
  g_autofree char *summary = g_strdup_printf ("%u of %u stores", upkeep->n_done, upkeep->n_places);

  rook_job_run_done (upkeep->run, summary, error);
}

/* On a pool thread. What is asked of the mailbox service ends before it may go. */
static void
work (gpointer data)
{
  Upkeep *upkeep = data;
  RookMail *mail = upkeep->mail;
  g_autoptr (GError) error = NULL;

  if (go_round (upkeep, &error) && upkeep->func == checkpoint)
    rook_mail_note_positions (mail);
  if (error == NULL && is_cancelled (upkeep) && upkeep->call != NULL)
    g_set_error_literal (&error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "stopped before it was done");
  if (upkeep->call != NULL)
    answer_call (upkeep, error);
  else
    answer_job (upkeep, error);
  upkeep_free (upkeep);
  rook_mail_end_blocking (mail);
}

static gboolean
start (Upkeep *upkeep, GError **error)
{
  RookMail *mail = upkeep->mail;

  upkeep->faults = g_string_new (NULL);
  upkeep->n_places = upkeep->only != NULL ? 1 : mail->partitions->len + 1;
  if (rook_mail_begin_blocking (mail))
    {
      if (rook_pool_run (rook_server_get_pool (mail->server), 0, work, NULL, upkeep))
        return TRUE;
      rook_mail_end_blocking (mail);
    }
  g_set_error_literal (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "too much to do: try again later");
  upkeep_free (upkeep);
  return FALSE;
}

/* --- rookctl store ... ---------------------------------------------------------------------------------------------- */

static void
run_verb (RookMail *mail, RookControlCall *call, const char *name, UpkeepFunc func)
{
  Upkeep *upkeep;
  g_autoptr (GError) error = NULL;

  if (name != NULL && !g_str_equal (name, STATE) && rook_mail_find_partition (mail, name) == NULL)
    {
      rook_control_call_fail (call, "there is no store %s: `rookctl store list` shows those there are", name);
      return;
    }
  if (rook_mail_get_state (mail) == NULL)
    {
      g_autofree char *reason = rook_mail_dup_reason (mail, NULL);

      rook_control_call_fail (call, "no store is open: %s", reason);
      return;
    }
  upkeep = g_new0 (Upkeep, 1);
  *upkeep = (Upkeep){ .mail = mail, .func = func, .only = g_strdup (name), .call = call };
  if (!start (upkeep, &error))
    rook_control_call_fail (call, "%s", error->message);
}

static void
run_checkpoint_verb (gpointer data, RookControlCall *call, const char *const *arguments)
{
  run_verb (data, call, arguments[0], checkpoint);
}

static void
run_compact_verb (gpointer data, RookControlCall *call, const char *const *arguments)
{
  run_verb (data, call, arguments[0], compact);
}

static void
run_verify_verb (gpointer data, RookControlCall *call, const char *const *arguments)
{
  run_verb (data, call, arguments[0], verify);
}

/* What whoever looks after a server wants to know; the rest is for whoever looks for a fault. */
static const char *const columns[] = { "damaged", "room-bytes", "segment-bytes-live", "segment-bytes-sealed", NULL };

static void
add_stats (GVariantBuilder *row, GVariant *stats, gboolean all)
{
  g_auto (GVariantDict) left = G_VARIANT_DICT_INIT (stats);
  g_autoptr (GVariant) rest = NULL;
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_dict_remove (&left, "path");
  for (const char *const *column = columns; *column != NULL; column++)
    {
      g_autoptr (GVariant) found = g_variant_dict_lookup_value (&left, *column, NULL);

      if (found != NULL)
        g_variant_builder_add (row, "{sv}", *column, found);
      g_variant_dict_remove (&left, *column);
    }
  rest = g_variant_ref_sink (g_variant_dict_end (&left));
  g_variant_iter_init (&iter, rest);
  while (all && g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    g_variant_builder_add (row, "{sv}", key, value);
}

static void
add_row (GVariantBuilder *rows, const char *name, const char *path, RookStore *store, const char *reason, gboolean all)
{
  g_autoptr (GVariant) stats = store != NULL ? g_variant_ref_sink (rook_store_stats (store)) : NULL;
  GVariantBuilder row;

  g_variant_builder_init (&row, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add_parsed (&row, "{'name', <%s>}", name);
  g_variant_builder_add_parsed (&row, "{'open', <%b>}", store != NULL);
  g_variant_builder_add_parsed (&row, "{'path', <%s>}", path);
  g_variant_builder_add_parsed (&row, "{'reason', <%s>}", store != NULL ? "" : reason);
  if (stats != NULL)
    add_stats (&row, stats, all);
  g_variant_builder_add_value (rows, g_variant_builder_end (&row));
}

static void
run_list (gpointer data, RookControlCall *call, const char *const *arguments)
{
  RookMail *mail = data;
  gboolean all = g_strcmp0 (arguments[0], "--long") == 0;
  g_autoptr (RookConfig) config = rook_server_get_config (mail->server);
  g_autofree char *path = rook_mail_make_state_path (config);
  g_autofree char *reason = rook_mail_dup_reason (mail, NULL);
  GVariantBuilder rows;

  if (arguments[0] != NULL && !all)
    {
      rook_control_call_fail (call, "usage: store list [--long]");
      return;
    }
  g_variant_builder_init (&rows, G_VARIANT_TYPE ("aa{sv}"));
  add_row (&rows, STATE, path, rook_mail_get_state (mail), reason, all);
  for (guint i = 0; i < mail->partitions->len; i++)
    {
      RookPartition *partition = g_ptr_array_index (mail->partitions, i);
      g_autofree char *why = rook_mail_dup_reason (mail, partition);

      add_row (&rows, partition->name, partition->path, rook_partition_get_store (partition), why, all);
    }
  rook_control_call_done (call, g_variant_builder_end (&rows));
}

/* --- rookctl status ------------------------------------------------------------------------------------------------- */

static GVariant *
describe_store (RookStore *store, const char *reason)
{
  return store != NULL ? g_variant_new_string ("open")
                       : g_variant_new_take_string (g_strdup_printf ("unavailable: %s", reason));
}

static GVariant *
describe_state (gpointer data)
{
  g_autofree char *reason = rook_mail_dup_reason (data, NULL);

  return describe_store (rook_mail_get_state (data), reason);
}

static GVariant *
describe_partitions (gpointer data)
{
  RookMail *mail = data;
  GVariantBuilder partitions;

  g_variant_builder_init (&partitions, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < mail->partitions->len; i++)
    {
      RookPartition *partition = g_ptr_array_index (mail->partitions, i);
      g_autofree char *reason = rook_mail_dup_reason (mail, partition);

      g_variant_builder_add (&partitions, "{sv}", partition->name,
                             describe_store (rook_partition_get_store (partition), reason));
    }
  return g_variant_builder_end (&partitions);
}

#define VERB(name_, arguments_, max_, help_, run_)                                                  \
  {                                                                                                 \
    .struct_size = sizeof (RookControlVerb), .name = name_, .arguments = arguments_, .help = help_, \
    .max_arguments = max_, .run = run_                                                              \
  }

static const RookControlVerb verbs[] = {
  VERB ("store list", "[--long]", 1,
        "Lists the stores, the server's own (state) and one a partition, and what is in them.", run_list),
  VERB ("store verify", "[NAME]", 1, "Reads everything in one store, or in all, and tells each fault.",
        run_verify_verb),
  VERB ("store checkpoint", "[NAME]", 1, "Brings the tables of one store, or of all, up to date with its log.",
        run_checkpoint_verb),
  VERB ("store compact", "[NAME]", 1, "Gives the room of what was expunged back to the disk.", run_compact_verb),
};

/* --- by the schedule ------------------------------------------------------------------------------------------------ */

static void
run_job (RookMail *mail, RookJobRun *run, UpkeepFunc func)
{
  Upkeep *upkeep = g_new0 (Upkeep, 1);
  g_autoptr (GError) error = NULL;

  *upkeep = (Upkeep){ .mail = mail, .func = func, .run = run };
  if (!start (upkeep, &error))
    rook_job_run_done (run, NULL, error);
}

static void
run_checkpoint_job (gpointer data, RookJobRun *run)
{
  run_job (data, run, checkpoint);
}

static void
run_compact_job (gpointer data, RookJobRun *run)
{
  run_job (data, run, compact);
}

static const RookJob jobs[] = {
  { .struct_size = sizeof (RookJob),
    .name = ROOK_MAIL_JOB_CHECKPOINT,
    .summary = "Brings the tables of every store up to date with its log.",
    .when = "daily 03:40",
    .run = run_checkpoint_job },
  { .struct_size = sizeof (RookJob),
    .name = ROOK_MAIL_JOB_COMPACT,
    .summary = "Gives the room of what was expunged back to the disk.",
    .when = "daily 04:30",
    .run = run_compact_job },
};

void
rook_mail_add_upkeep (RookMail *mail)
{
  RookSchedule *schedule = rook_server_get_schedule (mail->server);
  RookControl *control = rook_server_get_control (mail->server);

  for (guint i = 0; control != NULL && i < G_N_ELEMENTS (verbs); i++)
    rook_control_add (control, &verbs[i], mail);
  if (control != NULL)
    {
      rook_control_add_status (control, "state-store", describe_state, mail);
      rook_control_add_status (control, "partitions", describe_partitions, mail);
    }
  for (guint i = 0; schedule != NULL && i < G_N_ELEMENTS (jobs); i++)
    rook_schedule_add (schedule, &jobs[i], mail);
}
