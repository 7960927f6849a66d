/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The timer wheel: all deadlines of one worker, O(1) to start and to stop, no allocation, no cascading.
 * It keeps no clock: whoever calls says what time it is.
 */
#include "loop/loop-private.h"

#define SLOT_NONE G_MAXUINT16

static inline guint
level_shift (guint level)
{
  return 3 + 2 * level; /* 8 ms * 4^level */
}

void
rook_wheel_init (RookWheel *wheel, gint64 now_ms)
{
  *wheel = (RookWheel){ .next_ms = G_MAXINT64 };
  for (guint level = 0; level < ROOK_WHEEL_LEVELS; level++)
    wheel->position[level] = now_ms >> level_shift (level);
}

static void
list_push (RookTimer **head, RookTimer *timer)
{
  timer->next = *head;
  timer->link = head;
  if (timer->next != NULL)
    timer->next->link = &timer->next;
  *head = timer;
}

static void
list_remove (RookTimer *timer)
{
  *timer->link = timer->next;
  if (timer->next != NULL)
    timer->next->link = timer->link;
  timer->next = NULL;
  timer->link = NULL;
}

/* The tick of @level at which a timer due at @due_ms fires: the first that is not before it and not served yet. */
static gint64
tick_for (const RookWheel *wheel, guint level, gint64 due_ms)
{
  guint shift = level_shift (level);
  gint64 tick = (due_ms + (G_GINT64_CONSTANT (1) << shift) - 1) >> shift;

  return MAX (tick, wheel->position[level] + 1);
}

void
rook_wheel_add (RookWheel *wheel, RookTimer *timer, gint64 now_ms)
{
  guint level = 0;
  gint64 tick;
  guint index;

  while (level < ROOK_WHEEL_LEVELS - 1 && (timer->due_ms - now_ms) >> level_shift (level) >= ROOK_WHEEL_SLOTS - 2)
    level++;
  if (now_ms < wheel->next_ms) /* nothing is due: the level's clock may be set */
    wheel->position[level] = MAX (wheel->position[level], now_ms >> level_shift (level));
  tick = tick_for (wheel, level, timer->due_ms);
  if (tick - wheel->position[level] >= ROOK_WHEEL_SLOTS) /* the wheel stands still behind the clock */
    {
      level = MIN (level + 1, ROOK_WHEEL_LEVELS - 1);
      tick = MIN (tick_for (wheel, level, timer->due_ms), wheel->position[level] + ROOK_WHEEL_SLOTS - 1);
    }
  index = tick % ROOK_WHEEL_SLOTS;
  list_push (&wheel->slots[level][index], timer);
  timer->slot = level * ROOK_WHEEL_SLOTS + index;
  wheel->filled[level][index / 64] |= G_GUINT64_CONSTANT (1) << (index % 64);
  wheel->next_ms = MIN (wheel->next_ms, tick << level_shift (level));
  wheel->n_timers++;
}

void
rook_wheel_remove (RookWheel *wheel, RookTimer *timer)
{
  list_remove (timer);
  wheel->n_timers--;
  if (timer->slot != SLOT_NONE)
    {
      guint level = timer->slot / ROOK_WHEEL_SLOTS;
      guint index = timer->slot % ROOK_WHEEL_SLOTS;

      if (wheel->slots[level][index] == NULL)
        wheel->filled[level][index / 64] &= ~(G_GUINT64_CONSTANT (1) << (index % 64));
    }
  if (wheel->n_timers == 0)
    wheel->next_ms = G_MAXINT64;
}

/* The distance in slots from @from (exclusive) to the next filled one of @level, going round; 0: none is filled. */
static guint
next_filled (const RookWheel *wheel, guint level, guint from)
{
  for (guint distance = 1; distance <= ROOK_WHEEL_SLOTS;)
    {
      guint index = (from + distance) % ROOK_WHEEL_SLOTS;
      guint64 word = wheel->filled[level][index / 64] >> (index % 64);

      if (word != 0)
        {
          distance += __builtin_ctzll (word);
          return distance <= ROOK_WHEEL_SLOTS ? distance : 0;
        }
      distance += 64 - index % 64;
    }
  return 0;
}

static void
find_next (RookWheel *wheel)
{
  wheel->next_ms = G_MAXINT64;
  if (wheel->n_timers == 0)
    return;
  for (guint level = 0; level < ROOK_WHEEL_LEVELS; level++)
    {
      guint distance = next_filled (wheel, level, wheel->position[level] % ROOK_WHEEL_SLOTS);

      if (distance != 0)
        wheel->next_ms = MIN (wheel->next_ms, (wheel->position[level] + distance) << level_shift (level));
    }
}

gint64
rook_wheel_next (const RookWheel *wheel)
{
  return wheel->next_ms;
}

/* Moves the timers of one slot to @due, which keeps the order of slots. */
static void
take_slot (RookWheel *wheel, guint level, guint index, RookTimer **due)
{
  RookTimer *timer;

  while ((timer = wheel->slots[level][index]) != NULL)
    {
      list_remove (timer);
      list_push (due, timer);
      timer->slot = SLOT_NONE;
    }
  wheel->filled[level][index / 64] &= ~(G_GUINT64_CONSTANT (1) << (index % 64));
}

static void
take_level (RookWheel *wheel, guint level, gint64 now_ms, RookTimer **due)
{
  gint64 present = now_ms >> level_shift (level);
  guint distance;

  while (wheel->position[level] < present)
    {
      distance = next_filled (wheel, level, wheel->position[level] % ROOK_WHEEL_SLOTS);
      if (distance == 0 || wheel->position[level] + distance > present)
        break;
      wheel->position[level] += distance;
      take_slot (wheel, level, wheel->position[level] % ROOK_WHEEL_SLOTS, due);
    }
  wheel->position[level] = MAX (wheel->position[level], present);
}

void
rook_wheel_run (RookWheel *wheel, gint64 now_ms)
{
  RookTimer *due = NULL;

  if (now_ms < wheel->next_ms)
    return;
  for (guint level = 0; level < ROOK_WHEEL_LEVELS; level++)
    take_level (wheel, level, now_ms, &due);
  /* A function may stop or start any timer, those still on this list too. */
  while (due != NULL)
    {
      RookTimer *timer = due;

      rook_wheel_remove (wheel, timer);
      timer->func (timer->data);
    }
  find_next (wheel);
}
