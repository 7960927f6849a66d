/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event bus: order, filters, overflow, unsubscribing at the worst moment, cursors.
 */
#include "../lib/test-budget.h"
#include "../lib/test-calm.h"
#include "daemon/server-private.h"
#include "event/event-private.h"
#include "plugin/plugin-life.h"

/* What a subscriber heard. Touched on the main worker only, but for the storm test. */
typedef struct {
  RookServer *server;
  RookEventBus *bus;
  RookSubscription *subscription;
  GString *log; /* "MessageNew:a:1 ", "!a,b+2 ", "?a,b " or "?* " */
  guint n_destroyed;
  gboolean leave; /* unsubscribe in the next call */
  RookPosition position;
} Ear;

static void
ear_destroy (gpointer data)
{
  Ear *ear = data;

  ear->n_destroyed++;
}

static void
ear_leave (Ear *ear)
{
  if (!ear->leave)
    return;
  rook_event_bus_unsubscribe (ear->bus, ear->subscription, ear_destroy);
  ear->subscription = NULL;
}

static void
ear_events (gpointer data, RookEvent *const *events, guint n_events)
{
  Ear *ear = data;

  g_assert_cmpuint (n_events, >, 0);
  for (guint i = 0; i < n_events; i++)
    g_string_append_printf (ear->log, "%s:%s:%" G_GUINT64_FORMAT " ", rook_event_type_get_name (events[i]->type),
                            events[i]->mailbox_id != NULL ? events[i]->mailbox_id : "-", events[i]->sequence);
  if (ear->subscription != NULL) /* a plugin's is kept for it */
    ear->position = rook_subscription_get_position (ear->subscription);
  ear_leave (ear);
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
log_ids (Ear *ear, char sign, const char *const *ids)
{
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();
  g_autofree char *joined = NULL;

  for (guint i = 0; ids[i] != NULL; i++)
    g_ptr_array_add (sorted, (gpointer) ids[i]);
  g_ptr_array_sort (sorted, compare_strings);
  g_ptr_array_add (sorted, NULL);
  joined = g_strjoinv (",", (char **) sorted->pdata);
  g_string_append_printf (ear->log, "%c%s", sign, joined);
}

static void
ear_overflow (gpointer data, const char *const *mailbox_ids, guint64 lost_others)
{
  Ear *ear = data;

  log_ids (ear, '!', mailbox_ids);
  g_string_append_printf (ear->log, "+%" G_GUINT64_FORMAT " ", lost_others);
  ear_leave (ear);
}

static void
ear_recover (gpointer data, const char *const *mailbox_ids)
{
  Ear *ear = data;

  if (mailbox_ids == NULL)
    g_string_append (ear->log, "?*");
  else
    log_ids (ear, '?', mailbox_ids);
  g_string_append_c (ear->log, ' ');
}

static const RookSubscriber plain = {
  .struct_size = sizeof (RookSubscriber),
  .name = "test",
  .types = ROOK_EVENT_MASK_ALL,
  .events = ear_events,
  .overflow = ear_overflow,
};

static void
ear_open (Ear *ear, RookServer *server, const RookSubscriber *subscriber)
{
  *ear = (Ear){ .server = server, .bus = rook_server_get_event_bus (server), .log = g_string_new (NULL) };
  ear->subscription = rook_event_bus_subscribe (ear->bus, rook_worker_current (), subscriber, ear);
}

static void
settle (void)
{
  for (guint i = 0; i < 5; i++)
    while (g_main_context_iteration (NULL, FALSE))
      continue;
}

static void
ear_close (Ear *ear)
{
  if (ear->subscription != NULL)
    rook_event_bus_unsubscribe (ear->bus, ear->subscription, ear_destroy);
  settle ();
  g_assert_cmpuint (ear->n_destroyed, ==, 1);
  g_string_free (ear->log, TRUE);
}

static void
assert_heard (Ear *ear, const char *expected)
{
  settle ();
  g_assert_cmpstr (ear->log->str, ==, expected);
  g_string_truncate (ear->log, 0);
}

static void
publish (RookServer *server, RookEventType type, const char *mailbox_id, guint64 sequence)
{
  g_autoptr (RookEvent) event = rook_event_new (type);

  event->mailbox_id = g_strdup (mailbox_id);
  event->sequence = sequence;
  rook_event_bus_publish (rook_server_get_event_bus (server), event);
}

/* --- events ------------------------------------------------------------------------------------------------------ */

static void
test_every_type_has_a_name (void)
{
  for (guint i = 0; i < ROOK_EVENT_N_TYPES; i++)
    for (guint j = 0; j <= i; j++)
      g_assert_cmpint (g_strcmp0 (rook_event_type_get_name (i), rook_event_type_get_name (j)) == 0, ==, i == j);
  g_assert_cmpstr (rook_event_type_get_name (ROOK_EVENT_MESSAGE_NEW), ==, "MessageNew");
  g_assert_null (rook_event_type_get_name (ROOK_EVENT_N_TYPES));
}

static void
test_in_order_and_never_inside_publish (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  Ear ear;

  ear_open (&ear, server, &plain);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  publish (server, ROOK_EVENT_LOGIN, NULL, 0);
  publish (server, ROOK_EVENT_FLAGS_SET, "a", 2);
  g_assert_cmpstr (ear.log->str, ==, "");
  assert_heard (&ear, "MessageNew:a:1 Login:-:0 FlagsSet:a:2 ");
  ear_close (&ear);
  rook_server_free_for_test (server);
}

static void
test_only_what_was_asked_for (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookEventBus *bus = rook_server_get_event_bus (server);
  RookSubscriber narrow = plain;
  Ear ear;

  narrow.types = ROOK_EVENT_MASK (ROOK_EVENT_MESSAGE_NEW);
  narrow.mailbox_id = "a";
  g_assert_false (rook_event_bus_wanted (bus, ROOK_EVENT_MESSAGE_NEW, "a"));
  ear_open (&ear, server, &narrow);
  g_assert_true (rook_event_bus_wanted (bus, ROOK_EVENT_MESSAGE_NEW, "a"));
  g_assert_false (rook_event_bus_wanted (bus, ROOK_EVENT_MESSAGE_NEW, "b"));
  g_assert_false (rook_event_bus_wanted (bus, ROOK_EVENT_FLAGS_SET, "a"));
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "b", 1);
  publish (server, ROOK_EVENT_FLAGS_SET, "a", 2);
  assert_heard (&ear, "MessageNew:a:1 ");
  ear_close (&ear);
  g_assert_false (rook_event_bus_wanted (bus, ROOK_EVENT_MESSAGE_NEW, "a"));
  rook_server_free_for_test (server);
}

