/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The charsets of mail: which names mean which, and what converts them.
 *
 * A table, so that no name out of a message ever reaches iconv, which would look for a module of that name. A charset is
 * read as its superset where mailers use its name for that (as the WHATWG Encoding Standard does). Left out are charsets
 * that no mailer writes, among them those whose converters have a history (ISO-2022-CN-EXT, ISO-2022-JP-3).
 */
#include <stdlib.h>
#include <string.h>

#include "mime/mime-text-private.h"

static const RookCharset charsets[] = {
  { .how = ROOK_CHARSET_GUESS, .names = "ansix341968 ascii iso646us us usascii" },
  { .how = ROOK_CHARSET_UTF8, .names = "cp65001 unicode11utf8 utf8" },
  { .how = ROOK_CHARSET_WINDOWS_1252,
    .names = "ansi cp1252 cp819 ibm819 iso88591 iso885911987 isolatin1 l1 latin1 win1252 windows1252" },
  { .iconv = "ISO-8859-2", .names = "iso88592 iso885921987 isolatin2 l2 latin2" },
  { .iconv = "ISO-8859-3", .names = "iso88593 iso885931988 isolatin3 l3 latin3" },
  { .iconv = "ISO-8859-4", .names = "iso88594 iso885941988 isolatin4 l4 latin4" },
  { .iconv = "ISO-8859-5", .names = "cyrillic iso88595 iso885951988 isolatincyrillic" },
  { .iconv = "ISO-8859-6", .names = "arabic iso88596 iso885961987 iso88596e iso88596i isolatinarabic" },
  { .iconv = "ISO-8859-7", .names = "greek greek8 iso88597 iso885971987 isolatingreek" },
  { .iconv = "ISO-8859-8", .names = "hebrew iso88598 iso885981988 iso88598e iso88598i isolatinhebrew logical visual" },
  { .iconv = "CP1254", .names = "cp1254 iso88599 iso885991989 isolatin5 l5 latin5 win1254 windows1254" },
  { .iconv = "ISO-8859-10", .names = "iso885910 iso8859101992 isolatin6 l6 latin6" },
  { .iconv = "CP874", .names = "cp874 iso885911 tis620 tis6202533 win874 windows874" },
  { .iconv = "ISO-8859-13", .names = "iso885913 l7 latin7" },
  { .iconv = "ISO-8859-14", .names = "iso885914 isoceltic l8 latin8" },
  { .iconv = "ISO-8859-15", .names = "iso885915 l9 latin9" },
  { .iconv = "ISO-8859-16", .names = "iso885916 l10 latin10" },
  { .iconv = "CP1250", .names = "cp1250 win1250 windows1250" },
  { .iconv = "CP1251", .names = "cp1251 win1251 windows1251" },
  { .iconv = "CP1253", .names = "cp1253 win1253 windows1253" },
  { .iconv = "CP1255", .names = "cp1255 win1255 windows1255" },
  { .iconv = "CP1256", .names = "cp1256 win1256 windows1256" },
  { .iconv = "CP1257", .names = "cp1257 win1257 windows1257" },
  { .iconv = "CP1258", .names = "cp1258 win1258 windows1258" },
  { .iconv = "KOI8-R", .names = "koi koi8 koi8r" },
  { .iconv = "KOI8-U", .names = "koi8ru koi8u" },
  { .iconv = "IBM437", .names = "cp437 ibm437" },
  { .iconv = "IBM850", .names = "cp850 ibm850" },
  { .iconv = "IBM852", .names = "cp852 ibm852" },
  { .iconv = "IBM855", .names = "cp855 ibm855" },
  { .iconv = "IBM857", .names = "cp857 ibm857" },
  { .iconv = "IBM862", .names = "cp862 ibm862" },
  { .iconv = "IBM866", .names = "cp866 ibm866" },
  { .iconv = "MACINTOSH", .names = "mac macintosh macroman" },
  { .iconv = "MAC-CYRILLIC", .names = "maccyrillic macukraine macukrainian" },
  { .iconv = "VISCII", .names = "viscii" },
  { .iconv = "GB18030",
    .names = "chinese cp936 euccn eucgb2312cn gb18030 gb2312 gb231280 gbk ms936 win936 windows936" },
  { .iconv = "BIG5", .names = "big5 big5eten big5tw bigfive cnbig5 cp950 win950 windows950" },
  { .iconv = "BIG5-HKSCS", .names = "big5hkscs" },
  { .iconv = "EUC-TW", .names = "euctw" },
  { .iconv = "CP932", .names = "cp932 ms932 mskanji shiftjis sjis win932 windows31j windows932" },
  { .iconv = "EUC-JP-MS", .names = "cp51932 eucjp eucjpms eucpkdfmtjapanese" },
  { .iconv = "ISO-2022-JP-2", .stateful = TRUE, .names = "cp50220 cp50221 iso2022jp iso2022jp1 iso2022jp2 jis" },
  { .iconv = "UHC", .names = "cp949 euckr korean ksc5601 ksc56011987 ksc56011989 ksc56011992 uhc win949 windows949" },
  { .iconv = "ISO-2022-KR", .stateful = TRUE, .names = "iso2022kr" },
  { .iconv = "JOHAB", .names = "cp1361 johab ksc56011992johab" },
  { .how = ROOK_CHARSET_UTF7, .stateful = TRUE, .names = "cp65000 unicode11utf7 unicode20utf7 utf7" },
  { .iconv = "UTF-16", .stateful = TRUE, .unit = 2, .names = "iso10646ucs2 ucs2 unicode utf16" },
  { .iconv = "UTF-16BE", .unit = 2, .names = "ucs2be utf16be" },
  { .iconv = "UTF-16LE", .unit = 2, .names = "ucs2le utf16le" },
  { .iconv = "UTF-32", .stateful = TRUE, .unit = 4, .names = "iso10646ucs4 ucs4 utf32" },
  { .iconv = "UTF-32BE", .unit = 4, .names = "ucs4be utf32be" },
  { .iconv = "UTF-32LE", .unit = 4, .names = "ucs4le utf32le" },
};
G_STATIC_ASSERT (G_N_ELEMENTS (charsets) <= ROOK_MAX_CHARSETS);

