/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A store's directory, damaged by the input and opened. Whatever was damaged, it opens or says why not; what it serves is
 * what was stored; a state that it calls whole is exactly the one of the position that it names. Then it goes on working.
 *
 * The input is a row of damages: which file and what (1 byte), where (3), how many bytes (1; its highest bit has the
 * checksum of what was hit made right, and then nothing is said of what is served), and the bytes. The store that is
 * damaged is made once, and kept in memory.
 */
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage-gdbm/gs-bytes.h"
#include "storage-gdbm/gs-checksum.h"
#include "storage-gdbm/gs-store.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);
int LLVMFuzzerInitialize (int *argc, char ***argv);

#define TABLE 1
#define MAX_FILES 16
#define MAX_KEY 20  /* bytes, with the table's number */
#define LARGE 70000 /* bytes: more than one chunk */

/* --- what is in the store ------------------------------------------------------------------------------------------- */

/* A batch each: a value, and a body whose label is the key. */
typedef struct {
  const char *key;
  const char *value;   /* (nullable) the key is deleted */
  gsize patched;       /* of the value, from here on, by a patch */
  const char *body;    /* (nullable) also its content key */
  guint releases;      /* number of the step whose blob goes; 0: none */
  gboolean large;      /* the body is LARGE bytes */
  gboolean checkpoint; /* follows */
  RookBlobClass blob_class;
} Step;

static const Step steps[] = {
  { 0 }, /* positions begin at 1 */
  { .key = "alpha", .value = "one", .body = "a first body" },
  { .key = "beta", .value = "a value of beta's that is longer than a size class of thirty-two bytes" },
  { .key = "gamma", .value = "3", .body = "large", .large = TRUE },
  { .key = "delta", .value = "four", .body = "of the cache", .blob_class = ROOK_BLOB_CACHE, .checkpoint = TRUE },
  { .key = "alpha", .value = "ONE", .patched = 0, .body = "a first body" },
  { .key = "beta", .value = NULL, .releases = 1 },
  { .key = "epsilon", .value = "five", .body = "another body", .checkpoint = TRUE },
  { .key = "gamma", .value = "3, and more", .patched = 1 },
  { .key = "alpha", .value = "uno", .releases = 7 },
  { .key = "zeta", .value = "six", .body = "the last body" },
};
#define N_STEPS G_N_ELEMENTS (steps)

typedef struct {
  char *name;
  guint8 *data;
  gsize size;
} File;

/* The record of a copy: where its key is and how long, where it begins and ends. */
typedef struct {
  guint file;
  gsize key, start, end;
} Record;

static File files[MAX_FILES];
static guint n_files;
static GArray *records;           /* (element-type Record) */
static RookBlobId blobs[N_STEPS]; /* of each step's body */
static GsSettings settings;

static GBytes *
bytes_of (const char *text)
{
  return g_bytes_new_static (text, strlen (text));
}

static GBytes *
body_of (const Step *step)
{
  guint8 *data;

  if (!step->large)
    return bytes_of (step->body);
  data = g_malloc (LARGE);
  for (guint i = 0; i < LARGE; i++)
    data[i] = (guint8) (i / 251 + i);
  return g_bytes_new_take (data, LARGE);
}

/* The key's value at @position; %NULL: there is none. */
static const char *
value_at (const char *key, guint64 position)
{
  const char *value = NULL;

  for (guint i = 1; i < N_STEPS && i <= position; i++)
    if (strcmp (steps[i].key, key) == 0)
      value = steps[i].value;
  return value;
}

static gboolean
blob_at (guint step, guint64 position)
{
  for (guint i = 1; i < N_STEPS && i <= position; i++)
    if (steps[i].releases == step)
      return FALSE;
  return step <= position;
}

/* --- making it ------------------------------------------------------------------------------------------------------ */

static int
remove_one (const char *path, const struct stat *st G_GNUC_UNUSED, int type G_GNUC_UNUSED,
            struct FTW *ftw G_GNUC_UNUSED)
{
  return remove (path);
}

static RookStore *
open_store (const char *path, gboolean create, GError **error)
{
  RookStoreSpec spec = { .struct_size = sizeof spec, .path = path, .create = create };

  return rook_store_open_backend (NULL, &gs_backend, &settings, &spec, error);
}

