/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One run of a program: started by the pool, in a process group of its own and with nothing of ours but a pipe for what it
 * prints; watched, stopped and reaped on the worker that asked. Knows nothing of jobs.
 *
 * posix_spawn() and not fork(): a server with gigabytes of memory has no page tables copied. The group is killed before its
 * leader is reaped, as long as the number can't be anybody else's.
 */
#include "schedule/schedule-private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUEUE_MS 60000          /* for a thread of the pool */
#define KILL_MS 10000           /* between TERM and KILL */
#define REAP_MS 3000            /* what was killed may hang in the kernel: nobody waits for longer */
#define READ_SIZE (64 * 1024)   /* a wake-up */
#define LAST_SIZE (1024 * 1024) /* at the end: others may hold the pipe and write for ever */

struct RookCommand {
  RookWorker *worker; /* (unowned) */
  char **argv, **environment;
  const RookCommandEvents *events; /* (unowned) */
  gpointer data;
  gboolean abandoned; /* nobody wants to hear of it any more */
  gboolean stopping;
  pid_t pid;               /* of the process, and of its group; 0: not started, or reaped */
  int pid_fd, output_fd;   /* -1: none */
  RookWatch *end, *output; /* (nullable) (owned) */
  RookTimer kill;
  GString *line; /* what is there of the next one */
  gboolean cut;  /* the rest of it is dropped */
  GError *error; /* (nullable) why it could not be started */
};

static void
command_free (RookCommand *self)
{
  g_clear_pointer (&self->end, rook_watch_free);
  g_clear_pointer (&self->output, rook_watch_free);
  rook_timer_stop (&self->kill);
  if (self->pid_fd >= 0)
    close (self->pid_fd);
  if (self->output_fd >= 0)
    close (self->output_fd);
  g_strfreev (self->argv);
  g_strfreev (self->environment);
  g_string_free (self->line, TRUE);
  g_clear_error (&self->error);
  g_free (self);
}

/* --- what it prints -------------------------------------------------------------------------------------------------- */

static void
end_line (RookCommand *self)
{
  g_autofree char *mended = NULL;

  if (self->line->len > 0 && self->line->str[self->line->len - 1] == '\r')
    g_string_truncate (self->line, self->line->len - 1);
  if (!g_utf8_validate (self->line->str, (gssize) self->line->len, NULL))
    mended = g_utf8_make_valid (self->line->str, (gssize) self->line->len);
  if (self->line->len > 0)
    self->events->line (self->data, mended != NULL ? mended : self->line->str);
  g_string_truncate (self->line, 0);
  self->cut = FALSE;
}

static void
add_text (RookCommand *self, const char *text, gsize length)
{
  gsize room = ROOK_COMMAND_LINE_MAX - self->line->len;

  if (self->cut)
    return;
  g_string_append_len (self->line, text, (gssize) MIN (length, room));
  if (length <= room)
    return;
  g_string_append (self->line, "...");
  self->cut = TRUE;
}

/* Returns: how much there was; 0: no more for now, and if the pipe has ended none ever. */
static gsize
read_some (RookCommand *self)
{
  char buffer[READ_SIZE];
  ssize_t n = self->output_fd >= 0 ? read (self->output_fd, buffer, sizeof buffer) : -1;

  if (n < 0 && self->output_fd >= 0 && (errno == EAGAIN || errno == EINTR))
    return 0;
  if (n <= 0)
    {
      g_clear_pointer (&self->output, rook_watch_free);
      if (self->output_fd >= 0)
        close (self->output_fd);
      self->output_fd = -1;
      return 0;
    }
  for (const char *p = buffer, *end = buffer + n, *stop; p < end; p = stop + 1)
    {
      stop = memchr (p, '\n', (gsize) (end - p));
      add_text (self, p, (gsize) ((stop != NULL ? stop : end) - p));
      if (stop == NULL)
        break;
      end_line (self);
    }
  return (gsize) n;
}

static void
on_output (RookIo ready, gpointer data)
{
  (void) ready;
  read_some (data);
}

/* --- its end --------------------------------------------------------------------------------------------------------- */

/* What the process left behind in its group ends with it. */
static void
on_end (RookIo ready, gpointer data)
{
  RookCommand *self = data;
  gsize left = LAST_SIZE, n;
  int status = 0;

  (void) ready;
  kill (-self->pid, SIGKILL);
  while (waitpid (self->pid, &status, 0) < 0 && errno == EINTR)
    continue;
  self->pid = 0;
  while (left > 0 && (n = read_some (self)) > 0)
    left -= MIN (n, left);
  end_line (self);
  self->events->ended (self->data, NULL, status);
  command_free (self);
}

static void
on_kill_timer (gpointer data)
{
  RookCommand *self = data;

  kill (-self->pid, SIGKILL);
}