static void
test_overflow_names_the_mailboxes_once (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookSubscriber small = plain;
  Ear ear;

  small.queue_limit = 3;
  ear_open (&ear, server, &small);
  for (guint i = 1; i <= 3; i++)
    publish (server, ROOK_EVENT_MESSAGE_NEW, "a", i);
  publish (server, ROOK_EVENT_LOGIN, NULL, 0);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "b", 1);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 4);
  assert_heard (&ear, "!a,b+1 ");
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 5);
  assert_heard (&ear, "MessageNew:a:5 ");
  ear_close (&ear);
  rook_server_free_for_test (server);
}

static void
test_leaving_while_being_told (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookSubscriber small = plain;
  Ear first, second;

  small.queue_limit = 1;
  ear_open (&first, server, &plain);
  ear_open (&second, server, &small);
  first.leave = second.leave = TRUE;
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 2);
  assert_heard (&first, "MessageNew:a:1 MessageNew:a:2 ");
  assert_heard (&second, "!a+0 ");
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 3);
  assert_heard (&first, "");
  assert_heard (&second, "");
  ear_close (&first);
  ear_close (&second);
  rook_server_free_for_test (server);
}

static void
test_nothing_after_unsubscribe (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  Ear ear;

  ear_open (&ear, server, &plain);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  rook_event_bus_unsubscribe (ear.bus, ear.subscription, ear_destroy);
  ear.subscription = NULL;
  g_assert_cmpuint (ear.n_destroyed, ==, 0); /* later, never inside */
  assert_heard (&ear, "");
  ear_close (&ear);
  rook_server_free_for_test (server);
}

