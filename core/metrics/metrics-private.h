/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metrics beyond rookery/metrics.h: the service's life, and the buckets of a histogram, which its test looks into.
 */
#pragma once

#include "rookery/config.h"
#include "rookery/metrics.h"

G_BEGIN_DECLS

#define ROOK_METRICS_MAX 20000 /* further values of a label are counted under "other" */

RookMetrics *rook_metrics_new (RookServer *server);
void rook_metrics_free (RookMetrics *metrics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookMetrics, rook_metrics_free)

/* What each name counts: a(sss) name, unit, help; sorted. (transfer floating) */
GVariant *rook_metrics_describe (RookMetrics *metrics);

#define ROOK_HISTOGRAM_BUCKETS 252
guint rook_histogram_bucket (guint64 value);      /* the bucket of a value */
guint64 rook_histogram_bucket_top (guint bucket); /* the largest value in it */

G_END_DECLS
