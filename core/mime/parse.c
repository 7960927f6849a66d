/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The structure of a message: parts with byte offsets (RFC 2046), in one pass over its lines.
 *
 * Linear whatever the message holds: a line that may be a boundary is looked up in a table of those in force, and depth
 * and number of parts are bounded; what lies beyond is text of the part it is in. Nothing is decoded.
 */
#include <string.h>

#include "mime/mime-private.h"

typedef struct {
  char *boundary; /* (owned) */
  gint shadowed;  /* the level whose equal boundary this one hides; -1: none */
} Level;

typedef struct {
  RookMime *mime;
  RookSpan text;
  gsize i;            /* the line that comes next */
  GArray *levels;     /* (element-type Level) multiparts that are open */
  GHashTable *lookup; /* boundary (owned by its level) -> level + 1 */
  /* The boundary line at which reading stopped; hit < 0: the end of the message. */
  gint hit;
  gboolean hit_closes;
  gsize hit_start;
} Parser;

static void parse_entity (Parser *p, guint depth, gboolean in_digest);

/* --- boundaries ------------------------------------------------------------------------------------------------- */

static void
push_boundary (Parser *p, const char *boundary)
{
  Level level = { g_strdup (boundary), GPOINTER_TO_INT (g_hash_table_lookup (p->lookup, boundary)) - 1 };

  g_array_append_val (p->levels, level);
  g_hash_table_replace (p->lookup, level.boundary, GINT_TO_POINTER (p->levels->len));
}

static void
pop_boundary (Parser *p)
{
  Level level = g_array_index (p->levels, Level, p->levels->len - 1);

  g_hash_table_remove (p->lookup, level.boundary);
  if (level.shadowed >= 0)
    g_hash_table_replace (p->lookup, g_array_index (p->levels, Level, level.shadowed).boundary,
                          GINT_TO_POINTER (level.shadowed + 1));
  g_free (level.boundary);
  g_array_set_size (p->levels, p->levels->len - 1);
}

/* Whether the line at @i (of @length bytes, line end included) is a boundary in force. */
static gboolean
is_boundary (Parser *p, gsize i, gsize length)
{
  char text[ROOK_MIME_MAX_BOUNDARY + 3];
  const char *line = p->text.data + i;
  gint level;

  if (p->levels->len == 0 || length < 3 || line[0] != '-' || line[1] != '-')
    return FALSE;
  while (length > 2 && rook_is_space (line[length - 1]))
    length--;
  length -= 2;
  if (length == 0 || length > ROOK_MIME_MAX_BOUNDARY + 2 || memchr (line + 2, '\0', length) != NULL)
    return FALSE;
  memcpy (text, line + 2, length);
  text[length] = '\0';
  level = GPOINTER_TO_INT (g_hash_table_lookup (p->lookup, text));
  p->hit_closes = FALSE;
  if (level == 0 && length > 2 && text[length - 1] == '-' && text[length - 2] == '-')
    {
      text[length - 2] = '\0';
      level = GPOINTER_TO_INT (g_hash_table_lookup (p->lookup, text));
      p->hit_closes = TRUE;
    }
  p->hit = level - 1;
  return level > 0;
}

/* Reads one line. %FALSE: a boundary or the end of the message, in p->hit; a boundary line has then been read. */
static gboolean
next_line (Parser *p, RookSpan *out_line)
{
  const char *newline;
  gsize start = p->i, length;

  if (start >= p->text.length)
    {
      p->hit = -1;
      p->hit_start = p->text.length;
      return FALSE;
    }
  newline = memchr (p->text.data + start, '\n', p->text.length - start);
  length = newline == NULL ? p->text.length - start : (gsize) (newline - p->text.data) + 1 - start;
  p->i = start + length;
  if (is_boundary (p, start, length))
    {
      p->hit_start = start;
      return FALSE;
    }
  *out_line = rook_span (p->text, start, length);
  return TRUE;
}

static void
skip_to_boundary (Parser *p)
{
  RookSpan line;

  while (next_line (p, &line))
    ;
}

/* Where a body that began at @begin ends: the line end before a boundary belongs to the boundary (RFC 2046 5.1.1). */
static gsize
body_end (Parser *p, gsize begin)
{
  gsize end = p->hit_start;

  if (p->hit < 0)
    return p->text.length;
  if (end > begin && p->text.data[end - 1] == '\n')
    end--;
  if (end > begin && p->text.data[end - 1] == '\r')
    end--;
  return end;
}

