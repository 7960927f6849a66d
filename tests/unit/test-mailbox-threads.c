/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many sessions on several workers with one mailbox: numbers never wrong, totals never wrong, copies there as a whole or not at
 * all, everything answered; anew for
 * ROOKERY_TEST_SECONDS. Under the thread sanitizer this also shows that locks are where they must be.
 */
#include "../lib/test-budget.h"
#include "mail-fixture.h"

#define N_ACTORS 6
#define N_STEPS 150
#define MAX_COPIES 250 /* messages at once: more than are written in one go */

typedef struct Actor Actor;

typedef struct {
  const char *config; /* (nullable) */
  gboolean moves;     /* the mailbox goes from partition to partition meanwhile */
} Play;

typedef struct {
  Fixture *f;
  const Play *play;
  guint n_moves;
  RookMailbox *mailbox;
  Actor *actors;
  gint running;  /* atomic */
  gint appended; /* atomic */
  gboolean is_checked;
} Stage;

struct Actor {
  Stage *stage;
  RookWorker *worker;
  RookView *view;
  GRand *rand;
  guint left;
  GHashTable *known; /* uid -> uid: what this session believes to be there */
  GArray *changed;   /* (nullable) sequence numbers of messages that are being loaded */
  GArray *uidnext;   /* (element-type guint32) what the mailbox said, now and then */
  GArray *copies;    /* (element-type guint32) pairs: the first and last uid of each copy */
};

static void next_step (Actor *actor);
static void take_step (Actor *actor);

static void
actor_ends (Actor *actor)
{
  rook_view_free (actor->view);
  g_hash_table_unref (actor->known);
  g_rand_free (actor->rand);
  if (g_atomic_int_add (&actor->stage->running, -1) == 1)
    rook_loop_quit (rook_server_get_loop (actor->stage->f->server));
}

/* What was reported as changed can be had, once it was loaded. */
static void
changes_loaded (const GError *error, gpointer data)
{
  Actor *actor = data;

  g_assert_no_error (error);
  for (guint i = 0; i < actor->changed->len; i++)
    {
      RookMessage message;

      g_assert_true (rook_view_get_message (actor->view, g_array_index (actor->changed, guint32, i), &message));
      g_assert_true (g_hash_table_contains (actor->known, GUINT_TO_POINTER (message.uid)));
    }
  g_clear_pointer (&actor->changed, g_array_unref);
  take_step (actor);
}

/* The session's numbers agree with what it was told so far, step by step. */
static void
apply_changes (Actor *actor, guint old_count)
{
  RookViewChanges *changes = rook_view_update (actor->view, g_rand_boolean (actor->rand));
  guint count = old_count;

  if (changes == NULL)
    return;
  for (guint i = 0; i < changes->expunged->len; i++)
    {
      guint32 seq = g_array_index (changes->expunged, guint32, i);
      guint32 uid = g_array_index (changes->expunged_uids, guint32, i);

      g_assert_cmpuint (seq, >=, 1);
      g_assert_cmpuint (seq, <=, count);
      g_assert_true (g_hash_table_remove (actor->known, GUINT_TO_POINTER (uid)));
      count--;
    }
  g_assert_cmpuint (changes->exists, >=, count);
  g_assert_cmpuint (changes->exists, ==, rook_view_get_count (actor->view));
  for (guint seq = count + 1; seq <= changes->exists; seq++)
    g_hash_table_add (actor->known, GUINT_TO_POINTER (rook_view_get_uid (actor->view, seq)));
  g_assert_cmpuint (g_hash_table_size (actor->known), ==, changes->exists);
  if (changes->changed->len > 0)
    actor->changed = g_array_ref (changes->changed);
  rook_view_changes_free (changes);
}

static void
append_done (guint32 uidvalidity, guint32 uid, const GError *error, gpointer data)
{
  Actor *actor = data;

  g_assert_no_error (error);
  g_assert_cmpuint (uid, >, 0);
  g_assert_cmpuint (uidvalidity, >, 0);
  g_atomic_int_inc (&actor->stage->appended);
  next_step (actor);
}

