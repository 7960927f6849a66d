/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CRC-32C by the processor's instruction where there is one, else by a table of 16 entries a nibble; SipHash as its paper
 * has it; SHA-256 by OpenSSL. None of them is a protection against somebody who writes the files on purpose.
 */
#include "storage-gdbm/gs-checksum.h"

#include "storage-gdbm/gs-bytes.h"

#include <openssl/sha.h>

#define CRC32C_POLYNOMIAL 0x82f63b78u

static guint32
crc_by_bits (guint32 crc, const guint8 *data, gsize length)
{
  static const guint32 nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
  };

  for (gsize i = 0; i < length; i++)
    {
      crc ^= data[i];
      crc = (crc >> 4) ^ nibbles[crc & 15];
      crc = (crc >> 4) ^ nibbles[crc & 15];
    }
  return crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

__attribute__ ((target ("sse4.2"))) static guint32
crc_by_instruction (guint32 crc, const guint8 *data, gsize length)
{
  guint64 wide = crc, word;

  for (; length >= 8; data += 8, length -= 8)
    {
      memcpy (&word, data, 8);
      wide = _mm_crc32_u64 (wide, word);
    }
  crc = (guint32) wide;
  for (; length > 0; data++, length--)
    crc = _mm_crc32_u8 (crc, *data);
  return crc;
}

guint32
gs_crc32c (guint32 crc, gconstpointer data, gsize length)
{
  return ~(__builtin_cpu_supports ("sse4.2") ? crc_by_instruction (~crc, data, length)
                                             : crc_by_bits (~crc, data, length));
}
#else
guint32
gs_crc32c (guint32 crc, gconstpointer data, gsize length)
{
  return ~crc_by_bits (~crc, data, length);
}
#endif

/* --- SipHash-2-4 (Aumasson, Bernstein 2012), key 0 ----------------------------------------------------------------- */

static inline guint64
rotate (guint64 x, int bits)
{
  return (x << bits) | (x >> (64 - bits));
}

static inline void
sip_round (guint64 v[4])
{
  v[0] += v[1];
  v[1] = rotate (v[1], 13) ^ v[0];
  v[0] = rotate (v[0], 32);
  v[2] += v[3];
  v[3] = rotate (v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate (v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate (v[1], 17) ^ v[2];
  v[2] = rotate (v[2], 32);
}

static inline void
sip_word (guint64 v[4], guint64 word)
{
  v[3] ^= word;
  sip_round (v);
  sip_round (v);
  v[0] ^= word;
}

guint64
gs_siphash (gconstpointer data, gsize length)
{
  guint64 v[4] = { 0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573 };
  const guint8 *p = data;
  guint8 last[8] = { 0 };
  gsize left = length;

  for (; left >= 8; p += 8, left -= 8)
    sip_word (v, gs_get64 (p));
  if (left > 0)
    memcpy (last, p, left);
  last[7] = (guint8) length;
  sip_word (v, gs_get64 (last));
  v[2] ^= 0xff;
  for (int i = 0; i < 4; i++)
    sip_round (v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void
gs_sha256 (gconstpointer data, gsize length, guint8 out_digest[32])
{
  SHA256 (data, length, out_digest);
}