/* --- parts ------------------------------------------------------------------------------------------------------ */

typedef struct {
  RookValue *type; /* (owned) (nullable) */
  char *encoding;  /* (owned) (nullable) upper case */
} PartHeader;

/* (nullable) RFC 2231 would allow percent signs here too, which nobody writes for a charset. */
static const char *
find_charset (const PartHeader *header)
{
  const char *charset = header->type != NULL ? rook_value_get_param (header->type, "CHARSET") : NULL;

  return charset != NULL && *charset != '\0' && strlen (charset) <= ROOK_MIME_MAX_CHARSET ? charset : NULL;
}

/* Without white space behind it, which lines are compared without. (nullable) (transfer full) */
static char *
find_boundary (const PartHeader *header)
{
  const char *given = header->type != NULL ? rook_value_get_param (header->type, "BOUNDARY") : NULL;
  g_autofree char *boundary = g_strchomp (g_strdup (given != NULL ? given : ""));

  return *boundary != '\0' && strlen (boundary) <= ROOK_MIME_MAX_BOUNDARY ? g_steal_pointer (&boundary) : NULL;
}

static void
read_part_header (RookSpan header, PartHeader *out)
{
  gsize position = 0;
  RookField field;

  memset (out, 0, sizeof *out);
  while (rook_field_next (header, &position, &field))
    {
      if (out->type == NULL && rook_span_equal_nocase (field.name, "content-type"))
        out->type = rook_value_parse (field.value, TRUE);
      else if (out->encoding == NULL && rook_span_equal_nocase (field.name, "content-transfer-encoding"))
        {
          g_autoptr (RookValue) value = rook_value_parse (field.value, FALSE);

          out->encoding = g_steal_pointer (&value->type);
        }
    }
  if (out->type != NULL && (out->type->type == NULL || out->type->subtype == NULL))
    g_clear_pointer (&out->type, rook_value_free);
}

static void
clear_part_header (PartHeader *header)
{
  g_clear_pointer (&header->type, rook_value_free);
  g_clear_pointer (&header->encoding, g_free);
}

static void
name_part (RookMime *mime, guint index, const char *type, const char *subtype, const char *encoding)
{
  RookMimePart *part = &rook_mime_node (mime, index)->part;

  part->type = g_string_chunk_insert_const (mime->strings, type);
  part->subtype = g_string_chunk_insert_const (mime->strings, subtype);
  if (encoding != NULL)
    part->encoding = g_string_chunk_insert_const (mime->strings, encoding);
}

/* Reads header lines up to the empty one. Returns %FALSE if a boundary or the end came first. */
static gboolean
read_header (Parser *p, guint index)
{
  RookMimePart *part = &rook_mime_node (p->mime, index)->part;
  gboolean complete = FALSE;
  RookSpan line;

  part->header_offset = p->i;
  while (next_line (p, &line))
    if (line.data[0] == '\n' || (line.length == 2 && line.data[0] == '\r' && line.data[1] == '\n'))
      {
        complete = TRUE;
        break;
      }
  part->header_length = (complete ? p->i : body_end (p, part->header_offset)) - part->header_offset;
  part->body_offset = part->header_offset + part->header_length;
  return complete;
}

static void
parse_multipart (Parser *p, guint index, guint depth, const char *boundary, gboolean digest)
{
  gint level = p->levels->len;

  push_boundary (p, boundary);
  skip_to_boundary (p);
  while (p->hit == level && !p->hit_closes && p->mime->nodes->len < ROOK_MIME_MAX_PARTS)
    {
      rook_mime_node (p->mime, index)->part.n_parts++;
      parse_entity (p, depth + 1, digest);
    }
  pop_boundary (p);
  if (p->hit == level)
    skip_to_boundary (p);
}