static void
test_subscriber_is_copied (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookSubscriber mine = plain;
  char id[] = "a";
  Ear ear;

  mine.mailbox_id = id;
  ear_open (&ear, server, &mine);
  memset (&mine, 0xff, sizeof mine);
  *id = 'z';
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "z", 1);
  assert_heard (&ear, "MessageNew:a:1 ");
  ear_close (&ear);
  rook_server_free_for_test (server);
}

static void *
unsubscribe (void *data)
{
  Ear *ear = data;

  rook_event_bus_unsubscribe (ear->bus, ear->subscription, ear_destroy);
  return NULL;
}

/* It returns although the subscriber's worker, which is the test's own thread, does nothing meanwhile. */
static void
test_unsubscribe_from_another_thread (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  pthread_t thread;
  Ear ear;

  ear_open (&ear, server, &plain);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  g_assert_cmpint (pthread_create (&thread, NULL, unsubscribe, &ear), ==, 0);
  pthread_join (thread, NULL);
  ear.subscription = NULL;
  g_assert_cmpuint (ear.n_destroyed, ==, 0); /* that is for this worker to do */
  ear_close (&ear);
  rook_server_free_for_test (server);
}

/* --- a plugin's ---------------------------------------------------------------------------------------------------- */

static Ear plugin_ear;

static gboolean
init_listening (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) config;
  return rook_plugin_add_subscriber (self, rook_worker_current (), &plain, &plugin_ear, error);
}

static void
test_subscriber_of_a_plugin (void)
{
  static const RookPluginDescriptor descriptor = { .struct_size = sizeof (RookPluginDescriptor),
                                                   .abi_major = ROOK_ABI_MAJOR,
                                                   .abi_minor = ROOK_ABI_MINOR,
                                                   .name = "listening",
                                                   .summary = "x",
                                                   .version = "1",
                                                   .license = "LGPL-2.1-or-later",
                                                   .init = init_listening };
  RookServer *server = rook_server_new_for_test (NULL);
  RookPlugins *plugins = rook_server_get_plugins (server);
  RookPlugin *plugin;

  plugin_ear = (Ear){ .server = server, .bus = rook_server_get_event_bus (server), .log = g_string_new (NULL) };
  plugin = rook_plugins_add_static (plugins, &descriptor, NULL, NULL);
  g_assert_nonnull (plugin);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  assert_heard (&plugin_ear, "MessageNew:a:1 ");
  g_assert_true (rook_plugins_remove_static (plugins, plugin, 1000));
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 2);
  assert_heard (&plugin_ear, "");
  g_string_free (plugin_ear.log, TRUE);
  rook_server_free_for_test (server);
}

/* --- a storm: publishers and subscribers on all threads -------------------------------------------------------------- */

#define STORM_EVENTS 20000

typedef struct {
  gint n_heard;    /* atomic */
  gint n_overflow; /* atomic */
  guint64 last[2]; /* the subscriber's worker */
  gint ended;      /* atomic */
} Storm;

static void
storm_events (gpointer data, RookEvent *const *events, guint n_events)
{
  Storm *storm = data;

  for (guint i = 0; i < n_events; i++)
    {
      guint64 *last = &storm->last[events[i]->mailbox_id[0] - 'a'];

      g_assert_cmpuint (events[i]->sequence, >, *last);
      *last = events[i]->sequence;
    }
  g_atomic_int_add (&storm->n_heard, n_events);
}

static void
storm_overflow (gpointer data, const char *const *mailbox_ids, guint64 lost_others)
{
  Storm *storm = data;

  g_assert_nonnull (mailbox_ids[0]);
  g_assert_cmpuint (lost_others, ==, 0);
  g_atomic_int_inc (&storm->n_overflow);
}

static void
storm_destroyed (gpointer data)
{
  Storm *storm = data;

  g_atomic_int_set (&storm->ended, 1);
}