static void
store_done (GArray *modified, const GError *error, gpointer data)
{
  (void) modified;
  g_assert_no_error (error);
  next_step (data);
}

static void
mail_done (const GError *error, gpointer data)
{
  g_assert_no_error (error);
  next_step (data);
}

static void
read_done (GBytes *bytes, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, strlen (MESSAGE));
  next_step (data);
}

static void
step_append (Actor *actor)
{
  g_autoptr (GBytes) message = g_bytes_new_static (MESSAGE, strlen (MESSAGE));

  rook_mailbox_append (
      actor->stage->mailbox, actor->stage->f->alice,
      &(RookAppend){ .struct_size = sizeof (RookAppend), .message = message, .event = ROOK_EVENT_MESSAGE_APPEND },
      append_done, actor);
}

static void
copy_done (guint32 uidvalidity, GArray *source, GArray *dest, const GError *error, gpointer data)
{
  Actor *actor = data;

  g_assert_no_error (error);
  if (dest != NULL)
    {
      guint32 first = g_array_index (dest, guint32, 0), last = g_array_index (dest, guint32, dest->len - 1);

      g_assert_cmpuint (uidvalidity, >, 0);
      g_assert_cmpuint (source->len, ==, dest->len);
      g_assert_cmpuint (last - first + 1, ==, dest->len);
      g_array_append_val (actor->copies, first);
      g_array_append_val (actor->copies, last);
      g_atomic_int_add (&actor->stage->appended, (gint) dest->len);
    }
  next_step (actor);
}

static void
step_copy (Actor *actor)
{
  guint wanted = (guint) g_rand_int_range (actor->rand, 1, MAX_COPIES);
  guint n = MIN (rook_view_get_count (actor->view), wanted);
  g_autofree guint32 *uids = g_new (guint32, n);

  for (guint i = 0; i < n; i++)
    uids[i] = rook_view_get_uid (actor->view, i + 1);
  rook_view_copy (actor->view, uids, n, "user/alice", FALSE, copy_done, actor);
}

static void
step_store (Actor *actor)
{
  static const RookFlags flags[] = { ROOK_FLAG_SEEN, ROOK_FLAG_DELETED, ROOK_FLAG_FLAGGED, ROOK_FLAG_ANSWERED };
  const char *const keywords[] = { g_rand_boolean (actor->rand) ? "one" : "two", NULL };
  guint32 count = rook_view_get_count (actor->view);
  guint32 uid = rook_view_get_uid (actor->view, (guint32) g_rand_int_range (actor->rand, 1, (gint) count + 1));

  rook_view_store_flags (actor->view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = &uid,
                                            .n_uids = 1,
                                            .mode = (RookStoreMode) g_rand_int_range (actor->rand, 0, 3),
                                            .flags = flags[g_rand_int_range (actor->rand, 0, 4)],
                                            .keywords = keywords,
                                            .unchanged_since = G_MAXUINT64,
                                            .silent = g_rand_boolean (actor->rand) },
                         store_done, actor);
}

static void
next_step (Actor *actor)
{
  RookMailboxStatus status;

  rook_mailbox_get_status (actor->stage->mailbox, NULL, &status);
  g_array_append_val (actor->uidnext, status.uidnext);
  apply_changes (actor, rook_view_get_count (actor->view));
  if (actor->changed != NULL)
    rook_view_load (actor->view, 1, rook_view_get_count (actor->view), changes_loaded, actor);
  else
    take_step (actor);
}

static void
take_step (Actor *actor)
{
  if (actor->left-- == 0)
    actor_ends (actor);
  else if (rook_view_get_count (actor->view) == 0 || g_rand_int_range (actor->rand, 0, 3) == 0)
    step_append (actor);
  else if (g_rand_int_range (actor->rand, 0, 20) == 0)
    step_copy (actor);
  else if (g_rand_int_range (actor->rand, 0, 12) == 0)
    rook_view_expunge (actor->view, NULL, 0, mail_done, actor);
  else if (g_rand_boolean (actor->rand))
    rook_view_read (actor->view, 1, 0, G_MAXSIZE, read_done, actor);
  else
    step_store (actor);
}

