/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Numbers in files: little-endian, at any alignment. In keys they are big-endian, so that they sort.
 */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

#define GS_ALIGN 8
#define GS_PADDED(size) (((size) + (GS_ALIGN - 1)) & ~(guint64) (GS_ALIGN - 1))

static inline void
gs_put16 (guint8 *p, guint16 value)
{
  value = GUINT16_TO_LE (value);
  memcpy (p, &value, sizeof value);
}

static inline void
gs_put32 (guint8 *p, guint32 value)
{
  value = GUINT32_TO_LE (value);
  memcpy (p, &value, sizeof value);
}

static inline void
gs_put64 (guint8 *p, guint64 value)
{
  value = GUINT64_TO_LE (value);
  memcpy (p, &value, sizeof value);
}

static inline guint16
gs_get16 (const guint8 *p)
{
  guint16 value;

  memcpy (&value, p, sizeof value);
  return GUINT16_FROM_LE (value);
}

static inline guint32
gs_get32 (const guint8 *p)
{
  guint32 value;

  memcpy (&value, p, sizeof value);
  return GUINT32_FROM_LE (value);
}

static inline guint64
gs_get64 (const guint8 *p)
{
  guint64 value;

  memcpy (&value, p, sizeof value);
  return GUINT64_FROM_LE (value);
}

static inline void
gs_put64_be (guint8 *p, guint64 value)
{
  value = GUINT64_TO_BE (value);
  memcpy (p, &value, sizeof value);
}

static inline guint64
gs_get64_be (const guint8 *p)
{
  guint64 value;

  memcpy (&value, p, sizeof value);
  return GUINT64_FROM_BE (value);
}

/* Makes room for @size more bytes at the end and returns where they are, zeroed. */
static inline guint8 *
gs_grow (GByteArray *array, gsize size)
{
  guint old = array->len;

  g_assert (size <= G_MAXUINT - old);
  g_byte_array_set_size (array, old + (guint) size);
  if (size > 0)
    memset (array->data + old, 0, size);
  return array->data + old;
}

G_END_DECLS