typedef struct {
  RookServer *server;
  const char *mailbox_id;
} Publisher;

static void *
storm_publish (void *data)
{
  Publisher *publisher = data;

  for (guint i = 1; i <= STORM_EVENTS; i++)
    publish (publisher->server, ROOK_EVENT_MESSAGE_NEW, publisher->mailbox_id, i);
  return NULL;
}

static void
one_storm (void)
{
  RookServer *server = rook_server_new_for_test ("[server]\nworkers=2\n");
  RookEventBus *bus = rook_server_get_event_bus (server);
  RookLoop *loop = rook_server_get_loop (server);
  RookSubscriber wide = plain, small = plain;
  Storm storms[2] = { 0 };
  RookSubscription *subscriptions[2];
  Publisher publishers[2] = { { server, "a" }, { server, "b" } };
  pthread_t threads[2];

  wide.events = small.events = storm_events;
  wide.overflow = small.overflow = storm_overflow;
  wide.queue_limit = 2 * STORM_EVENTS;
  small.queue_limit = 5;
  subscriptions[0] = rook_event_bus_subscribe (bus, rook_loop_get_worker (loop, 0), &wide, &storms[0]);
  subscriptions[1] = rook_event_bus_subscribe (bus, rook_loop_get_worker (loop, 1), &small, &storms[1]);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (pthread_create (&threads[i], NULL, storm_publish, &publishers[i]), ==, 0);
  for (guint i = 0; i < 2; i++)
    pthread_join (threads[i], NULL);
  while (g_atomic_int_get (&storms[0].n_heard) < 2 * STORM_EVENTS)
    g_usleep (1000);
  for (guint i = 0; i < 2; i++)
    {
      rook_event_bus_unsubscribe (bus, subscriptions[i], storm_destroyed);
      while (!g_atomic_int_get (&storms[i].ended))
        g_usleep (1000);
    }
  g_assert_cmpint (storms[0].n_overflow, ==, 0);
  g_assert_true (storms[1].n_overflow > 0 || storms[1].n_heard == 2 * STORM_EVENTS);
  rook_server_free_for_test (server);
}

static void
test_storm (void)
{
  gint64 end = test_budget_end (0.5);

  do
    one_storm ();
  while (g_get_monotonic_time () < end);
}

/* --- durable ------------------------------------------------------------------------------------------------------------ */

static void
test_positions_rise (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookEventBus *bus = rook_server_get_event_bus (server);
  RookPosition first = rook_event_bus_begin (bus), second = rook_event_bus_begin (bus);

  g_assert_cmpuint (second, >, first);
  rook_event_bus_end (bus, second);
  rook_event_bus_end (bus, first);
  rook_event_bus_set_source (bus, second + G_GUINT64_CONSTANT (1000000000000), NULL, NULL);
  first = rook_event_bus_begin (bus);
  g_assert_cmpuint (first, >, second + G_GUINT64_CONSTANT (1000000000000));
  rook_event_bus_end (bus, first);
  rook_server_free_for_test (server);
}

static void
test_position_waits_for_open_changes (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookPosition slow, quick;
  Ear ear;

  ear_open (&ear, server, &plain);
  slow = rook_event_bus_begin (ear.bus);
  quick = rook_event_bus_begin (ear.bus);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "b", 1);
  rook_event_bus_end (ear.bus, quick);
  settle ();
  g_assert_cmpuint (ear.position, <, slow);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  rook_event_bus_end (ear.bus, slow);
  settle ();
  g_assert_cmpuint (rook_subscription_get_position (ear.subscription), ==, quick);
  ear_close (&ear);
  rook_server_free_for_test (server);
}

static char **
changed_ab (RookPosition position, gpointer data)
{
  g_assert_null (rook_worker_current ()); /* a pool thread */
  *(RookPosition *) data = position;
  return g_strsplit ("a,b", ",", 0);
}

static char **
changed_nothing (G_GNUC_UNUSED RookPosition position, G_GNUC_UNUSED gpointer data)
{
  return g_new0 (char *, 1);
}

