/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The job that makes room: where a store has less of it than mailbox/purge-early-below, expunged messages are purged before
 * their time, the oldest first, and what they leave is compacted, until there is enough or nothing is left to purge. Deleted
 * mailboxes whose contents could not be cleared away are tried again, whatever the room. It comes by its schedule, and as
 * soon as a store refuses something for want of room.
 *
 * Oldest first over all mailboxes of a store, in bands of time: each of them is opened once a band at most.
 */
#include "mailbox/change.h"
#include "mailbox/expire.h"
#include "schedule/schedule-private.h"

#define BANDS 16
#define PAUSE_MS 10000 /* between the beginnings of two runs, however much is refused */

typedef struct {
  RookExpire expire;
  guint64 below; /* bytes */
  gint64 kept;   /* seconds since 1970: what was expunged before would be gone by now if the job `expire` had run */
  guint partition;
  RookStore *store; /* (unowned) its, if it has too little room; */
  guint band;       /* how far it is there, */
  gint64 oldest;    /* seconds since 1970: from where on, */
  guint n_before;   /* and what had been purged before */
} Room;

static void next_partition (Room *room);

static RookPartition *
get_partition (Room *room)
{
  return g_ptr_array_index (room->expire.mail->partitions, room->partition);
}

static gboolean
is_short (Room *room, RookStore *store)
{
  g_autoptr (GVariant) stats = g_variant_ref_sink (rook_store_stats (store));
  guint64 bytes;

  return g_variant_lookup (stats, "room-bytes", "t", &bytes) && bytes < room->below;
}

/* Gives back what is dead until there is room enough. Blocks. */
static gboolean
is_short_still (Room *room)
{
  g_autoptr (GError) error = NULL;
  gboolean more = TRUE;

  while (more && !rook_expire_must_stop (&room->expire) && is_short (room, room->store))
    if (!rook_store_compact (room->store, &more, &error))
      {
        g_autoptr (GError) ours = rook_mail_error_from_store (room->expire.mail, error);

        rook_expire_note_error (&room->expire, ours);
        return TRUE;
      }
  return is_short (room, room->store);
}

static void
finish (Room *room)
{
  g_autofree char *summary = NULL;

  if (room->expire.n_purged > 0)
    summary = g_strdup_printf ("%u message%s purged before their time", room->expire.n_purged,
                               room->expire.n_purged == 1 ? "" : "s");
  rook_job_run_done (room->expire.run, summary, room->expire.error);
  rook_expire_clear (&room->expire);
  g_free (room);
}

/* Runs @func on a pool thread while the stores stay open. */
static void
run_blocking (Room *room, RookFunc func, RookPoolDone done)
{
  RookMail *mail = room->expire.mail;

  if (rook_mail_begin_blocking (mail))
    {
      if (rook_pool_run (rook_server_get_pool (mail->server), 0, func, done, room))
        return;
      rook_mail_end_blocking (mail);
    }
  finish (room);
}

/* --- a store with too little room ------------------------------------------------------------------------------------- */

static gint64
end_of_band (const Room *room, guint band)
{
  gint64 now = g_get_real_time () / G_USEC_PER_SEC + 1;

  return band == BANDS ? now : room->oldest + (now - room->oldest) * band / BANDS;
}

static void
tell (Room *room)
{
  g_autofree char *messages = g_strdup_printf ("%u", room->expire.n_purged - room->n_before);
  g_autoptr (GDateTime) before = g_date_time_new_from_unix_utc (room->expire.before);
  g_autofree char *time = g_date_time_format_iso8601 (before);

  if (room->expire.n_purged > room->n_before)
    rook_log_event (rook_server_get_log (room->expire.mail->server), ROOK_LOG_WARNING, "mailbox.purged-early",
                    "partition", get_partition (room)->name, "messages", messages, "expunged-before", time, NULL);
}

static void
purge_band (Room *room)
{
  if (room->store == NULL || room->expire.places->len == 0 || room->band == BANDS
      || rook_expire_must_stop (&room->expire))
    {
      tell (room);
      room->partition++;
      next_partition (room);
      return;
    }
  room->expire.before = end_of_band (room, ++room->band);
  rook_expire_walk (&room->expire);
}

/* On a pool thread. */
static void
compact (gpointer data)
{
  Room *room = data;

  if (!is_short_still (room))
    room->store = NULL;
  rook_mail_end_blocking (room->expire.mail);
}

static void
compacted (RookPoolOutcome outcome, gpointer data)
{
  if (outcome == ROOK_POOL_RAN)
    purge_band (data);
  else
    finish (data);
}

static void
band_purged (gpointer data)
{
  run_blocking (data, compact, compacted);
}

/* --- from store to store ---------------------------------------------------------------------------------------------- */

/* On a pool thread. */
static void
look (gpointer data)
{
  Room *room = data;
  GPtrArray *places = room->expire.places;

  room->store = rook_partition_get_store (get_partition (room));
  room->band = 0;
  room->n_before = room->expire.n_purged;
  g_ptr_array_set_size (places, 0);
  if (room->store == NULL || !is_short (room, room->store) || !is_short_still (room))
    room->store = NULL;
  else
    rook_expire_look (&room->expire, room->store, G_MAXINT64);
  room->oldest = G_MAXINT64;
  for (guint i = 0; i < places->len; i++)
    room->oldest = MIN (room->oldest, ((RookExpirePlace *) g_ptr_array_index (places, i))->oldest);
  room->oldest = MAX (room->oldest, room->kept);
  rook_mail_end_blocking (room->expire.mail);
}

static void
next_partition (Room *room)
{
  if (room->partition == room->expire.mail->partitions->len || rook_expire_must_stop (&room->expire))
    finish (room);
  else
    run_blocking (room, look, compacted);
}

static void
run_room (gpointer data, RookJobRun *run)
{
  RookMail *mail = data;
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);
  Room *room = g_new0 (Room, 1);

  rook_expire_init (&room->expire, mail, run);
  room->expire.done = band_purged;
  room->expire.done_data = room;
  room->below = settings->purge_early_below;
  room->kept = (g_get_real_time () - (gint64) settings->keep_expunged * 1000) / G_USEC_PER_SEC;
  rook_mail_clear_rest (mail);
  next_partition (room);
}

static const RookJob room_job = { .struct_size = sizeof (RookJob),
                                  .name = ROOK_MAIL_JOB_ROOM,
                                  .summary =
                                      "Purges expunged messages before their time where the disk is nearly full.",
                                  .when = "every 5m",
                                  .run = run_room };

void
rook_mail_want_room (RookMail *mail)
{
  rook_schedule_hasten (mail->server, ROOK_MAIL_JOB_ROOM, PAUSE_MS);
}

void
rook_mail_add_room (RookMail *mail)
{
  RookSchedule *schedule = rook_server_get_schedule (mail->server);

  if (schedule != NULL)
    rook_schedule_add (schedule, &room_job, mail);
}
