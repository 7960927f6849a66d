/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bare store beside the least that a durable write can cost.
 *
 *   store speed DIR [SECONDS [ROUNDS]]
 *   store compact DIR [MEGABYTES [SECONDS [LIMIT]]]
 *   store restart DIR [SECONDS [ROUNDS]]
 *
 * speed: deliveries of 4 KiB and flag patches by 1, 8, 20 and 100 clients, each of which waits for its batch before it begins
 * the next. The limit is a bare group commit: what clients bring while a sync goes on is appended to one file by one write and
 * synced by one fdatasync(), the same number of bytes by the same number of clients. Both sides run in turn for SECONDS (2), in
 * each of ROUNDS (5), on the same file system. Prints medians of operations a second, of the rounds' ratios, and of the
 * processor's time an operation.
 *
 * compact: fills a store with MEGABYTES (400) of bodies, measures deliveries by 8 clients for SECONDS (20), releases nine of ten
 * bodies, and measures on while compaction gives the dead bytes back. Prints both rates, how long commits took, and how long it
 * was until the store took less than 1.5 times of what is alive, or that it did not within LIMIT (600) seconds.
 *
 * restart: a process of its own has 10 clients deliver and 10 patch flags, as fast as they can, for SECONDS (30), and is killed
 * (SIGKILL) when there is as much of the log as there ever was. Prints how much that is, and how long it then is until the first read
 * is answered, by the clock and of the processor's time; in each of ROUNDS (5), on one store, which grows.
 */
#include "rookery/storage.h"
#include "rookery/thread.h"
#include "storage-gdbm/gs-store.h"

#include "storage/storage-private.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define BODY 4096
#define LABEL 120
#define STRUCTURE 400 /* what the mailbox service derives from a message */
#define RECORD 128
#define HEADER 112
#define PAGE_RECORDS 63
#define MAX_CLIENTS 100
#define MAX_ROUNDS 99

G_GNUC_NORETURN static void
fail (const char *what, const char *detail)
{
  fprintf (stderr, "store: %s: %s\n", what, detail);
  exit (1);
}

static GBytes *
some_bytes (gsize length, guint64 seed)
{
  guint64 *data = g_malloc (length + sizeof *data);

  for (gsize i = 0; i <= length / sizeof *data; i++)
    data[i] = seed = seed * G_GUINT64_CONSTANT (6364136223846793005) + 1442695040888963407;
  return g_bytes_new_take (data, length);
}