/* Without anybody who could wait for it. */
static void
kill_and_reap (RookCommand *self)
{
  const struct timespec pause = { 0, 5 * 1000 * 1000 };

  kill (-self->pid, SIGKILL);
  for (guint ms = 0; ms < REAP_MS && waitpid (self->pid, NULL, WNOHANG) == 0; ms += 5)
    nanosleep (&pause, NULL);
  self->pid = 0;
}

/* --- its start ------------------------------------------------------------------------------------------------------- */

/* Signals as a program expects them: this process blocks some, and ignores one. */
static void
set_attributes (posix_spawnattr_t *attributes)
{
  sigset_t none, all;

  sigemptyset (&none);
  sigfillset (&all);
  posix_spawnattr_init (attributes);
  posix_spawnattr_setsigmask (attributes, &none);
  posix_spawnattr_setsigdefault (attributes, &all);
  posix_spawnattr_setpgroup (attributes, 0);
  posix_spawnattr_setflags (attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

/* Returns: 0 or an errno. */
static int
spawn (RookCommand *self, int output_fd)
{
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int problem;

  set_attributes (&attributes);
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_addopen (&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2 (&actions, output_fd, 1);
  posix_spawn_file_actions_adddup2 (&actions, output_fd, 2);
  posix_spawn_file_actions_addclosefrom_np (&actions, 3);
  posix_spawn_file_actions_addchdir_np (&actions, "/");
  problem = posix_spawn (&self->pid, self->argv[0], &actions, &attributes, self->argv, self->environment);
  if (problem != 0)
    self->pid = 0;
  posix_spawn_file_actions_destroy (&actions);
  posix_spawnattr_destroy (&attributes);
  return problem;
}

/* On a pool thread: the program's file may be on a slow disk. */
static void
spawn_work (gpointer data)
{
  RookCommand *self = data;
  int pipes[2], problem;

  /* Of this thread alone, which needs none: the right to bind low ports is the server's, and nobody else's. */
  (void) prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  problem = pipe2 (pipes, O_CLOEXEC) == 0 ? 0 : errno;
  if (problem == 0)
    {
      self->output_fd = pipes[0];
      problem = fcntl (pipes[0], F_SETFL, O_NONBLOCK) == 0 ? spawn (self, pipes[1]) : errno;
      close (pipes[1]);
    }
  if (problem == 0)
    {
      self->pid_fd = (int) syscall (SYS_pidfd_open, self->pid, 0);
      problem = self->pid_fd >= 0 ? 0 : errno;
    }
  if (problem != 0)
    g_set_error (&self->error, G_FILE_ERROR, (gint) g_file_error_from_errno (problem), "%s can't be started: %s",
                 self->argv[0], g_strerror (problem));
}

static void
watch (RookCommand *self)
{
  self->end = rook_watch_new (self->worker, self->pid_fd, ROOK_IO_READ, on_end, self);
  self->output = rook_watch_new (self->worker, self->output_fd, ROOK_IO_READ, on_output, self);
  if (self->end == NULL || self->output == NULL)
    g_set_error (&self->error, G_FILE_ERROR, G_FILE_ERROR_NOMEM, "%s can't be watched", self->argv[0]);
}

static void
spawn_done (RookPoolOutcome outcome, gpointer data)
{
  RookCommand *self = data;

  if (outcome != ROOK_POOL_RAN)
    g_set_error (&self->error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "%s can't be started: no thread is free",
                 self->argv[0]);
  if (self->error == NULL && !self->abandoned)
    watch (self);
  if (self->error == NULL && !self->abandoned)
    {
      if (self->stopping)
        rook_command_stop (self);
      return;
    }
  if (self->pid > 0)
    kill_and_reap (self);
  if (!self->abandoned)
    self->events->ended (self->data, self->error, 0);
  command_free (self);
}

RookCommand *
rook_command_start (RookPool *pool, const char *const *argv, const char *const *environment,
                    const RookCommandEvents *events, gpointer data)
{
  RookCommand *self = g_new0 (RookCommand, 1);

  self->worker = rook_worker_current ();
  self->argv = g_strdupv ((char **) argv);
  self->environment = g_strdupv ((char **) environment);
  self->events = events;
  self->data = data;
  self->pid_fd = self->output_fd = -1;
  self->line = g_string_new (NULL);
  rook_timer_init (&self->kill, self->worker, on_kill_timer, self);
  if (rook_pool_run (pool, QUEUE_MS, spawn_work, spawn_done, self))
    return self;
  command_free (self);
  return NULL;
}

void
rook_command_stop (RookCommand *self)
{
  self->stopping = TRUE;
  if (self->end == NULL || rook_timer_is_running (&self->kill)) /* it is not started yet, or is told already */
    return;
  kill (-self->pid, SIGTERM);
  rook_timer_start (&self->kill, KILL_MS);
}

void
rook_command_abandon (RookCommand *self)
{
  self->abandoned = TRUE;
  if (self->end == NULL) /* spawn_done() will see to it */
    return;
  kill_and_reap (self);
  command_free (self);
}
