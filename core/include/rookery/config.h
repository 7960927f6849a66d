/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration: typed, validated settings from rookery.conf and the *.conf files of conf.d (GKeyFile syntax).
 *
 * Each service and each plugin declares one table of keys: type, default, range, unit, help, and what it takes for a
 * change to act. The sample configuration, rookery.conf(5) and `rookctl config describe` are made from these tables,
 * and reading is checked against them *before* anybody asks: an unknown group or key, or a bad value, is an error with
 * file and line, and every mistake is reported, not just the first. So the getters cannot fail: asking for a key that
 * was not declared, or with another type, is our own mistake and aborts.
 *
 * A #RookConfig is one immutable reading of the files; reload reads a new one and compares. Files are read in the order
 * rookery.conf, then conf.d/ by name (only *.conf, no hidden ones); a key set again in a later file replaces the earlier value,
 * and a group may be continued in another file. Sizes take the suffixes K, M, G, T (powers of 1024), durations ms, s,
 * m, h, d, w; a number without suffix is in the key's unit. Lists are separated by semicolons. Blanks around a value are
 * dropped (`\s` writes one); a comment has a line of its own.
 */
#pragma once

#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct RookConfig RookConfig;
typedef struct RookConfigGroup RookConfigGroup;

typedef enum {
  ROOK_CONFIG_STRING,   /* any text; range: length */
  ROOK_CONFIG_BOOLEAN,  /* true, false, yes, no, on, off, 1, 0 */
  ROOK_CONFIG_INTEGER,  /* gint64 */
  ROOK_CONFIG_SIZE,     /* guint64 bytes */
  ROOK_CONFIG_DURATION, /* guint64 milliseconds; `never` or `0` is 0 where the range allows it */
  ROOK_CONFIG_CHOICE,   /* one of choices */
  ROOK_CONFIG_LIST,     /* strings; where choices is given each is one of them; range: number of items */
  ROOK_CONFIG_PATH,     /* an absolute path */
  ROOK_CONFIG_MODE      /* octal permissions, 0 to 07777 */
} RookConfigType;

typedef enum {
  ROOK_CONFIG_LIVE,           /* acts at reload */
  ROOK_CONFIG_PLUGIN_RESTART, /* at reload the plugin is drained and started anew */
  ROOK_CONFIG_SERVER_RESTART  /* a reload that changes it is refused, naming the key */
} RookConfigChange;

/* One key. A table of them ends with an entry whose name is %NULL. */
typedef struct {
  const char *name;
  RookConfigType type;
  const char *default_value; /* (nullable) as it would be written in the file; NULL: no default, see required */
  gint64 min, max;  /* in the base unit (bytes, ms); both 0: none beyond the type's; max below min: no maximum */
  const char *unit; /* (nullable) of a bare number: "s", "ms", "K", ...; NULL: the base unit */
  const char *const *choices; /* (nullable) NULL-terminated */
  RookConfigChange change;
  gboolean required; /* a group that lacks it is a mistake */
  gboolean secret;   /* never printed in full */
  const char *help;  /* a sentence or two, plain text */
} RookConfigKey;

/* A kind of group: `[name]`, or `[name INSTANCE]` if it takes instances. */
typedef struct {
  gsize struct_size;
  const char *name;
  gboolean instances;
  const RookConfigKey *keys; /* (unowned) constant */
  const char *help;
} RookConfigSchema;

#define ROOK_CONFIG_ERROR (rook_config_error_quark ())
ROOK_EXPORT GQuark rook_config_error_quark (void);
typedef enum {
  ROOK_CONFIG_ERROR_READ,    /* a file could not be read */
  ROOK_CONFIG_ERROR_SYNTAX,  /* not GKeyFile syntax, not UTF-8, a NUL byte, too large (1 MiB a file) */
  ROOK_CONFIG_ERROR_UNKNOWN, /* group or key */
  ROOK_CONFIG_ERROR_VALUE,   /* of the wrong type or out of range */
  ROOK_CONFIG_ERROR_MISSING, /* a required key or group */
  ROOK_CONFIG_ERROR_CONFLICT /* two settings that exclude each other */
} RookConfigError;

/* A mistake: what, where, what to do. */
typedef struct {
  RookConfigError code;
  char *file; /* (owned) (nullable) */
  guint line; /* from 1; 0: of the whole file */
  char *message;
} RookConfigMistake;