static double
processor_seconds (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
         + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* --- the limit: a bare group commit ----------------------------------------------------------------------------------------- */

typedef struct {
  int fd;
  RookMutex lock;
  RookCond cond;
  GBytes *queue[MAX_CLIENTS];
  guint n_queued;
  guint64 begun, done; /* groups; a client waits for the one that takes what it queued */
  gboolean stop;
} Bare;

static void
write_group (Bare *bare, GBytes **group, guint n)
{
  struct iovec parts[MAX_CLIENTS];
  gsize total = 0;

  for (guint i = 0; i < n; i++)
    {
      parts[i].iov_base = (gpointer) g_bytes_get_data (group[i], &parts[i].iov_len);
      total += parts[i].iov_len;
    }
  if (writev (bare->fd, parts, (int) n) != (ssize_t) total || fdatasync (bare->fd) != 0)
    fail ("cannot write", g_strerror (errno));
}

static gpointer
bare_committer (gpointer data)
{
  Bare *bare = data;
  GBytes *group[MAX_CLIENTS];

  rook_mutex_lock (&bare->lock);
  while (!bare->stop || bare->n_queued > 0)
    {
      guint n = bare->n_queued;

      if (n == 0)
        {
          rook_cond_wait (&bare->cond, &bare->lock);
          continue;
        }
      memcpy (group, bare->queue, n * sizeof *group);
      bare->n_queued = 0;
      bare->begun++;
      rook_mutex_unlock (&bare->lock);
      write_group (bare, group, n);
      rook_mutex_lock (&bare->lock);
      bare->done++;
      rook_cond_broadcast (&bare->cond);
    }
  rook_mutex_unlock (&bare->lock);
  return NULL;
}

static void
bare_commit (Bare *bare, GBytes *bytes)
{
  guint64 mine;

  rook_mutex_lock (&bare->lock);
  bare->queue[bare->n_queued++] = bytes;
  mine = bare->begun + 1;
  rook_cond_broadcast (&bare->cond);
  while (bare->done < mine)
    rook_cond_wait (&bare->cond, &bare->lock);
  rook_mutex_unlock (&bare->lock);
}

/* --- clients ---------------------------------------------------------------------------------------------------------------- */

typedef enum { DELIVERY, FLAGS } Work;
static const char *const work_names[] = { "delivery of 4 KiB", "flag patch" };

typedef struct {
  Work work;
  Bare *bare;       /* (nullable) */
  RookStore *store; /* (nullable) */
  guint number;
  gint *stop;
  guint64 done;
  GArray *times; /* (nullable) (element-type guint32) microseconds of each */
} Client;

static GBytes *
client_key (const Client *client, const char *kind, guint64 page)
{
  g_autofree char *text = g_strdup_printf ("%s %u %" G_GUINT64_FORMAT, kind, client->number, page);

  return g_bytes_new (text, strlen (text));
}

static void
patch (Client *client, RookBatch *batch, const char *kind, guint64 page, guint64 offset, gsize length)
{
  g_autoptr (GBytes) key = client_key (client, kind, page), bytes = some_bytes (length, client->done);

  rook_batch_patch (batch, kind[0] == 'p' ? 1 : 2, key, offset, bytes);
}

/* What the mailbox service makes of a delivery, or of a change of one message's flags. */
static void
store_once (Client *client, GBytes *body)
{
  RookBatch *batch = rook_batch_new (client->store);
  g_autoptr (GError) error = NULL;

  if (client->work == DELIVERY)
    {
      g_autoptr (GBytes) label = some_bytes (LABEL, 1), structure = some_bytes (STRUCTURE, 2);

      rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, label, body);
      rook_batch_blob (batch, ROOK_BLOB_CACHE, NULL, label, structure);
      patch (client, batch, "page", client->done / PAGE_RECORDS, client->done % PAGE_RECORDS * RECORD, RECORD);
    }
  else
    patch (client, batch, "page", client->done * 7919 % 40, client->done % PAGE_RECORDS * RECORD, RECORD);
  patch (client, batch, "header", 0, 0, HEADER);
  if (!rook_store_commit_wait (client->store, batch, NULL, &error))
    fail ("cannot commit", error->message);
}

static gpointer
run_client (gpointer data)
{
  Client *client = data;
  g_autoptr (GBytes) body = some_bytes (BODY, client->number);
  g_autoptr (GBytes) bytes =
      some_bytes (RECORD + HEADER + (client->work == DELIVERY ? BODY + 2 * LABEL + STRUCTURE : 0), client->number);

  while (g_atomic_int_get (client->stop) == 0)
    {
      gint64 begun = g_get_monotonic_time ();
      guint32 took;

      if (client->bare != NULL)
        bare_commit (client->bare, bytes);
      else
        store_once (client, body);
      took = (guint32) (g_get_monotonic_time () - begun);
      client->done++;
      if (client->times != NULL)
        g_array_append_val (client->times, took);
    }
  return NULL;
}

typedef struct {
  double rate, processor; /* operations a second; microseconds an operation */
} Result;

/* @times: (nullable) gets how long each took. */
static Result
run_clients (Client model, guint n, double seconds, GArray *times)
{
  Client clients[MAX_CLIENTS];
  GThread *threads[MAX_CLIENTS];
  gint stop = 0;
  double processor = processor_seconds (), begun = (double) g_get_monotonic_time (), took;
  guint64 done = 0;

  for (guint i = 0; i < n; i++)
    {
      clients[i] = model;
      clients[i].number = i;
      clients[i].stop = &stop;
      clients[i].times = times != NULL ? g_array_new (FALSE, FALSE, sizeof (guint32)) : NULL;
      threads[i] = g_thread_new ("client", run_client, &clients[i]);
    }
  g_usleep ((gulong) (seconds * G_USEC_PER_SEC));
  g_atomic_int_set (&stop, 1);
  for (guint i = 0; i < n; i++)
    {
      g_thread_join (threads[i]);
      done += clients[i].done;
      if (times != NULL)
        g_array_append_vals (times, clients[i].times->data, clients[i].times->len);
      g_clear_pointer (&clients[i].times, g_array_unref);
    }
  took = ((double) g_get_monotonic_time () - begun) / 1e6;
  return (Result){ (double) done / took, (processor_seconds () - processor) * 1e6 / (double) MAX (done, 1) };
}