static void
parse_body (Parser *p, guint index, guint depth, const PartHeader *header)
{
  const char *type = rook_mime_node (p->mime, index)->part.type;
  const char *subtype = rook_mime_node (p->mime, index)->part.subtype;
  gboolean room = depth + 1 < ROOK_MIME_MAX_DEPTH && p->mime->nodes->len < ROOK_MIME_MAX_PARTS;
  g_autofree char *boundary = find_boundary (header);

  if (g_str_equal (type, "MULTIPART"))
    {
      if (room && boundary != NULL)
        parse_multipart (p, index, depth, boundary, g_str_equal (subtype, "DIGEST"));
      else
        skip_to_boundary (p);
      if (rook_mime_node (p->mime, index)->part.n_parts == 0)
        name_part (p->mime, index, "TEXT", "PLAIN", NULL);
    }
  else if (g_str_equal (type, "MESSAGE") && g_str_equal (subtype, "RFC822"))
    {
      if (room && !g_str_equal (rook_mime_node (p->mime, index)->part.encoding, "BASE64"))
        {
          rook_mime_node (p->mime, index)->part.n_parts = 1;
          parse_entity (p, depth + 1, FALSE);
          return;
        }
      /* It may not be encoded (RFC 2046 5.2.1), so this is none; nor can BODYSTRUCTURE show one without its envelope. */
      name_part (p->mime, index, "APPLICATION", "OCTET-STREAM", NULL);
      skip_to_boundary (p);
    }
  else
    skip_to_boundary (p);
}

static guint32
count_lines (RookSpan text)
{
  const char *at = text.data, *end = text.data + text.length;
  guint32 n = 0;

  while (at < end && (at = memchr (at, '\n', end - at)) != NULL)
    {
      n++;
      at++;
    }
  return n;
}

/* A message or part that begins at p->i; stops behind a boundary of a part around it or at the end. */
static void
parse_entity (Parser *p, guint depth, gboolean in_digest)
{
  guint index = p->mime->nodes->len;
  RookMimeNode fresh = { .depth = depth };
  RookMimePart *part;
  PartHeader header;
  gboolean complete;
  const char *charset;

  g_array_append_val (p->mime->nodes, fresh);
  complete = read_header (p, index);
  part = &rook_mime_node (p->mime, index)->part;
  read_part_header (rook_span (p->text, part->header_offset, part->header_length), &header);
  if (header.type != NULL)
    name_part (p->mime, index, header.type->type, header.type->subtype, NULL);
  else
    name_part (p->mime, index, in_digest ? "MESSAGE" : "TEXT", in_digest ? "RFC822" : "PLAIN", NULL);
  part->encoding = g_string_chunk_insert_const (p->mime->strings, header.encoding != NULL ? header.encoding : "7BIT");
  charset = find_charset (&header);
  if (charset != NULL)
    part->charset = g_string_chunk_insert_const (p->mime->strings, charset);
  if (complete)
    parse_body (p, index, depth, &header);
  else if (g_str_equal (part->type, "MULTIPART") || g_str_equal (part->type, "MESSAGE"))
    name_part (p->mime, index, "TEXT", "PLAIN", NULL);
  clear_part_header (&header);
  part = &rook_mime_node (p->mime, index)->part;
  part->body_length = body_end (p, part->body_offset) - part->body_offset;
  rook_mime_node (p->mime, index)->end = p->mime->nodes->len;
}

/* Lines of every body. Nested bodies are counted once for each level, of which there are few: leaves and messages. */
static void
count_all_lines (RookMime *mime, RookSpan text)
{
  for (guint i = mime->nodes->len; i-- > 0;)
    {
      RookMimeNode *node = rook_mime_node (mime, i);
      RookMimePart *part = &node->part;

      if (part->n_parts == 0)
        part->body_lines = count_lines (rook_span (text, part->body_offset, part->body_length));
      else
        {
          /* What lies between the bodies of the parts inside, plus what these have. */
          gsize at = part->body_offset, end = part->body_offset + part->body_length;

          for (guint child = i + 1; child < node->end; child = rook_mime_node (mime, child)->end)
            {
              RookMimePart *inner = &rook_mime_node (mime, child)->part;
              gsize begin = CLAMP (inner->body_offset, at, end);

              part->body_lines += count_lines (rook_span (text, at, begin - at)) + inner->body_lines;
              at = CLAMP (inner->body_offset + inner->body_length, begin, end);
            }
          part->body_lines += count_lines (rook_span (text, at, end - at));
        }
    }
}

void
rook_mime_parse_structure (RookMime *mime, RookSpan message)
{
  Parser p = { .mime = mime, .text = message, .hit = -1 };

  p.levels = g_array_new (FALSE, FALSE, sizeof (Level));
  p.lookup = g_hash_table_new (g_str_hash, g_str_equal);
  parse_entity (&p, 0, FALSE);
  count_all_lines (mime, message);
  g_hash_table_unref (p.lookup);
  g_array_unref (p.levels);
}