static void
actor_begins (gpointer data)
{
  Actor *actor = data;

  actor->view = must_view (actor->stage->mailbox, actor->stage->f->alice);
  actor->known = g_hash_table_new (NULL, NULL);
  for (guint seq = 1; seq <= rook_view_get_count (actor->view); seq++)
    g_hash_table_add (actor->known, GUINT_TO_POINTER (rook_view_get_uid (actor->view, seq)));
  actor->uidnext = g_array_new (FALSE, FALSE, sizeof (guint32));
  actor->copies = g_array_new (FALSE, FALSE, sizeof (guint32));
  actor->left = N_STEPS;
  next_step (actor);
}

/* Counts what a page has, which is also what its summary says. */
static void
count_page (RookMailbox *mailbox, guint number, RookHeader *counted)
{
  const RookPage *page = rook_head_page (&mailbox->durable, number);
  RookSummary summary = { 0 };

  g_assert_false (rook_page_is_hollow (page));
  for (guint slot = 0; slot < page->n; slot++)
    {
      RookRecord record;

      rook_head_get (&mailbox->durable, number, slot, &record);
      rook_summary_note (&summary, slot, NULL, &record);
      if ((record.flags & ROOK_RECORD_EXPUNGED) == 0)
        rook_header_count (counted, &record, mailbox->keywords, 1);
    }
  g_assert_true (rook_summary_equal (&summary, &page->summary));
}

/* What the running totals say is what the records say. */
static void
compare_totals (const GError *error, gpointer data)
{
  Stage *stage = data;
  RookMailbox *mailbox = stage->mailbox;
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);
  RookHeader counted;

  g_assert_no_error (error);
  rook_header_init (&counted, 1);
  for (guint page = 0; page < mailbox->durable.pages->len; page++)
    count_page (mailbox, page, &counted);
  g_assert_cmpuint (mailbox->durable.header.n_records, ==, g_atomic_int_get (&stage->appended));
  g_assert_cmpuint (mailbox->durable.uids.n, ==, counted.exists);
  g_assert_cmpuint (mailbox->durable.header.exists, ==, counted.exists);
  g_assert_cmpuint (mailbox->durable.header.unseen, ==, counted.unseen);
  g_assert_cmpuint (mailbox->durable.header.deleted, ==, counted.deleted);
  g_assert_cmpuint (mailbox->durable.header.size, ==, counted.size);
  g_assert_cmpuint (mailbox->durable.header.sync_crc, ==, counted.sync_crc);
  g_assert_cmpuint (mailbox->durable.header.sync_crc_annot, ==, counted.sync_crc_annot);
  g_assert_cmpuint (mailbox->in_flight, ==, 0);
  stage->is_checked = TRUE;
  rook_loop_quit (rook_server_get_loop (stage->f->server));
}

/* Returns: the sync CRC. */
static guint32
check_totals (Stage *stage)
{
  GArray *all = g_array_new (FALSE, FALSE, sizeof (guint));

  for (guint page = 0; page < stage->mailbox->durable.pages->len; page++)
    g_array_append_val (all, page);
  stage->is_checked = FALSE;
  rook_mailbox_fill (stage->mailbox, all, compare_totals, stage);
  while (!stage->is_checked)
    rook_loop_run (rook_server_get_loop (stage->f->server));
  return stage->mailbox->durable.header.sync_crc;
}

/* On a worker of its own, until the sessions have ended: and once more, so that it ends where it began. */
static void move_once (gpointer data);

static void
moved (const GError *error, gpointer data)
{
  Stage *stage = data;

  g_assert_no_error (error);
  stage->n_moves++;
  if (g_atomic_int_get (&stage->running) > 1)
    move_once (stage);
  else if (g_atomic_int_dec_and_test (&stage->running))
    rook_loop_quit (rook_server_get_loop (stage->f->server));
}