/* --- speed ------------------------------------------------------------------------------------------------------------------ */

static RookStore *
open_store (const char *path)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = path, .create = TRUE };
  g_autoptr (GError) error = NULL;
  RookStore *store = rook_store_open_backend (NULL, &gs_backend, (gpointer) &gs_default_settings, &spec, &error);

  if (store == NULL)
    fail (path, error->message);
  return store;
}

static void
remove_store (const char *path)
{
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  const char *name;

  while (folder != NULL && (name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, name, NULL);

      g_unlink (file);
    }
  g_rmdir (path);
}

static Result
measure_bare (const char *folder, Work work, guint n, double seconds)
{
  g_autofree char *path = g_build_filename (folder, "bare", NULL);
  Bare bare = { .fd = open (path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600) };
  GThread *committer;
  Result result;

  if (bare.fd < 0)
    fail (path, g_strerror (errno));
  rook_mutex_init (&bare.lock);
  rook_cond_init (&bare.cond);
  committer = g_thread_new ("committer", bare_committer, &bare);
  result = run_clients ((Client){ .work = work, .bare = &bare }, n, seconds, NULL);
  rook_mutex_lock (&bare.lock);
  bare.stop = TRUE;
  rook_cond_broadcast (&bare.cond);
  rook_mutex_unlock (&bare.lock);
  g_thread_join (committer);
  rook_mutex_clear (&bare.lock);
  rook_cond_clear (&bare.cond);
  close (bare.fd);
  g_unlink (path);
  return result;
}

static Result
measure_store (const char *folder, Work work, guint n, double seconds)
{
  g_autofree char *path = g_build_filename (folder, "store", NULL);
  RookStore *store = open_store (path);
  Result result = run_clients ((Client){ .work = work, .store = store }, n, seconds, NULL);

  rook_store_close (store);
  remove_store (path);
  return result;
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

static double
median (double *values, guint n)
{
  qsort (values, n, sizeof *values, compare_doubles);
  return values[n / 2];
}

static void
compare (const char *folder, Work work, guint n, double seconds, guint rounds)
{
  double bare_rates[MAX_ROUNDS], rates[MAX_ROUNDS], ratios[MAX_ROUNDS], bare_costs[MAX_ROUNDS], costs[MAX_ROUNDS];

  for (guint i = 0; i < rounds; i++)
    {
      Result bare = measure_bare (folder, work, n, seconds), store = measure_store (folder, work, n, seconds);

      bare_rates[i] = bare.rate;
      rates[i] = store.rate;
      ratios[i] = store.rate / bare.rate;
      bare_costs[i] = bare.processor;
      costs[i] = store.processor;
    }
  printf ("%-18s %7u %10.0f %10.0f %6.2f %9.0f %9.0f\n", work_names[work], n, median (bare_rates, rounds),
          median (rates, rounds), median (ratios, rounds), median (bare_costs, rounds), median (costs, rounds));
  fflush (stdout);
}

static void
run_speed (const char *folder, double seconds, guint rounds)
{
  static const guint clients[] = { 1, 8, 20, 100 };

  printf ("%-18s %7s %10s %10s %6s %9s %9s\n", "", "clients", "limit 1/s", "store 1/s", "ratio", "limit us",
          "store us");
  for (Work work = DELIVERY; work <= FLAGS; work++)
    for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
      compare (folder, work, clients[i], seconds, rounds);
}

/* --- compaction ------------------------------------------------------------------------------------------------------------- */

#define BIG (16 * 1024)
#define SLICE_SECONDS 1.0
#define N_DELIVERING 8

static guint64
disk_use (const char *path)
{
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  guint64 total = 0;
  const char *name;

  while ((name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, name, NULL);
      struct stat info;

      if (stat (file, &info) == 0)
        total += (guint64) info.st_blocks * 512;
    }
  return total;
}

/* Bodies in batches of some, and the ids of all. */
static GArray *
fill (RookStore *store, guint64 n)
{
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (RookBlobId));

  while (ids->len < n)
    {
      RookBatch *batch = rook_batch_new (store);

      for (guint i = 0; i < 64; i++)
        {
          g_autoptr (GBytes) body = some_bytes (BIG, ids->len);
          RookBlobId id = rook_batch_blob (batch, ROOK_BLOB_MAIL, NULL, NULL, body);

          g_array_append_val (ids, id);
        }
      if (!rook_store_commit_wait (store, batch, NULL, NULL))
        fail ("cannot commit", "while the store is filled");
    }
  return ids;
}

