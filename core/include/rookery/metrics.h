/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counters, gauges and histograms, by name and at most one label ("imap.command", "command", "FETCH").
 *
 * Looking one up takes a lock and is done once, at init; adding to it is one atomic instruction. Names are dotted
 * lower case; what a name counts and in which unit is said when it is first looked up. Metrics live as long as the
 * server: a plugin that is loaded again goes on where it stopped. Any thread.
 */
#pragma once

#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct RookMetrics RookMetrics;
typedef struct RookCounter RookCounter;     /* only grows */
typedef struct RookGauge RookGauge;         /* goes up and down */
typedef struct RookHistogram RookHistogram; /* of guint64 values: microseconds, bytes, ... */

ROOK_EXPORT RookMetrics *rook_server_get_metrics (RookServer *server);

/* @label and @value: both %NULL for a metric without a label. The same triple gives the same object. */
ROOK_EXPORT RookCounter *rook_metrics_counter (RookMetrics *metrics, const char *name, const char *label,
                                               const char *value, const char *help);
ROOK_EXPORT RookGauge *rook_metrics_gauge (RookMetrics *metrics, const char *name, const char *label, const char *value,
                                           const char *help);
ROOK_EXPORT RookHistogram *rook_metrics_histogram (RookMetrics *metrics, const char *name, const char *label,
                                                   const char *value, const char *unit, const char *help);

ROOK_EXPORT void rook_counter_add (RookCounter *counter, guint64 n);
ROOK_EXPORT guint64 rook_counter_get (RookCounter *counter);
ROOK_EXPORT void rook_gauge_add (RookGauge *gauge, gint64 n);
ROOK_EXPORT void rook_gauge_set (RookGauge *gauge, gint64 n);
ROOK_EXPORT gint64 rook_gauge_get (RookGauge *gauge);
/* Buckets grow by a factor of at most 1.25, so a quantile read back is at most 25% above the true one. */
ROOK_EXPORT void rook_histogram_add (RookHistogram *histogram, guint64 value);
ROOK_EXPORT guint64 rook_histogram_get_count (RookHistogram *histogram);
ROOK_EXPORT guint64 rook_histogram_get_sum (RookHistogram *histogram);
ROOK_EXPORT guint64 rook_histogram_get_quantile (RookHistogram *histogram, double quantile); /* 0 if empty */

/* Everything, sorted by name: a GVariant of type a(sssvs): name, label, value, number or (count, sum, p50, p90, p99,
 * max) as (tttttt), unit. (transfer floating) */
ROOK_EXPORT GVariant *rook_metrics_snapshot (RookMetrics *metrics);

G_END_DECLS
