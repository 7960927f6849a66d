/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counters, gauges and histograms by name and label. Found under a lock, once; counted with relaxed atomics: a snapshot
 * may see one of two counts that belong together and not yet the other, which for statistics is no harm.
 */
#include <string.h>

#include "metrics/metrics-private.h"
#include "rookery/thread.h"

typedef enum { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM } Kind;

/* The common head of the three; never freed before the service. */
typedef struct {
  Kind kind;
  char *name, *label, *value; /* label and value (nullable) */
  char *unit, *help;
} Metric;

struct RookCounter {
  Metric metric;
  guint64 n;
};

struct RookGauge {
  Metric metric;
  gint64 n;
};

struct RookHistogram {
  Metric metric;
  guint64 sum, max;
  guint64 buckets[ROOK_HISTOGRAM_BUCKETS];
};

struct RookMetrics {
  RookMutex lock;    /* guards the table, not the numbers */
  GHashTable *table; /* a Metric as its own key */
};

/* --- the table ----------------------------------------------------------------------------------------------------- */

static guint
metric_hash (gconstpointer data)
{
  const Metric *metric = data;

  return g_str_hash (metric->name) ^ (metric->value != NULL ? g_str_hash (metric->value) * 31 : 0);
}

static gboolean
metric_equal (gconstpointer a, gconstpointer b)
{
  const Metric *x = a, *y = b;

  return strcmp (x->name, y->name) == 0 && g_strcmp0 (x->label, y->label) == 0 && g_strcmp0 (x->value, y->value) == 0;
}

static void
metric_free (gpointer data)
{
  Metric *metric = data;

  g_free (metric->name);
  g_free (metric->label);
  g_free (metric->value);
  g_free (metric->unit);
  g_free (metric->help);
  g_free (metric);
}

RookMetrics *
rook_metrics_new (RookServer *server G_GNUC_UNUSED)
{
  RookMetrics *metrics = g_new0 (RookMetrics, 1);

  rook_mutex_init (&metrics->lock);
  metrics->table = g_hash_table_new_full (metric_hash, metric_equal, NULL, metric_free);
  return metrics;
}

void
rook_metrics_free (RookMetrics *metrics)
{
  g_hash_table_unref (metrics->table);
  rook_mutex_clear (&metrics->lock);
  g_free (metrics);
}

static Metric *
add_metric (RookMetrics *metrics, const Metric *sought, gsize size)
{
  Metric *metric = g_malloc0 (size);

  metric->kind = sought->kind;
  metric->name = g_strdup (sought->name);
  metric->label = g_strdup (sought->label);
  metric->value = g_strdup (sought->value);
  metric->unit = g_strdup (sought->unit);
  metric->help = g_strdup (sought->help);
  g_hash_table_add (metrics->table, metric);
  return metric;
}

static gpointer
find (RookMetrics *metrics, Metric sought, gsize size)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&metrics->lock);
  Metric *metric = g_hash_table_lookup (metrics->table, &sought);

  if (metric == NULL && sought.value != NULL && g_hash_table_size (metrics->table) >= ROOK_METRICS_MAX)
    {
      sought.value = (char *) "other";
      metric = g_hash_table_lookup (metrics->table, &sought);
    }
  if (metric == NULL)
    metric = add_metric (metrics, &sought, size);
  if (metric->kind != sought.kind)
    g_error ("metric %s is looked up as two kinds", sought.name);
  return metric;
}

RookCounter *
rook_metrics_counter (RookMetrics *metrics, const char *name, const char *label, const char *value, const char *help)
{
  g_return_val_if_fail ((label == NULL) == (value == NULL), NULL);
  return find (metrics, (Metric){ KIND_COUNTER, (char *) name, (char *) label, (char *) value, NULL, (char *) help },
               sizeof (RookCounter));
}

RookGauge *
rook_metrics_gauge (RookMetrics *metrics, const char *name, const char *label, const char *value, const char *help)
{
  g_return_val_if_fail ((label == NULL) == (value == NULL), NULL);
  return find (metrics, (Metric){ KIND_GAUGE, (char *) name, (char *) label, (char *) value, NULL, (char *) help },
               sizeof (RookGauge));
}

RookHistogram *
rook_metrics_histogram (RookMetrics *metrics, const char *name, const char *label, const char *value, const char *unit,
                        const char *help)
{
  g_return_val_if_fail ((label == NULL) == (value == NULL), NULL);
  return find (metrics,
               (Metric){ KIND_HISTOGRAM, (char *) name, (char *) label, (char *) value, (char *) unit, (char *) help },
               sizeof (RookHistogram));
}

/* --- counting ------------------------------------------------------------------------------------------------------ */

void
rook_counter_add (RookCounter *counter, guint64 n)
{
  __atomic_fetch_add (&counter->n, n, __ATOMIC_RELAXED);
}

guint64
rook_counter_get (RookCounter *counter)
{
  return __atomic_load_n (&counter->n, __ATOMIC_RELAXED);
}

void
rook_gauge_add (RookGauge *gauge, gint64 n)
{
  __atomic_fetch_add (&gauge->n, n, __ATOMIC_RELAXED);
}

void
rook_gauge_set (RookGauge *gauge, gint64 n)
{
  __atomic_store_n (&gauge->n, n, __ATOMIC_RELAXED);
}

gint64
rook_gauge_get (RookGauge *gauge)
{
  return __atomic_load_n (&gauge->n, __ATOMIC_RELAXED);
}