static void
wait_for (Ear *ear)
{
  gint64 end_us = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;

  while (ear->log->len == 0 && g_get_monotonic_time () < end_us)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_a_new_one_is_told_everything (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookSubscriber durable = plain;
  RookPosition asked = 0;
  Ear ear;

  durable.durable = TRUE;
  durable.recover = ear_recover;
  ear_open (&ear, server, &durable);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  assert_heard (&ear, ""); /* nothing before the mailbox service can be asked */
  rook_event_bus_set_source (ear.bus, 0, changed_ab, &asked);
  wait_for (&ear);
  assert_heard (&ear, "?* MessageNew:a:1 ");
  g_assert_cmpuint (asked, ==, 0);
  ear_close (&ear);
  rook_server_free_for_test (server);
}

static void
test_a_known_one_is_told_what_changed (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookSubscriber durable = plain;
  RookPosition asked = 0, position;
  Ear ear;

  durable.durable = TRUE;
  durable.recover = ear_recover;
  ear_open (&ear, server, &durable);
  rook_event_bus_set_source (ear.bus, 0, changed_ab, &asked);
  wait_for (&ear);
  position = rook_event_bus_begin (ear.bus);
  rook_event_bus_end (ear.bus, position);
  rook_subscription_advance (ear.subscription, position);
  rook_subscription_advance (ear.subscription, position - 1); /* never back */
  ear_close (&ear);

  ear_open (&ear, server, &durable);
  wait_for (&ear);
  assert_heard (&ear, "?a,b ");
  g_assert_cmpuint (asked, ==, position);
  ear_close (&ear);
  rook_server_free_for_test (server);
}

static void
test_nothing_to_make_up_for_is_not_told (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookEventBus *bus = rook_server_get_event_bus (server);
  RookSubscriber durable = plain;
  Ear ear;

  durable.durable = TRUE;
  durable.recover = ear_recover;
  rook_event_bus_set_source (bus, 0, changed_nothing, NULL);
  ear_open (&ear, server, &durable);
  wait_for (&ear); /* new: everything */
  rook_subscription_advance (ear.subscription, 1);
  ear_close (&ear);
  ear_open (&ear, server, &durable);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  wait_for (&ear);
  assert_heard (&ear, "MessageNew:a:1 ");
  ear_close (&ear);
  rook_server_free_for_test (server);
}

typedef struct {
  RookEventBus *bus;
  gint opened;    /* atomic: of whatever waits at the gate */
  gint n_waiting; /* atomic: at the gate */
  gint n_asked;   /* atomic */
  gint cleared;   /* atomic */
} Gate;

static void
wait_at_gate (gpointer data)
{
  Gate *gate = data;

  g_atomic_int_inc (&gate->n_waiting);
  while (!g_atomic_int_get (&gate->opened))
    g_usleep (1000);
}

static char **
changed_behind_gate (G_GNUC_UNUSED RookPosition position, gpointer data)
{
  wait_at_gate (data);
  g_atomic_int_inc (&((Gate *) data)->n_asked);
  return g_new0 (char *, 1);
}

static void *
clear_source (void *data)
{
  Gate *gate = data;

  rook_event_bus_clear_source (gate->bus);
  g_atomic_int_set (&gate->cleared, 1);
  return NULL;
}

/* Has the source cleared while something waits at the gate, which must wait too. */
static void
clear_and_open (Gate *gate)
{
  pthread_t thread;

  while (!g_atomic_int_get (&gate->n_waiting))
    g_usleep (1000);
  g_assert_cmpint (pthread_create (&thread, NULL, clear_source, gate), ==, 0);
  g_usleep (20000);
  g_assert_false (g_atomic_int_get (&gate->cleared));
  g_atomic_int_set (&gate->opened, 1);
  pthread_join (thread, NULL);
}

static void
test_source_that_goes (void)
{
  RookServer *server = rook_server_new_for_test ("[server]\npool-threads=1\n");
  Gate gate = { .bus = rook_server_get_event_bus (server) };
  RookSubscriber durable = plain;
  Ear ear, late;

  durable.durable = TRUE;
  durable.recover = ear_recover;
  ear_open (&ear, server, &durable);
  rook_event_bus_set_source (gate.bus, 0, NULL, NULL);
  wait_for (&ear);
  rook_subscription_advance (ear.subscription, 1);
  ear_close (&ear);

  /* The source is at work: it is waited for. */
  rook_event_bus_set_source (gate.bus, 0, changed_behind_gate, &gate);
  ear_open (&ear, server, &durable);
  clear_and_open (&gate);
  g_assert_cmpint (gate.n_asked, ==, 1);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 1);
  wait_for (&ear);
  assert_heard (&ear, "MessageNew:a:1 ");
  ear_close (&ear);

  /* The question is still in the pool's queue: it is never put. */
  gate = (Gate){ .bus = gate.bus };
  g_assert_true (rook_pool_run (rook_server_get_pool (server), 0, wait_at_gate, NULL, &gate));
  rook_event_bus_set_source (gate.bus, 0, changed_behind_gate, &gate);
  ear_open (&late, server, &durable);
  clear_and_open (&gate);
  g_assert_cmpint (gate.n_asked, ==, 0);
  publish (server, ROOK_EVENT_MESSAGE_NEW, "a", 2);
  assert_heard (&late, "");
  rook_event_bus_set_source (gate.bus, 0, NULL, NULL);
  wait_for (&late);
  assert_heard (&late, "?* MessageNew:a:2 ");
  ear_close (&late);
  rook_server_free_for_test (server);
}

