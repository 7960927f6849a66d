/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stored form of a parsed message: what FETCH, SORT and SEARCH need without touching the message.
 *
 * A GVariant in little-endian normal form behind a magic number with a version. Derivable: whoever reads one that
 * is damaged or of another version parses the message again. Reading checks everything that later code relies on.
 */
#include <string.h>

#include "mime/mime-private.h"

#define MAGIC "RkM\002"
/* The strings may hold any byte but NUL. */
#define PART_TYPE "(ttttuuuqayayayay)"
#define FIELD_TYPE "(uuay)" /* offset, length, name */
/* size, parts, whether all fields follow, fields, header pairs, envelope, body, bodystructure */
#define CACHE_TYPE "(ta" PART_TYPE "ba" FIELD_TYPE "aayayayay)"
#define CACHE_FORMAT "(t@a" PART_TYPE "b@a" FIELD_TYPE "@aay@ay@ay@ay)"

static GVariant *
bytestring (const char *text)
{
  return g_variant_new_bytestring (text);
}

static GVariant *
part_variant (const RookMimeNode *node)
{
  const RookMimePart *part = &node->part;

  return g_variant_new ("(ttttuuuq@ay@ay@ay@ay)", part->header_offset, part->header_length, part->body_offset,
                        part->body_length, part->body_lines, part->n_parts, node->end, node->depth,
                        bytestring (part->type), bytestring (part->subtype), bytestring (part->encoding),
                        bytestring (part->charset != NULL ? part->charset : ""));
}

static GVariant *
fields_variant (RookMime *mime)
{
  GVariantBuilder fields;

  g_variant_builder_init (&fields, G_VARIANT_TYPE ("a" FIELD_TYPE));
  for (guint i = 0; i < mime->fields->len; i++)
    {
      const RookMimeField *field = &g_array_index (mime->fields, RookMimeField, i);

      g_variant_builder_add (&fields, "(uu@ay)", (guint32) field->offset, (guint32) field->length,
                             bytestring (field->name));
    }
  return g_variant_builder_end (&fields);
}

GBytes *
rook_mime_to_cache (RookMime *mime)
{
  g_autoptr (GVariant) variant = NULL;
  GVariantBuilder parts, headers;
  GByteArray *out;

  if (mime->cache != NULL)
    return g_bytes_ref (mime->cache);
  g_variant_builder_init (&parts, G_VARIANT_TYPE ("a" PART_TYPE));
  for (guint i = 0; i < mime->nodes->len; i++)
    g_variant_builder_add_value (&parts, part_variant (rook_mime_node (mime, i)));
  g_variant_builder_init (&headers, G_VARIANT_TYPE ("aay"));
  for (guint i = 0; i < mime->headers->len; i++)
    g_variant_builder_add_value (&headers, bytestring (g_ptr_array_index (mime->headers, i)));
  variant = g_variant_ref_sink (g_variant_new (CACHE_FORMAT, mime->size, g_variant_builder_end (&parts),
                                               mime->all_fields, fields_variant (mime),
                                               g_variant_builder_end (&headers), bytestring (mime->envelope),
                                               bytestring (mime->body), bytestring (mime->bodystructure)));
#if G_BYTE_ORDER == G_BIG_ENDIAN
  {
    GVariant *swapped = g_variant_byteswap (variant);

    g_variant_unref (variant);
    variant = swapped;
  }
#endif
  out = g_byte_array_new ();
  g_byte_array_append (out, (const guint8 *) MAGIC "\0\0\0", 8);
  g_byte_array_append (out, g_variant_get_data (variant), g_variant_get_size (variant));
  return g_byte_array_free_to_bytes (out);
}

static void
read_part (RookMime *mime, GVariant *variant)
{
  RookMimeNode node = { .depth = 0 };
  g_autoptr (GVariant) type = g_variant_get_child_value (variant, 8);
  g_autoptr (GVariant) subtype = g_variant_get_child_value (variant, 9);
  g_autoptr (GVariant) encoding = g_variant_get_child_value (variant, 10);
  g_autoptr (GVariant) charset = g_variant_get_child_value (variant, 11);
  const char *named = g_variant_get_bytestring (charset);

  g_variant_get (variant, "(ttttuuuq@ay@ay@ay@ay)", &node.part.header_offset, &node.part.header_length,
                 &node.part.body_offset, &node.part.body_length, &node.part.body_lines, &node.part.n_parts, &node.end,
                 &node.depth, NULL, NULL, NULL, NULL);
  node.part.type = g_string_chunk_insert_const (mime->strings, g_variant_get_bytestring (type));
  node.part.subtype = g_string_chunk_insert_const (mime->strings, g_variant_get_bytestring (subtype));
  node.part.encoding = g_string_chunk_insert_const (mime->strings, g_variant_get_bytestring (encoding));
  node.part.charset = *named != '\0' ? g_string_chunk_insert_const (mime->strings, named) : NULL;
  g_array_append_val (mime->nodes, node);
}