/* Letters and digits, in lower case. %FALSE: that is no name of a charset. */
static gboolean
reduce_name (const char *name, gsize length, char out[ROOK_MAX_CHARSET_NAME + 1])
{
  gsize n = 0;

  if (length > ROOK_MAX_CHARSET_NAME)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    {
      if (g_ascii_isalnum (name[i]))
        out[n++] = g_ascii_tolower (name[i]);
      else if (name[i] == '\0' || strchr ("-_.:+()' \"", name[i]) == NULL)
        return FALSE;
    }
  out[n] = '\0';
  return n > 0;
}

static gboolean
has_name (const char *names, const char *name, gsize length)
{
  for (const char *at = names; (at = strstr (at, name)) != NULL; at += length)
    if ((at == names || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
      return TRUE;
  return FALSE;
}

static const RookCharset *
find_reduced (const char *name)
{
  gsize length = strlen (name);

  for (guint i = 0; length > 0 && i < G_N_ELEMENTS (charsets); i++)
    if (has_name (charsets[i].names, name, length))
      return &charsets[i];
  return NULL;
}

const RookCharset *
rook_charset_find (const char *name, gsize length)
{
  char reduced[ROOK_MAX_CHARSET_NAME + 1];
  const RookCharset *found;

  if (name == NULL || !reduce_name (name, length, reduced))
    return NULL;
  found = find_reduced (reduced);
  if (found == NULL && reduced[0] == 'x')
    found = find_reduced (reduced + 1);
  if (found == NULL && g_str_has_prefix (reduced, "cs"))
    found = find_reduced (reduced + 2);
  return found;
}

guint
rook_charset_index (const RookCharset *charset)
{
  return (guint) (charset - charsets);
}

const RookCharset *
rook_charset_nth (guint n)
{
  return n < G_N_ELEMENTS (charsets) ? &charsets[n] : NULL;
}

gboolean
rook_charset_is_known (const char *name)
{
  return name != NULL && rook_charset_find (name, strlen (name)) != NULL;
}