static void
move_once (gpointer data)
{
  static const char *const partitions[] = { "other", "default" };
  Stage *stage = data;

  rook_mail_rename (stage->f->mail, stage->f->admin, "user/alice", "user/alice", partitions[stage->n_moves % 2], moved,
                    stage);
}

/* Nobody has ever seen a part of a copy: what the mailbox said was before it or behind it. */
static void
check_copies (const Actor *actor, const Actor *other)
{
  for (guint i = 0; i + 1 < actor->copies->len; i += 2)
    for (guint k = 0; k < other->uidnext->len; k++)
      g_assert_true (g_array_index (other->uidnext, guint32, k) <= g_array_index (actor->copies, guint32, i)
                     || g_array_index (other->uidnext, guint32, k) > g_array_index (actor->copies, guint32, i + 1));
}

static void
check_all_copies (Actor *actors)
{
  for (guint i = 0; i < N_ACTORS * N_ACTORS; i++)
    check_copies (&actors[i / N_ACTORS], &actors[i % N_ACTORS]);
  for (guint i = 0; i < N_ACTORS; i++)
    {
      g_array_unref (actors[i].uidnext);
      g_array_unref (actors[i].copies);
    }
}

static void
run_stage (Stage *stage)
{
  RookLoop *loop = rook_server_get_loop (stage->f->server);
  Actor actors[N_ACTORS];

  stage->actors = actors;
  stage->running = N_ACTORS + stage->play->moves;
  for (guint i = 0; i < N_ACTORS; i++)
    {
      actors[i] = (Actor){ .stage = stage, .worker = rook_loop_get_worker (loop, i % rook_loop_get_n_workers (loop)) };
      actors[i].rand = g_rand_new_with_seed ((guint32) g_test_rand_int ());
      rook_worker_invoke (actors[i].worker, actor_begins, &actors[i], NULL);
    }
  if (stage->play->moves)
    rook_worker_invoke (rook_loop_get_worker (loop, 0), move_once, stage, NULL);
  while (g_atomic_int_get (&stage->running) > 0)
    rook_loop_run (loop);
  g_assert_cmpint (stage->n_moves > 0, ==, stage->play->moves);
  check_all_copies (actors);
}

static void
sessions_on_many_workers (const Play *play)
{
  Stage stage = { .f = fixture_new (play->config), .play = play };
  guint32 before, after;

  stage.mailbox = must_open (stage.f, stage.f->alice, "user/alice");
  run_stage (&stage);
  fixture_settle (stage.f);
  before = check_totals (&stage);
  rook_mailbox_unref (stage.mailbox);
  fixture_restart (stage.f);
  stage.mailbox = must_open (stage.f, stage.f->alice, "user/alice");
  after = check_totals (&stage);
  g_assert_cmpuint (before, ==, after);
  rook_mailbox_unref (stage.mailbox);
  fixture_free (stage.f);
}

static void
test_sessions_on_many_workers (gconstpointer play)
{
  gint64 end = test_budget_end (0.25);

  do
    sessions_on_many_workers (play);
  while (g_get_monotonic_time () < end);
}

#define NO_CACHE "[mailbox]\npage-cache=0\n"
static const Play plain = { NULL, FALSE }, uncached = { NO_CACHE, FALSE };
static const Play moving = { NULL, TRUE }, moving_uncached = { NO_CACHE, TRUE };

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/mailbox/threads/sessions-on-many-workers", &plain, test_sessions_on_many_workers);
  /* Pages leave memory as soon as nobody needs them. */
  g_test_add_data_func ("/mailbox/threads/sessions-without-page-cache", &uncached, test_sessions_on_many_workers);
  g_test_add_data_func ("/mailbox/threads/sessions-while-moved", &moving, test_sessions_on_many_workers);
  g_test_add_data_func ("/mailbox/threads/sessions-while-moved-without-page-cache", &moving_uncached,
                        test_sessions_on_many_workers);
  return g_test_run ();
}