static void
make_step (RookStore *store, guint i)
{
  const Step *step = &steps[i];
  RookBatch *batch = rook_batch_new (store);
  g_autoptr (GBytes) key = bytes_of (step->key);
  g_autoptr (GBytes) value = step->value != NULL ? bytes_of (step->value + step->patched) : NULL;
  guint64 position;

  if (value == NULL)
    rook_batch_delete (batch, TABLE, key);
  else if (step->patched > 0)
    rook_batch_patch (batch, TABLE, key, step->patched, value);
  else
    rook_batch_put (batch, TABLE, key, value);
  if (step->body != NULL)
    {
      g_autoptr (GBytes) content = bytes_of (step->body);
      g_autoptr (GBytes) body = body_of (step);

      blobs[i] = rook_batch_blob (batch, step->blob_class, content, key, body);
    }
  if (step->releases > 0)
    rook_batch_release (batch, blobs[step->releases]);
  g_assert (rook_store_commit_wait (store, batch, &position, NULL) && position == i);
  if (step->checkpoint)
    g_assert (rook_store_checkpoint (store, NULL));
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Spare log files come and go by themselves, and say nothing. */
static void
keep_files (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    if (strcmp (name, "lock") != 0 && strcmp (name, "log.filling") != 0 && strcmp (name, GS_LOG_SPARE) != 0)
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *full = g_build_filename (path, g_ptr_array_index (names, i), NULL);
      File *file = &files[n_files++];

      g_assert (n_files <= MAX_FILES);
      file->name = g_strdup (g_ptr_array_index (names, i));
      g_assert (g_file_get_contents (full, (char **) &file->data, &file->size, NULL));
    }
}

/* GDBM keeps a key and its value side by side. */
static void
find_records (guint number)
{
  const File *file = &files[number];

  for (gsize key = 0; key + MAX_KEY + GS_RECORD_HEAD < file->size; key++)
    for (guint length = 2; length <= MAX_KEY && file->data[key] <= 1; length++)
      {
        const guint8 *start = file->data + key + length;
        gsize left = file->size - key - length, found, size;

        if (gs_get32 (start + 4) > left)
          continue;
        size = gs_record_size (gs_get32 (start + 4));
        if (size <= left && gs_record_decode (file->data + key, length, start, size, &found))
          {
            Record record = { number, key, key + length, key + length + size };

            g_array_append_val (records, record);
          }
      }
}

int
LLVMFuzzerInitialize (int *argc G_GNUC_UNUSED, char ***argv G_GNUC_UNUSED)
{
  g_autofree char *path = g_dir_make_tmp ("rook-fuzz-XXXXXX", NULL);
  RookStore *store;

  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL);
  settings = gs_default_settings;
  settings.log_size = 6 * 1024;
  settings.segment_size = 100 * 1024;
  settings.headroom = 0;
  settings.n_readers = 1;
  store = open_store (path, TRUE, NULL);
  g_assert (store != NULL);
  for (guint i = 1; i < N_STEPS; i++)
    make_step (store, i);
  keep_files (path); /* as a process that is killed now leaves them */
  rook_store_close (store);
  nftw (path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  records = g_array_new (FALSE, FALSE, sizeof (Record));
  for (guint i = 0; i < n_files; i++)
    if (g_str_has_prefix (files[i].name, "table."))
      find_records (i);
  g_assert (records->len > 10);
  return 0;
}

/* --- damages -------------------------------------------------------------------------------------------------------- */

typedef struct {
  File files[MAX_FILES];
  gboolean gone[MAX_FILES];
  gboolean fixed; /* checksums have been made right: what is served may be anything */
  gboolean torn;  /* frames of the log were hit: what is lost may look like a tail that was cut off */
} Disk;

static void
fix_log (File *file, gsize at)
{
  if (at < 256 && file->size >= 256)
    gs_put32 (file->data + 252, gs_crc32c (0, file->data, 252));
  for (gsize start = GS_HEAD_SIZE; start + GS_LOG_FRAME_SIZE <= file->size;)
    {
      guint8 *frame = file->data + start;
      guint64 length = MIN (gs_get64 (frame + 32), file->size - start - GS_LOG_FRAME_SIZE);

      if (at >= start && at < start + GS_LOG_FRAME_SIZE + length)
        {
          gs_put32 (frame + 48, gs_crc32c (0, frame + GS_LOG_FRAME_SIZE, length));
          gs_put32 (frame + 60, gs_crc32c (0, frame, 60));
        }
      start += GS_PADDED (GS_LOG_FRAME_SIZE + length);
    }
}

static void
fix_segment (File *file, gsize at)
{
  if (at < 256 && file->size >= 256)
    gs_put32 (file->data + 252, gs_crc32c (0, file->data, 252));
  for (gsize start = GS_HEAD_SIZE; start + GS_BLOB_FRAME_SIZE <= file->size;)
    {
      guint8 *frame = file->data + start;
      guint32 length = gs_blob_frame_head_length (frame);

      if (length == 0 || length > file->size - start)
        return;
      if (at >= start && at < start + length)
        {
          gs_put32 (frame + 12, 0);
          gs_put32 (frame + 12, gs_crc32c (0, frame, length));
        }
      start += length + (frame[5] == GS_FRAME_BODY ? GS_PADDED (MIN (gs_get64 (frame + 32), file->size)) : 0);
    }
}

