/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metrics: identity, counting from many threads, how exact a quantile is, the snapshot.
 */
#include <pthread.h>
#include <stdlib.h>

#include "metrics/metrics-private.h"

static void
test_same_triple (void)
{
  g_autoptr (RookMetrics) metrics = rook_metrics_new (NULL);
  RookCounter *plain = rook_metrics_counter (metrics, "a.b", NULL, NULL, "help");
  RookCounter *fetch = rook_metrics_counter (metrics, "a.b", "command", "FETCH", "help");
  RookCounter *store = rook_metrics_counter (metrics, "a.b", "command", "STORE", "help");

  g_assert_true (plain != fetch && fetch != store);
  rook_counter_add (fetch, 3);
  g_assert_true (rook_metrics_counter (metrics, "a.b", "command", "FETCH", NULL) == fetch);
  g_assert_cmpuint (rook_counter_get (rook_metrics_counter (metrics, "a.b", "command", "FETCH", NULL)), ==, 3);
  g_assert_cmpuint (rook_counter_get (plain), ==, 0);
}

static void
test_gauge (void)
{
  g_autoptr (RookMetrics) metrics = rook_metrics_new (NULL);
  RookGauge *gauge = rook_metrics_gauge (metrics, "a.b", NULL, NULL, "help");

  rook_gauge_add (gauge, 5);
  rook_gauge_add (gauge, -7);
  g_assert_cmpint (rook_gauge_get (gauge), ==, -2);
  rook_gauge_set (gauge, 9);
  g_assert_cmpint (rook_gauge_get (gauge), ==, 9);
}

static void
test_buckets (void)
{
  guint64 below = 0;

  for (guint i = 0; i < ROOK_HISTOGRAM_BUCKETS; i++)
    {
      guint64 top = rook_histogram_bucket_top (i);
      guint64 bottom = i == 0 ? 0 : below + 1;

      g_assert_cmpuint (rook_histogram_bucket (top), ==, i);
      g_assert_cmpuint (rook_histogram_bucket (bottom), ==, i);
      g_assert_cmpfloat ((double) top, <=, 1.25 * (double) bottom);
      below = top;
    }
  g_assert_cmpuint (below, ==, G_MAXUINT64);
}

static int
compare_values (const void *a, const void *b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;

  return x < y ? -1 : x > y;
}

static void
test_quantile (void)
{
  g_autoptr (RookMetrics) metrics = rook_metrics_new (NULL);
  RookHistogram *histogram = rook_metrics_histogram (metrics, "a.b", NULL, NULL, "us", "help");
  static const double quantiles[] = { 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0 };
  guint64 values[2000], sum = 0;

  g_assert_cmpuint (rook_histogram_get_quantile (histogram, 0.5), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      values[i] = (guint64) g_test_rand_int_range (0, 1 << 30) >> g_test_rand_int_range (0, 30);
      sum += values[i];
      rook_histogram_add (histogram, values[i]);
    }
  qsort (values, G_N_ELEMENTS (values), sizeof *values, compare_values);
  for (guint i = 0; i < G_N_ELEMENTS (quantiles); i++)
    {
      guint64 truth = values[(guint) (quantiles[i] * G_N_ELEMENTS (values) + 0.5) - 1];
      guint64 read_back = rook_histogram_get_quantile (histogram, quantiles[i]);

      g_assert_cmpuint (read_back, >=, truth);
      g_assert_cmpfloat ((double) read_back, <=, 1.25 * (double) truth);
    }
  g_assert_cmpuint (rook_histogram_get_count (histogram), ==, G_N_ELEMENTS (values));
  g_assert_cmpuint (rook_histogram_get_sum (histogram), ==, sum);
  g_assert_cmpuint (rook_histogram_get_quantile (histogram, 1.0), ==, values[G_N_ELEMENTS (values) - 1]);
}

typedef struct {
  RookMetrics *metrics;
  guint index;
} Thread;

static void *
count (void *data)
{
  Thread *thread = data;
  RookCounter *counter = rook_metrics_counter (thread->metrics, "count", NULL, NULL, "help");
  RookHistogram *histogram = rook_metrics_histogram (thread->metrics, "size", NULL, NULL, "bytes", "help");

  for (guint i = 0; i < 10000; i++)
    {
      rook_counter_add (counter, 2);
      rook_histogram_add (histogram, thread->index * 10000 + i);
    }
  return NULL;
}

