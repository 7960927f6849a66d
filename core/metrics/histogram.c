/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The scale of histograms: four buckets to each power of two, so neighbours differ by a quarter at most, and 252 of them
 * hold every 64-bit value. No state here.
 */
#include "metrics/metrics-private.h"

guint
rook_histogram_bucket (guint64 value)
{
  guint exponent;

  if (value < 4)
    return (guint) value;
  exponent = 63 - (guint) __builtin_clzll (value);
  return 4 + (exponent - 2) * 4 + (guint) ((value >> (exponent - 2)) & 3);
}

guint64
rook_histogram_bucket_top (guint bucket)
{
  guint shift;

  if (bucket < 4)
    return bucket;
  shift = (bucket - 4) / 4;
  return (((guint64) (4 + (bucket - 4) % 4)) << shift) + ((G_GUINT64_CONSTANT (1) << shift) - 1);
}