static void
fix_table (File *file, guint number, gsize at)
{
  for (guint i = 0; i < records->len; i++)
    {
      const Record *record = &g_array_index (records, Record, i);
      guint8 *start = file->data + record->start;
      gsize length;

      if (record->file != number || at < record->key || at >= record->end || record->end > file->size)
        continue;
      length = MIN (gs_get32 (start + 4), record->end - record->start - GS_RECORD_HEAD);
      gs_put32 (start, gs_crc32c (gs_crc32c (0, file->data + record->key, record->start - record->key),
                                  start + GS_RECORD_HEAD, length));
    }
}

static void
fix_checksum (Disk *disk, guint number, gsize at)
{
  File *file = &disk->files[number];

  disk->fixed = TRUE;
  if (g_str_has_prefix (file->name, "log."))
    fix_log (file, at);
  else if (g_str_has_prefix (file->name, "table."))
    fix_table (file, number, at);
  else if (g_str_has_prefix (file->name, "mail.") || g_str_has_prefix (file->name, "cache."))
    fix_segment (file, at);
  else if (file->size >= 4) /* CURRENT, IDENTITY */
    gs_put32 (file->data + file->size - 4, gs_crc32c (0, file->data, file->size - 4));
}

static void
damage_file (Disk *disk, guint number, guint kind, gsize at, const guint8 *bytes, gsize n)
{
  File *file = &disk->files[number];

  n = MIN (n, file->size - at);
  switch (kind)
    {
    case 0:
      for (gsize i = 0; i < n; i++)
        file->data[at + i] ^= bytes[i];
      break;
    case 1:
      memcpy (file->data + at, bytes, n);
      break;
    case 2:
      memset (file->data + at, 0, n > 0 ? MIN ((gsize) bytes[0] * 64, file->size - at) : file->size - at);
      break;
    case 3: /* cut off */
      file->size = at;
      break;
    case 4:
      disk->gone[number] = TRUE;
      break;
    default: /* a piece of it lies where another should */
      if (n >= 2)
        memmove (file->data + at, file->data + gs_get16 (bytes) % file->size,
                 MIN (64, MIN (file->size - at, file->size - gs_get16 (bytes) % file->size)));
      break;
    }
}

static void
damage_disk (Disk *disk, const guint8 *data, gsize size)
{
  for (guint i = 0; i < n_files; i++)
    disk->files[i] = (File){ files[i].name, g_memdup2 (files[i].data, files[i].size), files[i].size };
  while (size >= 5)
    {
      guint number = data[0] % n_files, kind = data[0] / MAX_FILES % 8;
      gsize at = data[1] | (gsize) data[2] << 8 | (gsize) data[3] << 16, n = MIN (data[4] & 0x7fu, size - 5);

      if (disk->files[number].size > 0)
        {
          at %= disk->files[number].size;
          disk->torn = disk->torn
                       || (g_str_has_prefix (disk->files[number].name, "log.") && (kind > 1 || at + n > GS_HEAD_SIZE));
          damage_file (disk, number, kind, at, data + 5, n);
          if ((data[4] & 0x80) != 0)
            fix_checksum (disk, number, at);
        }
      data += 5 + n;
      size -= 5 + n;
    }
}

static char *
write_disk (Disk *disk)
{
  char *path = g_dir_make_tmp ("rook-fuzz-XXXXXX", NULL);

  g_assert (path != NULL);
  for (guint i = 0; i < n_files; i++)
    {
      g_autofree char *full = g_build_filename (path, disk->files[i].name, NULL);

      if (!disk->gone[i])
        g_assert (g_file_set_contents_full (full, (const char *) disk->files[i].data, (gssize) disk->files[i].size,
                                            G_FILE_SET_CONTENTS_NONE, 0600, NULL));
      g_free (disk->files[i].data);
    }
  return path;
}

/* --- what it serves ------------------------------------------------------------------------------------------------- */

typedef struct {
  gboolean exact;   /* everything is as it was at the store's position */
  gboolean strange; /* something is what it never was */
  guint errors;     /* answers that were errors */
} Served;

static gboolean
is_value (GBytes *found, const char *value)
{
  return value == NULL ? found == NULL
                       : found != NULL && g_bytes_get_size (found) == strlen (value)
                             && memcmp (g_bytes_get_data (found, NULL), value, strlen (value)) == 0;
}

static void
read_keys (RookStore *store, guint64 position, Served *served)
{
  for (guint i = 1; i < N_STEPS; i++)
    {
      g_autoptr (GBytes) key = bytes_of (steps[i].key);
      g_autoptr (GBytes) found = NULL;
      g_autoptr (GError) error = NULL;
      gboolean known = FALSE;

      if (!rook_store_get_wait (store, TABLE, key, &found, &error))
        {
          g_debug ("%s: %s", steps[i].key, error->message);
          served->errors++;
          continue;
        }
      for (guint64 at = 0; at < N_STEPS; at++)
        known = known || is_value (found, value_at (steps[i].key, at));
      served->strange = served->strange || !known;
      served->exact = served->exact && is_value (found, value_at (steps[i].key, position));
    }
}

