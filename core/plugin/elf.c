/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a file is a whole shared object. The system's loader maps what the headers promise and touches it, so a file
 * that a full disk or a broken copy cut short ends the process by a signal. Therefore everything that the headers and
 * the dynamic section promise is looked for in the file first. What the code in it does nobody can tell from outside.
 */
#include "plugin/elf.h"

#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/plugin-life.h"

#define NATIVE_CLASS (sizeof (void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define NATIVE_DATA (G_BYTE_ORDER == G_LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB)

typedef ElfW (Ehdr) Header;
typedef ElfW (Phdr) Segment;
typedef ElfW (Shdr) Section;
typedef ElfW (Dyn) Dynamic;

typedef struct {
  int fd;
  const char *path;
  guint64 size;
  Header header;
  GArray *segments; /* (element-type Segment) (owned) (nullable) */
} Elf;

/* Our own header, which the linker puts here: what the modules' machine has to be. */
extern const Header __ehdr_start __attribute__ ((visibility ("hidden")));

static gboolean G_GNUC_PRINTF (3, 4) refuse (const Elf *elf, GError **error, const char *format, ...)
{
  g_autofree char *reason = NULL;
  va_list arguments;

  va_start (arguments, format);
  reason = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_LOAD, "%s: %s", elf->path, reason);
  return FALSE;
}

static gboolean
refuse_cut (const Elf *elf, const char *what, guint64 end, GError **error)
{
  return refuse (elf, error,
                 "damaged or cut short: it has %" G_GUINT64_FORMAT " bytes, but its %s to byte %" G_GUINT64_FORMAT
                 ": install it again",
                 elf->size, what, end);
}

static gboolean
refuse_damaged (const Elf *elf, const char *what, GError **error)
{
  return refuse (elf, error, "damaged: %s: install it again", what);
}

/* Whether @length bytes at @offset are in the file; @what is a part of a sentence: "code and data reach". */
static gboolean
is_there (const Elf *elf, guint64 offset, guint64 length, const char *what, GError **error)
{
  guint64 end = offset + length;

  if (end < offset)
    return refuse_damaged (elf, "its headers name places that no file has", error);
  return end <= elf->size || refuse_cut (elf, what, end, error);
}

static gboolean
read_all (const Elf *elf, gpointer buffer, gsize length, guint64 offset, GError **error)
{
  for (gsize done = 0; done < length;)
    {
      ssize_t n = pread (elf->fd, (char *) buffer + done, length - done, (off_t) (offset + done));

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return refuse (elf, error, "%s", g_strerror (errno));
      if (n == 0) /* it became shorter meanwhile */
        return refuse_cut (elf, "headers reach", offset + length, error);
      done += (gsize) n;
    }
  return TRUE;
}

/* A table of the file, all of it. (nullable) (transfer full) */
static GArray *
read_table (const Elf *elf, guint64 offset, guint64 count, gsize entry, const char *what, GError **error)
{
  g_autoptr (GArray) table = g_array_new (FALSE, FALSE, (guint) entry);

  if (!is_there (elf, offset, count * entry, what, error))
    return NULL;
  g_array_set_size (table, (guint) count);
  if (count > 0 && !read_all (elf, table->data, count * entry, offset, error))
    return NULL;
  return g_steal_pointer (&table);
}

static gboolean
check_header (Elf *elf, GError **error)
{
  const Header *header = &elf->header;

  if (elf->size == 0)
    return refuse (elf, error, "empty: install it again");
  if (!read_all (elf, &elf->header, MIN (elf->size, sizeof elf->header), 0, error))
    return FALSE;
  if (memcmp (header->e_ident, ELFMAG, MIN (elf->size, SELFMAG)) != 0)
    return refuse (elf, error, "not a shared object");
  if (elf->size < sizeof elf->header)
    return refuse_cut (elf, "header reaches", sizeof elf->header, error);
  if (header->e_ident[EI_CLASS] != NATIVE_CLASS || header->e_ident[EI_DATA] != NATIVE_DATA
      || header->e_machine != __ehdr_start.e_machine)
    return refuse (elf, error, "built for another kind of machine (ELF class %u, machine %u; expected %u, %u)",
                   header->e_ident[EI_CLASS], header->e_machine, NATIVE_CLASS, __ehdr_start.e_machine);
  if (header->e_type != ET_DYN)
    return refuse (elf, error, "not a shared object (ELF type %u, expected %u)", header->e_type, ET_DYN);
  if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_phnum == 0 || header->e_phentsize != sizeof (Segment)
      || (header->e_shoff != 0 && header->e_shentsize != sizeof (Section)))
    return refuse_damaged (elf, "its header names tables of a wrong kind", error);
  return TRUE;
}

