/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of core/config share, and what the daemon and rookctl need beyond rookery/config.h: the text of a
 * mistake, a check of tables that plugins bring, and the description that sample file and manual page are made of.
 */
#pragma once

#include "rookery/config.h"

G_BEGIN_DECLS

#define ROOK_CONFIG_FILE_MAX (1024 * 1024) /* bytes a file */
#define ROOK_CONFIG_FILES_MAX 1024         /* files in conf.d */
#define ROOK_CONFIG_MISTAKES_MAX 500       /* more are not recorded: nobody reads them */

/* --- mistakes ---------------------------------------------------------------------------------------------------- */

/* An empty list for rook_config_add_mistake() and its like; frees its elements. */
GPtrArray *rook_config_mistakes_new (void);
/* "rookery.conf:12: unknown key ...": how a mistake is printed. */
char *rook_config_mistake_to_string (const RookConfigMistake *mistake);
/* @file, @line: the place; %NULL, 0 for none. */
void rook_config_add_mistake_at (GPtrArray *mistakes, const char *file, guint line, RookConfigError code,
                                 const char *format, ...) G_GNUC_PRINTF (5, 6);
/* @text between quotes, cut to a readable length, with nothing in it that a terminal would act upon. */
char *rook_config_quote (const char *text);
/* The one of @n @names that @word is most likely a slip of, or %NULL. */
const char *rook_config_suggest (const char *word, const char *const *names, gsize n);

/* --- values ------------------------------------------------------------------------------------------------------ */

/* A value in its key's type; all zero is the value of a key that is not set and has no default. */
typedef struct {
  char *text;     /* (owned) (nullable) STRING, CHOICE, PATH */
  gint64 number;  /* INTEGER, BOOLEAN, MODE; the index of a CHOICE */
  guint64 amount; /* SIZE in bytes, DURATION in ms */
  char **list;    /* (owned) (nullable) LIST */
} RookConfigValue;

/* @raw: as it stands in the file behind the `=`. @out_value is untouched on failure; clear it afterwards. */
gboolean rook_config_value_parse (const RookConfigKey *key, const char *raw, RookConfigValue *out_value,
                                  GError **error);
void rook_config_value_clear (RookConfigValue *value);
gboolean rook_config_value_equal (const RookConfigValue *a, const RookConfigValue *b);
/* "64K", "90m": in the largest unit that divides it. */
char *rook_config_format_size (guint64 bytes);
char *rook_config_format_duration (guint64 ms);

/* --- the reading ------------------------------------------------------------------------------------------------- */

/* A line `name=raw`, the last one of that name in its group. */
typedef struct {
  char *name;
  char *raw;
  const char *file; /* (unowned) of the RookConfig */
  guint line;
} RookConfigEntry;

struct RookConfigGroup {
  RookConfig *config;    /* (unowned) we are part of it */
  char *name, *instance; /* (owned); instance (nullable) */
  const char *file;      /* (unowned) (nullable) where it is first opened; NULL: nowhere, all defaults */
  guint line;
  GPtrArray *entries;             /* (element-type RookConfigEntry) (owned) in the order first set */
  GHashTable *by_name;            /* name to RookConfigEntry, both unowned */
  const RookConfigSchema *schema; /* (nullable) (unowned) our copy */
  RookConfigValue *values;        /* (owned) one a key of the schema */
  GPtrArray *mistakes;            /* (owned) of checking against the schema */
  gboolean unchecked;             /* its owner reports what is wrong with it */
};

struct RookConfig {
  gint ref_count;        /* atomic */
  GPtrArray *warnings;   /* (element-type RookConfigMistake) (owned) what reads well, but is likely a slip */
  GPtrArray *files;      /* (element-type utf8) (owned) names, in the order read */
  GPtrArray *groups;     /* (element-type RookConfigGroup) (owned) in file order, then those without any lines */
  GHashTable *by_title;  /* "name" or "name instance" (owned) to group (unowned) */
  GPtrArray *schemas;    /* (element-type RookConfigSchema) (owned) copies: a plugin's own table goes with its module */
  GPtrArray *key_tables; /* the memory of their keys and choices */
  GStringChunk *strings; /* the memory of their texts */
};

/* Reads one text into @config. In config-parse.c, which knows the syntax and no schema. */
void rook_config_parse (RookConfig *config, const char *file, const char *data, gsize length, GPtrArray *mistakes);
RookConfigGroup *rook_config_open_group (RookConfig *config, const char *name, const char *instance);
/* "listener imaps" */
char *rook_config_group_get_title (RookConfigGroup *group);
/* Checks @group against its schema: fills in values and mistakes. In config-check.c. */
void rook_config_group_check (RookConfigGroup *group);
/* The index of key @name, or -1. */
gint rook_config_schema_find (const RookConfigSchema *schema, const char *name);

/* --- for the daemon, the plugin service and rookctl ---------------------------------------------------------------- */

/* Whether a table keeps its own rules: names, ranges, defaults that are values. rook_config_declare() aborts on one that
 * does not; what a plugin brings is asked first. */
gboolean rook_config_schema_check (const RookConfigSchema *schema, GError **error);
/* The group's owner says itself what is wrong with it (a plugin that can't be loaded has no table to check against). */
void rook_config_leave_unchecked (RookConfig *config, RookConfigGroup *group);
/* Adds what was read without harm and yet is likely a slip: a key that stands twice in one file. */
void rook_config_add_warnings (RookConfig *config, GPtrArray *warnings);
/* The files that were read, main file first. (element-type utf8) (transfer none) */
GPtrArray *rook_config_get_files (RookConfig *config);

typedef enum { ROOK_CONFIG_DESCRIBE_TEXT, ROOK_CONFIG_DESCRIBE_SAMPLE, ROOK_CONFIG_DESCRIBE_MAN } RookConfigFormat;

/* The same for programs: aa{sv}, a dictionary a group with an aa{sv} of its keys. (transfer floating) (nullable) */
GVariant *rook_config_describe_data (RookConfig *config, const char *title);
/* "--sample" and "--man"; %FALSE for anything else. */
gboolean rook_config_format_from_option (const char *option, RookConfigFormat *out_format);
/* Describes what was declared. @title: (nullable): only that group ("listener", "plugin imap"). Returns: (nullable) %NULL if
 * there is no such group. */
char *rook_config_describe (RookConfig *config, RookConfigFormat format, const char *title);

G_END_DECLS