static void
read_blobs (RookStore *store, guint64 position, Served *served)
{
  for (guint i = 1; i < N_STEPS; i++)
    {
      g_autoptr (GBytes) body = steps[i].body != NULL ? body_of (&steps[i]) : NULL;
      g_autoptr (GBytes) found = NULL;
      g_autoptr (GError) error = NULL;

      if (body == NULL)
        continue;
      found = rook_store_read_wait (store, blobs[i], 0, LARGE + 1, &error);
      if (found != NULL)
        {
          served->strange = served->strange || !g_bytes_equal (found, body);
          served->exact = served->exact && blob_at (i, position);
        }
      else if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND))
        {
          g_debug ("the body of step %u: %s", i, error->message);
          served->errors++;
        }
      else if (steps[i].blob_class == ROOK_BLOB_MAIL)
        served->exact = served->exact && !blob_at (i, position);
    }
}

static void
count_fault (const RookStoreFault *fault, gpointer data)
{
  g_assert (fault->text != NULL);
  (*(guint *) data)++;
}

/* Whether it says of itself that something is not as it should be. */
static gboolean
admits_damage (RookStore *store)
{
  g_autoptr (GVariant) stats = g_variant_ref_sink (rook_store_stats (store));
  gboolean damaged = FALSE;
  guint faults = 0;

  g_assert (g_variant_lookup (stats, "damaged", "b", &damaged));
  return !rook_store_verify (store, count_fault, &faults, NULL, NULL, NULL) || damaged || faults > 0;
}

static void
check_served (RookStore *store, const Disk *disk)
{
  guint64 position = rook_store_get_position (store);
  Served served = { .exact = TRUE };
  gboolean admitted = admits_damage (store);

  read_keys (store, position, &served);
  read_blobs (store, position, &served);
  if (disk->fixed)
    return;
  g_assert (!served.strange);
  g_assert ((served.exact && served.errors == 0) || admitted);
  g_assert (position == N_STEPS - 1 || disk->torn || admitted);
}

static gboolean
take_key (RookTable table, GBytes *key, GBytes *value, gpointer data G_GNUC_UNUSED)
{
  g_assert (table == TABLE && g_bytes_get_size (key) <= ROOK_STORE_MAX_KEY && value != NULL);
  return TRUE;
}

static gboolean
take_blob (const RookBlobInfo *info, gpointer data G_GNUC_UNUSED)
{
  g_assert (info->blob_class <= ROOK_BLOB_CACHE);
  return TRUE;
}

/* It goes on: commits, checkpoints, compacts. Returns: whether the new value was committed. */
static gboolean
go_on (RookStore *store)
{
  RookBatch *batch = rook_batch_new (store);
  g_autoptr (GBytes) key = bytes_of ("alpha");
  g_autoptr (GBytes) value = bytes_of ("new");
  gboolean done, more = TRUE;

  rook_batch_put (batch, TABLE, key, value);
  rook_batch_blob (batch, ROOK_BLOB_MAIL, key, key, value);
  rook_batch_share (batch, blobs[3], value);
  for (guint i = 1; i < N_STEPS; i++)
    if (blobs[i] != 0 && i != 3)
      rook_batch_release (batch, blobs[i]);
  done = rook_store_commit_wait (store, batch, NULL, NULL);
  rook_store_foreach (store, TABLE, take_key, NULL, NULL);
  rook_store_foreach_blob (store, take_blob, NULL, NULL);
  rook_store_checkpoint (store, NULL);
  for (guint i = 0; i < 8 && more; i++)
    if (!rook_store_compact (store, &more, NULL))
      break;
  return done;
}

static void
check_new (RookStore *store)
{
  g_autoptr (GBytes) key = bytes_of ("alpha");
  g_autoptr (GBytes) found = NULL;

  if (rook_store_get_wait (store, TABLE, key, &found, NULL))
    g_assert (is_value (found, "new") || admits_damage (store));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  Disk disk = { .fixed = FALSE };
  g_autofree char *path = NULL;
  RookStore *store;
  gboolean done = FALSE;

  damage_disk (&disk, data, size);
  path = write_disk (&disk);
  store = open_store (path, FALSE, NULL);
  g_assert (store != NULL || size >= 5);
  if (store != NULL)
    {
      check_served (store, &disk);
      done = go_on (store);
      rook_store_close (store);
      store = open_store (path, FALSE, NULL);
    }
  if (store != NULL)
    {
      if (done && !disk.fixed)
        check_new (store);
      rook_store_close (store);
    }
  nftw (path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return 0;
}