static gboolean
check_segments (Elf *elf, GError **error)
{
  elf->segments =
      read_table (elf, elf->header.e_phoff, elf->header.e_phnum, sizeof (Segment), "program headers reach", error);
  for (guint i = 0; elf->segments != NULL && i < elf->segments->len; i++)
    {
      const Segment *segment = &g_array_index (elf->segments, Segment, i);

      if (!is_there (elf, segment->p_offset, segment->p_filesz, "code and data reach", error))
        return FALSE;
      if (segment->p_type == PT_LOAD && segment->p_filesz > segment->p_memsz)
        return refuse_damaged (elf, "a program header contradicts itself", error);
    }
  return elf->segments != NULL;
}

/* They stand at the end of the file and are not needed to run it, so they tell of every cut. */
static gboolean
check_sections (const Elf *elf, GError **error)
{
  g_autoptr (GArray) sections = NULL;

  if (elf->header.e_shoff == 0)
    return TRUE;
  sections =
      read_table (elf, elf->header.e_shoff, elf->header.e_shnum, sizeof (Section), "section headers reach", error);
  for (guint i = 0; sections != NULL && i < sections->len; i++)
    {
      const Section *section = &g_array_index (sections, Section, i);

      if (section->sh_type != SHT_NOBITS && section->sh_type != SHT_NULL
          && !is_there (elf, section->sh_offset, section->sh_size, "sections reach", error))
        return FALSE;
    }
  if (sections != NULL && elf->header.e_shstrndx != SHN_UNDEF && elf->header.e_shstrndx < sections->len
      && g_array_index (sections, Section, elf->header.e_shstrndx).sh_type != SHT_STRTAB)
    return refuse_damaged (elf, "its section headers name no section of names", error);
  return sections != NULL;
}

/* --- what the loader follows ------------------------------------------------------------------------------------------ */

/* Whether @length bytes at @address, as the module is mapped, come from the file. */
static gboolean
is_mapped (const Elf *elf, guint64 address, guint64 length)
{
  for (guint i = 0; i < elf->segments->len; i++)
    {
      const Segment *segment = &g_array_index (elf->segments, Segment, i);

      if (segment->p_type == PT_LOAD && address >= segment->p_vaddr && address - segment->p_vaddr <= segment->p_filesz
          && length <= segment->p_filesz - (address - segment->p_vaddr))
        return TRUE;
    }
  return FALSE;
}

static guint64
find_value (const GArray *dynamic, gint64 tag)
{
  for (guint i = 0; i < dynamic->len && g_array_index (dynamic, Dynamic, i).d_tag != DT_NULL; i++)
    if (g_array_index (dynamic, Dynamic, i).d_tag == tag)
      return g_array_index (dynamic, Dynamic, i).d_un.d_val;
  return 0;
}

static gboolean
is_good_dynamic (const Elf *elf, const GArray *dynamic)
{
  const struct {
    gint64 address, size;
  } tables[] = { { DT_STRTAB, DT_STRSZ }, { DT_RELA, DT_RELASZ }, { DT_REL, DT_RELSZ }, { DT_JMPREL, DT_PLTRELSZ } };

  if (dynamic->len == 0 || g_array_index (dynamic, Dynamic, dynamic->len - 1).d_tag != DT_NULL
      || find_value (dynamic, DT_STRSZ) == 0 || !is_mapped (elf, find_value (dynamic, DT_SYMTAB), sizeof (ElfW (Sym))))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
    {
      guint64 size = find_value (dynamic, tables[i].size);

      if (size > 0 && !is_mapped (elf, find_value (dynamic, tables[i].address), size))
        return FALSE;
    }
  return TRUE;
}

static gboolean
check_dynamic (const Elf *elf, GError **error)
{
  for (guint i = 0; i < elf->segments->len; i++)
    {
      const Segment *segment = &g_array_index (elf->segments, Segment, i);
      g_autoptr (GArray) dynamic = NULL;

      if (segment->p_type != PT_DYNAMIC)
        continue;
      dynamic = read_table (elf, segment->p_offset, segment->p_filesz / sizeof (Dynamic), sizeof (Dynamic),
                            "dynamic section reaches", error);
      if (dynamic == NULL)
        return FALSE;
      return is_good_dynamic (elf, dynamic)
             || refuse_damaged (elf, "its dynamic section names tables it has not", error);
    }
  return refuse_damaged (elf, "it has no dynamic section", error);
}

gboolean
rook_elf_check (int fd, const char *path, GError **error)
{
  Elf elf = { .fd = fd, .path = path };
  struct stat info;
  gboolean good;

  if (fstat (fd, &info) != 0)
    return refuse (&elf, error, "%s", g_strerror (errno));
  elf.size = (guint64) info.st_size;
  good = check_header (&elf, error) && check_segments (&elf, error) && check_sections (&elf, error)
         && check_dynamic (&elf, error);
  g_clear_pointer (&elf.segments, g_array_unref);
  return good;
}