#define N_LEAVING 200

typedef struct {
  RookEventBus *bus;
  RookSubscription *subscriptions[N_LEAVING];
  gint n_gone;        /* atomic */
  gint is_over;       /* atomic */
  RookWorker *worker; /* of the subscribers */
} Leaving;

static void
one_is_gone (gpointer data)
{
  g_atomic_int_inc (&((Leaving *) data)->n_gone);
}

static void *
all_leave (void *data)
{
  Leaving *leaving = data;

  for (guint i = 0; i < N_LEAVING; i++)
    rook_event_bus_unsubscribe (leaving->bus, leaving->subscriptions[i], one_is_gone);
  return NULL;
}

static void
it_is_over (gpointer data)
{
  g_atomic_int_set (&((Leaving *) data)->is_over, 1);
}

/* On the pool's only thread, behind all recoveries. */
static void
no_more_recoveries (gpointer data)
{
  rook_worker_invoke (((Leaving *) data)->worker, it_is_over, data, NULL);
}

/* Which of the two is first is chance; that nothing is used after it was freed shows under a sanitizer. */
static void
test_leaving_while_the_source_comes (void)
{
  gint64 end = test_budget_end (0.3);

  do
    {
      RookServer *server = rook_server_new_for_test ("[server]\nworkers=2\npool-threads=1\n");
      Leaving leaving = { .bus = rook_server_get_event_bus (server),
                          .worker = rook_loop_get_worker (rook_server_get_loop (server), 1) };
      RookSubscriber durable = plain;
      pthread_t thread;

      durable.durable = TRUE;
      for (guint i = 0; i < N_LEAVING; i++)
        leaving.subscriptions[i] = rook_event_bus_subscribe (leaving.bus, leaving.worker, &durable, &leaving);
      g_assert_cmpint (pthread_create (&thread, NULL, all_leave, &leaving), ==, 0);
      rook_event_bus_set_source (leaving.bus, 0, changed_nothing, NULL);
      pthread_join (thread, NULL);
      while (!rook_pool_run (rook_server_get_pool (server), 0, no_more_recoveries, NULL, &leaving))
        g_usleep (1000);
      while (!g_atomic_int_get (&leaving.is_over))
        g_usleep (1000);
      g_assert_cmpint (g_atomic_int_get (&leaving.n_gone), ==, N_LEAVING);
      rook_server_free_for_test (server);
    }
  while (g_get_monotonic_time () < end);
}