static void
release_most (RookStore *store, const GArray *ids)
{
  RookBatch *batch = rook_batch_new (store);

  for (guint i = 0; i < ids->len; i++)
    if (i % 10 != 0)
      rook_batch_release (batch, g_array_index (ids, RookBlobId, i));
  if (!rook_store_commit_wait (store, batch, NULL, NULL))
    fail ("cannot commit", "while bodies are released");
}

static int
compare_times (gconstpointer a, gconstpointer b)
{
  guint32 x = *(const guint32 *) a, y = *(const guint32 *) b;

  return x < y ? -1 : x > y;
}

static void
print_times (const char *when, double rate, GArray *times)
{
  g_array_sort (times, compare_times);
  printf (
      "%-12s %8.0f deliveries/s; a commit took: median %.2f ms, 99 %% %.2f ms, 99.9 %% %.2f ms, the longest %.2f ms\n",
      when, rate, g_array_index (times, guint32, times->len / 2) / 1e3,
      g_array_index (times, guint32, times->len * 99 / 100) / 1e3,
      g_array_index (times, guint32, (guint) ((guint64) times->len * 999 / 1000)) / 1e3,
      g_array_index (times, guint32, times->len - 1) / 1e3);
}

/* Deliveries for @seconds, or until the store takes less than 1.5 times of what is alive. Adds to *@alive. Returns: the seconds. */
static double
deliver (RookStore *store, const char *path, double seconds, gboolean until_small, guint64 *alive, const char *when)
{
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (guint32));
  double begun = (double) g_get_monotonic_time (), took = 0, sum = 0;
  guint n = 0;

  do
    {
      guint before = times->len;
      Client model = { .work = DELIVERY, .store = store };

      sum += run_clients (model, N_DELIVERING, SLICE_SECONDS, times).rate;
      n++;
      *alive += (times->len - before) * (guint64) (BODY + 2 * LABEL + STRUCTURE);
      took = ((double) g_get_monotonic_time () - begun) / 1e6;
    }
  while (took < seconds && !(until_small && disk_use (path) < *alive + *alive / 2));
  print_times (when, sum / n, times);
  return took;
}

static void
print_longest_move (RookStore *store)
{
  g_autoptr (GVariant) stats = g_variant_ref_sink (rook_store_stats (store));
  gint64 longest = 0;

  g_variant_lookup (stats, "longest-move-us", "x", &longest);
  printf ("the longest that commits were held up by a slice of compaction: %.2f ms\n", (double) longest / 1e3);
}

static void
run_compact (const char *folder, guint64 megabytes, double seconds, double limit)
{
  g_autofree char *path = g_build_filename (folder, "store", NULL);
  RookStore *store = open_store (path);
  g_autoptr (GArray) ids = fill (store, megabytes * 1024 * 1024 / BIG);
  guint64 filled = (guint64) ids->len * BIG, alive = filled / 10;
  double took;

  rook_store_checkpoint (store, NULL);
  printf ("filled with %" G_GUINT64_FORMAT " MB\n", filled >> 20);
  deliver (store, path, seconds, FALSE, &alive, "before");
  release_most (store, ids);
  printf ("nine of ten released: alive %" G_GUINT64_FORMAT " MB, on disk %" G_GUINT64_FORMAT " MB\n", alive >> 20,
          disk_use (path) >> 20);
  took = deliver (store, path, limit, TRUE, &alive, "compacting");
  print_longest_move (store);
  printf ("after %.0f s: alive %" G_GUINT64_FORMAT " MB, on disk %" G_GUINT64_FORMAT " MB\n", took, alive >> 20,
          disk_use (path) >> 20);
  rook_store_close (store);
  remove_store (path);
}

/* --- restart ---------------------------------------------------------------------------------------------------------------- */

#define N_WORKING 10 /* of each kind */
#define POLL_US 10000

/* Until it is killed. */
G_GNUC_NORETURN static void
run_load (const char *path)
{
  RookStore *store = open_store (path);
  Client clients[2 * N_WORKING];
  gint stop = 0;

  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      clients[i] = (Client){ .work = i % 2 == 0 ? DELIVERY : FLAGS, .store = store, .number = i, .stop = &stop };
      g_thread_unref (g_thread_new ("client", run_client, &clients[i]));
    }
  while (TRUE)
    pause ();
}