void
rook_histogram_add (RookHistogram *histogram, guint64 value)
{
  guint64 max = __atomic_load_n (&histogram->max, __ATOMIC_RELAXED);

  __atomic_fetch_add (&histogram->buckets[rook_histogram_bucket (value)], 1, __ATOMIC_RELAXED);
  __atomic_fetch_add (&histogram->sum, value, __ATOMIC_RELAXED);
  while (value > max
         && !__atomic_compare_exchange_n (&histogram->max, &max, value, TRUE, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}

guint64
rook_histogram_get_sum (RookHistogram *histogram)
{
  return __atomic_load_n (&histogram->sum, __ATOMIC_RELAXED);
}

/* A copy to reckon with, and the number of values in it. */
static guint64
copy_buckets (RookHistogram *histogram, guint64 *buckets)
{
  guint64 count = 0;

  for (guint i = 0; i < ROOK_HISTOGRAM_BUCKETS; i++)
    {
      buckets[i] = __atomic_load_n (&histogram->buckets[i], __ATOMIC_RELAXED);
      count += buckets[i];
    }
  return count;
}

guint64
rook_histogram_get_count (RookHistogram *histogram)
{
  guint64 buckets[ROOK_HISTOGRAM_BUCKETS];

  return copy_buckets (histogram, buckets);
}

static guint64
find_quantile (const guint64 *buckets, guint64 count, guint64 max, double quantile)
{
  double exact = CLAMP (quantile, 0.0, 1.0) * (double) count;
  guint64 rank = (guint64) exact;
  guint64 seen = 0;

  if ((double) rank < exact)
    rank++;
  for (guint i = 0; i < ROOK_HISTOGRAM_BUCKETS; i++)
    {
      seen += buckets[i];
      if (seen >= MAX (rank, 1))
        return MIN (rook_histogram_bucket_top (i), max);
    }
  return 0;
}

guint64
rook_histogram_get_quantile (RookHistogram *histogram, double quantile)
{
  guint64 buckets[ROOK_HISTOGRAM_BUCKETS];
  guint64 count = copy_buckets (histogram, buckets);

  return find_quantile (buckets, count, __atomic_load_n (&histogram->max, __ATOMIC_RELAXED), quantile);
}

/* --- reading everything -------------------------------------------------------------------------------------------- */

static GVariant *
histogram_to_variant (RookHistogram *histogram)
{
  guint64 buckets[ROOK_HISTOGRAM_BUCKETS];
  guint64 count = copy_buckets (histogram, buckets);
  guint64 max = __atomic_load_n (&histogram->max, __ATOMIC_RELAXED);

  return g_variant_new ("(tttttt)", count, rook_histogram_get_sum (histogram), find_quantile (buckets, count, max, 0.5),
                        find_quantile (buckets, count, max, 0.9), find_quantile (buckets, count, max, 0.99), max);
}

static GVariant *
metric_to_variant (Metric *metric)
{
  switch (metric->kind)
    {
    case KIND_COUNTER:
      return g_variant_new_uint64 (rook_counter_get ((RookCounter *) metric));
    case KIND_GAUGE:
      return g_variant_new_int64 (rook_gauge_get ((RookGauge *) metric));
    case KIND_HISTOGRAM:
      return histogram_to_variant ((RookHistogram *) metric);
    }
  g_assert_not_reached ();
}

static int
compare_metrics (gconstpointer a, gconstpointer b)
{
  const Metric *x = *(Metric *const *) a, *y = *(Metric *const *) b;
  int order = strcmp (x->name, y->name);

  if (order == 0)
    order = g_strcmp0 (x->label, y->label);
  return order != 0 ? order : g_strcmp0 (x->value, y->value);
}

/* The lock is held for the list only: metrics live as long as the service. */
static GPtrArray *
list_metrics (RookMetrics *metrics)
{
  GPtrArray *list = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer metric;

  rook_mutex_lock (&metrics->lock);
  g_hash_table_iter_init (&iter, metrics->table);
  while (g_hash_table_iter_next (&iter, &metric, NULL))
    g_ptr_array_add (list, metric);
  rook_mutex_unlock (&metrics->lock);
  g_ptr_array_sort (list, compare_metrics);
  return list;
}

static const char *
text_or_empty (const char *text)
{
  return text != NULL ? text : "";
}

GVariant *
rook_metrics_snapshot (RookMetrics *metrics)
{
  g_autoptr (GPtrArray) list = list_metrics (metrics);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sssvs)"));
  for (guint i = 0; i < list->len; i++)
    {
      Metric *metric = list->pdata[i];

      g_variant_builder_add (&builder, "(sssvs)", metric->name, text_or_empty (metric->label),
                             text_or_empty (metric->value), metric_to_variant (metric), text_or_empty (metric->unit));
    }
  return g_variant_builder_end (&builder);
}

GVariant *
rook_metrics_describe (RookMetrics *metrics)
{
  g_autoptr (GPtrArray) list = list_metrics (metrics);
  GVariantBuilder builder;
  const char *last = "";

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sss)"));
  for (guint i = 0; i < list->len; i++)
    {
      Metric *metric = list->pdata[i];

      if (strcmp (metric->name, last) != 0)
        g_variant_builder_add (&builder, "(sss)", metric->name, text_or_empty (metric->unit),
                               text_or_empty (metric->help));
      last = metric->name;
    }
  return g_variant_builder_end (&builder);
}