static void
test_threads (void)
{
  g_autoptr (RookMetrics) metrics = rook_metrics_new (NULL);
  RookHistogram *histogram = rook_metrics_histogram (metrics, "size", NULL, NULL, "bytes", "help");
  pthread_t ids[4];
  Thread threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      threads[i] = (Thread){ metrics, i };
      g_assert_cmpint (pthread_create (&ids[i], NULL, count, &threads[i]), ==, 0);
    }
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    pthread_join (ids[i], NULL);
  g_assert_cmpuint (rook_counter_get (rook_metrics_counter (metrics, "count", NULL, NULL, NULL)), ==, 80000);
  g_assert_cmpuint (rook_histogram_get_count (histogram), ==, 40000);
  g_assert_cmpuint (rook_histogram_get_quantile (histogram, 1.0), ==, 39999);
}

static void
test_snapshot (void)
{
  g_autoptr (RookMetrics) metrics = rook_metrics_new (NULL);
  g_autoptr (GVariant) snapshot = NULL;
  g_autoptr (GVariant) description = NULL;
  g_autofree char *text = NULL;
  g_autofree char *described = NULL;

  rook_counter_add (rook_metrics_counter (metrics, "b", "x", "two", "Things."), 2);
  rook_counter_add (rook_metrics_counter (metrics, "b", "x", "one", "Things."), 1);
  rook_gauge_set (rook_metrics_gauge (metrics, "c", NULL, NULL, "Now."), -1);
  rook_histogram_add (rook_metrics_histogram (metrics, "a", NULL, NULL, "us", "Times."), 3);
  snapshot = g_variant_ref_sink (rook_metrics_snapshot (metrics));
  g_assert_cmpstr (g_variant_get_type_string (snapshot), ==, "a(sssvs)");
  text = g_variant_print (snapshot, FALSE);
  g_assert_cmpstr (text, ==,
                   "[('a', '', '', <(uint64 1, uint64 3, uint64 3, uint64 3, uint64 3, uint64 3)>, 'us'), "
                   "('b', 'x', 'one', <uint64 1>, ''), ('b', 'x', 'two', <uint64 2>, ''), "
                   "('c', '', '', <int64 -1>, '')]");
  description = g_variant_ref_sink (rook_metrics_describe (metrics));
  described = g_variant_print (description, FALSE);
  g_assert_cmpstr (described, ==, "[('a', 'us', 'Times.'), ('b', '', 'Things.'), ('c', '', 'Now.')]");
}

static void
test_bounded (void)
{
  g_autoptr (RookMetrics) metrics = rook_metrics_new (NULL);
  g_autoptr (GVariant) snapshot = NULL;

  for (guint i = 0; i < ROOK_METRICS_MAX + 1000; i++)
    {
      g_autofree char *value = g_strdup_printf ("%u", i);

      rook_counter_add (rook_metrics_counter (metrics, "a", "from", value, "help"), 1);
    }
  snapshot = g_variant_ref_sink (rook_metrics_snapshot (metrics));
  g_assert_cmpuint (g_variant_n_children (snapshot), ==, ROOK_METRICS_MAX + 1);
  g_assert_cmpuint (rook_counter_get (rook_metrics_counter (metrics, "a", "from", "other", NULL)), ==, 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/metrics/lookup/same-triple-same-object-for-good", test_same_triple);
  g_test_add_func ("/metrics/lookup/is-bounded", test_bounded);
  g_test_add_func ("/metrics/gauge/goes-up-and-down", test_gauge);
  g_test_add_func ("/metrics/histogram/buckets-grow-by-a-quarter-at-most", test_buckets);
  g_test_add_func ("/metrics/histogram/quantile-at-most-a-quarter-above", test_quantile);
  g_test_add_func ("/metrics/any-thread", test_threads);
  g_test_add_func ("/metrics/snapshot/everything-sorted-by-name", test_snapshot);
  return g_test_run ();
}
