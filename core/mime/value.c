/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values of MIME fields: Content-Type, Content-Disposition and their like (RFC 2045 5.1), comments skipped.
 *
 * Forgiving: what can't be read is left out. Pieces of parameters are put together; charsets and percent signs of
 * RFC 2231 stay.
 */
#include <string.h>

#include "mime/mime-private.h"

void
rook_param_free (gpointer data)
{
  RookParam *param = data;

  g_free (param->name);
  g_free (param->value);
  g_free (param);
}

RookParam *
rook_param_copy (const RookParam *param)
{
  RookParam *copy = g_new0 (RookParam, 1);

  copy->name = g_strdup (param->name);
  copy->value = g_strdup (param->value);
  return copy;
}

void
rook_value_free (RookValue *value)
{
  g_free (value->type);
  g_free (value->subtype);
  g_ptr_array_unref (value->params);
  g_free (value);
}

/* @i: behind the "(" of a comment. Returns the offset behind its ")". Nesting is counted, so this is linear. */
static gsize
skip_comment (RookSpan text, gsize i)
{
  guint depth = 1;

  for (; i < text.length && depth > 0; i++)
    {
      if (text.data[i] == '\\' && i + 1 < text.length)
        i++;
      else if (text.data[i] == '(')
        depth++;
      else if (text.data[i] == ')')
        depth--;
    }
  return i;
}

gsize
rook_skip_cfws (RookSpan text, gsize i)
{
  while (i < text.length)
    {
      if (rook_is_space (text.data[i]))
        i++;
      else if (text.data[i] == '(')
        i = skip_comment (text, i + 1);
      else
        break;
    }
  return i;
}

static gboolean
is_token (char c)
{
  return (guchar) c > ' ' && (guchar) c < 0x7f && strchr ("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* Reads a token at *@i. (nullable) (transfer full) */
static char *
read_token (RookSpan text, gsize *i)
{
  gsize start = *i;

  while (*i < text.length && is_token (text.data[*i]))
    ++*i;
  return *i > start ? g_strndup (text.data + start, *i - start) : NULL;
}

static char *
read_upper_token (RookSpan text, gsize *i)
{
  g_autofree char *token = read_token (text, i);

  return token != NULL ? g_ascii_strup (token, -1) : NULL;
}

/* @i: behind the opening quote. */
static char *
read_quoted (RookSpan text, gsize *i)
{
  GString *out = g_string_new (NULL);

  for (; *i < text.length && text.data[*i] != '"'; ++*i)
    {
      char c = text.data[*i];

      if (c == '\\' && *i + 1 < text.length)
        c = text.data[++*i];
      if (c != '\r' && c != '\n' && c != '\0')
        g_string_append_c (out, c);
    }
  if (*i < text.length)
    ++*i;
  return g_string_free (out, FALSE);
}

/* A value that is neither quoted nor a token as it should be: up to white space or ";". */
static char *
read_loose (RookSpan text, gsize *i)
{
  gsize start = *i;

  while (*i < text.length && !rook_is_space (text.data[*i]) && text.data[*i] != ';' && text.data[*i] != '\0')
    ++*i;
  return g_strndup (text.data + start, *i - start);
}

/* Reads "name=value" at *@i, which is left at the ";" behind it or at the end. (nullable) */
static RookParam *
read_param (RookSpan text, gsize *i)
{
  g_autofree char *name = read_upper_token (text, i);
  RookParam *param = NULL;

  *i = rook_skip_cfws (text, *i);
  if (name != NULL && *i < text.length && text.data[*i] == '=')
    {
      *i = rook_skip_cfws (text, *i + 1);
      param = g_new0 (RookParam, 1);
      param->name = g_steal_pointer (&name);
      if (*i < text.length && text.data[*i] == '"')
        {
          ++*i;
          param->value = read_quoted (text, i);
        }
      else
        param->value = read_loose (text, i);
    }
  while (*i < text.length && text.data[*i] != ';')
    *i = text.data[*i] == '(' ? skip_comment (text, *i + 1) : *i + 1;
  return param;
}

RookValue *
rook_value_parse (RookSpan text, gboolean with_subtype)
{
  RookValue *value = g_new0 (RookValue, 1);
  gsize i = rook_skip_cfws (text, 0);
  gboolean pieces = FALSE;

  value->params = g_ptr_array_new_with_free_func (rook_param_free);
  value->type = read_upper_token (text, &i);
  i = rook_skip_cfws (text, i);
  if (with_subtype && i < text.length && text.data[i] == '/')
    {
      i = rook_skip_cfws (text, i + 1);
      value->subtype = read_upper_token (text, &i);
      i = rook_skip_cfws (text, i);
    }
  while (i < text.length && text.data[i] != ';')
    i++;
  while (i < text.length && value->params->len < ROOK_MIME_MAX_PARAMS)
    {
      RookParam *param;

      i = rook_skip_cfws (text, i + 1);
      param = read_param (text, &i);
      if (param != NULL)
        g_ptr_array_add (value->params, param);
      pieces |= param != NULL && strchr (param->name, '*') != NULL;
    }
  if (pieces)
    rook_value_join_params (value);
  return value;
}

const char *
rook_value_get_param (const RookValue *value, const char *name)
{
  for (guint i = 0; i < value->params->len; i++)
    {
      RookParam *param = g_ptr_array_index (value->params, i);

      if (g_str_equal (param->name, name))
        return param->value;
    }
  return NULL;
}