static guint
count_logs (const char *path)
{
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  const char *name;
  guint n = 0;

  while (folder != NULL && (name = g_dir_read_name (folder)) != NULL)
    n += g_str_has_prefix (name, "log.0");
  return n;
}

/* Kills it when there are as many files of the log as there ever were; or after twice the time, if they do not get so many
 * again. Returns: how many there are. */
static guint
kill_when_full (pid_t child, const char *path, double seconds)
{
  double begun = (double) g_get_monotonic_time () / 1e6, now;
  guint n, most = 0;

  do
    {
      g_usleep (POLL_US);
      now = (double) g_get_monotonic_time () / 1e6 - begun;
      n = count_logs (path);
      most = MAX (most, n);
    }
  while (now < seconds || (n < most && now < 2 * seconds));
  if (kill (child, SIGKILL) != 0 || waitpid (child, NULL, 0) != child)
    fail ("cannot kill", g_strerror (errno));
  return n;
}

static void
read_something (RookStore *store)
{
  const Client client = { .number = 0 };
  g_autoptr (GBytes) key = client_key (&client, "header", 0), value = NULL;
  g_autoptr (GError) error = NULL;

  if (!rook_store_get_wait (store, 2, key, &value, &error))
    fail ("cannot read", error->message);
}

typedef struct {
  double clock, processor; /* milliseconds */
} Restart;

static Restart
restart_once (const char *path, double seconds)
{
  pid_t child = fork ();
  double begun, processor;
  RookStore *store;
  Restart result;
  guint n;

  if (child == 0)
    execl ("/proc/self/exe", "store", "load", path, NULL);
  n = kill_when_full (child, path, seconds);
  begun = (double) g_get_monotonic_time ();
  processor = processor_seconds ();
  store = open_store (path);
  read_something (store);
  result = (Restart){ ((double) g_get_monotonic_time () - begun) / 1e3, (processor_seconds () - processor) * 1e3 };
  printf ("%3u files of the log: read after %.0f ms, %.0f ms of the processor\n", n, result.clock, result.processor);
  fflush (stdout);
  if (!rook_store_checkpoint (store, NULL) || !rook_store_checkpoint (store, NULL))
    fail ("no checkpoint", path);
  rook_store_close (store);
  return result;
}

static void
run_restart (const char *folder, double seconds, guint rounds)
{
  g_autofree char *path = g_build_filename (folder, "store", NULL);
  double times[MAX_ROUNDS], costs[MAX_ROUNDS];

  for (guint i = 0; i < rounds; i++)
    {
      Restart result = restart_once (path, seconds);

      times[i] = result.clock;
      costs[i] = result.processor;
    }
  printf ("medians: %.0f ms, %.0f ms of the processor", median (times, rounds), median (costs, rounds));
  printf ("; the longest: %.0f ms, %.0f ms\n", times[rounds - 1], costs[rounds - 1]);
  remove_store (path);
}

int
main (int argc, char **argv)
{
  if (argc >= 3 && strcmp (argv[1], "speed") == 0)
    run_speed (argv[2], argc > 3 ? g_ascii_strtod (argv[3], NULL) : 2,
               argc > 4 ? (guint) CLAMP (atoi (argv[4]), 1, MAX_ROUNDS) : 5);
  else if (argc >= 3 && strcmp (argv[1], "compact") == 0)
    run_compact (argv[2], argc > 3 ? g_ascii_strtoull (argv[3], NULL, 10) : 400,
                 argc > 4 ? g_ascii_strtod (argv[4], NULL) : 20, argc > 5 ? g_ascii_strtod (argv[5], NULL) : 600);
  else if (argc >= 3 && strcmp (argv[1], "restart") == 0)
    run_restart (argv[2], argc > 3 ? g_ascii_strtod (argv[3], NULL) : 30,
                 argc > 4 ? (guint) CLAMP (atoi (argv[4]), 1, MAX_ROUNDS) : 5);
  else if (argc == 3 && strcmp (argv[1], "load") == 0) /* restart's own */
    run_load (argv[2]);
  else
    fail ("usage", "store speed DIR [SECONDS [ROUNDS]] | store compact DIR [MEGABYTES [SECONDS [LIMIT]]]"
                   " | store restart DIR [SECONDS [ROUNDS]]");
  return 0;
}