/**
 * rook_config_read:
 * @path: the main file
 * @out_mistakes: (out) (element-type RookConfigMistake): all that was wrong with reading and syntax, in file order;
 *   empty if nothing
 *
 * Reads the files. Schemas are applied afterwards, since plugins bring theirs: rook_config_validate().
 * Blocks (disk); never on a worker that serves. Returns: (transfer full): never %NULL; with mistakes it is only good for
 * reporting more of them.
 */
ROOK_EXPORT RookConfig *rook_config_read (const char *path, GPtrArray **out_mistakes);
/* The same from memory, for tests and fuzzing; @name stands for the file's. */
ROOK_EXPORT RookConfig *rook_config_read_data (const char *name, const char *data, gsize length,
                                               GPtrArray **out_mistakes);
ROOK_EXPORT RookConfig *rook_config_ref (RookConfig *config);
ROOK_EXPORT void rook_config_unref (RookConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookConfig, rook_config_unref)

/* Declares a kind of group; the table is copied. For `[plugin NAME]` the table of plugin NAME is declared under "plugin NAME" (no
 * instances); the keys that every plugin has (enabled, required, module) are added by the plugin service. */
ROOK_EXPORT void rook_config_declare (RookConfig *config, const RookConfigSchema *schema);
/* Checks every group and key against what was declared: appends to @mistakes, and sorts it into file order. The getters
 * need not wait for it: they answer as soon as a group is declared, with the default in place of a bad value. */
ROOK_EXPORT void rook_config_validate (RookConfig *config, GPtrArray *mistakes);
/* Adds a mistake found by a service (an unreadable certificate, overlapping paths), placed at @group's @key. */
ROOK_EXPORT void rook_config_add_mistake (GPtrArray *mistakes, RookConfigGroup *group, const char *key,
                                          RookConfigError code, const char *format, ...) G_GNUC_PRINTF (5, 6);

/* `[name]`, or `[name instance]`; a declared group without instances always exists (all defaults). (nullable) */
ROOK_EXPORT RookConfigGroup *rook_config_get_group (RookConfig *config, const char *name, const char *instance);
/* The instances of @name that a file opens, in file order. Returns: (transfer container) (element-type RookConfigGroup) */
ROOK_EXPORT GPtrArray *rook_config_get_instances (RookConfig *config, const char *name);
/* What differs between two readings. Returns: (transfer full) (element-type utf8): "group/key" of each, sorted; a group
 * that came or went is "group". */
ROOK_EXPORT GPtrArray *rook_config_diff (RookConfig *before, RookConfig *after);
/* (nullable) the declaration of a key */
ROOK_EXPORT const RookConfigKey *rook_config_find_key (RookConfig *config, const char *group, const char *key);

/* All valid as long as the RookConfig they come from. */
ROOK_EXPORT const char *rook_config_group_get_name (RookConfigGroup *group);             /* "listener" */
ROOK_EXPORT const char *rook_config_group_get_instance (RookConfigGroup *group);         /* "imaps"; (nullable) */
ROOK_EXPORT gboolean rook_config_group_is_set (RookConfigGroup *group, const char *key); /* in a file, not by default */
/* (nullable) also PATH, CHOICE */
ROOK_EXPORT const char *rook_config_group_get_string (RookConfigGroup *group, const char *key);
ROOK_EXPORT gboolean rook_config_group_get_boolean (RookConfigGroup *group, const char *key);
ROOK_EXPORT gint64 rook_config_group_get_integer (RookConfigGroup *group, const char *key);
ROOK_EXPORT guint64 rook_config_group_get_size (RookConfigGroup *group, const char *key);
ROOK_EXPORT guint64 rook_config_group_get_duration_ms (RookConfigGroup *group, const char *key);
ROOK_EXPORT guint rook_config_group_get_choice (RookConfigGroup *group, const char *key); /* index in choices */
/* NULL-terminated */
ROOK_EXPORT const char *const *rook_config_group_get_list (RookConfigGroup *group, const char *key);
ROOK_EXPORT guint rook_config_group_get_mode (RookConfigGroup *group, const char *key);

/* The configuration in force now. (transfer full) Any thread. */
ROOK_EXPORT RookConfig *rook_server_get_config (RookServer *server);

G_END_DECLS