static void
test_cursors_are_kept (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookCursors *cursors = rook_cursors_new (server);
  g_autofree char *directory = rook_server_dup_state_directory (server);
  g_autofree char *path = g_build_filename (directory, "cursors", NULL);
  RookPosition position = 0;

  rook_cursors_advance (cursors, "search", 7);
  rook_cursors_advance (cursors, "channel-1", 9);
  rook_cursors_free (cursors);
  cursors = rook_cursors_new (server);
  g_assert_true (rook_cursors_get (cursors, "search", &position));
  g_assert_cmpuint (position, ==, 7);
  g_assert_cmpuint (rook_cursors_get_highest (cursors), ==, 9);
  g_assert_false (rook_cursors_get (cursors, "other", &position));
  rook_cursors_free (cursors);
  g_assert_true (g_file_set_contents (path, "search 7\nchannel-1 x\n", -1, NULL)); /* damaged: nobody is known */
  cursors = rook_cursors_new (server);
  g_assert_false (rook_cursors_get (cursors, "search", &position));
  rook_cursors_free (cursors);
  settle ();
  rook_server_free_for_test (server);
}

static void
ask_whether_wanted (gpointer data)
{
  for (guint i = 0; i < 1000; i++)
    g_assert_cmpint (rook_event_bus_wanted (data, ROOK_EVENT_MESSAGE_NEW, i % 2 == 0 ? "a" : "b"), ==, i % 2 == 0);
}

static void
test_wanted_is_cheap (void)
{
  RookServer *server = rook_server_new_for_test (NULL);
  RookSubscriber narrow = plain;
  Ear ear;

  narrow.mailbox_id = "a";
  ear_open (&ear, server, &narrow);
  g_assert_true (test_is_calm (ask_whether_wanted, ear.bus));
  g_assert_cmpuint (test_heap_taken (ask_whether_wanted, ear.bus), ==, 0);
  ear_close (&ear);
  rook_server_free_for_test (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/event/type/each-has-a-name-of-its-own", test_every_type_has_a_name);
  g_test_add_func ("/event/publish/in-order-and-never-inside", test_in_order_and_never_inside_publish);
  g_test_add_func ("/event/subscribe/only-what-was-asked-for", test_only_what_was_asked_for);
  g_test_add_func ("/event/subscribe/asking-whether-is-cheap", test_wanted_is_cheap);
  g_test_add_func ("/event/overflow/names-each-mailbox-once", test_overflow_names_the_mailboxes_once);
  g_test_add_func ("/event/unsubscribe/while-being-told", test_leaving_while_being_told);
  g_test_add_func ("/event/unsubscribe/nothing-afterwards", test_nothing_after_unsubscribe);
  g_test_add_func ("/event/unsubscribe/from-another-thread-returns-at-once", test_unsubscribe_from_another_thread);
  g_test_add_func ("/event/subscribe/subscriber-is-copied", test_subscriber_is_copied);
  g_test_add_func ("/event/plugin/subscribes-until-it-goes", test_subscriber_of_a_plugin);
  g_test_add_func ("/event/threads/each-mailbox-in-order-under-a-storm", test_storm);
  g_test_add_func ("/event/position/each-greater-than-any-before", test_positions_rise);
  g_test_add_func ("/event/position/waits-for-changes-that-have-not-ended", test_position_waits_for_open_changes);
  g_test_add_func ("/event/durable/a-new-one-is-told-everything-first", test_a_new_one_is_told_everything);
  g_test_add_func ("/event/durable/a-known-one-is-told-what-changed-after-its-cursor",
                   test_a_known_one_is_told_what_changed);
  g_test_add_func ("/event/durable/nothing-to-make-up-for-is-not-told", test_nothing_to_make_up_for_is_not_told);
  g_test_add_func ("/event/durable/a-source-that-goes-is-asked-no-more", test_source_that_goes);
  g_test_add_func ("/event/durable/leaving-while-the-source-comes", test_leaving_while_the_source_comes);
  g_test_add_func ("/event/cursors/kept-and-a-damaged-file-means-unknown", test_cursors_are_kept);
  return g_test_run ();
}