/* %FALSE: it does not lie where a field may be. */
static gboolean
read_field (RookMime *mime, GVariant *variant)
{
  g_autoptr (GVariant) name = NULL;
  RookMimeField field;
  guint32 offset, length;

  g_variant_get (variant, "(uu@ay)", &offset, &length, &name);
  field =
      (RookMimeField){ g_string_chunk_insert_const (mime->strings, g_variant_get_bytestring (name)), offset, length };
  g_array_append_val (mime->fields, field);
  return field.offset + field.length <= mime->size;
}

static gboolean
is_range (guint64 offset, guint64 length, guint64 size)
{
  return offset <= size && length <= size - offset;
}

/* Whether the parts form the tree they say they do, and lie within the message. */
static gboolean
check_parts (RookMime *mime)
{
  if (mime->nodes->len == 0 || mime->nodes->len > ROOK_MIME_MAX_PARTS + 1
      || rook_mime_node (mime, 0)->end != mime->nodes->len)
    return FALSE;
  for (guint i = 0; i < mime->nodes->len; i++)
    {
      RookMimeNode *node = rook_mime_node (mime, i);
      guint child = i + 1, n = 0;

      if (node->end <= i || node->end > mime->nodes->len || node->depth > ROOK_MIME_MAX_DEPTH
          || !is_range (node->part.header_offset, node->part.header_length, mime->size)
          || !is_range (node->part.body_offset, node->part.body_length, mime->size))
        return FALSE;
      for (; child < node->end && rook_mime_node (mime, child)->depth == node->depth + 1 && n < node->part.n_parts; n++)
        {
          if (rook_mime_node (mime, child)->end <= child)
            return FALSE;
          child = rook_mime_node (mime, child)->end;
        }
      if (child != node->end || n != node->part.n_parts)
        return FALSE;
    }
  return TRUE;
}

static gboolean
read_all (RookMime *mime, GVariant *variant)
{
  g_autoptr (GVariant) parts = NULL, fields = NULL, headers = NULL, envelope = NULL, body = NULL, bodystructure = NULL;

  g_variant_get (variant, CACHE_FORMAT, &mime->size, &parts, &mime->all_fields, &fields, &headers, &envelope, &body,
                 &bodystructure);
  if (g_variant_n_children (parts) > ROOK_MIME_MAX_PARTS + 1 || g_variant_n_children (headers) > 1000
      || g_variant_n_children (fields) > ROOK_MIME_MAX_FIELDS)
    return FALSE;
  for (gsize i = 0; i < g_variant_n_children (parts); i++)
    {
      g_autoptr (GVariant) part = g_variant_get_child_value (parts, i);

      read_part (mime, part);
    }
  for (gsize i = 0; i < g_variant_n_children (fields); i++)
    {
      g_autoptr (GVariant) field = g_variant_get_child_value (fields, i);

      if (!read_field (mime, field))
        return FALSE;
    }
  for (gsize i = 0; i < g_variant_n_children (headers); i++)
    {
      g_autoptr (GVariant) text = g_variant_get_child_value (headers, i);

      g_ptr_array_add (mime->headers, g_strdup (g_variant_get_bytestring (text)));
    }
  mime->envelope = g_strdup (g_variant_get_bytestring (envelope));
  mime->body = g_strdup (g_variant_get_bytestring (body));
  mime->bodystructure = g_strdup (g_variant_get_bytestring (bodystructure));
  if (!check_parts (mime))
    return FALSE;
  rook_mime_link_children (mime);
  return TRUE;
}

RookMime *
rook_mime_from_cache (GBytes *cache)
{
  g_autoptr (RookMime) mime = NULL;
  g_autoptr (GVariant) variant = NULL;
  g_autoptr (GBytes) payload = NULL;
  gsize length;
  const guint8 *data = g_bytes_get_data (cache, &length);

  if (length < 8 || memcmp (data, MAGIC "\0\0\0", 8) != 0)
    return NULL;
  payload = g_bytes_new_from_bytes (cache, 8, length - 8);
  variant = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (CACHE_TYPE), payload, FALSE));
#if G_BYTE_ORDER == G_BIG_ENDIAN
  {
    GVariant *swapped = g_variant_byteswap (variant);

    g_variant_unref (variant);
    variant = swapped;
  }
#endif
  if (!g_variant_is_normal_form (variant))
    return NULL;
  mime = rook_mime_alloc ();
  mime->cache = g_bytes_ref (cache);
  if (!read_all (mime, variant))
    return NULL;
  return g_steal_pointer (&mime);
}
