/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The growing delay after failed logins. Two counts: of an address (of IPv6 its /64, which one customer has whole), and
 * of a user from that address; never of a user alone, or anybody could lock out anybody. While a count stands, answers
 * are not only late but come one after the other; whoever would have to wait beyond the cap is not told at all how it went. So
 * trying on many connections at once wins nothing. Answers are held back alike whether they are good or bad.
 *
 * The table is bounded: the entry that failed longest ago goes first. Works on memory alone, under one lock.
 */
#include "auth/auth-internal.h"

#include "rookery/thread.h"

#include <arpa/inet.h>

typedef struct {
  char *key; /* (owned) */
  guint failures;
  gint64 last_ms; /* the last failure */
  gint64 free_ms; /* before this the answers given so far are not all out */
  GList link;     /* in by_age */
} Entry;

struct RookThrottle {
  RookMutex lock;
  GHashTable *entries; /* of Entry, by key */
  GQueue by_age;       /* oldest failure first */
};

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  g_free (entry->key);
  g_free (entry);
}

RookThrottle *
rook_throttle_new (void)
{
  RookThrottle *self = g_new0 (RookThrottle, 1);

  rook_mutex_init (&self->lock);
  self->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_free);
  g_queue_init (&self->by_age);
  return self;
}

void
rook_throttle_free (RookThrottle *throttle)
{
  g_hash_table_unref (throttle->entries);
  rook_mutex_clear (&throttle->lock);
  g_free (throttle);
}

char *
rook_throttle_network (const char *address)
{
  struct in6_addr v6;
  char text[INET6_ADDRSTRLEN];

  if (inet_pton (AF_INET6, address, &v6) != 1)
    return g_strdup (address);
  if (IN6_IS_ADDR_V4MAPPED (&v6))
    return g_strdup (inet_ntop (AF_INET, &v6.s6_addr[12], text, sizeof text));
  memset (&v6.s6_addr[8], 0, 8);
  return g_strdup_printf ("%s/64", inet_ntop (AF_INET6, &v6, text, sizeof text));
}

static void
forget (RookThrottle *self, Entry *entry)
{
  g_queue_unlink (&self->by_age, &entry->link);
  g_hash_table_remove (self->entries, entry->key);
}

static void
forget_old (RookThrottle *self, const RookAuthDelays *delays, gint64 now_ms)
{
  while (self->by_age.head != NULL)
    {
      Entry *oldest = self->by_age.head->data;

      if (oldest->last_ms + delays->memory_ms > now_ms && g_hash_table_size (self->entries) <= delays->table)
        return;
      forget (self, oldest);
    }
}

/* What @failures cost the next answer. */
static guint
delay_after (const RookAuthDelays *delays, guint failures)
{
  guint64 ms = delays->first_ms;

  if (failures == 0)
    return 0;
  for (guint i = 1; i < failures && ms < delays->cap_ms && delays->growth > 100; i++)
    ms = ms * delays->growth / 100;
  return (guint) MIN (ms, delays->cap_ms);
}

/* When the next answer of @entry (nullable) may be out. */
static gint64
next_free (const RookAuthDelays *delays, const Entry *entry, guint tolerance, gint64 now_ms)
{
  if (entry == NULL || entry->failures <= tolerance)
    return now_ms;
  return MAX (entry->free_ms, now_ms) + delay_after (delays, entry->failures - tolerance);
}

/* Takes a place in the rows of answers of both, if both have one: none is more than the cap away. */
static guint
line_up (const RookAuthDelays *delays, Entry *address, Entry *user, gint64 now_ms)
{
  gint64 by_address = next_free (delays, address, delays->tolerance, now_ms);
  gint64 by_user = next_free (delays, user, 0, now_ms);

  if (MAX (by_address, by_user) > now_ms + delays->cap_ms)
    return ROOK_THROTTLE_FULL;
  if (by_address > now_ms)
    address->free_ms = by_address;
  if (by_user > now_ms)
    user->free_ms = by_user;
  return (guint) (MAX (by_address, by_user) - now_ms);
}

static void
add_failure (RookThrottle *self, const char *key, gint64 now_ms)
{
  Entry *entry = g_hash_table_lookup (self->entries, key);

  if (entry == NULL)
    {
      entry = g_new0 (Entry, 1);
      entry->key = g_strdup (key);
      entry->link.data = entry;
      g_hash_table_insert (self->entries, entry->key, entry);
    }
  else
    g_queue_unlink (&self->by_age, &entry->link);
  g_queue_push_tail_link (&self->by_age, &entry->link);
  entry->failures += entry->failures < G_MAXUINT;
  entry->last_ms = now_ms;
}

/* The user is who they say, so what they got wrong before was no guessing: theirs is forgiven, to the address too. What
 * others got wrong from there stays: one account of one's own does not buy guesses at others'. */
static void
forgive (RookThrottle *self, const char *user_key, const char *address_key)
{
  Entry *own = user_key != NULL ? g_hash_table_lookup (self->entries, user_key) : NULL;
  Entry *shared = address_key != NULL ? g_hash_table_lookup (self->entries, address_key) : NULL;

  if (own == NULL)
    return;
  if (shared != NULL && shared->failures > own->failures)
    shared->failures -= own->failures;
  else if (shared != NULL)
    forget (self, shared);
  forget (self, own);
}

typedef struct {
  char *address; /* (owned) (nullable) key of the address */
  char *user;    /* (owned) (nullable) key of the user from it */
} Keys;

static guint
settle_locked (RookThrottle *self, const RookAuthDelays *delays, const Keys *keys, RookGuess guess, gint64 now_ms)
{
  guint delay;

  forget_old (self, delays, now_ms);
  delay = line_up (delays, keys->address != NULL ? g_hash_table_lookup (self->entries, keys->address) : NULL,
                   keys->user != NULL ? g_hash_table_lookup (self->entries, keys->user) : NULL, now_ms);
  if (delay == ROOK_THROTTLE_FULL)
    return delay;
  if (guess == ROOK_GUESS_RIGHT)
    forgive (self, keys->user, keys->address);
  if (guess == ROOK_GUESS_WRONG && keys->address != NULL)
    add_failure (self, keys->address, now_ms);
  if (guess == ROOK_GUESS_WRONG && keys->user != NULL)
    add_failure (self, keys->user, now_ms);
  forget_old (self, delays, now_ms);
  return delay;
}

guint
rook_throttle_settle (RookThrottle *throttle, const RookAuthDelays *delays, const char *address, const char *source,
                      const char *user, RookGuess guess, gint64 now_ms)
{
  g_autofree char *network = rook_throttle_network (source);
  Keys keys = {
    .address = address != NULL ? g_strconcat ("a ", network, NULL) : NULL,
    .user = user != NULL ? g_strconcat ("u ", network, " ", user, NULL) : NULL,
  };
  guint delay = 0;

  rook_mutex_lock (&throttle->lock);
  if (delays->first_ms > 0)
    delay = settle_locked (throttle, delays, &keys, guess, now_ms);
  rook_mutex_unlock (&throttle->lock);
  g_free (keys.address);
  g_free (keys.user);
  return delay;
}

guint
rook_throttle_get_size (RookThrottle *throttle)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&throttle->lock);

  return g_hash_table_size (throttle->entries);
}
